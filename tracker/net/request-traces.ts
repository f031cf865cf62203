/**
 * Requests that network threads offer to the traces. A thread makes no span itself: it posts what it knows of a request
 * to the main thread, where the SDK is (`telemetry/tracing.ts`). It posts a bounded number a second, so that a flood
 * of requests becomes no flood of messages; what is beyond is not traced.
 */
import type { RefusalReasonName, RequestKindName } from '../swarm/refusals.ts';
import { UDP_SAMPLE_EVERY } from '../swarm/latencies.ts';
import type { AddressFamily } from '../protocol/model.ts';

/** How requests are chosen; can be posted to a worker. */
export interface RequestTraceSettings {
  /** One UDP request in so many; 0: none. */
  readonly udpEvery: number;
}

/** A request that was answered. No address and nothing that a client sent, but for `traceparent`. */
export interface TracedRequest {
  readonly protocol: 'udp' | 'http';
  readonly kind: RequestKindName;
  readonly family: AddressFamily;
  readonly outcome: 'ok' | RefusalReasonName;
  /** Milliseconds since 1970, with fraction. */
  readonly startMillis: number;
  readonly durationMillis: number;
  /** The trace that the client's request belongs to (W3C Trace Context); `''` for none. */
  readonly traceparent: string;
}

const WINDOW_MILLIS = 100;
const MAX_PER_WINDOW = 100;

export class RequestTraces {
  readonly #post: (request: TracedRequest) => void;
  /** One in so many of the UDP requests that are measured; 0: none. */
  readonly #measuredEvery: number;
  #untilTraced: number;
  #windowEndMillis = 0;
  #left = 0;

  constructor({ udpEvery }: RequestTraceSettings, post: (request: TracedRequest) => void) {
    this.#post = post;
    this.#measuredEvery = Math.ceil(udpEvery / UDP_SAMPLE_EVERY);
    this.#untilTraced = this.#measuredEvery;
  }

  /** Whether the UDP request that was just measured is to be offered. */
  takesMeasured(): boolean {
    if (this.#measuredEvery === 0 || --this.#untilTraced > 0) return false;
    this.#untilTraced = this.#measuredEvery;
    return true;
  }

  /** Offers a request that began at `beganMillis` of this thread's `performance.now()`. */
  offer(request: Omit<TracedRequest, 'startMillis' | 'durationMillis'>, beganMillis: number): void {
    const nowMillis = performance.now();
    if (nowMillis >= this.#windowEndMillis) {
      this.#windowEndMillis = nowMillis + WINDOW_MILLIS;
      this.#left = MAX_PER_WINDOW;
    }
    if (this.#left === 0) return;
    this.#left--;
    const startMillis = performance.timeOrigin + beganMillis;
    this.#post({ ...request, startMillis, durationMillis: nowMillis - beganMillis });
  }
}
