/**
 * How many requests one address, one network and all clients may make: token buckets in shared memory, asked by every
 * network thread for every request. `bucket-table.ts` has the buckets; here is who shares which.
 *
 * Each client has two buckets: one for requests that prove where they come from (a valid connection id, a TCP
 * connection), and one for those that don't. So nobody can use up the share of another by forging its address.
 */
import { AddressHash, IPV4_NETWORK_MASK } from './address-hash.ts';
import { BucketTable, type BucketSize, bucketSize, takeToken, TICKS_PER_SECOND } from './bucket-table.ts';
import type { PeerAddress } from './protocol/model.ts';

/** The limit that a request runs into. */
export const RateLimit = { none: 0, address: 1, network: 2, overall: 3 } as const;
export type RateLimit = (typeof RateLimit)[keyof typeof RateLimit];

/** Requests per second on average, and how many may come at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** Limits that are null are none. */
export interface RateSettings {
  readonly perAddress: Rate | null;
  readonly perNetwork: Rate | null;
  readonly overall: Rate | null;
}

/** What another thread needs: can be posted to a worker. */
export interface RateLimitsMemory {
  readonly addresses: SharedArrayBuffer;
  readonly networks: SharedArrayBuffer;
  readonly overall: SharedArrayBuffer;
  /** Key of the hashes. */
  readonly key: Int32Array;
}

/** 262,144 places in two megabytes, for addresses and for networks. */
const SETS_LOG2 = 15;
/** The two common buckets lie on cache lines of their own. */
const OVERALL_STRIDE_WORDS = 32;
/** At high rates a thread takes from the common bucket for several requests at a time: less to share, and less rounding. */
const OVERALL_STEP_RATE = 16_384;
const UNPROVEN_TAG = 0x5bd1e995;

export class RateLimits {
  readonly memory: RateLimitsMemory;
  readonly #addresses: BucketTable;
  readonly #networks: BucketTable;
  readonly #overall: Int32Array;
  readonly #hash: AddressHash;
  #addressSize: BucketSize | null = null;
  #networkSize: BucketSize | null = null;
  #overallSize: BucketSize | null = null;
  /** Requests that one step of the common bucket pays for, and what is left of it: unproven, proven. */
  #overallStep = 1;
  readonly #overallCredit = new Int32Array(2);
  #nowTicks = 0;
  #waitTicks = 0;

  private constructor(memory: RateLimitsMemory, hash: AddressHash) {
    this.memory = memory;
    this.#hash = hash;
    this.#addresses = BucketTable.attach(memory.addresses);
    this.#networks = BucketTable.attach(memory.networks);
    this.#overall = new Int32Array(memory.overall);
  }

  static create(key: Int32Array = AddressHash.createKey()): RateLimits {
    return RateLimits.attach({
      addresses: BucketTable.create(SETS_LOG2).buffer,
      networks: BucketTable.create(SETS_LOG2).buffer,
      overall: new SharedArrayBuffer(4 * 2 * OVERALL_STRIDE_WORDS),
      key,
    });
  }

  /** Uses the buckets that another thread made. It has no limits until it is told some. `hash` is under their key. */
  static attach(memory: RateLimitsMemory, hash: AddressHash = new AddressHash(memory.key)): RateLimits {
    return new RateLimits(memory, hash);
  }

  /** Takes over limits, for this thread. Buckets keep their times, which mean the same under any limit. */
  configure({ perAddress, perNetwork, overall }: RateSettings): void {
    this.#addressSize = perAddress && bucketSize(perAddress.perSecond, perAddress.burst);
    this.#networkSize = perNetwork && bucketSize(perNetwork.perSecond, perNetwork.burst);
    const perSecond = overall?.perSecond ?? 1;
    this.#overallStep = Math.ceil(perSecond / OVERALL_STEP_RATE);
    this.#overallSize =
      overall &&
      bucketSize(perSecond / this.#overallStep, Math.max(1, Math.floor(overall.burst / this.#overallStep)));
    this.#overallCredit.fill(0);
  }

  /** Whether there is any limit. */
  get isOn(): boolean {
    return this.#addressSize !== null || this.#networkSize !== null || this.#overallSize !== null;
  }

  /** How long the client that was refused last has to wait. */
  get waitSeconds(): number {
    return this.#waitTicks / TICKS_PER_SECOND;
  }

  /** Sets the time, in seconds on a clock that all threads share and nobody sets. The owner calls it once for each batch. */
  readClock(seconds: number): void {
    this.#nowTicks = (seconds * TICKS_PER_SECOND) | 0;
  }

  /** Counts a request, and says which limit it runs into. What one limit refuses is not counted by the next. */
  take(address: PeerAddress, isProven: boolean): RateLimit {
    const salt = isProven ? 0 : UNPROVEN_TAG;
    const isIpv4 = address.family === 4;
    const hash = this.#hash;
    const now = this.#nowTicks;
    hash.read(address);
    if (this.#addressSize !== null) {
      // An IPv4 address is its own tag; IPv6 addresses are told apart by their whole hash.
      const tag = isIpv4 ? address.words[0] : hash.address;
      this.#waitTicks = this.#addresses.take(hash.address, tag ^ salt, now, this.#addressSize);
      if (this.#waitTicks > 0) return RateLimit.address;
    }
    if (this.#networkSize !== null) {
      const tag = isIpv4 ? address.words[0] & IPV4_NETWORK_MASK : hash.network;
      this.#waitTicks = this.#networks.take(hash.network, tag ^ salt, now, this.#networkSize);
      if (this.#waitTicks > 0) return RateLimit.network;
    }
    if (this.#overallSize !== null) {
      this.#waitTicks = this.#takeOverall(isProven ? 1 : 0, this.#overallSize);
      if (this.#waitTicks > 0) return RateLimit.overall;
    }
    return RateLimit.none;
  }

  #takeOverall(lane: number, size: BucketSize): number {
    if (this.#overallCredit[lane] > 0) {
      this.#overallCredit[lane]--;
      return 0;
    }
    const waitTicks = takeToken(this.#overall, lane * OVERALL_STRIDE_WORDS, this.#nowTicks, size);
    if (waitTicks === 0) this.#overallCredit[lane] = this.#overallStep - 1;
    return waitTicks;
  }
}
