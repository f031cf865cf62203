/**
 * Says in the log when announces come from addresses that other clients can hardly reach: once for each kind of them,
 * because where a proxy or a NAT hides the clients, it does so for all. Network threads only count (`gate.ts`).
 */
import type { SourcePolicy } from '../gate.ts';
import type { CounterName, CounterRows } from '../swarm/counters.ts';
import type { Logger } from '../telemetry/log.ts';

const LOOK_MILLIS = 5_000;

const KINDS: Partial<Record<CounterName, string>> = {
  announces_from_cluster: 'the ranges of source_guard.cluster_ranges',
  announces_from_proxy: 'trusted proxies themselves',
  announces_from_loopback: 'loopback addresses',
  announces_from_private: 'private addresses (RFC 1918)',
  announces_from_shared: 'shared addresses (RFC 6598)',
  announces_from_link_local: 'link-local addresses',
  announces_from_unique_local: 'unique local addresses (RFC 4193)',
};

export class SourceWatch {
  readonly #counters: CounterRows;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #told = new Set<string>();
  #policy: SourcePolicy;

  /** Begins to look. */
  constructor(counters: CounterRows, logger: Logger, policy: SourcePolicy, lookMillis = LOOK_MILLIS) {
    this.#counters = counters;
    this.#logger = logger;
    this.#policy = policy;
    this.#timer = setInterval(() => this.#look(), lookMillis).unref();
  }

  /** Takes over a changed policy. */
  update(policy: SourcePolicy): void {
    this.#policy = policy;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (this.#policy === 'accept') return;
    const counts = this.#counters.sums();
    for (const [name, kind] of Object.entries(KINDS)) {
      // The keys of the table above are names of counters.
      if (counts[name as CounterName] === 0 || this.#told.has(name)) continue;
      this.#told.add(name);
      const fate = this.#policy === 'refuse' ? ' and are refused' : '';
      this.#logger.warn(
        `Announces come from ${kind}${fate}: other clients can hardly reach such peers. Something between the clients and the tracker may hide their addresses; docs/abuse-control.md tells more`,
      );
    }
  }
}
