/**
 * What the network threads count: a row of shared 64-bit floats for each thread, which only that thread writes, and
 * which the main thread sums. Names follow the fields of Torrust's `/api/v1/stats`.
 */

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
  'connection_id_expired',
  'connection_id_other_address',
  'connection_id_forged',
  'http_requests_banned',
  'requests_beyond_ip_limit',
  'requests_beyond_network_limit',
  'requests_beyond_overall_limit',
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
  'proxy_headers_refused',
] as const;
export type CounterName = (typeof COUNTERS)[number];

/** Places of the counters in a row. */
// `Object.fromEntries` forgets the names that it was given.
export const Counter = Object.fromEntries(COUNTERS.map((name, index) => [name, index])) as Record<
  CounterName,
  number
>;

/** Rows are this far apart, so that two threads never write the same cache line. */
const ROW_FLOATS = Math.ceil(COUNTERS.length / 8) * 8 + 8;

export class CounterRows {
  /** Shared memory: can be posted to a worker. */
  readonly buffer: SharedArrayBuffer;
  readonly #floats: Float64Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#floats = new Float64Array(buffer);
  }

  static create(rows: number): CounterRows {
    return new CounterRows(new SharedArrayBuffer(8 * ROW_FLOATS * rows));
  }

  static attach(buffer: SharedArrayBuffer): CounterRows {
    return new CounterRows(buffer);
  }

  /** The row of one thread, indexed by `Counter`. */
  row(index: number): Float64Array {
    return this.#floats.subarray(index * ROW_FLOATS, index * ROW_FLOATS + COUNTERS.length);
  }

  /** The sum over all threads of each counter. */
  sums(): Record<CounterName, number> {
    const sums = COUNTERS.map((_, place) => {
      let sum = 0;
      for (let at = place; at < this.#floats.length; at += ROW_FLOATS) sum += this.#floats[at];
      return sum;
    });
    // `Object.fromEntries` forgets the names that it was given.
    return Object.fromEntries(COUNTERS.map((name, index) => [name, sums[index]])) as Record<
      CounterName,
      number
    >;
  }
}
