/**
 * The swarm store: every torrent and peer that the tracker knows, in shared memory, for all threads at once.
 *
 * The store is cut into shards by a keyed hash of the info hash. A shard is one segment with one lock, held for a
 * bounded number of entries; nothing ever locks two. `Store.create` makes the memory, `Store.attach` uses it in another
 * thread. A `Store` object holds scratch space, so each thread has its own.
 *
 * When a shard is full, torrents without peers go first; then the announcer's page gives up its stalest peer, if that
 * was silent for longer than an interval; else the announce is answered and not kept.
 *
 * Times are whole seconds on a monotonic clock that begins with the store (`nowSeconds`).
 */
import { randomBytes } from 'node:crypto';
import { type AnnounceReply, AnnounceRequest, HASH_WORDS, type ScrapeEntry } from '../protocol/model.ts';
import { halfSipHash } from './half-sip-hash.ts';
import {
  COMPLETED_FLOAT,
  EVICTED_PEERS_WORD,
  EVICTED_TORRENTS_WORD,
  IPV4_PEERS_WORD,
  INFO_HASH_GROUPS,
  IPV6_PEERS_WORD,
  MAX_SEGMENT_BYTES,
  MIN_SEGMENT_BYTES,
  SEEDERS_WORD,
  Segment,
  TORRENTS_WORD,
  UNSTORED_WORD,
} from './segment.ts';
import { Shard } from './shard.ts';
import { SwarmLimits } from './swarm-limits.ts';
import type { SwarmRules } from './swarm-rules.ts';
import type { TorrentNews } from './torrent-news.ts';
import { countTorrents } from './torrent-listing.ts';
import type { StoredPeer, TorrentSummary } from './torrent-view.ts';

const DEFAULT_SHARDS = 64;
/** The clock begins with two years behind it, so that peers of a snapshot can have been heard before the start. */
export const FIRST_SECOND = 2 ** 26;

/** What a thread needs to use the store: can be posted to a worker. */
export interface StoreMemory {
  readonly segments: readonly SharedArrayBuffer[];
  /** Key of the hashes, so that nobody outside can choose what collides. */
  readonly key: readonly [number, number];
  /** Peers by address, where they are limited. */
  readonly addressCounts: SharedArrayBuffer;
  /** `process.hrtime()` seconds at which the store's clock began. */
  readonly epochSeconds: number;
}

/** Sums over the store. Read without a lock, so that they may be of slightly different moments. */
export interface StoreTotals {
  readonly torrents: number;
  readonly seeders: number;
  readonly leechers: number;
  readonly completed: number;
  readonly ipv4Peers: number;
  readonly ipv6Peers: number;
  readonly usedBytes: number;
  readonly unstoredAnnounces: number;
  readonly evictedTorrents: number;
  readonly evictedPeers: number;
}

export class Store {
  readonly memory: StoreMemory;
  /** What the store keeps at most, as far as this thread is told. */
  readonly limits: SwarmLimits;
  readonly #shards: readonly Shard[];
  readonly #shift: number;
  readonly #keyLow: number;
  readonly #keyHigh: number;
  readonly #scratch = new Int32Array(HASH_WORDS);
  #random = randomBytes(4).readInt32LE() | 1;

  private constructor(memory: StoreMemory, segments: readonly Segment[], isOwner: boolean) {
    this.memory = memory;
    [this.#keyLow, this.#keyHigh] = memory.key;
    this.limits = new SwarmLimits(memory.addressCounts, () => this.#sum(TORRENTS_WORD), isOwner);
    this.#shards = segments.map((segment) => new Shard(segment, this.#keyLow, this.#keyHigh, this.limits));
    this.#shift = Math.clz32(segments.length) + 1;
  }

  /** Makes a store of `memoryBytes` at most (rounded up to what `shards`, a power of two, need at the least). */
  static create(memoryBytes: number, shards: number = DEFAULT_SHARDS): Store {
    const perShard = Math.floor(memoryBytes / shards / 8) * 8;
    const bytes = Math.min(MAX_SEGMENT_BYTES - 4, Math.max(MIN_SEGMENT_BYTES, perShard));
    const segments = Array.from({ length: shards }, () => Segment.create(bytes & ~7));
    const key = randomBytes(8);
    const memory = {
      segments: segments.map((segment) => segment.buffer),
      key: [key.readInt32LE(0), key.readInt32LE(4)] as const,
      addressCounts: SwarmLimits.createMemory(),
      epochSeconds: process.hrtime()[0] - FIRST_SECOND,
    };
    return new Store(memory, segments, true);
  }

  /** Uses the store that another thread made. */
  static attach(memory: StoreMemory): Store {
    return new Store(
      memory,
      memory.segments.map((buffer) => Segment.attach(buffer)),
      false,
    );
  }

  /** The bytes that the store may take at most. */
  get memoryBytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.segment.buffer.byteLength, 0);
  }

