/** From the configuration to the settings of the gate. */
import { AddressClass, type ClassedRange } from '../address-ranges.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { DEFAULT_BURST_SECONDS } from '../config/tables/limits.ts';
import type { GateSettings } from '../gate.ts';
import type { Rate } from '../rate-limits.ts';

/** What every gate of this tracker is told. */
export function gateSettings(config: TrackerConfig): GateSettings {
  const { bans, limits, source_guard: guard } = config;
  const proxies = config.http_trackers.flatMap(({ network }) =>
    network.on_reverse_proxy ? network.trusted_proxies : [],
  );
  return {
    ranges: [
      ...classed(guard.cluster_ranges, AddressClass.cluster),
      ...classed(proxies, AddressClass.proxy),
      ...classed(config.proxy_protocol.trusted_proxies, AddressClass.proxyProtocol),
      ...classed(limits.exempt, AddressClass.exemptFromLimits),
      ...classed(bans.exempt, AddressClass.exemptFromBans),
      ...classed(guard.exempt, AddressClass.exemptFromSourceGuard),
    ],
    rates: {
      perAddress: rateOf(limits.per_ip),
      perNetwork: rateOf(limits.per_network),
      overall: rateOf(limits.overall),
    },
    isDryRun: limits.dry_run,
    exemptsPrivate: limits.exempt_private,
    maxConnections: limits.max_connections_per_ip,
    sourcePolicy: guard.policy,
  };
}

function classed(ranges: readonly string[], classes: number): ClassedRange[] {
  return ranges.map((range) => ({ range, classes }));
}

function rateOf(bucket: TrackerConfig['limits']['per_ip']): Rate | null {
  const { requests_per_second: perSecond, burst } = bucket;
  return perSecond === 0 ? null : { perSecond, burst: burst ?? perSecond * DEFAULT_BURST_SECONDS };
}
