/**
 * A page of peers: memory in a segment for some peers of one swarm and one address family. The caller holds the segment's
 * lock. What is read of many peers at a time stands together: the compact endpoints (BEP 23, BEP 7) as an announce reply
 * wants them, then the stamps, then the last word of each peer id, which tells most peers apart. The rest follows.
 *
 *   page   0 count | capacity << 16   1.. endpoints (6 or 18 bytes each)   stamps (4 bytes each)   id tails (4 bytes each)
 *          then per peer 10 words:  0 peer id without its tail (4)   4 uploaded (2)   6 downloaded (2)   8 left (2)
 *   stamp  seconds << 2 | event
 */
import { type AddressFamily, AnnounceRequest, HASH_WORDS } from '../protocol/model.ts';
import { halfSipHash } from './half-sip-hash.ts';
import type { Segment } from './segment.ts';

/** Words of a peer's details, and what they are. */
const DETAIL_WORDS = 10;
export const DETAIL_UPLOADED = 4;
export const DETAIL_DOWNLOADED = 6;
export const DETAIL_LEFT = 8;
/** Words of a peer id that stand in the details; the last one stands apart. */
const ID_WORDS = HASH_WORDS - 1;
const REQUEST_ID = AnnounceRequest.PEER_ID_WORD;
const REQUEST_TAIL = REQUEST_ID + ID_WORDS;
const REQUEST_ENDPOINT = AnnounceRequest.ENDPOINT_HALF;

/** The count and the capacity of a page share a word. */
const COUNT_MASK = 0xffff;
const CAPACITY_SHIFT = 16;

/** Works on pages of one segment and one family. Holds no state of its own. */
export class PeerPages {
  /** Halves of an endpoint. */
  readonly endpointHalves: number;
  readonly #segment: Segment;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #addressWords: number;
  readonly #keyLow: number;
  readonly #keyHigh: number;

  constructor(segment: Segment, family: AddressFamily, keyLow: number, keyHigh: number) {
    this.#segment = segment;
    this.#words = segment.words;
    this.#halves = segment.halves;
    this.endpointHalves = family === 4 ? 3 : 9;
    this.#addressWords = family === 4 ? 1 : 4;
    this.#keyLow = keyLow;
    this.#keyHigh = keyHigh;
  }

  /** Makes an empty page; 0 when memory is full. */
  create(capacity: number): number {
    const endpoints = (capacity * this.endpointHalves + 1) >> 1;
    const page = this.#segment.heap.allocate(1 + endpoints + capacity * (2 + DETAIL_WORDS));
    if (page !== 0) this.#words[page] = capacity << CAPACITY_SHIFT;
    return page;
  }

  free(page: number): void {
    this.#segment.heap.free(page);
  }

