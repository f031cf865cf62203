/**
 * How long requests take: for each kind a distribution in a block of each row of counters (`counters.ts`), whose places
 * are computed here. A network thread measures some of its requests, one in `UDP_SAMPLE_EVERY` or `HTTP_SAMPLE_EVERY`,
 * since two looks at the clock cost as much as a twentieth of a UDP announce. Both are odd, so that clients that send
 * two kinds of request in turns have both measured.
 *
 *   per kind: a count for each bound of `BOUNDS_MICROS`, one for all above the last; then the sum, in microseconds
 */

/** What is measured; the reply that is ready ends the time, before it is sent. */
export const LATENCY_KINDS = [
  'udp_connect',
  'udp_announce',
  'udp_scrape',
  'http_announce',
  'http_scrape',
] as const;
export const LatencyKind = {
  udpConnect: 0,
  udpAnnounce: 1,
  udpScrape: 2,
  httpAnnounce: 3,
  httpScrape: 4,
} as const;
export type LatencyKind = (typeof LatencyKind)[keyof typeof LatencyKind];

export const UDP_SAMPLE_EVERY = 61;
export const HTTP_SAMPLE_EVERY = 7;

/** Upper bounds of the buckets, each included. */
export const BOUNDS_MICROS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
  1_000_000,
] as const;

const COUNTS = BOUNDS_MICROS.length + 1;
/** The places of one kind. */
export const LATENCY_KIND_PLACES = COUNTS + 1;

/** The size of the block. */
export const LATENCY_PLACES = LATENCY_KINDS.length * LATENCY_KIND_PLACES;

/** A distribution, as it is read. */
export interface Latency {
  /** How many lay within each bound and above the one before; the last lay above all. */
  readonly counts: readonly number[];
  readonly sumMicros: number;
}

/** Takes one duration into the block at `blockAt` of a row. */
export function recordLatency(row: Float64Array, blockAt: number, kind: number, micros: number): void {
  const first = blockAt + kind * LATENCY_KIND_PLACES;
  let bucket = 0;
  while (bucket < BOUNDS_MICROS.length && micros > BOUNDS_MICROS[bucket]) bucket++;
  row[first + bucket]++;
  row[first + COUNTS] += micros;
}

/** Reads the distribution of a kind, an index of `LATENCY_KINDS`, from the block at `blockAt` of a row, or of a sum of rows. */
export function readLatency(row: Float64Array, blockAt: number, kind: number): Latency {
  const first = blockAt + kind * LATENCY_KIND_PLACES;
  return { counts: [...row.subarray(first, first + COUNTS)], sumMicros: row[first + COUNTS] };
}

/** The mean in nanoseconds; 0 when nothing was measured. */
export function meanNanos({ counts, sumMicros }: Latency): number {
  const count = counts.reduce((sum, each) => sum + each, 0);
  return count === 0 ? 0 : (sumMicros / count) * 1000;
}
