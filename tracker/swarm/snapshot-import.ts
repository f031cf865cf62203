/**
 * Puts the peers of a snapshot into a store that is in use. Whoever has announced meanwhile stays as it is; time goes on
 * for peers while no tracker runs; and when memory is full the rest is left out, never anybody who announced.
 */
import { type AnnounceEvent, AnnounceRequest, HASH_WORDS } from '../protocol/model.ts';
import { lock, unlock } from './lock.ts';
import { leftIsNone } from './peer-page.ts';
import { PeerPlace, PeerSets } from './peer-set.ts';
import {
  COMPLETED_FLOAT,
  EVICTED_TORRENTS_WORD,
  IPV4_PEERS_WORD,
  IPV6_PEERS_WORD,
  LOCK_WORD,
  SEEDERS_WORD,
  Segment,
} from './segment.ts';
import {
  IPV4_PEER_WORDS,
  IPV6_PEER_WORDS,
  PART_COMPLETED,
  PART_FLAGS,
  PART_HAS_BASE,
  PART_IPV4_PEERS,
  PART_IPV6_PEERS,
  PART_WORDS,
  PEER_ANNOUNCE,
} from './snapshot-format.ts';
import type { Store } from './store.ts';
import type { SwarmRules } from './swarm-rules.ts';
import { wantBase } from './torrent-news.ts';
import {
  addTorrent,
  evictPeerlessTorrents,
  findTorrent,
  TORRENT_ASKED_BASE,
  TORRENT_COMPLETED,
  TORRENT_FLAGS,
  TORRENT_IPV4_PEERS,
  TORRENT_IPV6_PEERS,
  TORRENT_RESTORED,
  TORRENT_SEEDERS,
} from './torrent-table.ts';

/** The most peers that one lock is held for. To add one takes much longer than to read one. */
const SLICE_PEERS = 64;
/** Buckets that are searched for torrents without peers when memory is full. */
const EVICTION_BUCKETS = 64;

/** What became of the peers of a snapshot; the sum of all is how many there were. */
export interface ImportCounts {
  kept: number;
  /** Silent for so long that they would have been dropped. */
  expired: number;
  /** In the swarm already: they announced since the start, or come twice in the file. */
  present: number;
  /** Left out since memory is full. */
  unstored: number;
  /** Torrents that were not there. */
  torrents: number;
}

interface ImportShard {
  readonly segment: Segment;
  readonly ipv4: PeerSets;
  readonly ipv6: PeerSets;
}

/** Adds the parts of one snapshot to a store. */
export class SnapshotImport {
  readonly counts: ImportCounts = { kept: 0, expired: 0, present: 0, unstored: 0, torrents: 0 };
  readonly #store: Store;
  readonly #rules: Readonly<SwarmRules>;
  readonly #shards: readonly ImportShard[];
  readonly #downSeconds: number;
  /** The greatest age in the file that is not too old by now. */
  readonly #maxAgeSeconds: number;
  /** Whoever was heard since has announced to this store. */
  readonly #beginSeconds: number;
  readonly #request = new AnnounceRequest();
  readonly #place = new PeerPlace();

