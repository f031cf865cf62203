/**
 * How long to wait before trying again, so that many that failed together don't come back together.
 * "Decorrelated jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */

const MIN_MILLIS = 800;
const MAX_MILLIS = 30_000;
const GROWTH = 3;

/** Waits of one thing that is tried again and again: 0.8 to 30 s, longer from failure to failure. */
export class Backoff {
  readonly #random: () => number;
  #last = MIN_MILLIS;

  /** `random` is in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The wait after one more failure. */
  nextMillis(): number {
    const ceiling = Math.min(MAX_MILLIS, this.#last * GROWTH);
    this.#last = MIN_MILLIS + this.#random() * (ceiling - MIN_MILLIS);
    return this.#last;
  }

  /** After a success. */
  reset(): void {
    this.#last = MIN_MILLIS;
  }
}
