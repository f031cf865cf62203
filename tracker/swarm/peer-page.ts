/**
 * A page of peers: memory in a segment for some peers of one swarm and one address family. The caller holds the segment's
 * lock. What is read of many peers at a time stands together: tags, a byte for each peer's endpoint, one for its address
 * and id, and one for its address, four of which are compared at a time and which tell most peers apart, under a key that
 * nobody outside knows; the compact endpoints (BEP 23, BEP 7) as an announce reply wants them; the stamps. What is
 * written once for each announce follows.
 *
 *   page   0 count | capacity << 16   1.. endpoint tags, id tags, address tags (1 byte each)
 *          then endpoints (6 or 18 bytes each)   stamps (4 bytes each)
 *          then per peer 10 words:  0 peer id (5)   5 uploaded   6 downloaded   7 left
 *                                   8 the upper half of uploaded | of downloaded << 16   9 the upper word of left
 *   stamp  seconds << 2 | event
 *
 * 48 bits of what a peer uploaded and downloaded are kept, 281 TB; what is more stays at that. Of what is left, all 64: some
 * clients that don't know it yet say the largest number there is.
 */
import { type AddressFamily, AnnounceRequest, HASH_WORDS } from '../protocol/model.ts';
import { halfSipHash } from './half-sip-hash.ts';
import type { Segment } from './segment.ts';

/** Words of a peer's details, and what they are. The peer id comes first. */
const DETAIL_WORDS = 10;
const DETAIL_UPLOADED = 5;
const DETAIL_DOWNLOADED = 6;
const DETAIL_LEFT = 7;
const DETAIL_TRAFFIC_UPPER = 8;
const DETAIL_LEFT_UPPER = 9;
/** The most that is kept of the upper words of uploaded and downloaded. */
const MAX_TRAFFIC_UPPER = 0xffff;

const REQUEST_ID = AnnounceRequest.PEER_ID_WORD;
const REQUEST_UPLOADED = AnnounceRequest.UPLOADED_WORD;
const REQUEST_DOWNLOADED = AnnounceRequest.DOWNLOADED_WORD;
const REQUEST_LEFT = AnnounceRequest.LEFT_WORD;
const REQUEST_ADDRESS = AnnounceRequest.ENDPOINT_WORD;
const REQUEST_ENDPOINT = AnnounceRequest.ENDPOINT_HALF;

/** The count and the capacity of a page share a word. */
const COUNT_MASK = 0xffff;
const CAPACITY_SHIFT = 16;

/** One in each byte of a word, and the highest bit of each. */
const EACH_BYTE = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;
const LOW_BITS = 0x7f7f7f7f;
/** Tags of a peer. */
const TAGS = 3;

/** Where endpoints go: the same memory in two widths. The machine is little-endian, as all that Node.js runs on today. */
export interface EndpointMemory {
  readonly halves: Uint16Array;
  readonly words: Int32Array;
}

/** Works on pages of one segment and one family. Holds no state of its own. */
export class PeerPages {
  /** Halves of an endpoint. */
  readonly endpointHalves: number;
  readonly #segment: Segment;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #addressWords: number;
  readonly #keyLow: number;
  readonly #keyHigh: number;
  /** The key of the tags: what they begin with, and an odd number by which they are multiplied. */
  readonly #tagSeed: number;
  readonly #tagMultiplier: number;

  constructor(segment: Segment, family: AddressFamily, keyLow: number, keyHigh: number) {
    this.#segment = segment;
    this.#words = segment.words;
    this.#halves = segment.halves;
    this.#bytes = segment.bytes;
    this.endpointHalves = family === 4 ? 3 : 9;
    this.#addressWords = family === 4 ? 1 : 4;
    this.#keyLow = keyLow;
    this.#keyHigh = keyHigh;
    this.#tagSeed = halfSipHash(Int32Array.of(1), 0, 1, keyLow, keyHigh);
    this.#tagMultiplier = halfSipHash(Int32Array.of(2), 0, 1, keyLow, keyHigh) | 1;
  }

