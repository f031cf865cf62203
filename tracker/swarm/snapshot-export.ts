/**
 * Reads the whole store for a snapshot, under one shard's lock at a time and for a bounded number of peers, so that
 * announces go on. What changes meanwhile is in the snapshot as it was or as it is: nobody who stays is left out, except
 * a few peers of a large swarm that loses pages just then.
 */
import { AnnounceRequest, HASH_WORDS } from '../protocol/model.ts';
import { lock, unlock } from './lock.ts';
import { PeerSets } from './peer-set.ts';
import { BUCKETS_WORD, LOCK_WORD, Segment } from './segment.ts';
import { PART_HAS_BASE, type SnapshotEncoder } from './snapshot-format.ts';
import type { Store } from './store.ts';
import {
  findTorrent,
  TORRENT_ASKED_BASE,
  TORRENT_AWAITS_BASE,
  TORRENT_COMPLETED,
  TORRENT_FLAGS,
  TORRENT_HASH,
  TORRENT_INFO_HASH,
  TORRENT_IPV4_PEERS,
  TORRENT_IPV6_PEERS,
  TORRENT_NEXT,
  TORRENT_WANTS_BASE,
} from './torrent-table.ts';
import { peersOf } from './torrent-view.ts';

/** One lock is held for so many torrents and peers, and for the last torrents of a bucket or one page (`peer-set.ts`) more. */
const SLICE_PEERS = 512;
/** And for so many buckets: a table never shrinks, and may be all but empty. */
const SLICE_BUCKETS = 1024;

/** Writes all torrents and peers; yields between slices, holding no lock, so that the caller can spread the work. */
export function* exportStore(store: Store, encoder: SnapshotEncoder): Generator<void> {
  // One moment for all shards, that of the making of the file: a paced walk takes a while.
  const nowSeconds = store.nowSeconds();
  for (const buffer of store.memory.segments) {
    const shard = new ExportShard(Segment.attach(buffer), store, encoder, nowSeconds);
    for (let bucket = 0; bucket >= 0;) {
      const large: Int32Array[] = [];
      bucket = shard.exportBuckets(bucket, large);
      encoder.flush();
      yield;
      for (const torrent of large) {
        for (const family of [4, 6] as const) {
          for (let page = 0; page >= 0;) {
            page = shard.exportPages(torrent, family, page);
            encoder.flush();
            yield;
          }
        }
      }
    }
  }
}

class ExportShard {
  readonly #segment: Segment;
  readonly #words: Int32Array;
  readonly #ipv4: PeerSets;
  readonly #ipv6: PeerSets;
  readonly #encoder: SnapshotEncoder;
  readonly #nowSeconds: number;
  readonly #request = new AnnounceRequest();

  constructor(segment: Segment, store: Store, encoder: SnapshotEncoder, nowSeconds: number) {
    const [keyLow, keyHigh] = store.memory.key;
    this.#segment = segment;
    this.#words = segment.words;
    this.#ipv4 = new PeerSets(segment, 4, keyLow, keyHigh);
    this.#ipv6 = new PeerSets(segment, 6, keyLow, keyHigh);
    this.#encoder = encoder;
    this.#nowSeconds = nowSeconds;
  }

  /** Writes torrents from a bucket on; the large ones are put on `large` instead. Returns the next bucket, or -1. */
  exportBuckets(bucket: number, large: Int32Array[]): number {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const buckets = words[BUCKETS_WORD];
    const end = Math.min(buckets, bucket + SLICE_BUCKETS);
    let seen = 0;
    while (bucket < end && seen < SLICE_PEERS) {
      let torrent = words[this.#segment.bucketsWord + bucket++];
      for (; torrent !== 0; torrent = words[torrent + TORRENT_NEXT]) {
        seen++;
        if (peersOf(words, torrent) > SLICE_PEERS) {
          large.push(words.slice(torrent, torrent + TORRENT_INFO_HASH + HASH_WORDS));
          continue;
        }
        seen += peersOf(words, torrent);
        this.#beginPart(torrent);
        for (const family of [4, 6] as const) {
          const { sets, set } = this.#setOf(torrent, family);
          for (let page = 0; page < sets.pages(set); page++) this.#exportPage(sets, set, page, family);
        }
      }
    }
    unlock(words, LOCK_WORD);
    return bucket < buckets ? bucket : -1;
  }

  /** Writes pages of a large torrent from page `page` on. Returns the next page, -1 at the end. */
  exportPages(torrentHead: Int32Array, family: 4 | 6, page: number): number {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const torrent = findTorrent(this.#segment, torrentHead[TORRENT_HASH], torrentHead, TORRENT_INFO_HASH);
    let next = -1;
    if (torrent !== 0) {
      const { sets, set } = this.#setOf(torrent, family);
      const pages = sets.pages(set);
      const enough = this.#encoder.peers + SLICE_PEERS;
      this.#beginPart(torrent);
      while (page < pages && this.#encoder.peers < enough) this.#exportPage(sets, set, page++, family);
      if (page < pages) next = page;
    }
    unlock(words, LOCK_WORD);
    return next;
  }

  #beginPart(torrent: number): void {
    const words = this.#words;
    const flags = words[torrent + TORRENT_FLAGS];
    const base = TORRENT_ASKED_BASE | TORRENT_WANTS_BASE | TORRENT_AWAITS_BASE;
    const hasBase = (flags & base) === TORRENT_ASKED_BASE;
    this.#encoder.beginPart(
      words,
      torrent + TORRENT_INFO_HASH,
      words[torrent + TORRENT_COMPLETED],
      hasBase ? PART_HAS_BASE : 0,
    );
  }

  #exportPage(sets: PeerSets, set: number, page: number, family: 4 | 6): void {
    const request = this.#request;
    const encoder = this.#encoder;
    const nowSeconds = this.#nowSeconds;
    sets.visitPage(set, page, (pages, at, slot) => {
      const stamp = pages.read(at, slot, request);
      // A peer that was heard since the walk began counts as heard then.
      const ageSeconds = Math.max(0, nowSeconds - (stamp >>> 2));
      encoder.addPeer(family, ageSeconds, stamp & 3, request.words, AnnounceRequest.PEER_ID_WORD);
    });
  }

  #setOf(torrent: number, family: 4 | 6): { readonly sets: PeerSets; readonly set: number } {
    return family === 4
      ? { sets: this.#ipv4, set: torrent + TORRENT_IPV4_PEERS }
      : { sets: this.#ipv6, set: torrent + TORRENT_IPV6_PEERS };
  }
}
