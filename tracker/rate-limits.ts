/**
 * How many requests one address, one network and all clients may make: token buckets in shared memory, asked by every
 * network thread for every request. `bucket-table.ts` has the buckets; here is who shares which.
 *
 * Each client has two buckets: one for requests that prove where they come from (a valid connection id, a TCP
 * connection), and one for those that don't. So nobody can use up the share of another by forging its address.
 */
import { randomBytes } from 'node:crypto';
import { BucketTable, type BucketSize, bucketSize, takeToken, TICKS_PER_SECOND } from './bucket-table.ts';
import type { PeerAddress } from './protocol/model.ts';
import { halfSipHash } from './swarm/half-sip-hash.ts';

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
  /** Key of the hashes, so that nobody outside can choose what collides: two words for places, two for tags. */
  readonly key: Int32Array;
}

/** 262,144 places in two megabytes, for addresses and for networks. */
const SETS_LOG2 = 15;
/** The two common buckets lie on cache lines of their own. */
const OVERALL_STRIDE_WORDS = 32;
/** At high rates a thread takes from the common bucket for several requests at a time: less to share, and less rounding. */
const OVERALL_STEP_RATE = 16_384;
const UNPROVEN_TAG = 0x5bd1e995;
/** The part of an IPv4 address's word that names its /24, whatever the byte order. */
const [IPV4_NETWORK_MASK] = new Int32Array(Uint8Array.of(255, 255, 255, 0).buffer);
const IPV6_NETWORK_WORDS = 2;

export class RateLimits {
  readonly memory: RateLimitsMemory;
  readonly #addresses: BucketTable;
  readonly #networks: BucketTable;
  readonly #overall: Int32Array;
  readonly #scratch = new Int32Array(1);
  #addressSize: BucketSize | null = null;
  #networkSize: BucketSize | null = null;
  #overallSize: BucketSize | null = null;
  /** Requests that one step of the common bucket pays for, and what is left of it: unproven, proven. */
  #overallStep = 1;
  readonly #overallCredit = new Int32Array(2);
  #nowTicks = 0;
  #waitTicks = 0;

  private constructor(memory: RateLimitsMemory) {
    this.memory = memory;
    this.#addresses = BucketTable.attach(memory.addresses);
    this.#networks = BucketTable.attach(memory.networks);
    this.#overall = new Int32Array(memory.overall);
  }

  static create(): RateLimits {
    return new RateLimits({
      addresses: BucketTable.create(SETS_LOG2).buffer,
      networks: BucketTable.create(SETS_LOG2).buffer,
      overall: new SharedArrayBuffer(4 * 2 * OVERALL_STRIDE_WORDS),
      key: new Int32Array(new Uint8Array(randomBytes(16)).buffer),
    });
  }

  /** Uses the buckets that another thread made. It has no limits until it is told some. */
  static attach(memory: RateLimitsMemory): RateLimits {
    return new RateLimits(memory);
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

  /** Sets the time, in seconds since 1970. The owner calls it once for each batch. */
  readClock(wallSeconds: number): void {
    this.#nowTicks = (wallSeconds * TICKS_PER_SECOND) | 0;
  }

  /** Counts a request, and says which limit it runs into. What one limit refuses is not counted by the next. */
  take(address: PeerAddress, isProven: boolean): RateLimit {
    const salt = isProven ? 0 : UNPROVEN_TAG;
    if (this.#addressSize !== null) {
      this.#waitTicks = this.#takeAddress(address, salt, this.#addressSize);
      if (this.#waitTicks > 0) return RateLimit.address;
    }
    if (this.#networkSize !== null) {
      this.#waitTicks = this.#takeNetwork(address, salt, this.#networkSize);
      if (this.#waitTicks > 0) return RateLimit.network;
    }
    if (this.#overallSize !== null) {
      this.#waitTicks = this.#takeOverall(isProven ? 1 : 0, this.#overallSize);
      if (this.#waitTicks > 0) return RateLimit.overall;
    }
    return RateLimit.none;
  }

  #takeAddress({ words, family }: PeerAddress, salt: number, size: BucketSize): number {
    const count = family === 4 ? 1 : 4;
    const tag = family === 4 ? words[0] : this.#tag(words, count);
    return this.#addresses.take(this.#hash(words, count), tag ^ salt, this.#nowTicks, size);
  }

  #takeNetwork({ words, family }: PeerAddress, salt: number, size: BucketSize): number {
    if (family === 4) {
      const scratch = this.#scratch;
      scratch[0] = words[0] & IPV4_NETWORK_MASK;
      return this.#networks.take(this.#hash(scratch, 1), scratch[0] ^ salt, this.#nowTicks, size);
    }
    const tag = this.#tag(words, IPV6_NETWORK_WORDS) ^ salt;
    return this.#networks.take(this.#hash(words, IPV6_NETWORK_WORDS), tag, this.#nowTicks, size);
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

  #hash(words: Int32Array, count: number): number {
    return halfSipHash(words, 0, count, this.memory.key[0], this.memory.key[1]);
  }

  /** What tells IPv6 addresses apart that share a place; an IPv4 address is its own tag. */
  #tag(words: Int32Array, count: number): number {
    return halfSipHash(words, 0, count, this.memory.key[2], this.memory.key[3]);
  }
}