  /**
   * `downSeconds` is the time since the snapshot was made; below zero, when a clock was set back, it counts as none, so
   * that a peer lives for its timeout at most. `timeoutSeconds`: peers that were silent for so long are left out.
   */
  constructor(store: Store, downSeconds: number, timeoutSeconds: number, rules: Readonly<SwarmRules>) {
    const [keyLow, keyHigh] = store.memory.key;
    this.#store = store;
    this.#beginSeconds = store.nowSeconds();
    this.#rules = rules;
    this.#shards = store.memory.segments.map((buffer) => {
      const segment = Segment.attach(buffer);
      return {
        segment,
        ipv4: new PeerSets(segment, 4, keyLow, keyHigh),
        ipv6: new PeerSets(segment, 6, keyLow, keyHigh),
      };
    });
    this.#downSeconds = Math.max(0, Math.floor(downSeconds));
    this.#maxAgeSeconds = timeoutSeconds - this.#downSeconds - 1;
  }

  /** Adds the part at `part` of `words`, which `SnapshotDecoder` found to be sound, under a lock for a few peers each. */
  add(words: Int32Array, part: number): void {
    const ipv4Peers = words[part + PART_IPV4_PEERS];
    const peers = ipv4Peers + words[part + PART_IPV6_PEERS];
    const ipv4Live = this.#countLive(words, part, 0, ipv4Peers);
    const ipv6Live = this.#countLive(words, part, ipv4Peers, peers);
    this.counts.expired += peers - ipv4Live - ipv6Live;
    // A torrent goes with its last peer, unless it is to be kept.
    if (ipv4Live + ipv6Live === 0 && this.#rules.removePeerless) return;
    this.#request.words.set(words.subarray(part, part + HASH_WORDS), AnnounceRequest.INFO_HASH_WORD);
    const hash = this.#store.hash(words, part);
    const shard = this.#shards[this.#store.shardIndex(hash)];
    const zeroSeconds = this.#store.nowSeconds() - this.#downSeconds;
    let index = 0;
    do {
      const end = Math.min(peers, index + SLICE_PEERS);
      lock(shard.segment.words, LOCK_WORD);
      const torrent = this.#restoreTorrent(shard.segment, hash, words, part);
      for (; index < end; index++) {
        const at = peerAt(words, part, index);
        if (!this.#isLive(words, at)) continue;
        if (torrent === 0) this.counts.unstored++;
        else if (index < ipv4Peers) this.#addPeer(shard, torrent, 4, ipv4Live, words, at, zeroSeconds);
        else this.#addPeer(shard, torrent, 6, ipv6Live, words, at, zeroSeconds);
      }
      unlock(shard.segment.words, LOCK_WORD);
    } while (index < peers);
  }

  #countLive(words: Int32Array, part: number, from: number, to: number): number {
    let live = 0;
    for (let index = from; index < to; index++) if (this.#isLive(words, peerAt(words, part, index))) live++;
    return live;
  }

  #isLive(words: Int32Array, peer: number): boolean {
    return words[peer] >>> 2 <= this.#maxAgeSeconds;
  }

  /** Finds or adds the torrent of a part, and gives it its counter once. Returns its record, 0 when memory is full. */
  #restoreTorrent(segment: Segment, hash: number, words: Int32Array, part: number): number {
    let torrent = findTorrent(segment, hash, words, part);
    if (torrent === 0) {
      torrent = addTorrent(segment, hash, words, part);
      if (torrent === 0 && makeRoom(segment, 0)) torrent = addTorrent(segment, hash, words, part);
      if (torrent === 0) return 0;
      this.counts.torrents++;
    }
    // Of counters that the database keeps it has the right number, which the torrent is given when it comes.
    if (this.#rules.persistCompleted) wantBase(segment.words, torrent);
    else if ((segment.words[torrent + TORRENT_FLAGS] & TORRENT_RESTORED) === 0) {
      const hasBase = (words[part + PART_FLAGS] & PART_HAS_BASE) !== 0;
      segment.words[torrent + TORRENT_FLAGS] |= TORRENT_RESTORED | (hasBase ? TORRENT_ASKED_BASE : 0);
      segment.words[torrent + TORRENT_COMPLETED] += words[part + PART_COMPLETED];
      segment.floats[COMPLETED_FLOAT] += words[part + PART_COMPLETED] >>> 0;
    }
    return torrent;
  }

  /** Adds a peer, one of `live` of its family in this part, unless it is there. */
  #addPeer(
    { segment, ipv4, ipv6 }: ImportShard,
    torrent: number,
    family: 4 | 6,
    live: number,
    words: Int32Array,
    peer: number,
    zeroSeconds: number,
  ): void {
    const request = this.#request;
    const place = this.#place;
    const announceWords = (family === 4 ? IPV4_PEER_WORDS : IPV6_PEER_WORDS) - PEER_ANNOUNCE;
    for (let i = 0; i < announceWords; i++) {
      request.words[AnnounceRequest.PEER_ID_WORD + i] = words[peer + PEER_ANNOUNCE + i];
    }
    request.family = family;
    // The decoder let only these through.
    request.event = (words[peer] & 3) as AnnounceEvent;
    const sets = family === 4 ? ipv4 : ipv6;
    const set = torrent + (family === 4 ? TORRENT_IPV4_PEERS : TORRENT_IPV6_PEERS);
    sets.reserve(set, live);
    sets.find(set, request, 0, place);
    if (this.#isPresent(sets, place)) {
      this.counts.present++;
      return;
    }
    const heardSeconds = Math.max(1, zeroSeconds - (words[peer] >>> 2));
    const stamp = (heardSeconds << 2) | request.event;
    if (!sets.add(set, request, stamp, place)) {
      if (!makeRoom(segment, torrent) || !sets.add(set, request, stamp, place)) {
        this.counts.unstored++;
        return;
      }
    }
    segment.words[family === 4 ? IPV4_PEERS_WORD : IPV6_PEERS_WORD]++;
    // Limits are for those who announce; but who is brought back counts, as who goes later does.
    const { limits } = this.#store;
    if (limits.countsAddresses) limits.countPeer(sets.hashRequest(request), 1);
    if (leftIsNone(request.words, AnnounceRequest.LEFT_WORD)) {
      segment.words[torrent + TORRENT_SEEDERS]++;
      segment.words[SEEDERS_WORD]++;
    }
    this.counts.kept++;
  }

  /** Whether a peer of the file, which was looked for, need not be added. */
  #isPresent(sets: PeerSets, place: PeerPlace): boolean {
    // When it was not found, the place is that of another one, if its address has as many peers as it may have.
    if (!place.known || sets.hasPort(place, this.#request)) return place.slot >= 0;
    // Two of the file may share a peer id; one that announced since the start has come back at another port.
    return sets.secondsAt(place) >= this.#beginSeconds;
  }
}

/** Where a peer of a part stands: the IPv4 peers come first. */
function peerAt(words: Int32Array, part: number, index: number): number {
  const ipv4Peers = words[part + PART_IPV4_PEERS];
  const first = part + PART_WORDS;
  return index < ipv4Peers
    ? first + index * IPV4_PEER_WORDS
    : first + ipv4Peers * IPV4_PEER_WORDS + (index - ipv4Peers) * IPV6_PEER_WORDS;
}

/** Evicts torrents without peers, but not `spared`. */
function makeRoom(segment: Segment, spared: number): boolean {
  const evicted = evictPeerlessTorrents(segment, EVICTION_BUCKETS, spared);
  segment.words[EVICTED_TORRENTS_WORD] += evicted;
  return evicted > 0;
}
