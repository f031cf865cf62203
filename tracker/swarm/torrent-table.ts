/**
 * The torrents of a segment: a hash table with chains, grown by linear hashing. The caller holds the segment's lock.
 *
 * A torrent's record, in words:
 *   0 next in the chain     1 hash               2 info hash (5)       7 completed counter
 *   8 flags                 9 next in changes   10 completions not yet taken by the database
 *  11 seeders              12 IPv4 peer set (3) 15 IPv6 peer set (3); see `peer-set.ts`
 */
import { HASH_WORDS } from '../protocol/model.ts';
import { bucketOf, bucketToSplit } from './linear-hashing.ts';
import {
  BUCKETS_WORD,
  COMPLETED_FLOAT,
  EVICTION_CURSOR_WORD,
  type Segment,
  TORRENTS_WORD,
} from './segment.ts';

export const TORRENT_NEXT = 0;
export const TORRENT_HASH = 1;
export const TORRENT_INFO_HASH = 2;
export const TORRENT_COMPLETED = 7;
export const TORRENT_FLAGS = 8;
export const TORRENT_CHANGES_NEXT = 9;
export const TORRENT_COMPLETIONS = 10;
export const TORRENT_SEEDERS = 11;
export const TORRENT_IPV4_PEERS = 12;
export const TORRENT_IPV6_PEERS = 15;
export const TORRENT_WORDS = 18;

/** Flag: the torrent is in the list of changes, so it must stay. */
export const TORRENT_IN_CHANGES = 1;
/** Flag: the database shall be asked for the completed counter of earlier times. */
export const TORRENT_WANTS_BASE = 2;
/** Flag: the database was asked, and its answer has not come. A torrent that went and came back does not have it. */
export const TORRENT_AWAITS_BASE = 4;
/** Flag: the database was asked once, and is not asked again for as long as the torrent stays. */
export const TORRENT_ASKED_BASE = 8;
/** Flag: the counter of a snapshot was added, and is not added again by another part of the same torrent. */
export const TORRENT_RESTORED = 16;

/** The group of the info hash at `words[first]`: its leading ten bits, so that groups follow each other as hashes do. */
export function infoHashGroup(words: Int32Array, first: number): number {
  const word = words[first];
  return ((word & 0xff) << 2) | ((word >>> 14) & 3);
}

/** Finds a torrent by the info hash at `source[first]`. Returns its record, or 0. */
export function findTorrent(segment: Segment, hash: number, source: Int32Array, first: number): number {
  const words = segment.words;
  let torrent = words[segment.bucketsWord + bucketOf(hash, words[BUCKETS_WORD])];
  while (torrent !== 0) {
    if (words[torrent + TORRENT_HASH] === hash && sameInfoHash(words, torrent, source, first)) return torrent;
    torrent = words[torrent + TORRENT_NEXT];
  }
  return 0;
}

/** Adds a torrent that is not there yet. Returns its record, or 0 when memory is full. */
export function addTorrent(segment: Segment, hash: number, source: Int32Array, first: number): number {
  const words = segment.words;
  const torrent = segment.heap.allocate(TORRENT_WORDS);
  if (torrent === 0) return 0;
  words.fill(0, torrent, torrent + TORRENT_WORDS);
  words[torrent + TORRENT_HASH] = hash;
  for (let i = 0; i < HASH_WORDS; i++) words[torrent + TORRENT_INFO_HASH + i] = source[first + i];
  const bucket = segment.bucketsWord + bucketOf(hash, words[BUCKETS_WORD]);
  words[torrent + TORRENT_NEXT] = words[bucket];
  words[bucket] = torrent;
  words[TORRENTS_WORD]++;
  words[segment.groupsWord + infoHashGroup(source, first)]++;
  growTable(segment);
  return torrent;
}

/** Takes a torrent without peers out of the table and frees it. */
export function removeTorrent(segment: Segment, torrent: number): void {
  const words = segment.words;
  let link = segment.bucketsWord + bucketOf(words[torrent + TORRENT_HASH], words[BUCKETS_WORD]);
  while (words[link] !== torrent) link = words[link] + TORRENT_NEXT;
  words[link] = words[torrent + TORRENT_NEXT];
  words[TORRENTS_WORD]--;
  words[segment.groupsWord + infoHashGroup(words, torrent + TORRENT_INFO_HASH)]--;
  segment.floats[COMPLETED_FLOAT] -= words[torrent + TORRENT_COMPLETED] >>> 0;
  segment.heap.free(torrent);
}

/** Whether nobody is in the torrent's swarm. */
export function isPeerless(segment: Segment, torrent: number): boolean {
  return (
    segment.words[torrent + TORRENT_IPV4_PEERS] === 0 && segment.words[torrent + TORRENT_IPV6_PEERS] === 0
  );
}

/**
 * Makes room: removes torrents without peers from at most `buckets` buckets, going on where the last call ended, and
 * sparing `spared` and those that the database has not heard of. Returns how many went.
 */
export function evictPeerlessTorrents(segment: Segment, buckets: number, spared: number): number {
  const words = segment.words;
  let evicted = 0;
  for (let i = 0; i < buckets; i++) {
    const cursor = words[EVICTION_CURSOR_WORD] < words[BUCKETS_WORD] ? words[EVICTION_CURSOR_WORD] : 0;
    words[EVICTION_CURSOR_WORD] = cursor + 1;
    let torrent = words[segment.bucketsWord + cursor];
    while (torrent !== 0) {
      const next = words[torrent + TORRENT_NEXT];
      if (
        torrent !== spared &&
        isPeerless(segment, torrent) &&
        (words[torrent + TORRENT_FLAGS] & TORRENT_IN_CHANGES) === 0
      ) {
        removeTorrent(segment, torrent);
        evicted++;
      }
      torrent = next;
    }
  }
  return evicted;
}

/** Keeps three buckets for every two torrents at the least. */
function growTable(segment: Segment): void {
  const words = segment.words;
  const buckets = words[BUCKETS_WORD];
  if (words[TORRENTS_WORD] * 3 <= buckets * 2 || buckets === segment.maxBuckets) return;
  const from = segment.bucketsWord + bucketToSplit(buckets);
  const to = segment.bucketsWord + buckets;
  words[BUCKETS_WORD] = buckets + 1;
  let torrent = words[from];
  words[from] = 0;
  words[to] = 0;
  while (torrent !== 0) {
    const next = words[torrent + TORRENT_NEXT];
    const link = bucketOf(words[torrent + TORRENT_HASH], buckets + 1) === buckets ? to : from;
    words[torrent + TORRENT_NEXT] = words[link];
    words[link] = torrent;
    torrent = next;
  }
}

function sameInfoHash(words: Int32Array, torrent: number, source: Int32Array, first: number): boolean {
  const at = torrent + TORRENT_INFO_HASH;
  return (
    words[at] === source[first] &&
    words[at + 1] === source[first + 1] &&
    words[at + 2] === source[first + 2] &&
    words[at + 3] === source[first + 3] &&
    words[at + 4] === source[first + 4]
  );
}
