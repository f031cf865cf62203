/**
 * One shard of the swarm store: every operation on the torrents of one segment, each under the segment's lock and each
 * bounded. Which shard a torrent belongs to, and what spans shards, is `store.ts`.
 */
import {
  AnnounceEvent,
  type AnnounceReply,
  AnnounceRequest,
  HASH_WORDS,
  type ScrapeEntry,
  SwarmChange,
} from '../protocol/model.ts';
import { lock, unlock } from './lock.ts';
import { answerWithoutSwarm } from './lonely-reply.ts';
import { isSeeder, leftIsNone } from './peer-page.ts';
import { PeerPlace, PeerSets, SET_PEERS } from './peer-set.ts';
import {
  BUCKETS_WORD,
  CHANGES_WORD,
  COMPLETED_FLOAT,
  EVICTED_PEERS_WORD,
  EVICTED_TORRENTS_WORD,
  IPV4_PEERS_WORD,
  IPV6_PEERS_WORD,
  LOCK_WORD,
  SEEDERS_WORD,
  type Segment,
  UNSTORED_WORD,
} from './segment.ts';
import type { SwarmLimits } from './swarm-limits.ts';
import type { SwarmRules } from './swarm-rules.ts';
import { addBase, noteCompletion, takeNews, type TorrentNews, wantBase } from './torrent-news.ts';
import {
  addTorrent,
  evictPeerlessTorrents,
  findTorrent,
  isPeerless,
  removeTorrent,
  TORRENT_COMPLETED,
  TORRENT_FLAGS,
  TORRENT_IN_CHANGES,
  TORRENT_INFO_HASH,
  TORRENT_IPV4_PEERS,
  TORRENT_IPV6_PEERS,
  TORRENT_NEXT,
  TORRENT_SEEDERS,
} from './torrent-table.ts';
import { listTorrents } from './torrent-listing.ts';
import { peersOf, readPeer, type StoredPeer, type TorrentSummary } from './torrent-view.ts';

/** The most peers that one lock is held for while peers expire. */
const SLICE_PEERS = 512;
/** The most buckets that one lock is held for: a table never shrinks, and may be all but empty. */
const SLICE_BUCKETS = 1024;
/** A torrent with more pages than this expires page by page, under a lock for each. */
const SLICE_PAGES = 8;
/** Buckets that are searched for torrents without peers when memory is full. */
const EVICTION_BUCKETS = 64;

export class Shard {
  readonly segment: Segment;
  readonly #words: Int32Array;
  readonly #ipv4: PeerSets;
  readonly #ipv6: PeerSets;
  readonly #place = new PeerPlace();
  readonly #nowhere = new PeerPlace();
  readonly #limits: SwarmLimits;

  constructor(segment: Segment, keyLow: number, keyHigh: number, limits: SwarmLimits) {
    this.segment = segment;
    this.#limits = limits;
    this.#words = segment.words;
    this.#ipv4 = new PeerSets(segment, 4, keyLow, keyHigh);
    this.#ipv6 = new PeerSets(segment, 6, keyLow, keyHigh);
  }

