/**
 * Who may come in: every network thread asks here for each request whether its address is banned or asks too much, and
 * for each announce whether its address can be that of a client at all. One object per network thread; with everything
 * off, a question costs a branch, and nothing here allocates.
 *
 * Bans and buckets are in shared memory. Settings are plain values, which the main thread sends to each thread anew when
 * they change.
 */
import { AddressHash } from './address-hash.ts';
import {
  AddressClass,
  AddressRanges,
  CLASS_BITS,
  type ClassedRange,
  LOCAL_CLASSES,
} from './address-ranges.ts';
import { AddressBans, type AddressBansMemory } from './address-bans.ts';
import { BanReason } from './ban-table.ts';
import { ConnectionCounts } from './connection-counts.ts';
import type { Policy } from './policy.ts';
import { AnnounceRequest, type PeerAddress } from './protocol/model.ts';
import { isProbeInfoHash } from './protocol/probe-hash.ts';
import { RateLimit, RateLimits, type RateLimitsMemory, type RateSettings } from './rate-limits.ts';
import { Counter } from './swarm/counters.ts';
import { SwarmLimit } from './swarm/swarm-limits.ts';

/** What is done with announces from addresses that others can hardly reach. */
export type SourcePolicy = 'accept' | 'flag' | 'refuse';

/** What the configuration says; can be posted to a worker. */
export interface GateSettings {
  /** The ranges that the configuration lists, by what they are listed for. */
  readonly ranges: readonly ClassedRange[];
  readonly rates: RateSettings;
  /** Requests beyond a rate are counted and served. */
  readonly isDryRun: boolean;
  readonly exemptsPrivate: boolean;
  /** The most HTTP connections that one IPv4 address or one /64 of IPv6 may hold open; 0: no limit. */
  readonly maxConnections: number;
  readonly sourcePolicy: SourcePolicy;
}

/** What another thread needs: can be posted to a worker. Bans and limits hash addresses under one key. */
export interface GateMemory {
  readonly bans: AddressBansMemory;
  readonly limits: RateLimitsMemory;
  readonly connections: SharedArrayBuffer;
}

/** Behind these may be a proxy, or a whole cluster. */
const NEVER_BANNED =
  LOCAL_CLASSES |
  AddressClass.cluster |
  AddressClass.proxy |
  AddressClass.proxyProtocol |
  AddressClass.exemptFromBans;
const NEVER_LIMITED =
  AddressClass.cluster | AddressClass.proxy | AddressClass.proxyProtocol | AddressClass.exemptFromLimits;

/** The counter of each class of addresses that an announce should not come from; the first that fits counts. */
const SOURCE_COUNTERS: readonly (readonly [number, number])[] = [
  [AddressClass.cluster, Counter.announces_from_cluster],
  [AddressClass.proxy | AddressClass.proxyProtocol, Counter.announces_from_proxy],
  [AddressClass.loopback, Counter.announces_from_loopback],
  [AddressClass.private, Counter.announces_from_private],
  [AddressClass.shared, Counter.announces_from_shared],
  [AddressClass.linkLocal, Counter.announces_from_link_local],
  [AddressClass.uniqueLocal, Counter.announces_from_unique_local],
];
/** The same for each combination of classes; 0 where announces may come from there. */
const SOURCE_COUNTER_OF = Uint8Array.from({ length: 2 ** CLASS_BITS }, (_, classes) =>
  (classes & AddressClass.exemptFromSourceGuard) === 0
    ? (SOURCE_COUNTERS.find(([bits]) => (classes & bits) !== 0)?.[1] ?? 0)
    : 0,
);
const LIMIT_COUNTERS: Readonly<Record<RateLimit, number>> = {
  [RateLimit.none]: -1,
  [RateLimit.address]: Counter.requests_beyond_ip_limit,
  [RateLimit.network]: Counter.requests_beyond_network_limit,
  [RateLimit.overall]: Counter.requests_beyond_overall_limit,
};

/** Whether an address may be banned at all. */
export function isBannable(ranges: AddressRanges, address: PeerAddress): boolean {
  return (ranges.classesOf(address) & NEVER_BANNED) === 0;
}

/** Whether there is anyone in a network (its length in bits, a multiple of eight) who may be banned at all. */
export function isBannableNetwork(ranges: AddressRanges, address: PeerAddress, prefixBits: number): boolean {
  return !ranges.coverNetwork(address, prefixBits / 8, NEVER_BANNED);
}

export class Gate {
  readonly #bans: AddressBans;
  readonly #limits: RateLimits;
  readonly #connections: ConnectionCounts;
  readonly #hash: AddressHash;
  readonly #policy: Policy;
  readonly #counters: Float64Array;
  #ranges = new AddressRanges([]);
  #isLimiting = false;
  #isDryRun = false;
  #maxConnections = 0;
  #neverLimited: number = NEVER_LIMITED;
  #refusesSources = false;
  #wallSeconds = 0;

  /** `counters`: the thread's row. */
  constructor(memory: GateMemory, settings: GateSettings, policy: Policy, counters: Float64Array) {
    const hash = new AddressHash(memory.limits.key);
    this.#hash = hash;
    this.#bans = AddressBans.attach(memory.bans, hash);
    this.#limits = RateLimits.attach(memory.limits, hash);
    this.#connections = ConnectionCounts.attach(memory.connections);
    this.#policy = policy;
    this.#counters = counters;
    this.update(settings);
  }

  /** Makes the memory that the gates of all threads share. */
  static createMemory(): GateMemory {
    const key = AddressHash.createKey();
    return {
      bans: AddressBans.create(key).memory,
      limits: RateLimits.create(key).memory,
      connections: ConnectionCounts.createMemory(),
    };
  }

