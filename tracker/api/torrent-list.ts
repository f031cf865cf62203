/**
 * A page of all torrents in the order of their info hashes, found without stopping the main thread and without holding
 * more than the page in memory. The store counts torrents by the beginning of their info hash, which says where the page
 * is; then it is walked, in slices, and only torrents of the page are read.
 */
import { setImmediate } from 'node:timers/promises';
import { AnnounceRequest, HASH_WORDS, ScrapeEntry } from '../protocol/model.ts';
import { INFO_HASH_GROUPS } from '../swarm/segment.ts';
import type { TorrentSummary } from '../swarm/torrent-view.ts';
import type { Store } from '../swarm/store.ts';

/** The group of an info hash is in its leading digits, above some bits. */
const GROUP_DIGITS = 3;
const GROUP_SHIFT = 2;
/** Other work of the thread gets its turn after so long. */
const STRETCH_MILLIS = 5;

/** The torrents number `offset` to `offset + limit`, ascending. Torrents that come or go meanwhile may shift it. */
export async function listTorrents(store: Store, offset: number, limit: number): Promise<TorrentSummary[]> {
  if (limit === 0) return [];
  const { first, last, before } = findPage(store.countTorrents(), offset, limit);
  if (first > last) return [];
  const groups = new Map<number, Map<string, TorrentSummary>>();
  for await (const slice of unhurried(store.torrents(first, last))) {
    for (const torrent of slice) {
      const group = Number.parseInt(torrent.infoHash.slice(0, GROUP_DIGITS), 16) >> GROUP_SHIFT;
      const members = groups.get(group);
      // A torrent can come twice while the store grows.
      if (members === undefined) groups.set(group, new Map([[torrent.infoHash, torrent]]));
      else members.set(torrent.infoHash, torrent);
    }
  }
  return (await inOrder(groups, first, last)).slice(offset - before, offset - before + limit);
}

/** The counters of one torrent; undefined when the store does not know it. `infoHash` is 40 hex digits. */
export function findTorrent(store: Store, infoHash: string): TorrentSummary | undefined {
  const words = new Int32Array(HASH_WORDS);
  Buffer.from(words.buffer).write(infoHash, 'hex');
  const entry = new ScrapeEntry();
  if (!store.scrape(words, AnnounceRequest.INFO_HASH_WORD, entry)) return undefined;
  return {
    infoHash,
    seeders: entry.seeders,
    leechers: entry.leechers,
    completed: entry.completed,
  };
}

/** The groups that a page lies in, and the number of torrents before the first of them. */
function findPage(
  counts: Int32Array,
  offset: number,
  limit: number,
): { first: number; last: number; before: number } {
  let group = 0;
  let before = 0;
  while (group < INFO_HASH_GROUPS && before + counts[group] <= offset) before += counts[group++];
  const first = group;
  let end = before;
  while (group < INFO_HASH_GROUPS && end < offset + limit) end += counts[group++];
  return { first, last: group - 1, before };
}

async function inOrder(
  groups: ReadonlyMap<number, ReadonlyMap<string, TorrentSummary>>,
  first: number,
  last: number,
): Promise<TorrentSummary[]> {
  const sorted: TorrentSummary[] = [];
  for await (const group of unhurried(range(first, last))) {
    const members = [...(groups.get(group)?.values() ?? [])];
    members.sort((one, other) => (one.infoHash < other.infoHash ? -1 : 1));
    for (const torrent of members) sorted.push(torrent);
  }
  return sorted;
}

function* range(first: number, last: number): Generator<number> {
  for (let number = first; number <= last; number++) yield number;
}

/** Goes through `items`, and lets the thread do other things from time to time. */
export async function* unhurried<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  let since = performance.now();
  for (const item of items) {
    yield item;
    if (performance.now() - since < STRETCH_MILLIS) continue;
    await setImmediate();
    since = performance.now();
  }
}
