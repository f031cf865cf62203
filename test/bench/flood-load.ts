/**
 * A flood beside clients that behave, in turns from one thread: the clients announce with valid connection ids at a steady
 * rate, the flood sends connects and announces with an id of its own or a forged one. What is counted is which of the
 * clients' requests are answered. Blocks its thread, so it runs in a process of its own (flood-load-process.ts).
 */
import { MSG_DONTWAIT, SO_RCVBUFFORCE, SOCK_DGRAM, SOL_SOCKET } from '../../tracker/net/native/constants.ts';
import { type Libc, openLibc } from '../../tracker/net/native/libc.ts';
import { openBoundSocket, setOption } from '../../tracker/net/native/socket-address.ts';
import {
  ANNOUNCE_REQUEST_BYTES,
  PROTOCOL_ID_HIGH,
  PROTOCOL_ID_LOW,
  REQUEST_HEAD_BYTES,
  UdpAction,
} from '../../tracker/protocol/udp.ts';
import { DatagramBatch } from './datagram-batch.ts';
import { readResidentBytes, readUdpDrops } from './process-usage.ts';

export interface FloodLoadOptions {
  /** The server listens on 127.0.0.1. */
  readonly port: number;
  /** The server's process. */
  readonly pid: number;
  /** Clients that behave, and their requests per second, all together. */
  readonly clients: number;
  readonly clientRate: number;
  readonly phases: readonly FloodPhase[];
}

/** A time with a flood, or with none. */
export interface FloodPhase {
  readonly name: string;
  readonly seconds: number;
  /** Addresses that the flood comes from, and its requests per second, all together. */
  readonly addresses: number;
  readonly rate: number;
}

export interface FloodPhaseResult {
  readonly name: string;
  readonly asked: number;
  readonly answered: number;
  readonly floodAsked: number;
  readonly floodAnswered: number;
  /** Datagrams that the kernel dropped because a queue was full: of the server's socket, and of the clients' one. */
  readonly serverDrops: number;
  readonly clientDrops: number;
  /** Of the server, at the end of the phase. */
  readonly residentBytes: number;
}

const BATCH = 64;
const REPLY_BYTES = 2048;
const RECEIVE_BUFFER_BYTES = 8 * 2 ** 20;
const LOOPBACK_WORD = 0x0100007f;
/** After a phase, for replies that are on their way. */
const SETTLE_MILLIS = 500;
const TORRENTS = 1000;

/** Goes through the phases. Throws when the machine has no native sockets. */
export function runFloodLoad(options: FloodLoadOptions): FloodPhaseResult[] {
  const libc = openLibc();
  if (typeof libc === 'string') throw new Error(libc);
  const clients = new Senders(libc, options.port, 2, options.clients);
  clients.introduce();
  return options.phases.map((phase) => {
    // Each flood has addresses of its own, which nobody has seen.
    const flood = new Senders(libc, options.port, 16, Math.max(1, phase.addresses));
    if (phase.rate > 0) flood.introduceFirst();
    const before = { asked: clients.asked, answered: clients.answered, flood: flood.answered };
    const drops = { server: readUdpDrops(options.port), clients: readUdpDrops(clients.port) };
    const startMillis = performance.now();
    const endMillis = startMillis + phase.seconds * 1000;
    let asked = 0;
    let flooded = 0;
    for (let now = startMillis; now < endMillis; now = performance.now()) {
      const share = (now - startMillis) / 1000;
      asked += clients.send(Math.floor(share * options.clientRate) - asked, false);
      flooded += flood.send(Math.floor(share * phase.rate) - flooded, true);
      clients.receive();
      flood.receive();
    }
    const settledMillis = performance.now() + SETTLE_MILLIS;
    while (performance.now() < settledMillis) {
      clients.receive();
      flood.receive();
    }
    flood.close();
    return {
      name: phase.name,
      asked: clients.asked - before.asked,
      answered: clients.answered - before.answered,
      floodAsked: flooded,
      floodAnswered: flood.answered - before.flood,
      serverDrops: readUdpDrops(options.port) - drops.server,
      clientDrops: readUdpDrops(clients.port) - drops.clients,
      residentBytes: readResidentBytes(options.pid),
    };
  });
}

/** Addresses 127.`block`.0.1 and on, which send from one socket. */
class Senders {
  asked = 0;
  answered = 0;
  /** Where the socket is bound. */
  readonly port: number;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #block: number;
  readonly #count: number;
  readonly #requests: DatagramBatch;
  readonly #replies: DatagramBatch;
  /** Of each address: its connection id, two words of memory. */
  readonly #ids: Int32Array;
  readonly #hasId: Uint8Array;
  #next = 0;

