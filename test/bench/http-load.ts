/**
 * The HTTP load: a ring of connections that are used one after the other, each with one request on its way. Waiting for
 * the oldest one is enough, since a server answers about in the order of arrival. Blocks its thread until it is done
 * (http-load-process.ts).
 *
 * `new`: every announce has a connection of its own, as most BitTorrent clients do it; the server closes it. `keep-alive`:
 * connections stay open as long as the server lets them.
 */
import { MSG_NOSIGNAL } from '../../tracker/net/native/constants.ts';
import { allocateNative, type Libc, openLibc } from '../../tracker/net/native/libc.ts';
import { HttpAnnounceTemplate } from './http-announce-template.ts';
import { type LoadProfile, Random, skewedTorrent, sourceAddressWord } from './population.ts';
import { readCpuSeconds, readResidentBytes } from './process-usage.ts';
import { TcpClient } from './tcp-client.ts';

export type ConnectionUse = 'new' | 'keep-alive';

export interface HttpLoadOptions {
  readonly profile: LoadProfile;
  readonly port: number;
  readonly pid: number;
  readonly use: ConnectionUse;
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly seed: number;
}

/** What was counted after the warm-up. */
export interface HttpLoadResult {
  readonly seconds: number;
  /** Announces that were answered with peers, even none. */
  readonly announces: number;
  readonly peers: number;
  /** Replies that were anything else. */
  readonly errors: number;
  /** The first such reply, `''` when there was none. */
  readonly firstError: string;
  /** Connections that ended without a reply. */
  readonly broken: number;
  readonly connects: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  readonly serverResidentBytes: number;
}

const REPLY_BYTES = 64 * 1024;
const ENDPOINT_BYTES = 6;
/** As in udp-load.ts. */
const WARM_UP_ANNOUNCES = 100_000;
const WARM_UP_STRETCH = 6;
const FIRST_PORT = 10_000;
const PORTS = 50_000;

/** Makes load on the server and counts. Throws when the machine has no native sockets. */
export function runHttpLoad(options: HttpLoadOptions): HttpLoadResult {
  const libc = openLibc();
  if (typeof libc === 'string') throw new Error(libc);
  const load = new HttpLoad(libc, options);
  const opened = performance.now();
  const { warmUpSeconds, seconds } = options;
  const isWarm = (): boolean => {
    const share = (performance.now() - opened) / 1000 / warmUpSeconds;
    return share >= 1 && (load.announces >= WARM_UP_ANNOUNCES || share >= WARM_UP_STRETCH);
  };
  load.runUntil(isWarm);
  const before = {
    ...load.figures(),
    server: readCpuSeconds(options.pid),
    client: readCpuSeconds(process.pid),
  };
  const start = performance.now();
  load.runUntil(() => performance.now() - start >= seconds * 1000);
  const after = load.figures();
  return {
    seconds: (performance.now() - start) / 1000,
    announces: after.announces - before.announces,
    peers: after.peers - before.peers,
    errors: after.errors - before.errors,
    firstError: load.firstError,
    broken: after.broken - before.broken,
    connects: after.connects - before.connects,
    serverCpuSeconds: readCpuSeconds(options.pid) - before.server,
    clientCpuSeconds: readCpuSeconds(process.pid) - before.client,
    serverResidentBytes: readResidentBytes(options.pid),
  };
}

class HttpLoad {
  announces = 0;
  firstError = '';
  #peers = 0;
  #errors = 0;
  #broken = 0;
  #connects = 0;

  readonly #libc: Libc;
  readonly #options: HttpLoadOptions;
  readonly #client: TcpClient;
  readonly #random: Random;
  readonly #template: HttpAnnounceTemplate;
  readonly #reply = allocateNative(REPLY_BYTES);
  readonly #replyBytes = Buffer.from(this.#reply.buffer);
  /** Sockets of the ring, and the number of the address that each came from. */
  readonly #fds: Int32Array;
  readonly #addresses: Int32Array;
  /** Replies on each connection so far. */
  readonly #served: Int32Array;
  #turn = 0;

