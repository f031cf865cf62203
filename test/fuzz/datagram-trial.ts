/**
 * Datagrams against a UDP tracker in this thread: straight into its `UdpService`, millions of them, or through real
 * sockets of either kind. Every reply is judged, and in the end the counters are.
 */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UdpService } from '../../tracker/net/udp-service.ts';
import type { UdpListenerSetup } from '../../tracker/net/listener.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { PacketMemory } from '../../tracker/protocol/udp.ts';
import { Counter } from '../../tracker/swarm/counters.ts';
import type { Counts } from '../net/tracker-threads.ts';
import { countsOf, type Datagram, faultOfReply, type IdKind, type Ids, makeDatagram } from './datagrams.ts';
import {
  makeTracker,
  openNative,
  type OpenListeners,
  openPortable,
  type TrackerParts,
} from './in-process-listeners.ts';
import type { Random } from './random.ts';

const CONFIG = { udp_trackers: [{ bind_address: '127.0.0.1:0' }] };
/** Small, so that it is soon full and stays so. */
const STORE_BYTES = 2 ** 22;
const EXPIRED_AGE_SECONDS = 300;
const INPUT_BYTES = 1496;
const REPLY_BYTES = 1472;
/** Around input and output, to see that nothing else is written. */
const MARGIN_BYTES = 64;
const MARGIN_BYTE = 0xa5;
const MARGIN = Buffer.alloc(INPUT_BYTES + 2 * MARGIN_BYTES, MARGIN_BYTE);
const DEADLINE_MILLIS = 20_000;
const TURNS_PER_STEP = 5;

abstract class Trial {
  readonly parts: TrackerParts;
  protected readonly source = new PeerAddress();
  readonly #expected = new Map<string, number>();

  constructor(parts: TrackerParts) {
    this.parts = parts;
  }

