/**
 * Listing the torrents of a segment, in slices. Torrents are in groups by the beginning of their info hash, and so in the
 * order of their info hashes; the segment counts them by group, so that a page of a sorted list is found by one walk that
 * reads only what is on it.
 */
import { lock, unlock } from './lock.ts';
import { BUCKETS_WORD, INFO_HASH_GROUPS, LOCK_WORD, type Segment } from './segment.ts';
import { infoHashGroup, TORRENT_INFO_HASH, TORRENT_NEXT } from './torrent-table.ts';
import { readSummary, type TorrentSummary } from './torrent-view.ts';

/** Buckets whose torrents are listed under one lock: about 512 torrents, since a bucket has two thirds of one. */
const SLICE_BUCKETS = 768;

/** The torrents of a slice; a thread never lists two at a time. */
const collected: number[] = [];

/**
 * Lists torrents from bucket `bucket` on into `into`: those of the groups `first` to `last`. Returns the bucket to go on
 * with, -1 at the end. A torrent can be listed twice when the table grows in between; none that was there all the time is
 * left out.
 */
export function listTorrents(
  segment: Segment,
  bucket: number,
  first: number,
  last: number,
  into: TorrentSummary[],
): number {
  const { words } = segment;
  lock(words, LOCK_WORD);
  const buckets = words[BUCKETS_WORD];
  const end = Math.min(buckets, bucket + SLICE_BUCKETS);
  collect(segment, bucket, end);
  for (const torrent of collected) {
    const group = infoHashGroup(words, torrent + TORRENT_INFO_HASH);
    if (group >= first && group <= last) into.push(readSummary(words, torrent));
  }
  unlock(words, LOCK_WORD);
  return end < buckets ? end : -1;
}

/** Adds the segment's torrents to the counts of their groups. Reads without the lock, so a moment's count may be off. */
export function countTorrents({ words, groupsWord }: Segment, counts: Int32Array): void {
  for (let group = 0; group < INFO_HASH_GROUPS; group++) counts[group] += words[groupsWord + group];
}

/**
 * Collects the torrents of some buckets: first all that begin a chain, then all that follow them. What is read of one does
 * not wait for what is read of another, which makes walking a large table several times as fast.
 */
function collect({ words, bucketsWord }: Segment, bucket: number, end: number): void {
  collected.length = 0;
  for (let at = bucket; at < end; at++) {
    const torrent = words[bucketsWord + at];
    if (torrent !== 0) collected.push(torrent);
  }
  for (let i = 0; i < collected.length; i++) {
    const next = words[collected[i] + TORRENT_NEXT];
    if (next !== 0) collected.push(next);
  }
}
