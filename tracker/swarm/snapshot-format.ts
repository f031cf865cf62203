/**
 * The file that swarms survive a restart in: a stream of blocks, each with a checksum, that says nothing of how the
 * store lays out its memory. Words are 32 bits in the order of the machine's bytes, which is little-endian wherever this
 * runs in practice; a file from a machine of the other order has another magic number.
 *
 *   header  0 magic (2)   2 version   3 made at, ms since 1970 (2, low first)   5 0   6 0   7 CRC-32 of the words before
 *   block   0 kind   1 words of payload   2 its number, from 0   3 CRC-32 of the words 0-2 and of the payload
 *           payload: parts of torrents ("TORR"), or at the end of the file how many parts and peers there are ("DONE")
 *   part    0 info hash (5)   5 completed downloads   6 flags   7 IPv4 peers   8 IPv6 peers   then the peers, IPv4 first
 *   peer    0 age << 2 | event   1 peer id (5)   6 uploaded (2)   8 downloaded (2)   10 left (2)   12 endpoint (2 or 5)
 *
 * An age is the seconds from the last announce to the making of the file. Counters have their high word first. Info
 * hashes, peer ids and endpoints are raw network bytes; behind the port are two bytes of zero. A torrent may come in
 * several parts, each with its counter, and, when the store changed meanwhile, a peer or a part may come twice.
 */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { AnnounceEvent, HASH_WORDS } from '../protocol/model.ts';

/** The version that is written, and the newest one that is read. */
export const SNAPSHOT_VERSION = 1;

/** Flag of a part: the completed counter contains what the database knew. */
export const PART_HAS_BASE = 1;
/** Where a part keeps what; the info hash comes first. */
export const PART_COMPLETED = HASH_WORDS;
export const PART_FLAGS = 6;
export const PART_IPV4_PEERS = 7;
export const PART_IPV6_PEERS = 8;
export const PART_WORDS = 9;
/** The words of a peer, and where its announce begins: peer id, counters, endpoint. */
export const PEER_ANNOUNCE = 1;
export const IPV4_PEER_WORDS = 14;
export const IPV6_PEER_WORDS = 17;

/** "\x89TTS" and a line end that tells whether somebody took the file for a text. */
const MAGIC = [0x53_54_54_89, 0x0a_1a_0a_0d] as const;
const HEADER_WORDS = 8;
const HEADER_CRC = 7;
const BLOCK_WORDS = 4;
const BLOCK_CRC = 3;
/** The letters of a kind, as they are read in the file. */
const KIND_TORRENTS = 0x52_52_4f_54;
const KIND_END = 0x45_4e_4f_44;
const END_WORDS = 2;
/** A block is closed when it has so much. */
const FULL_BLOCK_WORDS = 1 << 16;
/** No block is larger: a page of peers, which is never cut, is at most half of it. */
const MAX_BLOCK_WORDS = 1 << 21;

/** Why a file, or the rest of it, can't be used. */
export type SnapshotFault = 'foreign' | 'newer' | 'damaged';

/** Writes a snapshot part by part. Parts may be made under a lock: nothing is written before `flush`. */
export class SnapshotEncoder {
  readonly #write: (bytes: Uint8Array) => void;
  #words = new Int32Array(2 * FULL_BLOCK_WORDS);
  #halves = new Uint16Array(this.#words.buffer);
  #length = BLOCK_WORDS;
  #part = 0;
  #blocks = 0;
  #parts = 0;
  #peers = 0;

  /** `write` takes bytes that are valid for the time of the call. Writes the header; `madeMillis` since 1970. */
  constructor(write: (bytes: Uint8Array) => void, madeMillis: number) {
    this.#write = write;
    const header = new Int32Array(HEADER_WORDS);
    header.set(MAGIC);
    header[2] = SNAPSHOT_VERSION;
    header[3] = (madeMillis % 2 ** 32) | 0;
    header[4] = Math.floor(madeMillis / 2 ** 32);
    header[HEADER_CRC] = crcOf(header, 0, HEADER_CRC);
    write(bytesOf(header, 0, HEADER_WORDS));
  }