  constructor(libc: Libc, port: number, block: number, count: number) {
    this.#libc = libc;
    this.#block = block;
    this.#count = count;
    const bind = { host: '0.0.0.0', port: 0, family: 4 as const };
    const own = openBoundSocket(libc, 'The load', SOCK_DGRAM, bind, { ipv6Only: false, sharesPort: false });
    this.#fd = own.fd;
    this.port = own.address.port;
    setOption(libc, this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
    this.#requests = new DatagramBatch(libc, BATCH, ANNOUNCE_REQUEST_BYTES + 2);
    this.#requests.setDestination(LOOPBACK_WORD, port);
    this.#requests.enableSources();
    this.#replies = new DatagramBatch(libc, BATCH, REPLY_BYTES);
    this.#ids = new Int32Array(2 * count);
    this.#hasId = new Uint8Array(count);
  }

  /** Asks for connection ids until every address has one, and waits for late replies, which belong to no phase. */
  introduce(): void {
    for (let left = this.#count; left > 0;) {
      for (let sender = 0; sender < this.#count; sender++)
        if (this.#hasId[sender] === 0) this.#connect(sender);
      this.#pause();
      left = this.#hasId.reduce((sum, has) => sum - has, this.#count);
    }
    for (let i = 0; i < 20; i++) this.#pause();
    this.asked = 0;
    this.answered = 0;
  }

  /** The same for the first address alone. */
  introduceFirst(): void {
    while (this.#hasId[0] === 0) {
      this.#connect(0);
      this.#pause();
    }
    this.answered = 0;
  }

  /** Sends requests of all addresses in turn; every second one of a flood is a connect. Returns how many. */
  send(count: number, isFlood: boolean): number {
    for (let sent = 0; sent < count;) {
      const size = Math.min(BATCH, count - sent);
      for (let i = 0; i < size; i++) {
        const sender = this.#next;
        this.#next = (sender + 1) % this.#count;
        if (isFlood && (sent + i) % 2 === 0) this.#buildConnect(i, sender);
        else this.#buildAnnounce(i, sender);
      }
      this.#requests.send(this.#fd, size);
      sent += size;
    }
    this.asked += Math.max(0, count);
    return Math.max(0, count);
  }

  /** Takes the replies that are there. */
  receive(): void {
    for (;;) {
      const count = this.#replies.receive(this.#fd, MSG_DONTWAIT);
      for (let i = 0; i < count; i++) this.#take(this.#replies.offset(i));
      if (count < BATCH) return;
    }
  }

  close(): void {
    this.#libc.close(this.#fd);
  }

  #take(offset: number): void {
    const { view, words } = this.#replies.memory;
    const action = view.getInt32(offset);
    if (action !== UdpAction.error) this.answered++;
    if (action !== UdpAction.connect) return;
    const sender = view.getInt32(offset + 4);
    this.#ids[2 * sender] = words[(offset >> 2) + 2];
    this.#ids[2 * sender + 1] = words[(offset >> 2) + 3];
    this.#hasId[sender] = 1;
  }

  #connect(sender: number): void {
    this.#buildConnect(0, sender);
    this.#requests.send(this.#fd, 1);
    this.receive();
  }

  #pause(): void {
    const endMillis = performance.now() + 50;
    while (performance.now() < endMillis) this.receive();
  }

  #buildConnect(i: number, sender: number): void {
    const { view } = this.#requests.memory;
    const offset = this.#address(i, sender, REQUEST_HEAD_BYTES);
    view.setInt32(offset, PROTOCOL_ID_HIGH);
    view.setInt32(offset + 4, PROTOCOL_ID_LOW);
    view.setInt32(offset + 8, UdpAction.connect);
    view.setInt32(offset + 12, sender);
  }

  #buildAnnounce(i: number, sender: number): void {
    const { view, words } = this.#requests.memory;
    const offset = this.#address(i, sender, ANNOUNCE_REQUEST_BYTES);
    const word = offset >> 2;
    words[word] = this.#ids[2 * sender];
    words[word + 1] = this.#ids[2 * sender + 1];
    view.setInt32(offset + 8, UdpAction.announce);
    view.setInt32(offset + 12, sender);
    // A torrent of its number, a peer id of the sender's; what is left is zero.
    for (let k = 4; k < 24; k++) words[word + k] = 0;
    words[word + 4] = sender % TORRENTS;
    words[word + 9] = (this.#block << 24) | sender;
    view.setInt32(offset + 92, 30);
    view.setUint16(offset + 96, 6881);
  }

  #address(i: number, sender: number, bytes: number): number {
    const number = sender + 1;
    const word = 0x7f | (this.#block << 8) | ((number >>> 8) << 16) | ((number & 0xff) << 24);
    this.#requests.setSource(i, word);
    this.#requests.setBytes(i, bytes);
    return this.#requests.offset(i);
  }
}
