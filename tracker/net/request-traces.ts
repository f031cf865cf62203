/**
 * Requests that network threads offer to the traces. A thread makes no span itself: it writes what it knows of a request
 * into its ring (`trace-ring.ts`), and the main thread, where the SDK is (`telemetry/tracing.ts`), looks there ten times
 * a second. So a flood of requests becomes no flood of spans: what finds no room is counted and not traced.
 */
import { UDP_SAMPLE_EVERY } from '../swarm/latencies.ts';
import { createTraceRings, type RequestRecord, TraceRing } from './trace-ring.ts';

/** How requests are chosen, and where they go; can be posted to a worker. */
export interface RequestTraceSettings {
  /** One UDP request in so many; 0: none. */
  readonly udpEvery: number;
  /** The rings of the threads. */
  readonly rings: SharedArrayBuffer;
}

/** Settings with rings for so many threads. */
export function requestTraceSettings(udpEvery: number, threads: number): RequestTraceSettings {
  return { udpEvery, rings: createTraceRings(threads) };
}

export class RequestTraces {
  readonly #ring: TraceRing;
  /** One in so many of the UDP requests that are measured; 0: none. */
  readonly #measuredEvery: number;
  #untilTraced: number;

  constructor({ udpEvery, rings }: RequestTraceSettings, thread: number) {
    this.#ring = new TraceRing(rings, thread);
    this.#measuredEvery = Math.ceil(udpEvery / UDP_SAMPLE_EVERY);
    this.#untilTraced = this.#measuredEvery;
  }

  /** Whether the UDP request that was just measured is to be offered. */
  takesMeasured(): boolean {
    if (this.#measuredEvery === 0 || --this.#untilTraced > 0) return false;
    this.#untilTraced = this.#measuredEvery;
    return true;
  }

  /** Offers a request that began at `beganMillis` of this thread's `performance.now()` and ends now. */
  offer(request: Omit<RequestRecord, 'startMillis' | 'durationMillis'>, beganMillis: number): void {
    const durationMillis = performance.now() - beganMillis;
    this.#ring.write({ ...request, startMillis: performance.timeOrigin + beganMillis, durationMillis });
  }
}
