/**
 * What the network threads count: rows of shared 64-bit floats, which only one thread writes each, and which the main
 * thread sums. A thread has a row of its own, for what belongs to no listener, and one for each listener. Names follow
 * the fields of Torrust's `/api/v1/stats`.
 *
 *   row: the counters below | requests that were not served (`refusals.ts`) | durations (`latencies.ts`) |
 *        who came (`turnover.ts`) | what the thread tells of itself (`thread-load.ts`), in its own row alone
 */
import { LATENCY_PLACES } from './latencies.ts';
import { REFUSAL_PLACES } from './refusals.ts';
import { readCpuSeconds, THREAD_LOAD_PLACES } from './thread-load.ts';
import { TURNOVER_PLACES } from './turnover.ts';

/** The counters, in the order of their places in a row. */
export const COUNTERS = [
  'tcp4_connections_handled',
  'tcp4_announces_handled',
  'tcp4_scrapes_handled',
  'tcp6_connections_handled',
  'tcp6_announces_handled',
  'tcp6_scrapes_handled',
  'tcp4_errors_handled',
  'tcp6_errors_handled',
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
  'udp_requests_discarded',
  'udp_requests_aborted',
  'udp_requests_banned',
  'completed_downloads',
  'kernel_drops',
  'tcp4_responses',
  'tcp6_responses',
  'tcp4_health_checks',
  'tcp6_health_checks',
  'connection_id_expired',
  'connection_id_other_address',
  'connection_id_forged',
  'http_requests_banned',
  'requests_beyond_ip_limit',
  'requests_beyond_network_limit',
  'requests_beyond_overall_limit',
  'connections_beyond_limit',
  'announces_beyond_swarm_limit',
  'announces_beyond_swarm_peer_limit',
  'announces_beyond_ip_peer_limit',
  'announces_from_cluster',
  'announces_from_proxy',
  'announces_from_loopback',
  'announces_from_private',
  'announces_from_shared',
  'announces_from_link_local',
  'announces_from_unique_local',
  'announces_refused_for_source',
  'announces_of_probes',
  'proxy_headers_refused',
] as const;
export type CounterName = (typeof COUNTERS)[number];

/** Places of the counters in a row. */
// `Object.fromEntries` forgets the names that it was given.
export const Counter = Object.fromEntries(COUNTERS.map((name, index) => [name, index])) as Record<
  CounterName,
  number
>;

/** Where the other blocks of a row begin. */
export const REFUSALS_AT = COUNTERS.length;
export const LATENCIES_AT = REFUSALS_AT + REFUSAL_PLACES;
export const TURNOVER_AT = LATENCIES_AT + LATENCY_PLACES;
export const THREAD_LOAD_AT = TURNOVER_AT + TURNOVER_PLACES;
const ROW_PLACES = THREAD_LOAD_AT + THREAD_LOAD_PLACES;

/** Rows are this far apart, so that two threads never write the same cache line. */
const ROW_FLOATS = Math.ceil(ROW_PLACES / 8) * 8 + 8;
/** Before the rows: how many listeners there are. */
const HEAD_FLOATS = 8;

export class CounterRows {
  /** Shared memory: can be posted to a worker. */
  readonly buffer: SharedArrayBuffer;
  readonly #floats: Float64Array;
  readonly #rowsPerThread: number;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#floats = new Float64Array(buffer);
    this.#rowsPerThread = this.#floats[0] + 1;
  }

  static create(threads: number, listeners = 0): CounterRows {
    const floats = HEAD_FLOATS + ROW_FLOATS * threads * (listeners + 1);
    const buffer = new SharedArrayBuffer(8 * floats);
    new Float64Array(buffer)[0] = listeners;
    return new CounterRows(buffer);
  }

  static attach(buffer: SharedArrayBuffer): CounterRows {
    return new CounterRows(buffer);
  }

  /** The row of a thread, or the one that it has for a listener. Counters are indexed by `Counter`. */
  row(thread: number, listener = -1): Float64Array {
    const at = HEAD_FLOATS + (thread * this.#rowsPerThread + 1 + listener) * ROW_FLOATS;
    return this.#floats.subarray(at, at + ROW_PLACES);
  }

  /** The CPU time in seconds of each of so many threads. */
  cpuSeconds(threads: number): number[] {
    return Array.from({ length: threads }, (_, index) => readCpuSeconds(this.row(index), THREAD_LOAD_AT));
  }

  /** The sum of all rows, place by place. */
  total(): Float64Array {
    return this.#add(0, 1);
  }

  /** The sum of the rows of one listener over all threads. */
  totalOf(listener: number): Float64Array {
    return this.#add(1 + listener, this.#rowsPerThread);
  }

  /** The sum over all rows of each counter. */
  sums(): Record<CounterName, number> {
    return countersOf(this.total());
  }

  #add(firstRow: number, step: number): Float64Array {
    const total = new Float64Array(ROW_PLACES);
    const floats = this.#floats;
    for (let at = HEAD_FLOATS + firstRow * ROW_FLOATS; at < floats.length; at += step * ROW_FLOATS) {
      for (let place = 0; place < ROW_PLACES; place++) total[place] += floats[at + place];
    }
    return total;
  }
}

/** The counters of a row, or of a sum of rows, by their names. */
export function countersOf(row: Float64Array): Record<CounterName, number> {
  // `Object.fromEntries` forgets the names that it was given.
  return Object.fromEntries(COUNTERS.map((name, place) => [name, row[place]])) as Record<CounterName, number>;
}