  /** See `Store.announce`. `random` is a positive 31-bit integer. */
  announce(
    hash: number,
    request: AnnounceRequest,
    reply: AnnounceReply,
    nowSeconds: number,
    rules: SwarmRules,
    random: number,
  ): void {
    const words = this.#words;
    reply.change = SwarmChange.none;
    reply.stored = true;
    reply.beyond = 0;
    lock(words, LOCK_WORD);
    const torrent = this.#findOrAdd(hash, request, reply, rules, nowSeconds);
    if (torrent === 0) {
      if (reply.beyond === 0) words[UNSTORED_WORD]++;
      unlock(words, LOCK_WORD);
      answerWithoutSwarm(request, reply);
      return;
    }
    const isIpv4 = request.family === 4;
    const sets = isIpv4 ? this.#ipv4 : this.#ipv6;
    const set = torrent + (isIpv4 ? TORRENT_IPV4_PEERS : TORRENT_IPV6_PEERS);
    const place = this.#place;
    sets.find(set, request, random, place);
    // Peers are chosen before the announcer is added, so that nobody is ever told of themselves.
    this.#selectPeers(torrent, request, reply, random);
    if (request.event !== AnnounceEvent.stopped) {
      const stamp = (nowSeconds << 2) | request.event;
      if (place.slot < 0)
        this.#add(torrent, sets, set, request, reply, stamp, nowSeconds - rules.staleAfterSeconds);
      else this.#update(torrent, sets, place, request, reply, stamp, rules);
    } else if (place.known) {
      if (isSeeder(words, sets.detailAt(place))) this.#countSeeder(torrent, -1);
      sets.remove(set, place);
      if (this.#limits.countsAddresses) this.#limits.countPeer(sets.hashRequest(request), -1);
      words[isIpv4 ? IPV4_PEERS_WORD : IPV6_PEERS_WORD]--;
      reply.change |= SwarmChange.peerRemoved;
    }
    reply.seeders = words[torrent + TORRENT_SEEDERS];
    reply.leechers = peersOf(words, torrent) - reply.seeders;
    reply.completed = words[torrent + TORRENT_COMPLETED] >>> 0;
    unlock(words, LOCK_WORD);
  }

  /** Reads the counters of a torrent; all zero when it is unknown. Returns whether it is known. */
  scrape(hash: number, source: Int32Array, first: number, entry: ScrapeEntry): boolean {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const torrent = findTorrent(this.segment, hash, source, first);
    if (torrent === 0) entry.clear();
    else {
      entry.seeders = words[torrent + TORRENT_SEEDERS];
      entry.leechers = peersOf(words, torrent) - entry.seeders;
      entry.completed = words[torrent + TORRENT_COMPLETED] >>> 0;
    }
    unlock(words, LOCK_WORD);
    return torrent !== 0;
  }

  /** Copies a slice of a torrent's peers: page `page` of a family. Returns how many pages the family has now. */
  readPeers(
    hash: number,
    source: Int32Array,
    first: number,
    family: 4 | 6,
    page: number,
    peers: StoredPeer[],
  ): number {
    const words = this.#words;
    const sets = family === 4 ? this.#ipv4 : this.#ipv6;
    lock(words, LOCK_WORD);
    const torrent = findTorrent(this.segment, hash, source, first);
    const set = torrent + (family === 4 ? TORRENT_IPV4_PEERS : TORRENT_IPV6_PEERS);
    const pages = torrent === 0 ? 0 : sets.pages(set);
    if (page < pages) {
      sets.visitPage(set, page, (pages, at, slot) => peers.push(readPeer(pages, at, slot)));
    }
    unlock(words, LOCK_WORD);
    return pages;
  }

  /** See `listTorrents`. */
  listTorrents(bucket: number, first: number, last: number, into: TorrentSummary[]): number {
    return listTorrents(this.segment, bucket, first, last, into);
  }

  /**
   * Removes peers that were last heard at `cutoffSeconds` or before, from bucket `bucket` on. Torrents of many pages are
   * put on `large` instead, for `expireLarge`. Returns the bucket to go on with, -1 at the end.
   */
  expireBuckets(bucket: number, cutoffSeconds: number, rules: SwarmRules, large: Int32Array[]): number {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const buckets = words[BUCKETS_WORD];
    const end = Math.min(buckets, bucket + SLICE_BUCKETS);
    let seen = 0;
    while (bucket < end && seen < SLICE_PEERS) {
      let torrent = words[this.segment.bucketsWord + bucket++];
      while (torrent !== 0) {
        const next = words[torrent + TORRENT_NEXT];
        seen += 1 + peersOf(words, torrent);
        const pages =
          this.#ipv4.pages(torrent + TORRENT_IPV4_PEERS) + this.#ipv6.pages(torrent + TORRENT_IPV6_PEERS);
        if (pages > SLICE_PAGES) {
          large.push(words.slice(torrent, torrent + TORRENT_INFO_HASH + HASH_WORDS));
        } else {
          for (const family of [4, 6] as const) {
            for (let page = pages - 1; page >= 0; page--)
              this.#expirePage(torrent, family, page, cutoffSeconds);
          }
          this.#removeIfIdle(torrent, rules);
        }
        torrent = next;
      }
    }
    unlock(words, LOCK_WORD);
    return bucket < buckets ? bucket : -1;
  }

  /** Expires page `page` of a torrent that `expireBuckets` put aside. Returns the page to go on with, -1 at the end. */
  expireLarge(
    torrentHead: Int32Array,
    family: 4 | 6,
    page: number,
    cutoffSeconds: number,
    rules: SwarmRules,
  ): number {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const hash = torrentHead[1];
    const torrent = findTorrent(this.segment, hash, torrentHead, TORRENT_INFO_HASH);
    let next = -1;
    if (torrent !== 0) {
      const sets = family === 4 ? this.#ipv4 : this.#ipv6;
      const pages = sets.pages(torrent + (family === 4 ? TORRENT_IPV4_PEERS : TORRENT_IPV6_PEERS));
      const index = Math.min(page, pages - 1);
      if (index >= 0) this.#expirePage(torrent, family, index, cutoffSeconds);
      next = index - 1;
      if (next < 0) this.#removeIfIdle(torrent, rules);
    }
    unlock(words, LOCK_WORD);
    return next;
  }

  /** Takes at most `max` torrents off the list of changes and appends their news. */
  takeNews(max: number, news: TorrentNews[]): void {
    const words = this.#words;
    if (words[CHANGES_WORD] === 0) return;
    lock(words, LOCK_WORD);
    takeNews(words, max, news);
    unlock(words, LOCK_WORD);
  }

  /** Wants the bases of torrents that never asked, from bucket `bucket` on. Returns the bucket to go on with, or -1. */
  wantBases(bucket: number): number {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const buckets = words[BUCKETS_WORD];
    const end = Math.min(buckets, bucket + SLICE_PEERS);
    for (; bucket < end; bucket++) {
      let torrent = words[this.segment.bucketsWord + bucket];
      for (; torrent !== 0; torrent = words[torrent + TORRENT_NEXT]) wantBase(words, torrent);
    }
    unlock(words, LOCK_WORD);
    return bucket < buckets ? bucket : -1;
  }

  /** Adds to a torrent's completed counter what the database knew, if the torrent still waits for that. */
  addBase(hash: number, source: Int32Array, count: number): void {
    const words = this.#words;
    lock(words, LOCK_WORD);
    const torrent = findTorrent(this.segment, hash, source, 0);
    if (torrent !== 0 && addBase(words, torrent, count)) this.segment.floats[COMPLETED_FLOAT] += count;
    unlock(words, LOCK_WORD);
  }

  #findOrAdd(
    hash: number,
    request: AnnounceRequest,
    reply: AnnounceReply,
    rules: SwarmRules,
    nowSeconds: number,
  ): number {
    const segment = this.segment;
    const limits = this.#limits;
    const first = AnnounceRequest.INFO_HASH_WORD;
    let torrent = findTorrent(segment, hash, request.words, first);
    if (torrent !== 0) return torrent;
    if (limits.isOn) {
      const sets = request.family === 4 ? this.#ipv4 : this.#ipv6;
      if (limits.refusesSwarm(reply, sets.hashRequest(request), nowSeconds)) return 0;
      limits.noteSwarm();
    }
    torrent = addTorrent(segment, hash, request.words, first);
    if (torrent === 0 && this.#makeRoom(0)) torrent = addTorrent(segment, hash, request.words, first);
    if (torrent === 0) return 0;
    reply.change |= SwarmChange.torrentAdded;
    if (rules.persistCompleted) wantBase(this.#words, torrent);
    return torrent;
  }

  #selectPeers(torrent: number, request: AnnounceRequest, reply: AnnounceReply, random: number): void {
    const words = this.#words;
    const ipv4Set = torrent + TORRENT_IPV4_PEERS;
    const ipv6Set = torrent + TORRENT_IPV6_PEERS;
    const ipv4 = reply.families & 1 ? words[ipv4Set + SET_PEERS] : 0;
    const ipv6 = reply.families & 2 ? words[ipv6Set + SET_PEERS] : 0;
    const wanted = reply.peersWanted;
    let ipv4Wanted = ipv4 === 0 ? 0 : wanted;
    let ipv6Wanted = ipv6 === 0 ? 0 : wanted;
    if (ipv4 > 0 && ipv6 > 0 && ipv4 + ipv6 > wanted) {
      // Both families share the reply as they share the swarm, and the announcer's own has at least one.
      const share = Math.round((wanted * ipv4) / (ipv4 + ipv6));
      const low = request.family === 4 ? 1 : 0;
      ipv4Wanted = Math.min(wanted, Math.max(share, low, wanted - ipv6));
      if (request.family === 6 && ipv4Wanted === wanted && wanted > 0) ipv4Wanted--;
      ipv6Wanted = wanted - ipv4Wanted;
    }
    const place = this.#place;
    const isIpv4 = request.family === 4;
    const ids = reply.peerIds;
    reply.ipv4Peers = this.#ipv4.select(
      ipv4Set,
      isIpv4 ? place : this.#nowhere,
      ipv4Wanted,
      random,
      reply,
      reply.ipv4Half,
      ids,
      0,
    );
    reply.ipv6Peers = this.#ipv6.select(
      ipv6Set,
      isIpv4 ? this.#nowhere : place,
      ipv6Wanted,
      random,
      reply,
      reply.ipv6Half,
      ids,
      reply.ipv4Peers * HASH_WORDS,
    );
  }

  #add(
    torrent: number,
    sets: PeerSets,
    set: number,
    request: AnnounceRequest,
    reply: AnnounceReply,
    stamp: number,
    staleSeconds: number,
  ): void {
    const words = this.#words;
    const place = this.#place;
    const limits = this.#limits;
    const counts = limits.countsAddresses;
    const addressHash = limits.isOn || counts ? sets.hashRequest(request) : 0;
    if (limits.isOn && limits.refusesPeer(reply, addressHash, peersOf(words, torrent))) {
      reply.stored = false;
      return;
    }
    let added = sets.add(set, request, stamp, place);
    if (!added && this.#makeRoom(torrent)) added = sets.add(set, request, stamp, place);
    if (added) {
      words[request.family === 4 ? IPV4_PEERS_WORD : IPV6_PEERS_WORD]++;
    } else if (!this.#replaceStale(torrent, sets, request, stamp, staleSeconds)) {
      words[UNSTORED_WORD]++;
      reply.stored = false;
      return;
    }
    if (counts) limits.countPeer(addressHash, 1);
    if (leftIsNone(request.words, AnnounceRequest.LEFT_WORD)) this.#countSeeder(torrent, 1);
    reply.change |= SwarmChange.peerAdded;
  }

  /** Gives the place of the stalest peer of the announcer's page to the announcer, if it was silent long enough. */
  #replaceStale(
    torrent: number,
    sets: PeerSets,
    request: AnnounceRequest,
    stamp: number,
    staleSeconds: number,
  ): boolean {
    const words = this.#words;
    const place = this.#place;
    sets.findStalest(place);
    if (place.slot < 0) return false;
    if (sets.secondsAt(place) > staleSeconds) return false;
    if (isSeeder(words, sets.detailAt(place))) this.#countSeeder(torrent, -1);
    if (this.#limits.countsAddresses) this.#limits.countPeer(sets.hashAt(place), -1);
    sets.write(place, request, stamp);
    words[EVICTED_PEERS_WORD]++;
    return true;
  }

  #update(
    torrent: number,
    sets: PeerSets,
    place: PeerPlace,
    request: AnnounceRequest,
    reply: AnnounceReply,
    stamp: number,
    rules: SwarmRules,
  ): void {
    const words = this.#words;
    const detail = sets.detailAt(place);
    const wasSeeder = isSeeder(words, detail);
    const storedEvent = sets.eventAt(place);
    sets.write(place, request, stamp);
    const seeders = (isSeeder(words, detail) ? 1 : 0) - (wasSeeder ? 1 : 0);
    if (seeders !== 0) this.#countSeeder(torrent, seeders);
    if (!place.known) {
      reply.change |= SwarmChange.peerAdded;
      return;
    }
    // A peer that was unknown did not download from this swarm, and one that said so before is not counted twice.
    if (request.event !== AnnounceEvent.completed || storedEvent === AnnounceEvent.completed) return;
    words[torrent + TORRENT_COMPLETED]++;
    this.segment.floats[COMPLETED_FLOAT]++;
    reply.change |= SwarmChange.completed;
    if (!rules.persistCompleted) return;
    noteCompletion(words, torrent);
  }

  #expirePage(torrent: number, family: 4 | 6, page: number, cutoffSeconds: number): void {
    const words = this.#words;
    const sets = family === 4 ? this.#ipv4 : this.#ipv6;
    const set = torrent + (family === 4 ? TORRENT_IPV4_PEERS : TORRENT_IPV6_PEERS);
    if (page >= sets.pages(set)) return;
    const total = family === 4 ? IPV4_PEERS_WORD : IPV6_PEERS_WORD;
    const limits = this.#limits;
    const hashes = limits.countsAddresses;
    sets.expirePage(set, page, cutoffSeconds, hashes, (detail, addressHash) => {
      words[total]--;
      if (hashes) limits.countPeer(addressHash, -1);
      if (isSeeder(words, detail)) this.#countSeeder(torrent, -1);
    });
  }

  #removeIfIdle(torrent: number, rules: SwarmRules): void {
    const words = this.#words;
    if (!rules.removePeerless || !isPeerless(this.segment, torrent)) return;
    if ((words[torrent + TORRENT_FLAGS] & TORRENT_IN_CHANGES) !== 0) return;
    if (rules.persistCompleted && words[torrent + TORRENT_COMPLETED] !== 0) return;
    removeTorrent(this.segment, torrent);
  }

  /** Evicts torrents without peers, but not `spared`, which is being announced. */
  #makeRoom(spared: number): boolean {
    const evicted = evictPeerlessTorrents(this.segment, EVICTION_BUCKETS, spared);
    this.#words[EVICTED_TORRENTS_WORD] += evicted;
    return evicted > 0;
  }

  #countSeeder(torrent: number, change: number): void {
    this.#words[torrent + TORRENT_SEEDERS] += change;
    this.#words[SEEDERS_WORD] += change;
  }
}