  /** Makes an empty page; 0 when memory is full. */
  create(capacity: number): number {
    const endpoints = (capacity * this.endpointHalves + 1) >> 1;
    const page = this.#segment.heap.allocate(
      1 + TAGS * tagWords(capacity) + endpoints + capacity * (1 + DETAIL_WORDS),
    );
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
    const words = this.#words;
    const count = this.count(page);
    const tags = tagWords(count);
    copyWords(words, page + 1, target + 1, tags);
    copyWords(words, this.#idTagsAt(page), this.#idTagsAt(target), tags);
    copyWords(words, this.#addressTagsAt(page), this.#addressTagsAt(target), tags);
    this.copyEndpoints(page, 0, count, this.#segment, this.endpointAt(target, 0));
    copyWords(words, this.stampAt(page, 0), this.stampAt(target, 0), count);
    copyWords(words, this.detailAt(page, 0), this.detailAt(target, 0), count * DETAIL_WORDS);
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
    return (page + 1 + TAGS * tagWords(this.capacity(page))) * 2 + slot * this.endpointHalves;
  }

  /** Index in words of the stamp in a slot. */
  stampAt(page: number, slot: number): number {
    const capacity = this.capacity(page);
    return page + 1 + TAGS * tagWords(capacity) + ((capacity * this.endpointHalves + 1) >> 1) + slot;
  }

  /** Index in words of the details in a slot. */
  detailAt(page: number, slot: number): number {
    return this.stampAt(page, 0) + this.capacity(page) + slot * DETAIL_WORDS;
  }

  /** Seconds at which the peer in a slot was last heard. */
  secondsAt(page: number, slot: number): number {
    return this.#words[this.stampAt(page, slot)] >>> 2;
  }

  /** Writes the announcer into a slot. */
  write(page: number, slot: number, request: AnnounceRequest, stamp: number): void {
    const halves = this.#halves;
    const words = this.#words;
    const at = this.endpointAt(page, slot);
    for (let i = 0; i < this.endpointHalves; i++) halves[at + i] = request.halves[REQUEST_ENDPOINT + i];
    const address = this.#mixAddress(request);
    this.#bytes[(page + 1) * 4 + slot] = this.#endpointTag(address, request);
    this.#bytes[this.#idTagsAt(page) * 4 + slot] = this.#idTag(address, request);
    this.#bytes[this.#addressTagsAt(page) * 4 + slot] = address >>> 24;
    words[this.stampAt(page, slot)] = stamp;
    writeDetails(words, this.detailAt(page, slot), request.words);
  }

  /** Reads what the peer in a slot announced, except the info hash: the inverse of `write`. Returns its stamp. */
  read(page: number, slot: number, request: AnnounceRequest): number {
    const at = this.endpointAt(page, slot);
    for (let i = 0; i < this.endpointHalves; i++) {
      request.halves[REQUEST_ENDPOINT + i] = this.#halves[at + i];
    }
    readDetails(this.#words, this.detailAt(page, slot), request.words);
    return this.#words[this.stampAt(page, slot)];
  }

  copyPeer(page: number, slot: number, targetPage: number, targetSlot: number): void {
    const words = this.#words;
    const bytes = this.#bytes;
    bytes[(targetPage + 1) * 4 + targetSlot] = bytes[(page + 1) * 4 + slot];
    bytes[this.#idTagsAt(targetPage) * 4 + targetSlot] = bytes[this.#idTagsAt(page) * 4 + slot];
    bytes[this.#addressTagsAt(targetPage) * 4 + targetSlot] = bytes[this.#addressTagsAt(page) * 4 + slot];
    this.copyEndpoints(page, slot, 1, this.#segment, this.endpointAt(targetPage, targetSlot));
    words[this.stampAt(targetPage, targetSlot)] = words[this.stampAt(page, slot)];
    copyWords(words, this.detailAt(page, slot), this.detailAt(targetPage, targetSlot), DETAIL_WORDS);
  }

  /** Copies the endpoints of `count` slots from `slot` on, to half `targetHalf` of `target`. */
  copyEndpoints(page: number, slot: number, count: number, target: EndpointMemory, targetHalf: number): void {
    const halves = this.#halves;
    let at = this.endpointAt(page, slot);
    let to = targetHalf;
    const end = (to + count * this.endpointHalves) | 0;
    // Two halves at a time, from where the target has a whole word.
    if (to < end && (to & 1) !== 0) target.halves[to++] = halves[at++];
    copyPairs(this.#words, at, target.words, to >> 1, (end - to) >> 1);
    if (to < end && (end & 1) !== 0) target.halves[end - 1] = halves[(at + end - 1 - to) | 0];
  }

  /** Copies the peer ids of `count` slots from `slot` on. */
  copyPeerIds(page: number, slot: number, count: number, target: Int32Array, targetWord: number): void {
    const words = this.#words;
    let to = targetWord;
    for (let i = 0; i < count; i++) {
      const id = this.detailAt(page, slot + i);
      for (let word = 0; word < HASH_WORDS; word++) target[to++] = words[id + word];
    }
  }

  /** The slot of the peer with the announcer's address and port, or -1. */
  findEndpoint(page: number, request: AnnounceRequest): number {
    const count = this.count(page);
    const wanted = this.#endpointTag(this.#mixAddress(request), request);
    for (let slot = -1; ;) {
      slot = findTag(this.#words, page + 1, count, wanted, slot + 1);
      if (slot < 0 || this.#hasEndpoint(page, slot, request)) return slot;
    }
  }

  /** The slot of the peer with the announcer's address and peer id, or -1. */
  findPeerId(page: number, request: AnnounceRequest): number {
    const count = this.count(page);
    const wanted = this.#idTag(this.#mixAddress(request), request);
    const tags = this.#idTagsAt(page);
    for (let slot = -1; ;) {
      slot = findTag(this.#words, tags, count, wanted, slot + 1);
      if (slot < 0 || this.#isAnnouncer(page, slot, request)) return slot;
    }
  }

  /**
   * One of the peers with the announcer's address, if they are `limit` or more: the first from a slot on that `random`, a
   * positive 31-bit integer, chooses. Else -1.
   */
  findNeighbour(page: number, request: AnnounceRequest, limit: number, random: number): number {
    const count = this.count(page);
    const tags = this.#addressTagsAt(page);
    const wanted = this.#mixAddress(request) >>> 24;
    if (countTags(this.#words, tags, count, wanted) < limit) return -1;
    let neighbours = 0;
    for (let slot = -1; neighbours < limit;) {
      slot = findTag(this.#words, tags, count, wanted, slot + 1);
      if (slot < 0) return -1;
      if (this.#hasAddress(this.endpointAt(page, slot), request)) neighbours++;
    }
    const first = portion(random, count);
    for (let slot = first - 1; ;) {
      slot = findTag(this.#words, tags, count, wanted, slot + 1);
      if (slot < 0) break;
      if (this.#hasAddress(this.endpointAt(page, slot), request)) return slot;
    }
    for (let slot = -1; ;) {
      slot = findTag(this.#words, tags, first, wanted, slot + 1);
      if (slot < 0 || this.#hasAddress(this.endpointAt(page, slot), request)) return slot;
    }
  }

  /** The keyed hash of the announcer's address. */
  hashRequest(request: AnnounceRequest): number {
    return this.#hash(request.words, REQUEST_ADDRESS);
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

  /** Whether the peer in a slot has the announcer's address and port. */
  #hasEndpoint(page: number, slot: number, request: AnnounceRequest): boolean {
    const at = this.endpointAt(page, slot);
    const port = this.endpointHalves - 1;
    return (
      this.#halves[at + port] === request.halves[REQUEST_ENDPOINT + port] && this.#hasAddress(at, request)
    );
  }

  /** Whether the peer in a slot has the announcer's address and peer id. */
  #isAnnouncer(page: number, slot: number, request: AnnounceRequest): boolean {
    const detail = this.detailAt(page, slot);
    for (let i = 0; i < HASH_WORDS; i++) {
      if (this.#words[detail + i] !== request.words[REQUEST_ID + i]) return false;
    }
    return this.#hasAddress(this.endpointAt(page, slot), request);
  }

  /** Index in words of the tags of the peer ids. */
  #idTagsAt(page: number): number {
    return page + 1 + tagWords(this.capacity(page));
  }

  /** Index in words of the tags of the addresses. */
  #addressTagsAt(page: number): number {
    return page + 1 + 2 * tagWords(this.capacity(page));
  }

  /** The tag of the announcer's endpoint, eight bits, as those that follow. `address` is mixed. */
  #endpointTag(address: number, request: AnnounceRequest): number {
    return this.#mix(address, request.halves[REQUEST_ENDPOINT + this.endpointHalves - 1]) >>> 24;
  }

  /** The tag of the announcer's address and peer id: of its end, where clients put what is random. */
  #idTag(address: number, { words }: AnnounceRequest): number {
    const upper = this.#mix(address, words[REQUEST_ID + 2] ^ (words[REQUEST_ID + 3] >>> 9));
    return this.#mix(upper, words[REQUEST_ID + 4]) >>> 24;
  }

  /** A word that depends on all of the announcer's address, its upper bits the most; the upper eight are its tag. */
  #mixAddress(request: AnnounceRequest): number {
    const { words } = request;
    let mixed = this.#tagSeed;
    for (let i = 0; i < this.#addressWords; i++) mixed = this.#mix(mixed, words[REQUEST_ADDRESS + i]);
    return mixed;
  }

  /**
   * Takes a word more into a mix. Multiplied by an odd number, the upper bits depend on all the lower ones; by one that
   * nobody outside knows, no two words have the same upper eight more often than twice in 256 (Dietzfelbinger, 1997).
   */
  #mix(mixed: number, word: number): number {
    return Math.imul(mixed ^ (mixed >>> 15) ^ word, this.#tagMultiplier);
  }

  #hash(words: Int32Array, first: number): number {
    return halfSipHash(words, first, this.#addressWords, this.#keyLow, this.#keyHigh);
  }
}

/** One address, to be hashed; a thread never hashes two at a time. */
const addressScratch = new Int32Array(4);

/** The words that a byte for each of `peers` takes. */
function tagWords(peers: number): number {
  return (peers + 3) >> 2;
}

/**
 * The first slot from `from` on whose tag, of the `count` that begin at `words[tags]`, is `wanted`; or -1. Compares four
 * tags at a time: a byte of the difference that is zero gets its highest bit set (Mycroft, 1987). A byte above such a one
 * may get it too, so a slot can be named in error; the caller compares the peer itself anyway.
 */
function findTag(words: Int32Array, tags: number, count: number, wanted: number, from: number): number {
  const pattern = Math.imul(wanted, EACH_BYTE);
  // In the first word, tags before `from` don't count.
  let mask = HIGH_BITS << ((from & 3) * 8);
  for (let slot = from & ~3; slot < count; slot = (slot + 4) | 0) {
    const difference = words[(tags + (slot >> 2)) | 0] ^ pattern;
    const hits = (difference - EACH_BYTE) & ~difference & mask;
    if (hits !== 0) {
      const hit = slot + ((31 - Math.clz32(hits & (~hits + 1))) >> 3);
      return hit < count ? hit : -1;
    }
    mask = HIGH_BITS;
  }
  return -1;
}

/** How many of the `count` tags that begin at `words[tags]` are `wanted`. */
function countTags(words: Int32Array, tags: number, count: number, wanted: number): number {
  const pattern = Math.imul(wanted, EACH_BYTE);
  const whole = count >> 2;
  let sum = 0;
  for (let i = 0; i <= whole; i = (i + 1) | 0) {
    const difference = words[(tags + i) | 0] ^ pattern;
    // The highest bit of each byte that is zero, exactly; in the last word, of those that count.
    let zeros = ~(((difference & LOW_BITS) + LOW_BITS) | difference | LOW_BITS);
    if (i === whole) zeros &= (1 << ((count & 3) * 8)) - 1;
    sum = (sum + (Math.imul(zeros >>> 7, EACH_BYTE) >>> 24)) | 0;
  }
  return sum;
}

/** A whole number below `parts`, of a random positive 31-bit integer. Cheaper than the rest of a division. */
export function portion(random: number, parts: number): number {
  return Math.floor((random * parts) / 2 ** 31);
}

/** For less than some hundred words a loop is faster than `copyWithin`. */
function copyWords(words: Int32Array, from: number, to: number, count: number): void {
  for (let i = 0; i < count; i = (i + 1) | 0) words[(to + i) | 0] = words[(from + i) | 0];
}

/** Copies `count` pairs of halves, from half `fromHalf` of `source`, which may be in the middle of a word. */
function copyPairs(
  source: Int32Array,
  fromHalf: number,
  target: Int32Array,
  toWord: number,
  count: number,
): void {
  const from = fromHalf >> 1;
  if ((fromHalf & 1) === 0) {
    for (let i = 0; i < count; i = (i + 1) | 0) target[(toWord + i) | 0] = source[(from + i) | 0];
    return;
  }
  let upper = count > 0 ? source[from] : 0;
  for (let i = 0; i < count; i = (i + 1) | 0) {
    const next = source[(from + 1 + i) | 0];
    target[(toWord + i) | 0] = (upper >>> 16) | (next << 16);
    upper = next;
  }
}

function writeDetails(words: Int32Array, detail: number, request: Int32Array): void {
  for (let i = 0; i < HASH_WORDS; i++) words[detail + i] = request[REQUEST_ID + i];
  const uploadedUpper = request[REQUEST_UPLOADED] >>> 0;
  const downloadedUpper = request[REQUEST_DOWNLOADED] >>> 0;
  const isMoreUploaded = uploadedUpper > MAX_TRAFFIC_UPPER;
  const isMoreDownloaded = downloadedUpper > MAX_TRAFFIC_UPPER;
  words[detail + DETAIL_UPLOADED] = isMoreUploaded ? -1 : request[REQUEST_UPLOADED + 1];
  words[detail + DETAIL_DOWNLOADED] = isMoreDownloaded ? -1 : request[REQUEST_DOWNLOADED + 1];
  words[detail + DETAIL_LEFT] = request[REQUEST_LEFT + 1];
  words[detail + DETAIL_TRAFFIC_UPPER] =
    (isMoreUploaded ? MAX_TRAFFIC_UPPER : uploadedUpper) |
    ((isMoreDownloaded ? MAX_TRAFFIC_UPPER : downloadedUpper) << 16);
  words[detail + DETAIL_LEFT_UPPER] = request[REQUEST_LEFT];
}

function readDetails(words: Int32Array, detail: number, request: Int32Array): void {
  for (let i = 0; i < HASH_WORDS; i++) request[REQUEST_ID + i] = words[detail + i];
  const upper = words[detail + DETAIL_TRAFFIC_UPPER];
  request[REQUEST_UPLOADED] = upper & MAX_TRAFFIC_UPPER;
  request[REQUEST_UPLOADED + 1] = words[detail + DETAIL_UPLOADED];
  request[REQUEST_DOWNLOADED] = upper >>> 16;
  request[REQUEST_DOWNLOADED + 1] = words[detail + DETAIL_DOWNLOADED];
  request[REQUEST_LEFT] = words[detail + DETAIL_LEFT_UPPER];
  request[REQUEST_LEFT + 1] = words[detail + DETAIL_LEFT];
}

/** A peer is a seeder when nothing is left; a negative number, which BEP 15 allows, counts as nothing. */
export function leftIsNone(words: Int32Array, left: number): boolean {
  return isNone(words[left], words[left + 1]);
}

/** Whether the peer with these details is a seeder. */
export function isSeeder(words: Int32Array, detail: number): boolean {
  return isNone(words[detail + DETAIL_LEFT_UPPER], words[detail + DETAIL_LEFT]);
}

function isNone(upper: number, lower: number): boolean {
  return upper < 0 || (upper === 0 && lower === 0);
}
