/**
 * When a key may be tried again: after a wait that doubles with each of its failures, and never more than ten retries a second
 * over all keys, but for a burst. The numbers are those of client-go's default controller rate limiter.
 */
import type { Clock } from './clock.ts';

const MIN_MILLIS = 5;
const MAX_MILLIS = 1_000_000;
const RETRIES_PER_SECOND = 10;
const BURST_RETRIES = 100;

/** The limits of one queue. */
export class RetryLimits {
  readonly #clock: Clock;
  readonly #failures = new Map<string, number>();
  /** May be negative: retries that are promised already. */
  #tokens = BURST_RETRIES;
  #filledAtMillis: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#filledAtMillis = clock.monotonicMillis();
  }

  /** Counts a failure of a key; the wait until it may be tried again. */
  nextMillis(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    return Math.max(Math.min(MAX_MILLIS, MIN_MILLIS * 2 ** failures), this.#reserve());
  }

  /** The failures of a key in a row. */
  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** After a success. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Takes a token, if need be one of the future; the wait until it is there. */
  #reserve(): number {
    const now = this.#clock.monotonicMillis();
    const grown = ((now - this.#filledAtMillis) / 1000) * RETRIES_PER_SECOND;
    this.#tokens = Math.min(BURST_RETRIES, this.#tokens + grown) - 1;
    this.#filledAtMillis = now;
    return this.#tokens >= 0 ? 0 : (-this.#tokens / RETRIES_PER_SECOND) * 1000;
  }
}