  /** The memory of each shard, and how much of it is in use. */
  shardMemories(): { memory: SharedArrayBuffer; usedBytes: number }[] {
    return this.#shards.map(({ segment }) => ({
      memory: segment.buffer,
      usedBytes: segment.heap.usedWords * 4,
    }));
  }

  /** Seconds on the store's clock; the same in every thread. */
  nowSeconds(): number {
    return process.hrtime()[0] - this.memory.epochSeconds;
  }

  /**
   * Chooses peers for the announcer, then adds, changes or removes it, and fills in the reply. The caller has set
   * `halves`, the positions, `families` and `peersWanted` of the reply.
   */
  announce(request: AnnounceRequest, reply: AnnounceReply, nowSeconds: number, rules: SwarmRules): void {
    const hash = this.hash(request.words, AnnounceRequest.INFO_HASH_WORD);
    this.#shardOf(hash).announce(hash, request, reply, nowSeconds, rules, this.#nextRandom());
  }

  /** Reads the counters of the torrent whose info hash is at `words[first]`. Returns whether it is known. */
  scrape(words: Int32Array, first: number, entry: ScrapeEntry): boolean {
    const hash = this.hash(words, first);
    return this.#shardOf(hash).scrape(hash, words, first, entry);
  }

  /** All peers of a torrent, in no order, read in slices. `infoHash` is 40 hex digits. */
  peersOf(infoHash: string): StoredPeer[] {
    const hash = this.#hashOfText(infoHash);
    const shard = this.#shardOf(hash);
    const peers: StoredPeer[] = [];
    for (const family of [4, 6] as const) {
      for (let page = 0; page < shard.readPeers(hash, this.#scratch, 0, family, page, peers); page++);
    }
    return peers;
  }

  /**
   * All torrents of the groups `first` to `last` (see `infoHashGroup`), in no order: an array for each slice of the store.
   * A torrent can come twice, see `listTorrents`.
   */
  *torrents(first = 0, last: number = INFO_HASH_GROUPS - 1): Generator<TorrentSummary[]> {
    for (const shard of this.#shards) {
      for (let bucket = 0; bucket >= 0;) {
        const slice: TorrentSummary[] = [];
        bucket = shard.listTorrents(bucket, first, last, slice);
        yield slice;
      }
    }
  }

  /** The torrents of each group. */
  countTorrents(): Int32Array {
    const counts = new Int32Array(INFO_HASH_GROUPS);
    for (const { segment } of this.#shards) countTorrents(segment, counts);
    return counts;
  }

  /**
   * Removes the peers that were last heard at `cutoffSeconds` or before, and torrents as the rules say. Yields after
   * each slice, holding no lock, so that the caller can spread the work over time.
   */
  *expire(cutoffSeconds: number, rules: SwarmRules): Generator<void> {
    for (const shard of this.#shards) {
      for (let bucket = 0; bucket >= 0;) {
        const large: Int32Array[] = [];
        bucket = shard.expireBuckets(bucket, cutoffSeconds, rules, large);
        yield;
        for (const torrent of large) {
          for (const family of [4, 6] as const) {
            let page = Number.MAX_SAFE_INTEGER;
            while (page >= 0) {
              page = shard.expireLarge(torrent, family, page, cutoffSeconds, rules);
              yield;
            }
          }
        }
      }
    }
  }

  /** What the database should be told and asked: of at most `maxPerShard` torrents a shard. Taken once, it is gone. */
  takeNews(maxPerShard: number): TorrentNews[] {
    const news: TorrentNews[] = [];
    for (const shard of this.#shards) shard.takeNews(maxPerShard, news);
    return news;
  }

  /**
   * Has the bases of all torrents asked for that came while counters were not kept. Yields after each slice, holding no
   * lock, so that the caller can spread the work over time.
   */
  *wantBases(): Generator<void> {
    for (const shard of this.#shards) {
      for (let bucket = 0; bucket >= 0;) {
        bucket = shard.wantBases(bucket);
        yield;
      }
    }
  }

  /** Adds to a torrent's completed counter what the database knew of earlier times, once for each time it is asked. */
  addBase(infoHash: string, count: number): void {
    const hash = this.#hashOfText(infoHash);
    this.#shardOf(hash).addBase(hash, this.#scratch, count);
  }

  totals(): StoreTotals {
    const sum = (word: number) => this.#sum(word);
    const seeders = sum(SEEDERS_WORD);
    const ipv4Peers = sum(IPV4_PEERS_WORD);
    const ipv6Peers = sum(IPV6_PEERS_WORD);
    return {
      torrents: sum(TORRENTS_WORD),
      seeders,
      leechers: Math.max(0, ipv4Peers + ipv6Peers - seeders),
      completed: this.#shards.reduce((total, { segment }) => total + segment.floats[COMPLETED_FLOAT], 0),
      ipv4Peers,
      ipv6Peers,
      usedBytes: this.#shards.reduce((total, { segment }) => total + segment.heap.usedWords * 4, 0),
      unstoredAnnounces: sum(UNSTORED_WORD),
      evictedTorrents: sum(EVICTED_TORRENTS_WORD),
      evictedPeers: sum(EVICTED_PEERS_WORD),
    };
  }

  /** The keyed hash of the info hash at `words[first]`. */
  hash(words: Int32Array, first: number): number {
    return halfSipHash(words, first, HASH_WORDS, this.#keyLow, this.#keyHigh);
  }

  /** The index of the shard of a torrent: chosen by the upper bits of its hash; the bucket in it by the lower ones. */
  shardIndex(hash: number): number {
    return this.#shift === 32 ? 0 : hash >>> this.#shift;
  }

  /** Puts an info hash of 40 hex digits into the scratch words and returns its keyed hash. */
  #hashOfText(infoHash: string): number {
    Buffer.from(this.#scratch.buffer).write(infoHash, 'hex');
    return this.hash(this.#scratch, 0);
  }

  #shardOf(hash: number): Shard {
    return this.#shards[this.shardIndex(hash)];
  }

  /** The sum of a word of the heads of all shards. */
  #sum(word: number): number {
    return this.#shards.reduce((total, { segment }) => total + (segment.words[word] >>> 0), 0);
  }

  /** Xorshift (Marsaglia, 2003): good enough to choose where a window of peers begins. */
  #nextRandom(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 1;
  }
}