  /** Takes over changed settings. */
  update(settings: GateSettings): void {
    this.#ranges = new AddressRanges(settings.ranges);
    this.#limits.configure(settings.rates);
    this.#isLimiting = this.#limits.isOn;
    this.#isDryRun = settings.isDryRun;
    this.#maxConnections = settings.maxConnections;
    this.#neverLimited = NEVER_LIMITED | (settings.exemptsPrivate ? LOCAL_CLASSES : 0);
    this.#refusesSources = settings.sourcePolicy === 'refuse';
  }

  /**
   * Sets the time by which bans end, in seconds since 1970, and looks at the clock by which rates are measured. The owner
   * calls it once for each batch of requests.
   */
  readClock(wallSeconds: number): void {
    this.#wallSeconds = wallSeconds;
    if (!this.#isLimiting) return;
    // Not by the wall: set back by a second, that would take a second's worth from every bucket. And not
    // `performance.now()`, whose zero each thread has for itself.
    const [seconds, nanoseconds] = process.hrtime();
    this.#limits.readClock(seconds + nanoseconds / 1e9);
  }

  /** Whether a datagram from an address is ignored. */
  ignores(source: PeerAddress): boolean {
    return this.#banReason(source) !== BanReason.none;
  }

  /** Whether an address was banned by hand: wrong connection ids, which anyone can send for anyone, count for UDP only. */
  isBannedByHand(source: PeerAddress): boolean {
    return this.#banReason(source) === BanReason.byHand;
  }

  /** Counts a wrong connection id, which may lead to a ban. */
  countWrongId(source: PeerAddress): void {
    if (!isBannable(this.#ranges, source)) return;
    this.#bans.countError(source, this.#policy.maxConnectionIdErrors, Math.floor(this.#wallSeconds));
  }

  /** Counts a request, and says whether it is within the limits. `isProven`: it shows that it comes from `source`. */
  admits(source: PeerAddress, isProven: boolean): boolean {
    if (!this.#isLimiting) return true;
    if ((this.#ranges.classesOf(source) & this.#neverLimited) !== 0) return true;
    const limit = this.#limits.take(source, isProven);
    if (limit === RateLimit.none) return true;
    this.#counters[LIMIT_COUNTERS[limit]]++;
    return this.#isDryRun;
  }

  /** Whether connections are counted at all. */
  get limitsConnections(): boolean {
    return this.#maxConnections > 0;
  }

  /**
   * Counts a connection that is held open. Returns null when its address holds too many, else what `releaseConnection` is
   * to be given at its end.
   */
  admitConnection(source: PeerAddress): number | null {
    if (this.#maxConnections === 0 || (this.#ranges.classesOf(source) & this.#neverLimited) !== 0) return 0;
    this.#hash.read(source);
    // A customer has a whole /64 of IPv6, and could have a connection from each of its addresses.
    const hash = (source.family === 4 ? this.#hash.address : this.#hash.network) || 1;
    if (this.#connections.enter(hash) < this.#maxConnections) return hash;
    this.#counters[Counter.connections_beyond_limit]++;
    if (this.#isDryRun) return hash;
    this.#connections.leave(hash);
    return null;
  }

  /** Counts the end of a connection. */
  releaseConnection(held: number): void {
    if (held !== 0) this.#connections.leave(held);
  }

  /** Counts an announce that ran into limits of the store (bits of `SwarmLimit`). */
  countBeyond(bits: number): void {
    const counters = this.#counters;
    if ((bits & SwarmLimit.swarms) !== 0) counters[Counter.announces_beyond_swarm_limit]++;
    if ((bits & SwarmLimit.peersPerSwarm) !== 0) counters[Counter.announces_beyond_swarm_peer_limit]++;
    if ((bits & SwarmLimit.peersPerAddress) !== 0) counters[Counter.announces_beyond_ip_peer_limit]++;
  }

  /** Whether an address is that of a load balancer, which has to say by a PROXY protocol header for whom it speaks. */
  speaksForOthers(source: PeerAddress): boolean {
    return (this.#ranges.classesOf(source) & AddressClass.proxyProtocol) !== 0;
  }

  /** How long the client that was not admitted last has to wait, in whole minutes (BEP 31). */
  get retryMinutes(): number {
    return Math.max(1, Math.ceil(this.#limits.waitSeconds / 60));
  }

  /**
   * Counts an announce that would store `address`, where others can hardly reach it; says whether it may be stored. Probes,
   * which are never stored, may come from anywhere; those from such addresses are counted apart.
   */
  acceptsSource(address: PeerAddress, request: AnnounceRequest): boolean {
    const classes = this.#ranges.classesOf(address);
    if (classes === 0) return true;
    if (!isProbeInfoHash(request.words, AnnounceRequest.INFO_HASH_WORD)) return this.#judgeSource(classes);
    this.#counters[Counter.announces_of_probes]++;
    return true;
  }

  /** A ban of a network is none of those in it that are never banned. */
  #banReason(source: PeerAddress): BanReason {
    const reason = this.#bans.table.reasonOf(source, this.#wallSeconds);
    return reason !== BanReason.none && isBannable(this.#ranges, source) ? reason : BanReason.none;
  }

  #judgeSource(classes: number): boolean {
    const counter = SOURCE_COUNTER_OF[classes];
    if (counter === 0) return true;
    this.#counters[counter]++;
    if (!this.#refusesSources) return true;
    this.#counters[Counter.announces_refused_for_source]++;
    return false;
  }
}
