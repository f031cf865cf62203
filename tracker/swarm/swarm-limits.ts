/**
 * Limits on what the store keeps: swarms in all, peers of a swarm, peers of an address over all swarms. Who is beyond
 * one is answered and not kept. One object per thread and store; off, an announce pays a branch.
 *
 * Peers of an address are counted in shared memory of a fixed size, a cache of eight places for each keyed hash, where a
 * new address takes the place with the lowest count. It may forget and then counts too few; it never counts too many, so
 * that nobody is refused for the peers of others. What was stored before the limit began is not counted either.
 *
 * Whether peers are counted is in that memory too, and the main thread alone changes it: it empties the counts first, since
 * nobody counted who went while there was no limit. Threads ask under the lock of the peer's shard. So who counts a peer
 * that goes sees whatever the one saw who counted it, or did not, when it came.
 */
import type { AnnounceReply } from '../protocol/model.ts';

/** Bits of `AnnounceReply.beyond`: the limits that an announce runs into. */
export const SwarmLimit = { none: 0, swarms: 1, peersPerSwarm: 2, peersPerAddress: 4 } as const;

/** The limits; 0 is none. */
export interface SwarmLimitSettings {
  readonly maxSwarms: number;
  readonly maxPeersPerSwarm: number;
  readonly maxPeersPerAddress: number;
  /** What is beyond a limit is kept all the same, and only told. */
  readonly isLimitDryRun: boolean;
}

const SETS_LOG2 = 15;
const PLACES_PER_SET = 8;
const PLACE_WORDS = 2;
const SET_WORDS = PLACES_PER_SET * PLACE_WORDS;
/** Behind the counts, on a cache line of its own: 1 when peers are counted. */
const SWITCH_WORD = SET_WORDS * 2 ** SETS_LOG2;
const SWITCH_LINE_WORDS = 16;
/** Swarms are counted anew when this part of the room that was left is used up, */
const ROOM_SHIFT = 4;
/** or so many were added: what a thread has left of its part, it may add when others have filled the store. */
const MAX_ROOM = 8;

export class SwarmLimits {
  readonly #words: Int32Array;
  readonly #countSwarms: () => number;
  readonly #isOwner: boolean;
  #maxSwarms = 0;
  #maxPeersPerSwarm = 0;
  #maxPeersPerAddress = 0;
  #isDryRun = false;
  /** Swarms that may be added before all are counted again. */
  #room = 0;
  /** When there was no room last. */
  #fullSeconds = -1;
  /** Whether any limit is set. */
  isOn = false;

  /** `isOwner`: in the thread that made the store, which begins and ends the counting of addresses for all. */
  constructor(buffer: SharedArrayBuffer, countSwarms: () => number, isOwner: boolean) {
    this.#words = new Int32Array(buffer);
    this.#countSwarms = countSwarms;
    this.#isOwner = isOwner;
  }