  /** Moves a page to a block for `capacity` peers. Returns the new page, 0 when memory is full. */
  resize(page: number, capacity: number): number {
    const target = this.create(capacity);
    if (target === 0) return 0;
    const count = this.count(page);
    const endpoints = this.endpointAt(page, 0);
    this.#halves.copyWithin(this.endpointAt(target, 0), endpoints, endpoints + count * this.endpointHalves);
    const words = this.#words;
    const stamps = this.stampAt(page, 0);
    words.copyWithin(this.stampAt(target, 0), stamps, stamps + count);
    const tails = this.#tailAt(page, 0);
    words.copyWithin(this.#tailAt(target, 0), tails, tails + count);
    const details = this.detailAt(page, 0);
    words.copyWithin(this.detailAt(target, 0), details, details + count * DETAIL_WORDS);
    this.setCount(target, count);
    this.free(page);
    return target;
  }

  count(page: number): number {
    return this.#words[page] & COUNT_MASK;
  }

  capacity(page: number): number {
    return this.#words[page] >>> CAPACITY_SHIFT;
  }

  setCount(page: number, count: number): void {
    this.#words[page] = (this.#words[page] & ~COUNT_MASK) | count;
  }

  /** Index in halves of the endpoint in a slot. */
  endpointAt(page: number, slot: number): number {
    return (page + 1) * 2 + slot * this.endpointHalves;
  }

  /** Index in words of the stamp in a slot. */
  stampAt(page: number, slot: number): number {
    return page + 1 + ((this.capacity(page) * this.endpointHalves + 1) >> 1) + slot;
  }

  /** Index in words of the details in a slot. */
  detailAt(page: number, slot: number): number {
    return this.stampAt(page, 0) + 2 * this.capacity(page) + slot * DETAIL_WORDS;
  }

  /** Seconds at which the peer in a slot was last heard. */
  secondsAt(page: number, slot: number): number {
    return this.#words[this.stampAt(page, slot)] >>> 2;
  }

  /** Writes the announcer into a slot. */
  write(page: number, slot: number, request: AnnounceRequest, stamp: number): void {
    const at = this.endpointAt(page, slot);
    for (let i = 0; i < this.endpointHalves; i++) {
      this.#halves[at + i] = request.halves[REQUEST_ENDPOINT + i];
    }
    const words = this.#words;
    words[this.stampAt(page, slot)] = stamp;
    words[this.#tailAt(page, slot)] = request.words[REQUEST_TAIL];
    const detail = this.detailAt(page, slot);
    for (let i = 0; i < ID_WORDS; i++) words[detail + i] = request.words[REQUEST_ID + i];
    for (let i = ID_WORDS; i < DETAIL_WORDS; i++) words[detail + i] = request.words[REQUEST_ID + 1 + i];
  }

  /** Reads what the peer in a slot announced, except the info hash: the inverse of `write`. Returns its stamp. */
  read(page: number, slot: number, request: AnnounceRequest): number {
    const at = this.endpointAt(page, slot);
    for (let i = 0; i < this.endpointHalves; i++) {
      request.halves[REQUEST_ENDPOINT + i] = this.#halves[at + i];
    }
    const words = this.#words;
    request.words[REQUEST_TAIL] = words[this.#tailAt(page, slot)];
    const detail = this.detailAt(page, slot);
    for (let i = 0; i < ID_WORDS; i++) request.words[REQUEST_ID + i] = words[detail + i];
    for (let i = ID_WORDS; i < DETAIL_WORDS; i++) request.words[REQUEST_ID + 1 + i] = words[detail + i];
    return words[this.stampAt(page, slot)];
  }

  copyPeer(page: number, slot: number, targetPage: number, targetSlot: number): void {
    this.copyEndpoints(page, slot, 1, this.#halves, this.endpointAt(targetPage, targetSlot));
    const words = this.#words;
    words[this.stampAt(targetPage, targetSlot)] = words[this.stampAt(page, slot)];
    words[this.#tailAt(targetPage, targetSlot)] = words[this.#tailAt(page, slot)];
    const from = this.detailAt(page, slot);
    const to = this.detailAt(targetPage, targetSlot);
    for (let i = 0; i < DETAIL_WORDS; i++) words[to + i] = words[from + i];
  }

  /** Copies the endpoints of `count` slots from `slot` on. */
  copyEndpoints(page: number, slot: number, count: number, target: Uint16Array, targetHalf: number): void {
    const halves = this.#halves;
    const at = this.endpointAt(page, slot);
    const length = count * this.endpointHalves;
    for (let i = 0; i < length; i++) target[targetHalf + i] = halves[at + i];
  }

  /** Copies the peer ids of `count` slots from `slot` on. */
  copyPeerIds(page: number, slot: number, count: number, target: Int32Array, targetWord: number): void {
    const words = this.#words;
    let to = targetWord;
    for (let i = 0; i < count; i++) {
      const id = this.detailAt(page, slot + i);
      for (let word = 0; word < ID_WORDS; word++) target[to++] = words[id + word];
      target[to++] = words[this.#tailAt(page, slot + i)];
    }
  }

  /** The slot of the peer with the announcer's address and port, or -1. */
  findEndpoint(page: number, request: AnnounceRequest): number {
    const halves = this.#halves;
    const step = this.endpointHalves;
    const count = this.count(page);
    const port = request.halves[REQUEST_ENDPOINT + step - 1];
    // Ports differ where addresses are the same, as behind one NAT, and nearly always where they are not.
    for (let slot = 0, at = this.endpointAt(page, 0); slot < count; slot++, at += step) {
      if (halves[at + step - 1] === port && this.#hasAddress(at, request)) return slot;
    }
    return -1;
  }

  /** The slot of the peer with the announcer's address and peer id, or -1. */
  findPeerId(page: number, request: AnnounceRequest): number {
    const words = this.#words;
    const count = this.count(page);
    const wanted = request.words[REQUEST_TAIL];
    const tails = this.#tailAt(page, 0);
    for (let slot = 0; slot < count; slot++) {
      if (words[tails + slot] === wanted && this.#isAnnouncer(page, slot, request)) return slot;
    }
    return -1;
  }

  /** Of the peers with the announcer's address, if they are `limit` or more, the one that was silent longest; else -1. */
  findStalestOfAddress(page: number, request: AnnounceRequest, limit: number): number {
    const step = this.endpointHalves;
    const count = this.count(page);
    let peers = 0;
    let stalest = -1;
    for (let slot = 0, at = this.endpointAt(page, 0); slot < count; slot++, at += step) {
      if (!this.#hasAddress(at, request)) continue;
      peers++;
      if (stalest < 0 || this.secondsAt(page, slot) < this.secondsAt(page, stalest)) stalest = slot;
    }
    return peers < limit ? -1 : stalest;
  }

  /** The keyed hash of the announcer's address. */
  hashRequest(request: AnnounceRequest): number {
    return this.#hash(request.words, AnnounceRequest.ENDPOINT_WORD);
  }

  /** The keyed hash of a stored peer's address. Endpoints are aligned to halves only, so the address is copied first. */
  hashSlot(page: number, slot: number): number {
    const at = this.endpointAt(page, slot);
    for (let i = 0; i < this.#addressWords; i++) {
      addressScratch[i] = this.#halves[at + 2 * i] | (this.#halves[at + 2 * i + 1] << 16);
    }
    return this.#hash(addressScratch, 0);
  }

  /** Whether the endpoint at `at` of the halves has the announcer's address. */
  #hasAddress(at: number, request: AnnounceRequest): boolean {
    const halves = this.#halves;
    for (let i = this.endpointHalves - 2; i >= 0; i--) {
      if (halves[at + i] !== request.halves[REQUEST_ENDPOINT + i]) return false;
    }
    return true;
  }

  /** Whether the peer in a slot, the tail of whose id is known to fit, has the announcer's address and peer id. */
  #isAnnouncer(page: number, slot: number, request: AnnounceRequest): boolean {
    const detail = this.detailAt(page, slot);
    for (let i = 0; i < ID_WORDS; i++) {
      if (this.#words[detail + i] !== request.words[REQUEST_ID + i]) return false;
    }
    return this.#hasAddress(this.endpointAt(page, slot), request);
  }

  /** Index in words of the last word of the peer id in a slot. */
  #tailAt(page: number, slot: number): number {
    return this.stampAt(page, slot) + this.capacity(page);
  }

  #hash(words: Int32Array, first: number): number {
    return halfSipHash(words, first, this.#addressWords, this.#keyLow, this.#keyHigh);
  }
}

/** One address, to be hashed; a thread never hashes two at a time. */
const addressScratch = new Int32Array(4);

/** A peer is a seeder when nothing is left; a negative number, which BEP 15 allows, counts as nothing. */
export function leftIsNone(words: Int32Array, left: number): boolean {
  return words[left] < 0 || (words[left] === 0 && words[left + 1] === 0);
}

/** Whether the peer with these details is a seeder. */
export function isSeeder(words: Int32Array, detail: number): boolean {
  return leftIsNone(words, detail + DETAIL_LEFT);
}
