/**
 * One socket of the UDP load with its window of requests: builds them, sends them in batches, and counts what comes back.
 *
 * A transaction id names the slot of the window (12 bits) and how often the slot was used (20 bits), so that a reply that
 * comes after it was given up counts for nothing.
 */
import { MSG_DONTWAIT, SO_RCVBUFFORCE, SOL_SOCKET } from '../../tracker/net/native/constants.ts';
import type { Libc } from '../../tracker/net/native/libc.ts';
import { setOption } from '../../tracker/net/native/socket-address.ts';
import {
  ANNOUNCE_REPLY_HEAD_BYTES,
  ANNOUNCE_REQUEST_BYTES,
  ERROR_REPLY_HEAD_BYTES,
  PROTOCOL_ID_HIGH,
  PROTOCOL_ID_LOW,
  REQUEST_HEAD_BYTES,
  UdpAction,
} from '../../tracker/protocol/udp.ts';
import { HASH_BYTES, HASH_WORDS, IPV4_ENDPOINT_BYTES } from '../../tracker/protocol/model.ts';
import { DatagramBatch } from './datagram-batch.ts';
import type { LatencyHistogram } from './latency-histogram.ts';
import {
  infoHashWord,
  isLeecher,
  type LoadProfile,
  Random,
  SCRAPE_HASHES,
  skewedTorrent,
  sourceAddressWord,
} from './population.ts';

const BATCH = 64;
const SLOT_BITS = 12;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const REPLY_BYTES = 2048;
const REQUEST_BYTES = REQUEST_HEAD_BYTES + SCRAPE_HASHES * HASH_BYTES;
const RECEIVE_BUFFER_BYTES = 8 * 2 ** 20;
/** Connection ids live for two minutes at least (BEP 15 says one minute for the client). */
const ID_REFRESH_MILLIS = 50_000;
const PORTS = 65_535;
const LOOPBACK_WORD = 0x0100007f;
/** `-BN0001-`, as two words in memory. */
const PEER_ID_PREFIX = [0x304e422d, 0x2d313030] as const;

/** What has come back, and what has not. */
export class LoadCounts {
  connects = 0;
  announces = 0;
  scrapes = 0;
  errors = 0;
  peers = 0;
  lost = 0;
  firstError = '';

  /** Replies of any kind. */
  get replies(): number {
    return this.connects + this.announces + this.scrapes + this.errors;
  }

  copy(): LoadCounts {
    return Object.assign(new LoadCounts(), this);
  }

  /** What has been counted since an earlier copy. */
  since(earlier: LoadCounts): LoadCounts {
    const difference = new LoadCounts();
    difference.connects = this.connects - earlier.connects;
    difference.announces = this.announces - earlier.announces;
    difference.scrapes = this.scrapes - earlier.scrapes;
    difference.errors = this.errors - earlier.errors;
    difference.peers = this.peers - earlier.peers;
    difference.lost = this.lost - earlier.lost;
    return difference;
  }
}

export interface LoadSocketOptions {
  readonly profile: LoadProfile;
  readonly port: number;
  readonly seed: number;
  /** Which one of the `sockets` this is: it announces every endpoint whose number leaves this rest. */
  readonly index: number;
  readonly sockets: number;
  /** Requests that may be on their way, 4,096 at most. */
  readonly window: number;
  readonly counts: LoadCounts;
  /** Where latencies go; null: nowhere. */
  readonly histogram: LatencyHistogram | null;
}

export class LoadSocket {
  readonly fd: number;
  readonly #options: LoadSocketOptions;
  readonly #random: Random;
  readonly #replies: DatagramBatch;
  readonly #requests: DatagramBatch;
  /** Addresses of this socket, and endpoints at all of them. */
  readonly #addresses: number;
  readonly #endpoints: number;

  /** Of each slot: when its request was due, 0 when it is free; how often it was used; the address it was sent from. */
  readonly #dueMillis: Float64Array;
  readonly #uses: Int32Array;
  readonly #slotAddress: Int32Array;
  readonly #free: Int32Array;
  #freeCount: number;
  #lookForLostMillis = 0;