  /** Makes the memory of the counts: two megabytes, taken as they are used. */
  static createMemory(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (SWITCH_WORD + SWITCH_LINE_WORDS));
  }

  /** Whether peers of addresses are counted. To be asked under the lock of the shard that the peer is in. */
  get countsAddresses(): boolean {
    return this.#words[SWITCH_WORD] !== 0;
  }

  /** Takes over limits, for this thread; peers of addresses are counted from when the owner did. */
  configure(settings: SwarmLimitSettings): void {
    if (settings.maxSwarms !== this.#maxSwarms) {
      this.#room = 0;
      this.#fullSeconds = -1;
    }
    this.#maxSwarms = settings.maxSwarms;
    this.#maxPeersPerSwarm = settings.maxPeersPerSwarm;
    this.#maxPeersPerAddress = settings.maxPeersPerAddress;
    this.#isDryRun = settings.isLimitDryRun;
    this.isOn = settings.maxPeersPerAddress > 0 || settings.maxSwarms > 0 || settings.maxPeersPerSwarm > 0;
    if (this.#isOwner && settings.maxPeersPerAddress > 0 !== this.countsAddresses) this.#switchCounting();
  }

  /** Judges an announce that would add a swarm, and notes in the reply what it is beyond. True: it is not to be kept. */
  refusesSwarm(reply: AnnounceReply, addressHash: number, nowSeconds: number): boolean {
    let beyond: number = this.#isBeyondAddress(addressHash) ? SwarmLimit.peersPerAddress : SwarmLimit.none;
    if (this.#maxSwarms > 0 && !this.#hasRoom(nowSeconds)) beyond |= SwarmLimit.swarms;
    reply.beyond |= beyond;
    return beyond !== SwarmLimit.none && !this.#isDryRun;
  }

  /** Notes that a swarm was added. */
  noteSwarm(): void {
    this.#room--;
  }

  /** Judges an announce that would add a peer to a swarm of so many; as `refusesSwarm`. */
  refusesPeer(reply: AnnounceReply, addressHash: number, swarmPeers: number): boolean {
    let beyond: number = this.#isBeyondAddress(addressHash) ? SwarmLimit.peersPerAddress : SwarmLimit.none;
    if (this.#maxPeersPerSwarm > 0 && swarmPeers >= this.#maxPeersPerSwarm)
      beyond |= SwarmLimit.peersPerSwarm;
    reply.beyond |= beyond;
    return beyond !== SwarmLimit.none && !this.#isDryRun;
  }

  /** Counts a peer that came (1) or went (-1), by the keyed hash of its address. */
  countPeer(addressHash: number, change: 1 | -1): void {
    const words = this.#words;
    const tag = tagOf(addressHash);
    let place = this.#find(addressHash, tag);
    if (place < 0) {
      if (change < 0) return;
      place = this.#take(addressHash, tag);
    }
    // Peers that came before the address was forgotten may go afterwards.
    if (Atomics.add(words, place + 1, change) + change < 0) Atomics.store(words, place + 1, 0);
  }

  #switchCounting(): void {
    const words = this.#words;
    if (!this.countsAddresses) words.fill(0, 0, SWITCH_WORD);
    Atomics.store(words, SWITCH_WORD, this.countsAddresses ? 0 : 1);
  }

  #isBeyondAddress(addressHash: number): boolean {
    if (this.#maxPeersPerAddress === 0 || !this.countsAddresses) return false;
    const place = this.#find(addressHash, tagOf(addressHash));
    return place >= 0 && this.#words[place + 1] >= this.#maxPeersPerAddress;
  }

  #hasRoom(nowSeconds: number): boolean {
    if (this.#room > 0) return true;
    // A full store is counted once a second at most.
    if (this.#fullSeconds === nowSeconds) return false;
    const room = this.#maxSwarms - this.#countSwarms();
    if (room <= 0) {
      this.#fullSeconds = nowSeconds;
      return false;
    }
    // Other threads add swarms too, so that only a part of the room is for this one.
    this.#room = Math.min(MAX_ROOM, Math.max(1, room >> ROOM_SHIFT));
    return true;
  }

  #find(hash: number, tag: number): number {
    const first = firstPlace(hash);
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      if (this.#words[place] === tag) return place;
    }
    return -1;
  }

  #take(hash: number, tag: number): number {
    const words = this.#words;
    const first = firstPlace(hash);
    let lowest = first;
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      if (words[place + 1] < words[lowest + 1]) lowest = place;
    }
    Atomics.store(words, lowest + 1, 0);
    Atomics.store(words, lowest, tag);
    return lowest;
  }
}

function firstPlace(hash: number): number {
  return (hash & (2 ** SETS_LOG2 - 1)) * SET_WORDS;
}

/** Never zero, which is the tag of nobody. */
function tagOf(hash: number): number {
  return hash === 0 ? 1 : hash;
}
