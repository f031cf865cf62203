/**
 * The statistics of `/api/v1/stats`: the fields of Torrust Tracker 3.0.0 and of its successors in the order of the latter, so that
 * clients of both read them.
 */
import { countersOf, LATENCIES_AT } from '../swarm/counters.ts';
import { LatencyKind, meanNanos, readLatency } from '../swarm/latencies.ts';
import type { ApiContext } from './context.ts';

/** The fields, in their order. */
export const STAT_NAMES = [
  'torrents',
  'seeders',
  'completed',
  'completed_in_session',
  'completed_persisted',
  'completed_persisted_enabled',
  'leechers',
  'tcp4_connections_handled',
  'tcp4_announces_handled',
  'tcp4_scrapes_handled',
  'tcp6_connections_handled',
  'tcp6_announces_handled',
  'tcp6_scrapes_handled',
  'udp_requests_discarded',
  'udp_requests_aborted',
  'udp_requests_banned',
  'udp_banned_ips_total',
  'udp_avg_connect_processing_time_ns',
  'udp_avg_announce_processing_time_ns',
  'udp_avg_scrape_processing_time_ns',
  'udp4_requests',
  'udp4_connections_handled',
  'udp4_announces_handled',
  'udp4_scrapes_handled',
  'udp4_responses',
  'udp4_errors_handled',
  'udp6_requests',
  'udp6_connections_handled',
  'udp6_announces_handled',
  'udp6_scrapes_handled',
  'udp6_responses',
  'udp6_errors_handled',
] as const;
export type StatName = (typeof STAT_NAMES)[number];

/** The statistics of this moment. */
export function readStats(context: ApiContext): Record<StatName, number | boolean> {
  const { store, counters, policy } = context;
  const totals = store.totals();
  const tally = counters.total();
  const counts = countersOf(tally);
  const meanOf = (kind: LatencyKind) => Math.round(meanNanos(readLatency(tally, LATENCIES_AT, kind)));
  const { completedInSession, completedPersisted, bannedIps } = context.figures();
  return {
    torrents: totals.torrents,
    seeders: totals.seeders,
    completed: totals.completed,
    completed_in_session: completedInSession,
    completed_persisted: completedPersisted,
    completed_persisted_enabled: policy.persistsCompleted,
    leechers: totals.leechers,
    tcp4_connections_handled: counts.tcp4_connections_handled,
    tcp4_announces_handled: counts.tcp4_announces_handled,
    tcp4_scrapes_handled: counts.tcp4_scrapes_handled,
    tcp6_connections_handled: counts.tcp6_connections_handled,
    tcp6_announces_handled: counts.tcp6_announces_handled,
    tcp6_scrapes_handled: counts.tcp6_scrapes_handled,
    udp_requests_discarded: counts.udp_requests_discarded,
    udp_requests_aborted: counts.udp_requests_aborted,
    udp_requests_banned: counts.udp_requests_banned,
    udp_banned_ips_total: bannedIps,
    udp_avg_connect_processing_time_ns: meanOf(LatencyKind.udpConnect),
    udp_avg_announce_processing_time_ns: meanOf(LatencyKind.udpAnnounce),
    udp_avg_scrape_processing_time_ns: meanOf(LatencyKind.udpScrape),
    udp4_requests: counts.udp4_requests,
    udp4_connections_handled: counts.udp4_connections_handled,
    udp4_announces_handled: counts.udp4_announces_handled,
    udp4_scrapes_handled: counts.udp4_scrapes_handled,
    udp4_responses: counts.udp4_responses,
    udp4_errors_handled: counts.udp4_errors_handled,
    udp6_requests: counts.udp6_requests,
    udp6_connections_handled: counts.udp6_connections_handled,
    udp6_announces_handled: counts.udp6_announces_handled,
    udp6_scrapes_handled: counts.udp6_scrapes_handled,
    udp6_responses: counts.udp6_responses,
    udp6_errors_handled: counts.udp6_errors_handled,
  };
}
