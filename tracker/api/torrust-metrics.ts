/**
 * The metrics of Torrust Tracker's successors of 3.0.0, under their names and labels, so that dashboards and scripts made
 * for those go on. Our own metrics, of which there are more, are served to Prometheus (`docs/metrics.md`).
 *
 * A metric without samples is one that those versions have and that nothing here counts: peers and torrents that have
 * become inactive, since expiry removes them and keeps no list of them; peers that began anew, which no announce tells
 * apart from a second client; and different peers, which those versions declare and do not count either.
 */
import { countersOf, type CounterName, LATENCIES_AT, REFUSALS_AT } from '../swarm/counters.ts';
import { LATENCY_KINDS, meanNanos, readLatency } from '../swarm/latencies.ts';
import { REFUSAL_REASONS, refusalPlace, REQUEST_KINDS } from '../swarm/refusals.ts';
import type { ApiContext, ListenerTally } from './context.ts';
import type { SwarmTurnoverCounts } from './swarm-turnover.ts';

type Labels = Readonly<Record<string, string>>;
type Counts = Readonly<Record<CounterName, number>>;

export interface TorrustSample {
  readonly labels: Labels;
  readonly value: number;
}

export interface TorrustMetric {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly unit: 'count' | 'nanoseconds';
  readonly description: string;
  readonly samples: readonly TorrustSample[];
}

const UDP_KINDS = ['connect', 'announce', 'scrape'] as const;
const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];

/** Every metric at this moment, in the order of their groups. */
export function torrustMetrics(context: ApiContext, turnover: SwarmTurnoverCounts): TorrustMetric[] {
  const listeners = context.listeners();
  const udp = listeners.filter(({ protocol }) => protocol === 'udp');
  const http = listeners.filter(({ protocol }) => protocol !== 'udp');
  return [...swarmMetrics(context, turnover), ...httpMetrics(http), ...udpMetrics(udp, context)];
}

function swarmMetrics(
  { store, policy, ...context }: ApiContext,
  turnover: SwarmTurnoverCounts,
): TorrustMetric[] {
  const { torrents, seeders, leechers } = store.totals();
  const { completedInSession, completedPersisted } = context.figures();
  const registry = (
    type: TorrustMetric['type'],
    name: string,
    description: string,
    samples: readonly TorrustSample[] = [],
  ) => metric(type, `swarm_coordination_registry_${name}`, description, samples);
  return [
    registry('counter', 'torrents_added_total', 'Torrents that came.', one(turnover.torrentsAdded)),
    registry('counter', 'torrents_removed_total', 'Torrents that went.', one(turnover.torrentsRemoved)),
    registry('gauge', 'torrents_total', 'Torrents in memory.', one(torrents)),
    registry('counter', 'torrents_downloads_total', 'Downloads completed since the start.', [
      { labels: { peer_role: 'seeder' }, value: completedInSession },
    ]),
    registry('gauge', 'torrents_inactive_total', 'Torrents without active peers.'),
    registry('counter', 'peers_added_total', 'Peers that came.', one(turnover.peersAdded)),
    registry('counter', 'peers_removed_total', 'Peers that went.', one(turnover.peersRemoved)),
    registry(
      'counter',
      'peers_updated_total',
      'Announces of peers that were there.',
      one(turnover.peersUpdated),
    ),
    registry('gauge', 'peer_connections_total', 'Peers over all torrents.', [
      { labels: { peer_role: 'seeder' }, value: seeders },
      { labels: { peer_role: 'leecher' }, value: leechers },
    ]),
    registry('gauge', 'unique_peers_total', 'Different peers.'),
    registry('gauge', 'peers_inactive_total', 'Peers that have been silent for too long.'),
    registry('counter', 'peers_completed_state_reverted_total', 'Peers that had completed and began anew.'),
    metric(
      'counter',
      'tracker_core_persistent_torrents_downloads_total',
      'Downloads completed over all time when the database keeps them, else since the start.',
      one(policy.persistsCompleted ? completedPersisted : completedInSession),
    ),
  ];
}

function httpMetrics(listeners: readonly ListenerTally[]): TorrustMetric[] {
  const samples = eachFamily(listeners, (counts, family, labels) => [
    { labels: { ...labels, request_kind: 'announce' }, value: counts[`tcp${family}_announces_handled`] },
    { labels: { ...labels, request_kind: 'scrape' }, value: counts[`tcp${family}_scrapes_handled`] },
  ]);
  return [
    metric(
      'counter',
      'http_tracker_core_requests_received_total',
      'HTTP requests that were served.',
      samples,
    ),
  ];
}

