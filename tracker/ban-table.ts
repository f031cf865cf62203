/**
 * Who is banned, in bounded shared memory: every network thread looks and may add, the main thread lists and lifts. A
 * ban is of one address or of its network, a /24 of IPv4 or a /64 of IPv6, and may end by itself.
 *
 * The table has eight places for each hash. A new ban takes a free place or that of one which has ended. When there is
 * none, a ban by hand takes the place of the oldest of those that the tracker imposed itself, and any other is not
 * imposed: a flood of addresses that deserve one costs no memory and lifts no ban.
 *
 *   0 lock   1 bans   2 bans of networks   8.. a bit for each set that holds bans
 *                                        264.. per place: kind (0: free), end, begin, -, address (4 words)
 *
 * Whoever writes holds the lock. Readers don't wait: the kind is written last and cleared first, so that they see at
 * worst no ban where one is just coming or going.
 */
import { AddressHash, IPV4_NETWORK_MASK } from './address-hash.ts';
import { type AddressFamily, PeerAddress } from './protocol/model.ts';
import { lock, unlock } from './swarm/lock.ts';

const LOCK = 0;
const BANS = 1;
const NETWORK_BANS = 2;

const SETS_LOG2 = 13;
/** With few bans, nearly every set has nobody, and these bits, a kilobyte, say so. */
const OCCUPIED = 8;
const HEAD_WORDS = OCCUPIED + 2 ** SETS_LOG2 / 32;
const PLACES_PER_SET = 8;
const PLACE_WORDS = 8;
const SET_WORDS = PLACES_PER_SET * PLACE_WORDS;
const KIND = 0;
const END = 1;
const BEGIN = 2;
const ADDRESS = 4;

/** The most bans that fit, when hashes spread them evenly. */
export const MAX_BANS = PLACES_PER_SET * 2 ** SETS_LOG2;

/** Why an address is banned. */
export const BanReason = { none: 0, wrongConnectionIds: 1, byHand: 2 } as const;
export type BanReason = (typeof BanReason)[keyof typeof BanReason];

/** What a ban covers; the numbers are in the low bits of a kind. */
const Scope = { ipv4Address: 1, ipv4Network: 2, ipv6Address: 3, ipv6Network: 4 } as const;
type Scope = (typeof Scope)[keyof typeof Scope];
const SCOPE_BITS = 3;
const SCOPE_MASK = 2 ** SCOPE_BITS - 1;
const PREFIX_BITS: Readonly<Record<Scope, number>> = { 1: 32, 2: 24, 3: 128, 4: 64 };
const ADDRESS_WORDS: Readonly<Record<Scope, number>> = { 1: 1, 2: 1, 3: 4, 4: 2 };

/** A ban. Times are whole seconds since 1970. */
export interface Ban {
  /** Its port means nothing. */
  readonly address: PeerAddress;
  /** 32 or 24 for IPv4, 128 or 64 for IPv6: how much of the address counts. */
  readonly prefixBits: number;
  readonly reason: BanReason;
  readonly beginSeconds: number;
  /** The ban is over at this second; 0: it has no end. */
  readonly endSeconds: number;
}

/** What another thread needs: can be posted to a worker. */
export interface BanTableMemory {
  readonly buffer: SharedArrayBuffer;
  readonly key: Int32Array;
}

/** Whether addresses of a family can be banned by so many bits of theirs. */
export function isBanPrefix(family: AddressFamily, prefixBits: number): boolean {
  return scopeOf(family, prefixBits) !== undefined;
}

export class BanTable {
  readonly memory: BanTableMemory;
  readonly #words: Int32Array;
  readonly #scratch = new Int32Array(4);
  readonly #hash: AddressHash;

  private constructor(memory: BanTableMemory, hash: AddressHash) {
    this.memory = memory;
    this.#hash = hash;
    this.#words = new Int32Array(memory.buffer);
  }

  static create(key: Int32Array = AddressHash.createKey()): BanTable {
    const words = HEAD_WORDS + SET_WORDS * 2 ** SETS_LOG2;
    return BanTable.attach({ buffer: new SharedArrayBuffer(4 * words), key });
  }

