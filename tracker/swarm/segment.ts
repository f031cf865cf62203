/**
 * One shard of the swarm store: a segment of shared memory with a lock, totals, a torrent table and a heap.
 *
 *   words  0 head (below) | heap's own words | torrents by group (1,024) | bucket array of the torrent table | heap: torrents, directories, pages
 *
 * Memory is reserved in full and taken from the system page by page as it is first written.
 */
import { HEAP_HEAD_WORDS, Heap, MAX_HEAP_WORDS } from './heap.ts';

export const LOCK_WORD = 0;
/** Torrents in the table. */
export const TORRENTS_WORD = 1;
/** Buckets in use; see `torrent-table.ts`. */
export const BUCKETS_WORD = 2;
export const SEEDERS_WORD = 3;
export const IPV4_PEERS_WORD = 4;
export const IPV6_PEERS_WORD = 5;
/** First torrent with something that the database should know or tell; see `store.ts`. */
export const CHANGES_WORD = 6;
/** Bucket from which the next search for torrents to evict begins. */
export const EVICTION_CURSOR_WORD = 7;
/** Announces that were answered without being stored, and what was evicted to make room. */
export const UNSTORED_WORD = 8;
export const EVICTED_TORRENTS_WORD = 9;
export const EVICTED_PEERS_WORD = 10;
/** Sum of all completed counters, a 64-bit float: index into `floats`. */
export const COMPLETED_FLOAT = 6;

/** Groups of torrents by the beginning of their info hash, see `torrent-table.ts`. */
export const INFO_HASH_GROUPS = 2 ** 10;

const HEAD_WORDS = 16;
const FIRST_BUCKETS = 64;
/** The smallest torrent with a peer takes about this many words; there is no need for more buckets than torrents. */
const WORDS_PER_BUCKET = 32;

export const MIN_SEGMENT_BYTES = 64 * 1024;
export const MAX_SEGMENT_BYTES = 4 * MAX_HEAP_WORDS;

export class Segment {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly bytes: Uint8Array;
  readonly floats: Float64Array;
  readonly heap: Heap;
  /** Index of the counts of torrents by `infoHashGroup`. */
  readonly groupsWord = HEAD_WORDS + HEAP_HEAD_WORDS;
  /** Index of the first bucket, and how many there can be. */
  readonly bucketsWord = this.groupsWord + INFO_HASH_GROUPS;
  readonly maxBuckets: number;

  private constructor(buffer: SharedArrayBuffer, isNew: boolean) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.bytes = new Uint8Array(buffer);
    this.floats = new Float64Array(buffer, 0, HEAD_WORDS / 2);
    this.maxBuckets = Math.max(FIRST_BUCKETS, Math.floor(this.words.length / WORDS_PER_BUCKET));
    const heapWord = this.bucketsWord + this.maxBuckets;
    if (isNew) this.words[BUCKETS_WORD] = FIRST_BUCKETS;
    this.heap = isNew
      ? Heap.create(this.words, HEAD_WORDS, heapWord, this.words.length)
      : Heap.attach(this.words, HEAD_WORDS);
  }

  /** Makes a segment of `byteLength` bytes, a multiple of eight between `MIN_` and `MAX_SEGMENT_BYTES`. */
  static create(byteLength: number): Segment {
    return new Segment(new SharedArrayBuffer(byteLength), true);
  }

  /** Uses the segment that another thread made. */
  static attach(buffer: SharedArrayBuffer): Segment {
    return new Segment(buffer, false);
  }
}