function udpMetrics(listeners: readonly ListenerTally[], context: ApiContext): TorrustMetric[] {
  const served = eachFamily(listeners, (counts, family, labels) =>
    UDP_KINDS.map((kind) => ({
      labels: { ...labels, request_kind: kind },
      value: servedOver(counts, family, kind),
    })),
  );
  const server = (
    type: TorrustMetric['type'],
    name: string,
    description: string,
    samples: readonly TorrustSample[],
    unit?: TorrustMetric['unit'],
  ) => metric(type, `udp_tracker_server_${name}`, description, samples, unit);
  const ofBinding = (counter: CounterName) =>
    listeners.map((listener) => ({
      labels: bindingLabels(listener),
      value: countersOf(listener.tally)[counter],
    }));
  const all = context.counters.sums();
  return [
    metric('counter', 'udp_tracker_core_requests_received_total', 'UDP requests that were served.', served),
    server('counter', 'requests_aborted_total', 'UDP requests given up.', ofBinding('udp_requests_aborted')),
    server(
      'counter',
      'requests_banned_total',
      'UDP requests of banned addresses.',
      ofBinding('udp_requests_banned'),
    ),
    server('gauge', 'ips_banned_total', 'Addresses that are banned.', one(context.figures().bannedIps)),
    server(
      'counter',
      'connection_id_errors_total',
      'UDP requests with a wrong connection id.',
      one(all.connection_id_expired + all.connection_id_other_address + all.connection_id_forged),
    ),
    server(
      'counter',
      'requests_received_total',
      'UDP requests received.',
      eachFamily(listeners, (counts, family, labels) => [{ labels, value: counts[`udp${family}_requests`] }]),
    ),
    server(
      'counter',
      'requests_accepted_total',
      'UDP requests that were well-formed.',
      eachFamily(listeners, (counts, family, labels, tally) =>
        UDP_KINDS.map((kind) => ({
          labels: { ...labels, request_kind: kind },
          value: servedOver(counts, family, kind) + refusedOver(tally, family, kind),
        })),
      ),
    ),
    server(
      'counter',
      'responses_sent_total',
      'UDP replies.',
      eachFamily(listeners, (counts, family, labels) => [
        ...UDP_KINDS.map((kind) => ({
          labels: { ...labels, request_kind: kind, result: 'ok' },
          value: servedOver(counts, family, kind),
        })),
        { labels: { ...labels, result: 'error' }, value: counts[`udp${family}_errors_handled`] },
      ]),
    ),
    server(
      'counter',
      'errors_total',
      'UDP requests that were answered with an error.',
      eachFamily(listeners, (counts, family, labels) => [
        { labels, value: counts[`udp${family}_errors_handled`] },
      ]),
    ),
    server(
      'gauge',
      'performance_avg_processing_time_ns',
      'The mean time that a UDP request takes.',
      eachDuration(listeners, (latency) => meanNanos(latency)),
      'nanoseconds',
    ),
    server(
      'counter',
      'performance_avg_processed_requests_total',
      'UDP requests in that mean.',
      eachDuration(listeners, ({ counts }) => counts.reduce((sum, count) => sum + count, 0)),
    ),
  ];
}

function servedOver(counts: Counts, family: Family, kind: (typeof UDP_KINDS)[number]): number {
  const names = { connect: 'connections', announce: 'announces', scrape: 'scrapes' } as const;
  return counts[`udp${family}_${names[kind]}_handled`];
}

/** Well-formed requests of a kind that were not served. */
function refusedOver(tally: Float64Array, family: Family, kind: (typeof UDP_KINDS)[number]): number {
  const side = family === 4 ? 0 : 1;
  return REFUSAL_REASONS.reduce((sum, reason, index) => {
    const place = REFUSALS_AT + refusalPlace(side, REQUEST_KINDS.indexOf(kind), index);
    return reason === 'malformed' ? sum : sum + tally[place];
  }, 0);
}

/** Samples for each listener and each family of clients that it can have. */
function eachFamily(
  listeners: readonly ListenerTally[],
  make: (counts: Counts, family: Family, labels: Labels, tally: Float64Array) => TorrustSample[],
): TorrustSample[] {
  return listeners.flatMap((listener) => {
    const counts = countersOf(listener.tally);
    return FAMILIES.filter((family) => family === 4 || listener.family === 6).flatMap((family) => {
      const labels = { ...clientLabels(listener, family), ...bindingLabels(listener) };
      return make(counts, family, labels, listener.tally);
    });
  });
}

function eachDuration(
  listeners: readonly ListenerTally[],
  measure: (latency: ReturnType<typeof readLatency>) => number,
): TorrustSample[] {
  return listeners.flatMap((listener) =>
    UDP_KINDS.map((kind) => ({
      labels: { ...bindingLabels(listener), request_kind: kind },
      value: measure(readLatency(listener.tally, LATENCIES_AT, LATENCY_KINDS.indexOf(`udp_${kind}`))),
    })),
  );
}

/** A client of IPv4 at a socket of IPv6 has an address of IPv6 that stands for its own. */
function clientLabels(listener: ListenerTally, family: Family): Labels {
  const isMapped = family === 4 && listener.family === 6;
  return {
    client_address_ip_family: listener.family === 6 ? 'inet6' : 'inet',
    client_address_ip_type: isMapped ? 'v4_mapped_v6' : 'plain',
  };
}

function bindingLabels({ protocol, host, port, family }: ListenerTally): Labels {
  return {
    server_binding_address_ip_family: family === 6 ? 'inet6' : 'inet',
    server_binding_address_ip_type: 'plain',
    server_binding_ip: host,
    server_binding_port: String(port),
    server_binding_protocol: protocol,
  };
}

function metric(
  type: TorrustMetric['type'],
  name: string,
  description: string,
  samples: readonly TorrustSample[],
  unit: TorrustMetric['unit'] = 'count',
): TorrustMetric {
  return { type, name, unit, description, samples };
}

function one(value: number): TorrustSample[] {
  return [{ labels: {}, value }];
}