  /** Uses the table that another thread made. `hash` is under its key. */
  static attach(memory: BanTableMemory, hash: AddressHash = new AddressHash(memory.key)): BanTable {
    return new BanTable(memory, hash);
  }

  /** Bans, with those that have ended and are not removed yet. */
  get size(): number {
    return this.#words[BANS];
  }

  /** Why an address is banned at a time: by itself or as one of its network. Costs nothing while nobody is banned. */
  reasonOf(address: PeerAddress, nowSeconds: number): BanReason {
    if (this.size === 0) return BanReason.none;
    const isIpv4 = address.family === 4;
    const own = this.#reasonOf(address, isIpv4 ? Scope.ipv4Address : Scope.ipv6Address, nowSeconds);
    if (own === BanReason.byHand || this.#words[NETWORK_BANS] === 0) return own;
    // A ban by hand, which holds for more than UDP, is not hidden by one for wrong ids.
    const other = this.#reasonOf(address, isIpv4 ? Scope.ipv4Network : Scope.ipv6Network, nowSeconds);
    return other === BanReason.none ? own : other;
  }

  /** Imposes a ban, in place of the one of the same address. False when there is no room for it. */
  add(ban: Ban): boolean {
    const scope = scopeOf(ban.address.family, ban.prefixBits);
    if (scope === undefined) throw new Error(`no ban of /${ban.prefixBits}`);
    const words = this.#words;
    const first = this.#firstPlace(ban.address, scope);
    lock(words, LOCK);
    let place = this.#find(first, scope);
    // What somebody decided is not changed by what the tracker imposes itself.
    const isDecided = place >= 0 && words[place + KIND] >>> SCOPE_BITS > ban.reason;
    if (place < 0) place = this.#findRoom(first, ban);
    if (place >= 0 && !isDecided) {
      this.#free(place);
      words[place + END] = ban.endSeconds;
      words[place + BEGIN] = ban.beginSeconds;
      words.set(this.#scratch, place + ADDRESS);
      Atomics.store(words, place + KIND, (ban.reason << SCOPE_BITS) | scope);
      this.#noteOccupied(place);
      Atomics.add(words, BANS, 1);
      if (isNetwork(scope)) words[NETWORK_BANS]++;
    }
    unlock(words, LOCK);
    return place >= 0;
  }

  /** Lifts the ban of exactly this address or network. Returns whether there was one. */
  remove(address: PeerAddress, prefixBits: number): boolean {
    const scope = scopeOf(address.family, prefixBits);
    if (scope === undefined) return false;
    const first = this.#firstPlace(address, scope);
    lock(this.#words, LOCK);
    const place = this.#find(first, scope);
    if (place >= 0) this.#free(place);
    unlock(this.#words, LOCK);
    return place >= 0;
  }

  /** Lifts the bans that `isOver` picks, set by set. Returns how many. */
  removeWhere(isOver: (ban: Ban) => boolean): number {
    let removed = 0;
    this.#visit((place, ban) => {
      if (!isOver(ban)) return;
      this.#free(place);
      removed++;
    });
    return removed;
  }

  /** All bans, in no order. */
  list(): Ban[] {
    const bans: Ban[] = [];
    this.#visit((_, ban) => bans.push(ban));
    return bans;
  }

  #visit(see: (place: number, ban: Ban) => void): void {
    const words = this.#words;
    for (let first = HEAD_WORDS; first < words.length && this.size > 0; first += SET_WORDS) {
      if (!this.#isOccupied((first - HEAD_WORDS) / SET_WORDS)) continue;
      lock(words, LOCK);
      for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
        if (words[place + KIND] !== 0) see(place, this.#read(place));
      }
      unlock(words, LOCK);
    }
  }

  #isOccupied(set: number): boolean {
    return (this.#words[OCCUPIED + (set >> 5)] & (1 << (set & 31))) !== 0;
  }

  /** Notes whether the set of a place holds bans. */
  #noteOccupied(place: number): void {
    const words = this.#words;
    const set = Math.floor((place - HEAD_WORDS) / SET_WORDS);
    const first = HEAD_WORDS + set * SET_WORDS;
    const at = OCCUPIED + (set >> 5);
    const bit = 1 << (set & 31);
    let kinds = 0;
    for (let each = first; each < first + SET_WORDS; each += PLACE_WORDS) kinds |= words[each + KIND];
    words[at] = kinds === 0 ? words[at] & ~bit : words[at] | bit;
  }

  #reasonOf(address: PeerAddress, scope: Scope, nowSeconds: number): BanReason {
    const words = this.#words;
    if (!this.#isOccupied(this.#setOf(address, scope))) return BanReason.none;
    const place = this.#find(this.#firstPlace(address, scope), scope);
    if (place < 0) return BanReason.none;
    const end = words[place + END] >>> 0;
    if (end !== 0 && end <= nowSeconds) return BanReason.none;
    // Only values of the type are ever written.
    return (words[place + KIND] >>> SCOPE_BITS) as BanReason;
  }

  /** The place of the address in the scratch words, or -1. */
  #find(first: number, scope: Scope): number {
    const words = this.#words;
    const [w0, w1, w2, w3] = this.#scratch;
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      if ((words[place + KIND] & SCOPE_MASK) !== scope) continue;
      const at = place + ADDRESS;
      if (words[at] === w0 && words[at + 1] === w1 && words[at + 2] === w2 && words[at + 3] === w3)
        return place;
    }
    return -1;
  }

  /** A place for a ban that has none yet, or -1. */
  #findRoom(first: number, { reason, beginSeconds }: Ban): number {
    const words = this.#words;
    let oldest = -1;
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      const kind = words[place + KIND];
      const end = words[place + END] >>> 0;
      if (kind === 0 || (end !== 0 && end <= beginSeconds)) return place;
      if (reason !== BanReason.byHand || kind >>> SCOPE_BITS === BanReason.byHand) continue;
      if (oldest < 0 || words[place + BEGIN] >>> 0 < words[oldest + BEGIN] >>> 0) oldest = place;
    }
    return oldest;
  }

  #free(place: number): void {
    const words = this.#words;
    const kind = words[place + KIND];
    if (kind === 0) return;
    Atomics.store(words, place + KIND, 0);
    this.#noteOccupied(place);
    Atomics.sub(words, BANS, 1);
    // Of the type, as it was written.
    if (isNetwork((kind & SCOPE_MASK) as Scope)) words[NETWORK_BANS]--;
  }

  #read(place: number): Ban {
    const words = this.#words;
    const kind = words[place + KIND];
    const scope = (kind & SCOPE_MASK) as Scope; // of the type, as it was written
    const address = new PeerAddress();
    address.family = scope === Scope.ipv4Address || scope === Scope.ipv4Network ? 4 : 6;
    address.words.set(words.subarray(place + ADDRESS, place + ADDRESS + 4));
    return {
      address,
      prefixBits: PREFIX_BITS[scope],
      reason: (kind >>> SCOPE_BITS) as BanReason, // of the type, as it was written
      beginSeconds: words[place + BEGIN] >>> 0,
      endSeconds: words[place + END] >>> 0,
    };
  }

  /** The first place of an address's set. Leaves what of the address counts in the scratch words. */
  #firstPlace(address: PeerAddress, scope: Scope): number {
    const { words } = address;
    const scratch = this.#scratch;
    const count = ADDRESS_WORDS[scope];
    for (let i = 0; i < 4; i++) scratch[i] = i < count ? words[i] : 0;
    if (scope === Scope.ipv4Network) scratch[0] &= IPV4_NETWORK_MASK;
    return HEAD_WORDS + this.#setOf(address, scope) * SET_WORDS;
  }

  /** The set of an address or its network. */
  #setOf(address: PeerAddress, scope: Scope): number {
    this.#hash.read(address);
    const hash = isNetwork(scope) ? this.#hash.network : this.#hash.address;
    return hash & (2 ** SETS_LOG2 - 1);
  }
}

function scopeOf(family: AddressFamily, prefixBits: number): Scope | undefined {
  if (family === 4) {
    return prefixBits === 32 ? Scope.ipv4Address : prefixBits === 24 ? Scope.ipv4Network : undefined;
  }
  return prefixBits === 128 ? Scope.ipv6Address : prefixBits === 64 ? Scope.ipv6Network : undefined;
}

function isNetwork(scope: Scope): boolean {
  return scope === Scope.ipv4Network || scope === Scope.ipv6Network;
}