  /** Asserts that the counters moved as they should. Resets what is expected. */
  judgeCounters(): void {
    const sums: Record<string, number> = this.parts.rows.sums();
    // An announce that completes a download is one of those that change a swarm; no datagram here is made to.
    const moved = Object.entries(sums).filter(
      ([name, value]) => value !== 0 && name !== 'completed_downloads',
    );
    assert.deepEqual(Object.fromEntries(moved), Object.fromEntries(this.#expected));
  }

  protected expect(counts: Counts): void {
    for (const [name, count] of Object.entries(counts)) {
      this.#expected.set(name, (this.#expected.get(name) ?? 0) + count);
    }
  }

  protected judgeReply(datagram: Datagram, reply: Buffer | null, family: 4 | 6): void {
    const fault = faultOfReply(datagram, reply, family);
    if (fault === undefined) return;
    const sent = datagram.bytes.toString('hex');
    throw new Error(`${sent} (${datagram.id} id) got ${reply?.toString('hex')}: ${fault}`);
  }

  /** Connection ids of each kind for `source`, of this moment. */
  protected makeIds(): Ids {
    const { ids } = this.parts;
    const now = Date.now() / 1000;
    const issue = (seconds: number, port: number) => {
      const own = this.source.port;
      this.source.port = port;
      ids.readClock(seconds);
      ids.issue(this.source);
      this.source.port = own;
      return (BigInt(ids.high) << 32n) | (BigInt(ids.low) & 0xffff_ffffn);
    };
    const expired = issue(now - EXPIRED_AGE_SECONDS, this.source.port);
    const otherAddress = issue(now, this.source.port ^ 1);
    const valid = issue(now, this.source.port);
    return { expired, otherAddress, valid, forged: valid ^ 0x1_0000_0001n } satisfies Record<IdKind, bigint>;
  }
}

/** The service without sockets, from an IPv4 and an IPv6 address. */
export class DirectDatagramTrial extends Trial {
  readonly #service: UdpService;
  readonly #memory = PacketMemory.allocate(4096);
  readonly #output = MARGIN_BYTES + INPUT_BYTES + MARGIN_BYTES + 8;
  #ids: Ids | undefined;
  #sinceIds = 0;

  constructor() {
    super(makeTracker(CONFIG, STORE_BYTES));
    const [setup] = this.parts.setups;
    // The configuration has one listener, and it is for UDP.
    const udp = setup as UdpListenerSetup;
    this.#service = new UdpService(udp, this.parts);
  }

  judge(random: Random): void {
    // Ids and clocks of a moment serve many datagrams, as in a listener.
    if (this.#ids === undefined || this.#sinceIds++ === 1000) this.#begin(random);
    assert.ok(this.#ids);
    const { family } = this.source;
    const datagram = makeDatagram(random, this.#ids);
    const { bytes } = this.#memory;
    const length = Math.min(datagram.bytes.length, INPUT_BYTES);
    bytes.fill(MARGIN_BYTE);
    bytes.set(datagram.bytes.subarray(0, length), MARGIN_BYTES);
    const replyBytes = this.#service.answer(
      this.#memory,
      MARGIN_BYTES,
      length,
      this.source,
      this.#memory,
      this.#output,
    );
    if (replyBytes > 0) this.#service.countSent(family);
    const end = this.#output + REPLY_BYTES;
    assert.ok(replyBytes <= REPLY_BYTES);
    for (const [from, to] of [
      [0, MARGIN_BYTES],
      [MARGIN_BYTES + length, this.#output],
      [end, end + MARGIN_BYTES],
    ] as const) {
      assert.ok(MARGIN.compare(bytes, from, to, 0, to - from) === 0, 'nothing but the reply is written');
    }
    const reply = replyBytes === 0 ? null : Buffer.from(bytes.slice(this.#output, this.#output + replyBytes));
    this.judgeReply(datagram, reply, family);
    this.expect(countsOf(datagram, family));
  }

  #begin(random: Random): void {
    const { source } = this;
    source.family = random.oneIn(2) ? 4 : 6;
    source.words.fill(0);
    // Private addresses: behind them may be many, so that none is ever banned.
    source.bytes.set(source.family === 4 ? [10, 0, 2, random.below(256)] : [0xfd, 0, random.below(256)]);
    source.port = 1 + random.below(65_534);
    this.#sinceIds = 0;
    this.#ids = this.makeIds();
    this.#service.readClock();
  }
}

/** Real sockets over IPv4. */
export class SocketDatagramTrial extends Trial {
  readonly #listeners: OpenListeners;
  readonly #socket: Socket;
  readonly #replies: Buffer[] = [];

  private constructor(parts: TrackerParts, listeners: OpenListeners, socket: Socket) {
    super(parts);
    this.#listeners = listeners;
    this.#socket = socket;
    this.source.bytes.set([127, 0, 0, 1]);
    this.source.port = socket.address().port;
    socket.on('message', (reply) => this.#replies.push(reply));
  }

  static async open(kind: 'native' | 'portable'): Promise<SocketDatagramTrial> {
    const parts = makeTracker(CONFIG, STORE_BYTES);
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new SocketDatagramTrial(
      parts,
      kind === 'native' ? openNative(parts) : await openPortable(parts),
      socket,
    );
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.#listeners.close();
  }

  /** Sends `count` datagrams and judges the replies. */
  async judge(random: Random, count: number): Promise<void> {
    const ids = this.makeIds();
    const datagrams = Array.from({ length: count }, () => makeDatagram(random, ids));
    // Whatever comes before the reply to this is an answer to one of the others.
    const marker: Datagram = { bytes: Buffer.from('00000417271019800000000000000000', 'hex'), id: 'valid' };
    marker.bytes.writeUInt32BE(random.next(), 12);
    this.#replies.length = 0;
    for (const { bytes } of [...datagrams, marker]) {
      this.#socket.send(bytes, this.#listeners.addresses[0].port, '127.0.0.1');
    }
    await nextTurn();
    const deadline = performance.now() + DEADLINE_MILLIS;
    const isMarked = (reply: Buffer | undefined) =>
      reply?.readInt32BE(0) === 0 && reply.compare(marker.bytes, 12, 16, 4, 8) === 0;
    while (!isMarked(this.#replies.at(-1))) {
      this.#listeners.step();
      // A turn of the event loop reads a part of what has come.
      for (let turn = 0; turn < TURNS_PER_STEP; turn++) await nextTurn();
      assert.ok(performance.now() < deadline, 'a connect request is answered');
    }
    for (const datagram of [...datagrams, marker]) {
      const counts = countsOf(datagram, 4);
      this.expect(counts);
      const isSilent = 'udp_requests_discarded' in counts;
      this.judgeReply(datagram, isSilent ? null : (this.#replies.shift() ?? null), 4);
    }
    assert.equal(this.#replies.length, 0, 'nothing is answered twice');
    // The portable socket counts a reply when it was sent, which may be after it was heard.
    while (this.parts.counters[Counter.udp4_responses] < this.parts.counters[Counter.udp4_requests]) {
      await nextTurn();
      assert.ok(performance.now() < deadline, 'every reply is counted');
    }
  }
}
