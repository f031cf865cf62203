/**
 * A page of peers: memory in a segment for some peers of one swarm and one address family. In a page the compact
 * endpoints (BEP 23, BEP 7) stand together, as an announce reply wants them; what only an update or the REST API reads
 * follows behind. The caller holds the segment's lock.
 *
 *   page   0 count | capacity << 16   1.. endpoints (6 or 18 bytes each)   then per peer 12 words:
 *            0 peer id (5)   5 uploaded (2)   7 downloaded (2)   9 left (2)   11 seconds << 2 | event
 */
import { type AddressFamily, AnnounceRequest, HASH_WORDS } from '../protocol/model.ts';
import { halfSipHash } from './half-sip-hash.ts';
import type { Segment } from './segment.ts';

/** Words of a peer behind the endpoints, and what they are. */
export const DETAIL_WORDS = 12;
export const DETAIL_PEER_ID = 0;
export const DETAIL_UPLOADED = 5;
export const DETAIL_DOWNLOADED = 7;
export const DETAIL_LEFT = 9;
export const DETAIL_STAMP = 11;

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
    const page = this.#segment.heap.allocate(1 + endpoints + capacity * DETAIL_WORDS);
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
    const details = this.detailAt(page, 0);
    this.#words.copyWithin(this.detailAt(target, 0), details, details + count * DETAIL_WORDS);
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

  /** Index in words of the details in a slot. */
  detailAt(page: number, slot: number): number {
    return page + 1 + ((this.capacity(page) * this.endpointHalves + 1) >> 1) + slot * DETAIL_WORDS;
  }

  /** Seconds at which the peer in a slot was last heard. */
  secondsAt(page: number, slot: number): number {
    return this.#words[this.detailAt(page, slot) + DETAIL_STAMP] >>> 2;
  }

  /** Writes the announcer into a slot. */
  write(page: number, slot: number, request: AnnounceRequest, stamp: number): void {
    const at = this.endpointAt(page, slot);
    for (let i = 0; i < this.endpointHalves; i++) {
      this.#halves[at + i] = request.halves[AnnounceRequest.ENDPOINT_HALF + i];
    }
    const detail = this.detailAt(page, slot);
    for (let i = 0; i < DETAIL_STAMP; i++) {
      this.#words[detail + i] = request.words[AnnounceRequest.PEER_ID_WORD + i];
    }
    this.#words[detail + DETAIL_STAMP] = stamp;
  }

  copyPeer(page: number, slot: number, targetPage: number, targetSlot: number): void {
    this.copyEndpoints(page, slot, 1, this.#halves, this.endpointAt(targetPage, targetSlot));
    const from = this.detailAt(page, slot);
    const to = this.detailAt(targetPage, targetSlot);
    for (let i = 0; i < DETAIL_WORDS; i++) this.#words[to + i] = this.#words[from + i];
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
      const id = this.detailAt(page, slot + i) + DETAIL_PEER_ID;
      for (let word = 0; word < HASH_WORDS; word++) target[to++] = words[id + word];
    }
  }

  hasPeerId(page: number, slot: number, request: AnnounceRequest): boolean {
    const detail = this.detailAt(page, slot);
    for (let i = 0; i < HASH_WORDS; i++) {
      if (this.#words[detail + DETAIL_PEER_ID + i] !== request.words[AnnounceRequest.PEER_ID_WORD + i])
        return false;
    }
    return true;
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