  /** Of each address: its connection id, two words of memory, and when it was asked for, 0 for never. */
  readonly #ids: Int32Array;
  readonly #idMillis: Float64Array;
  readonly #hasId: Uint8Array;

  constructor(libc: Libc, fd: number, options: LoadSocketOptions) {
    const { profile, window, sockets, index } = options;
    this.fd = fd;
    this.#options = options;
    this.#random = new Random(Math.imul(options.seed * sockets + index + 1, 0x9e3779b1));
    this.#replies = new DatagramBatch(libc, BATCH, REPLY_BYTES);
    this.#requests = new DatagramBatch(libc, BATCH, REQUEST_BYTES);
    this.#requests.setDestination(LOOPBACK_WORD, options.port);
    this.#addresses = profile.addresses / sockets;
    this.#endpoints = profile.endpoints / sockets;
    if (this.#addresses > 1) this.#requests.enableSources();
    setOption(libc, fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
    this.#dueMillis = new Float64Array(window);
    this.#uses = new Int32Array(window);
    this.#slotAddress = new Int32Array(window);
    this.#free = Int32Array.from({ length: window }, (_, slot) => slot);
    this.#freeCount = window;
    this.#ids = new Int32Array(2 * this.#addresses);
    this.#idMillis = new Float64Array(this.#addresses);
    this.#hasId = new Uint8Array(this.#addresses);
  }

  /** Takes the replies that are there. */
  receive(nowMillis: number): void {
    for (;;) {
      const count = this.#replies.receive(this.fd, MSG_DONTWAIT);
      for (let i = 0; i < count; i++)
        this.#take(this.#replies.offset(i), this.#replies.receivedBytes(i), nowMillis);
      if (count < BATCH) return;
    }
  }

  /**
   * Sends up to `count` requests, as many as the window has room for; the first is due at `dueMillis`, each further one
   * `stepMillis` later. A finite count that there is no room for counts as lost.
   */
  send(count: number, dueMillis: number, stepMillis: number): void {
    const total = Math.min(count, this.#freeCount);
    if (count !== Infinity) this.#options.counts.lost += count - total;
    for (let sent = 0; sent < total;) {
      const size = Math.min(BATCH, total - sent);
      for (let i = 0; i < size; i++) {
        const slot = this.#free[--this.#freeCount];
        this.#dueMillis[slot] = dueMillis + (sent + i) * stepMillis;
        this.#build(i, slot, dueMillis);
      }
      this.#requests.send(this.fd, size);
      sent += size;
    }
  }

  /** Gives up requests that were due before `beforeMillis`. */
  forgetLost(beforeMillis: number): void {
    // Looking through the window takes time, and being a tenth of a second late changes nothing.
    if (beforeMillis < this.#lookForLostMillis) return;
    this.#lookForLostMillis = beforeMillis + 100;
    for (let slot = 0; slot < this.#dueMillis.length; slot++) {
      const dueMillis = this.#dueMillis[slot];
      if (dueMillis === 0 || dueMillis > beforeMillis) continue;
      this.#options.counts.lost++;
      this.#hasId[this.#slotAddress[slot]] = 0;
      this.#release(slot);
    }
  }

  #take(offset: number, bytes: number, nowMillis: number): void {
    const { view, words } = this.#replies.memory;
    const transactionId = view.getInt32(offset + 4);
    const slot = transactionId & SLOT_MASK;
    if (bytes < ERROR_REPLY_HEAD_BYTES || slot >= this.#dueMillis.length) return;
    if (this.#dueMillis[slot] === 0 || transactionId >>> SLOT_BITS !== this.#uses[slot]) return;
    const { counts, histogram } = this.#options;
    histogram?.record((nowMillis - this.#dueMillis[slot]) * 1000);
    const address = this.#slotAddress[slot];
    switch (view.getInt32(offset)) {
      case UdpAction.connect:
        counts.connects++;
        this.#ids[2 * address] = words[(offset >> 2) + 2];
        this.#ids[2 * address + 1] = words[(offset >> 2) + 3];
        this.#hasId[address] = 1;
        this.#idMillis[address] = nowMillis;
        break;
      case UdpAction.announce:
        counts.announces++;
        counts.peers += Math.floor((bytes - ANNOUNCE_REPLY_HEAD_BYTES) / IPV4_ENDPOINT_BYTES);
        break;
      case UdpAction.scrape:
        counts.scrapes++;
        break;
      default:
        counts.errors++;
        this.#hasId[address] = 0;
        if (counts.firstError === '') {
          const end = offset + bytes;
          counts.firstError = Buffer.from(this.#replies.memory.bytes.slice(offset + 8, end)).toString(
            'latin1',
          );
        }
    }
    this.#release(slot);
  }

  #release(slot: number): void {
    this.#dueMillis[slot] = 0;
    this.#uses[slot] = (this.#uses[slot] + 1) & 0xfffff;
    this.#free[this.#freeCount++] = slot;
  }

  /** Builds request number `i` of the batch. */
  #build(i: number, slot: number, nowMillis: number): void {
    const { profile, index, sockets } = this.#options;
    const { view, words } = this.#requests.memory;
    const offset = this.#requests.offset(i);
    const word = offset >> 2;
    const place = this.#random.below(this.#endpoints);
    const address = place % this.#addresses;
    this.#slotAddress[slot] = address;
    if (this.#addresses > 1) this.#requests.setSource(i, sourceAddressWord(address * sockets + index));
    view.setInt32(offset + 12, (this.#uses[slot] << SLOT_BITS) | slot);
    if (this.#needsId(address, nowMillis) || this.#happens(profile.connectShare)) {
      view.setInt32(offset, PROTOCOL_ID_HIGH);
      view.setInt32(offset + 4, PROTOCOL_ID_LOW);
      view.setInt32(offset + 8, UdpAction.connect);
      this.#requests.setBytes(i, REQUEST_HEAD_BYTES);
      return;
    }
    words[word] = this.#ids[2 * address];
    words[word + 1] = this.#ids[2 * address + 1];
    if (this.#happens(profile.scrapeShare)) {
      view.setInt32(offset + 8, UdpAction.scrape);
      for (let k = 0; k < SCRAPE_HASHES; k++) this.#writeInfoHash(word + 4 + k * HASH_WORDS);
      this.#requests.setBytes(i, REQUEST_BYTES);
      return;
    }
    this.#writeAnnounce(offset, place * sockets + index, 1 + (Math.floor(place / this.#addresses) % PORTS));
    this.#requests.setBytes(i, ANNOUNCE_REQUEST_BYTES);
  }

  #writeAnnounce(offset: number, endpoint: number, port: number): void {
    const { view, words } = this.#requests.memory;
    const word = offset >> 2;
    view.setInt32(offset + 8, UdpAction.announce);
    this.#writeInfoHash(word + 4);
    words[word + 9] = PEER_ID_PREFIX[0];
    words[word + 10] = PEER_ID_PREFIX[1];
    words[word + 11] = endpoint;
    words[word + 12] = Math.imul(endpoint, 0x9e3779b1);
    words[word + 13] = Math.imul(endpoint, 0x85ebca6b);
    // Downloaded, left and uploaded; then event and address.
    for (let k = 14; k < 22; k++) words[word + k] = 0;
    if (isLeecher(endpoint)) view.setInt32(offset + 68, 1 << 20);
    words[word + 22] = endpoint;
    view.setInt32(offset + 92, this.#options.profile.numWant);
    view.setUint16(offset + 96, port);
  }

  #writeInfoHash(word: number): void {
    const { words } = this.#requests.memory;
    const torrent = skewedTorrent(this.#random, this.#options.profile.torrents);
    for (let k = 0; k < HASH_WORDS; k++) words[word + k] = infoHashWord(torrent, k);
  }

  /** Whether the address has no connection id, or one that should be renewed; the latter is said once. */
  #needsId(address: number, nowMillis: number): boolean {
    if (this.#hasId[address] === 0) return true;
    if (nowMillis - this.#idMillis[address] < ID_REFRESH_MILLIS) return false;
    this.#idMillis[address] = nowMillis;
    return true;
  }

  #happens(share: number): boolean {
    return share > 0 && this.#random.next() < share * 2 ** 31;
  }
}
