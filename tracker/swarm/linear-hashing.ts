/**
 * Linear hashing (Litwin, 1980): a table that grows and shrinks by one bucket at a time, so that no insert ever has to
 * move more than one bucket. Used for torrents in a segment and for pages in a swarm.
 */

/** The bucket of `hash` in a table of `buckets` (at least one). */
export function bucketOf(hash: number, buckets: number): number {
  const half = 1 << (31 - Math.clz32(buckets));
  const bucket = hash & (2 * half - 1);
  return bucket < buckets ? bucket : bucket & (half - 1);
}

/** The bucket that must be split when a table of `buckets` grows by one: what it gives away goes to bucket `buckets`. */
export function bucketToSplit(buckets: number): number {
  return buckets - (1 << (31 - Math.clz32(buckets)));
}