  /** The peers so far. */
  get peers(): number {
    return this.#peers;
  }

  /** Begins a part of the torrent whose info hash is at `source[first]`. */
  beginPart(source: Int32Array, first: number, completed: number, flags: number): void {
    const part = this.#grow(PART_WORDS);
    this.#part = part;
    this.#parts++;
    const words = this.#words;
    for (let i = 0; i < HASH_WORDS; i++) words[part + i] = source[first + i];
    words[part + PART_COMPLETED] = completed;
    words[part + PART_FLAGS] = flags;
    words[part + PART_IPV4_PEERS] = 0;
    words[part + PART_IPV6_PEERS] = 0;
  }

  /**
   * Adds a peer to the part: IPv4 peers first. `source` has, from `first` on, what it announced: peer id, counters and
   * endpoint, as in an `AnnounceRequest`.
   */
  addPeer(family: 4 | 6, ageSeconds: number, event: number, source: Int32Array, first: number): void {
    const peerWords = family === 4 ? IPV4_PEER_WORDS : IPV6_PEER_WORDS;
    const at = this.#grow(peerWords);
    const words = this.#words;
    words[at] = (ageSeconds << 2) | event;
    const announceWords = peerWords - PEER_ANNOUNCE;
    for (let i = 0; i < announceWords; i++) words[at + PEER_ANNOUNCE + i] = source[first + i];
    // The port is in the first two bytes of the last word; what the source has behind it is not ours.
    this.#halves[2 * (at + peerWords) - 1] = 0;
    words[this.#part + (family === 4 ? PART_IPV4_PEERS : PART_IPV6_PEERS)]++;
    this.#peers++;
  }

  /** Writes the block when it is full. Not to be called under a lock, or between the peers of a part. */
  flush(): void {
    if (this.#length >= FULL_BLOCK_WORDS) this.#close(KIND_TORRENTS);
  }

  /** Writes what is left, and the end. */
  end(): void {
    if (this.#length > BLOCK_WORDS) this.#close(KIND_TORRENTS);
    const at = this.#grow(END_WORDS);
    this.#words[at] = this.#parts;
    this.#words[at + 1] = this.#peers;
    this.#close(KIND_END);
  }

  #close(kind: number): void {
    const words = this.#words;
    const payloadWords = this.#length - BLOCK_WORDS;
    assert(payloadWords <= MAX_BLOCK_WORDS, `a block of ${payloadWords} words`);
    words[0] = kind;
    words[1] = payloadWords;
    words[2] = this.#blocks++;
    words[BLOCK_CRC] = crcOf(words, BLOCK_WORDS, payloadWords, crcOf(words, 0, BLOCK_CRC));
    this.#write(bytesOf(words, 0, this.#length));
    this.#length = BLOCK_WORDS;
  }

  /** Room for so many words more; returns where it begins. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#words.length) {
      const larger = new Int32Array(2 * this.#words.length);
      larger.set(this.#words);
      this.#words = larger;
      this.#halves = new Uint16Array(larger.buffer);
    }
    return at;
  }
}

/**
 * Reads a snapshot part by part. Only parts of blocks that are whole are told of, so that those of a file whose end is
 * missing or damaged can be used.
 */
export class SnapshotDecoder {
  readonly #read: (target: Uint8Array) => number;
  /** The block that is read. */
  words = new Int32Array(2 * FULL_BLOCK_WORDS);
  /** The index of the part, after `next`. */
  part = 0;
  /** When the file was made, in ms since 1970; after `open`. */
  madeMillis = 0;
  #end = 0;
  #next = 0;
  #blocks = 0;
  #parts = 0;
  #peers = 0;

  /** `read` fills the target, as far as there are bytes left, and returns how many it got. */
  constructor(read: (target: Uint8Array) => number) {
    this.#read = read;
  }

  /** Reads the header. Returns what is wrong with the file; null when nothing is. */
  open(): SnapshotFault | null {
    const words = this.words;
    const isWhole = this.#fill(0, HEADER_WORDS);
    if (words[0] !== MAGIC[0] || words[1] !== MAGIC[1]) return 'foreign';
    if (!isWhole) return 'damaged';
    // A newer version may have another header.
    if (words[2] >>> 0 > SNAPSHOT_VERSION) return 'newer';
    if (words[2] !== SNAPSHOT_VERSION || words[HEADER_CRC] !== crcOf(words, 0, HEADER_CRC)) return 'damaged';
    this.madeMillis = (words[3] >>> 0) + (words[4] >>> 0) * 2 ** 32;
    return null;
  }

  /** Goes to the next part, `part` of `words`. */
  next(): 'part' | 'end' | 'damaged' {
    if (this.#next === this.#end) {
      const kind = this.#readBlock();
      if (kind !== 'part') return kind;
    }
    const { words } = this;
    const part = this.#next;
    if (part + PART_WORDS > this.#end) return 'damaged';
    const ipv4Peers = words[part + PART_IPV4_PEERS] >>> 0;
    const ipv6Peers = words[part + PART_IPV6_PEERS] >>> 0;
    const end = part + PART_WORDS + ipv4Peers * IPV4_PEER_WORDS + ipv6Peers * IPV6_PEER_WORDS;
    if (end > this.#end || !hasEvents(words, part, ipv4Peers, ipv6Peers)) return 'damaged';
    this.part = part;
    this.#next = end;
    this.#parts++;
    this.#peers += ipv4Peers + ipv6Peers;
    return 'part';
  }

  #readBlock(): 'part' | 'end' | 'damaged' {
    if (!this.#fill(0, BLOCK_WORDS)) return 'damaged';
    const [kind, payloadWords, number, crc] = this.words;
    if ((kind !== KIND_TORRENTS && kind !== KIND_END) || number !== this.#blocks++) return 'damaged';
    if (payloadWords <= 0 || payloadWords > MAX_BLOCK_WORDS) return 'damaged';
    const needed = BLOCK_WORDS + payloadWords;
    if (needed > this.words.length) {
      const larger = new Int32Array(needed);
      larger.set(this.words.subarray(0, BLOCK_WORDS));
      this.words = larger;
    }
    if (!this.#fill(BLOCK_WORDS, payloadWords)) return 'damaged';
    const { words } = this;
    if (crc !== crcOf(words, BLOCK_WORDS, payloadWords, crcOf(words, 0, BLOCK_CRC))) return 'damaged';
    this.#next = BLOCK_WORDS;
    this.#end = needed;
    if (kind === KIND_TORRENTS) return 'part';
    const isComplete =
      payloadWords === END_WORDS &&
      words[BLOCK_WORDS] === (this.#parts | 0) &&
      words[BLOCK_WORDS + 1] === (this.#peers | 0) &&
      this.#read(new Uint8Array(1)) === 0;
    return isComplete ? 'end' : 'damaged';
  }

  #fill(first: number, count: number): boolean {
    return this.#read(bytesOf(this.words, first, count)) === 4 * count;
  }
}

/** Whether the peers of a part have events that peers in a swarm can have: one that stopped is not there. */
function hasEvents(words: Int32Array, part: number, ipv4Peers: number, ipv6Peers: number): boolean {
  let at = part + PART_WORDS;
  for (let i = 0; i < ipv4Peers; i++, at += IPV4_PEER_WORDS) {
    if ((words[at] & 3) === AnnounceEvent.stopped) return false;
  }
  for (let i = 0; i < ipv6Peers; i++, at += IPV6_PEER_WORDS) {
    if ((words[at] & 3) === AnnounceEvent.stopped) return false;
  }
  return true;
}

function crcOf(words: Int32Array, first: number, count: number, before = 0): number {
  return crc32(bytesOf(words, first, count), before >>> 0) | 0;
}

function bytesOf(words: Int32Array, first: number, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + 4 * first, 4 * count);
}