  constructor(libc: Libc, options: HttpLoadOptions) {
    this.#libc = libc;
    this.#options = options;
    this.#client = new TcpClient(libc, options.port);
    this.#random = new Random(Math.imul(options.seed, 0x9e3779b1));
    this.#template = new HttpAnnounceTemplate(options.profile, options.use === 'keep-alive');
    this.#fds = new Int32Array(options.connections).fill(-1);
    this.#addresses = new Int32Array(options.connections);
    this.#served = new Int32Array(options.connections);
    for (let i = 0; i < options.connections; i++) {
      this.#open(i);
      this.#ask(i);
    }
  }

  figures(): { announces: number; peers: number; errors: number; broken: number; connects: number } {
    return {
      announces: this.announces,
      peers: this.#peers,
      errors: this.#errors,
      broken: this.#broken,
      connects: this.#connects,
    };
  }

  /** Goes round the ring, again and again. */
  runUntil(isDone: () => boolean): void {
    while (!isDone()) {
      for (let i = 0; i < this.#fds.length; i++) {
        const isOpen = this.#take(this.#turn);
        if (!isOpen || this.#options.use === 'new') {
          this.#libc.close(this.#fds[this.#turn]);
          this.#open(this.#turn);
        }
        this.#ask(this.#turn);
        this.#turn = (this.#turn + 1) % this.#fds.length;
      }
    }
  }

  #open(i: number): void {
    this.#addresses[i] = this.#random.below(this.#options.profile.addresses);
    this.#fds[i] = this.#client.open(sourceAddressWord(this.#addresses[i]));
    this.#served[i] = 0;
    this.#connects++;
  }

  #ask(i: number): void {
    const { profile } = this.#options;
    const port = this.#random.below(Math.min(PORTS, Math.ceil(profile.endpoints / profile.addresses)));
    const endpoint = port * profile.addresses + this.#addresses[i];
    const { memory, bytes } = this.#template;
    this.#template.fill(skewedTorrent(this.#random, profile.torrents), endpoint, FIRST_PORT + port);
    this.#libc.send(this.#fds[i], memory.address, bytes, MSG_NOSIGNAL);
  }

  /** Waits for the reply on connection `i` and counts it. Returns whether the connection is still open. */
  #take(i: number): boolean {
    let length = 0;
    let bytesWanted = Infinity;
    while (length < bytesWanted) {
      const got = this.#libc.recv(this.#fds[i], this.#reply.address + length, REPLY_BYTES - length, 0);
      if (got <= 0) break;
      length += got;
      if (this.#options.use === 'keep-alive' && bytesWanted === Infinity)
        bytesWanted = this.#wholeBytes(length);
    }
    // Servers may close a connection that was in use: the announce is lost, but nothing is wrong.
    if (length > 0 || this.#served[i] === 0) this.#count(length);
    this.#served[i]++;
    return length > 0 && length >= bytesWanted;
  }

  /** The bytes of the reply whose first `length` bytes are there, as far as can be told. */
  #wholeBytes(length: number): number {
    const headEnd = this.#replyBytes.indexOf('\r\n\r\n', 0, 'latin1');
    if (headEnd < 0 || headEnd >= length) return Infinity;
    const head = this.#replyBytes.toString('latin1', 0, headEnd);
    const bodyBytes = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    const closes = head.startsWith('HTTP/1.0') || /\r\nconnection: *close/i.test(head);
    if (bodyBytes === undefined || closes) return Infinity;
    return headEnd + 4 + Number(bodyBytes);
  }

  #count(length: number): void {
    if (length === 0) {
      this.#broken++;
      return;
    }
    const at = this.#replyBytes.subarray(0, length).indexOf('5:peers', 0, 'latin1');
    if (at < 0) {
      this.#errors++;
      if (this.firstError === '')
        this.firstError = this.#replyBytes.toString('latin1', 0, Math.min(length, 500));
      return;
    }
    this.announces++;
    let bytes = 0;
    for (let k = at + 7; k < length; k++) {
      const digit = this.#replyBytes[k] - 48;
      if (digit < 0 || digit > 9) break;
      bytes = bytes * 10 + digit;
    }
    this.#peers += Math.floor(bytes / ENDPOINT_BYTES);
  }
}
