/** The samples of what network threads tally in blocks: requests by how they ended, how long they took, and the threads' own load. */
import { type CounterName, LATENCIES_AT, REFUSALS_AT, THREAD_LOAD_AT } from '../swarm/counters.ts';
import { LATENCY_KINDS, readLatency } from '../swarm/latencies.ts';
import {
  REASONS_OF,
  REFUSAL_REASONS,
  refusalPlace,
  REQUEST_KINDS,
  type RequestKindName,
  SIDES,
  type SideName,
} from '../swarm/refusals.ts';
import { readCollections, readDelays, THREAD_KINDS } from '../swarm/thread-load.ts';
import type { HistogramSample, Sample } from './instrument.ts';
import type { Readings } from './readings.ts';

const MICROS_PER_SECOND = 1_000_000;

/** The counter of requests that were served. */
const SERVED: Readonly<Record<SideName, Readonly<Partial<Record<RequestKindName, CounterName>>>>> = {
  udp4: {
    connect: 'udp4_connections_handled',
    announce: 'udp4_announces_handled',
    scrape: 'udp4_scrapes_handled',
  },
  udp6: {
    connect: 'udp6_connections_handled',
    announce: 'udp6_announces_handled',
    scrape: 'udp6_scrapes_handled',
  },
  http4: {
    announce: 'tcp4_announces_handled',
    scrape: 'tcp4_scrapes_handled',
    health_check: 'tcp4_health_checks',
  },
  http6: {
    announce: 'tcp6_announces_handled',
    scrape: 'tcp6_scrapes_handled',
    health_check: 'tcp6_health_checks',
  },
};

/** Requests by protocol, family, kind and outcome: `ok`, or the reason why a request was not served. */
export function requestSamples({ tally, counters }: Pick<Readings, 'tally' | 'counters'>): Sample[] {
  return SIDES.flatMap((side, sideIndex) =>
    REQUEST_KINDS.flatMap((kind, kindIndex) => {
      const [protocol, family] = protocolAndFamily(side);
      const sample = (outcome: string, value: number): Sample => ({
        labels: { protocol, family, kind, outcome },
        value,
      });
      const served = SERVED[side][kind];
      const refused = REASONS_OF[protocol][kind].map((reason) => {
        const place = refusalPlace(sideIndex, kindIndex, REFUSAL_REASONS.indexOf(reason));
        return sample(reason, tally[REFUSALS_AT + place]);
      });
      return served === undefined ? refused : [sample('ok', counters[served]), ...refused];
    }),
  );
}

/** Replies that were sent, by protocol and family. */
export function replySamples({ counters }: Readings): Sample[] {
  const of = (protocol: string, family: string, value: number): Sample => ({
    labels: { protocol, family },
    value,
  });
  return [
    of('udp', 'ipv4', counters.udp4_responses),
    of('udp', 'ipv6', counters.udp6_responses),
    of('http', 'ipv4', counters.tcp4_responses),
    of('http', 'ipv6', counters.tcp6_responses),
  ];
}

/** Durations by protocol and kind, in seconds. */
export function durationSamples({ tally }: Readings): HistogramSample[] {
  return LATENCY_KINDS.map((name, kind) => {
    const [protocol, what] = name.split('_');
    const { counts, sumMicros } = readLatency(tally, LATENCIES_AT, kind);
    return { labels: { protocol, kind: what }, counts, sum: sumMicros / MICROS_PER_SECOND };
  });
}

/** How long packets wait for network threads, by the kind of sockets, in seconds. */
export function delaySamples({ tally }: Readings): HistogramSample[] {
  return THREAD_KINDS.map((sockets, kind) => {
    const { counts, sumMicros } = readDelays(tally, THREAD_LOAD_AT, kind);
    return { labels: { sockets }, counts, sum: sumMicros / MICROS_PER_SECOND };
  });
}

/** How long garbage collections stopped network threads, in seconds. */
export function collectionSamples({ tally }: Readings): HistogramSample[] {
  const { counts, sumMicros } = readCollections(tally, THREAD_LOAD_AT);
  return [{ labels: {}, counts, sum: sumMicros / MICROS_PER_SECOND }];
}

function protocolAndFamily(side: SideName): ['udp' | 'http', 'ipv4' | 'ipv6'] {
  return [side.startsWith('udp') ? 'udp' : 'http', side.endsWith('4') ? 'ipv4' : 'ipv6'];
}
