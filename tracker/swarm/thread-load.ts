/**
 * What each network thread tells of itself, in a block of its own row of counters (`counters.ts`): the CPU time that it
 * took, how long what comes has to wait for it, and how long garbage collections stopped it. A thread with native sockets
 * tells how long it was busy with what one look at them found; one with portable sockets, whose looks are Node's, how
 * late a timer came.
 *
 *   0 CPU time in microseconds   1.. a distribution as those of `latencies.ts` for each kind of sockets, then one of
 *   garbage collections
 */
import { GCProfiler } from 'node:v8';
import { type Latency, LATENCY_KIND_PLACES, readLatency, recordLatency } from './latencies.ts';

/** The kinds of sockets, in the order of their distributions. */
export const THREAD_KINDS = ['native', 'portable'] as const;

const CPU_MICROS = 0;
const DELAYS = 1;

/** One look in so many is measured, as a look at the clock costs something. */
export const BATCH_SAMPLE_EVERY = 61;

const COLLECTIONS = DELAYS + THREAD_KINDS.length * LATENCY_KIND_PLACES;

/** The size of the block. */
export const THREAD_LOAD_PLACES = COLLECTIONS + LATENCY_KIND_PLACES;

/** Writes into the block at `blockAt` of a thread's own row. */
export class ThreadLoad {
  readonly #row: Float64Array;
  readonly #blockAt: number;
  /** An observer of performance would want Node's event loop, which a thread with native sockets never comes back to. */
  readonly #profiler = new GCProfiler();

  constructor(row: Float64Array, blockAt: number) {
    this.#row = row;
    this.#blockAt = blockAt;
    this.#profiler.start();
  }

  /** Notes the CPU time that this thread took so far. */
  noteCpu(): void {
    const { user, system } = process.threadCpuUsage();
    this.#row[this.#blockAt + CPU_MICROS] = user + system;
  }

  /** Takes the garbage collections of this thread since the last call, which costs five microseconds when there was none. */
  noteCollections(): void {
    const { statistics } = this.#profiler.stop();
    this.#profiler.start();
    for (const { cost } of statistics) recordLatency(this.#row, this.#blockAt + COLLECTIONS, 0, cost);
  }

  /** Takes how long the thread was busy, or how late its timer came. */
  noteDelay(kind: (typeof THREAD_KINDS)[number], millis: number): void {
    recordLatency(this.#row, this.#blockAt + DELAYS, kind === 'native' ? 0 : 1, millis * 1000);
  }
}

/** The CPU time of a thread, from its own row. */
export function readCpuSeconds(row: Float64Array, blockAt: number): number {
  return row[blockAt + CPU_MICROS] / 1_000_000;
}

/** The distribution of a kind, an index of `THREAD_KINDS`, of a row or of a sum of rows. */
export function readDelays(row: Float64Array, blockAt: number, kind: number): Latency {
  return readLatency(row, blockAt + DELAYS, kind);
}

/** The distribution of garbage collections, of a row or of a sum of rows. */
export function readCollections(row: Float64Array, blockAt: number): Latency {
  return readLatency(row, blockAt + COLLECTIONS, 0);
}
