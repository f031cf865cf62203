/** Latencies in microseconds, counted one by one up to a second; what is longer counts as a second. */
const MAX_MICROS = 1_000_000;

/** Percentiles of latencies, in microseconds. */
export interface LatencyMicros {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export class LatencyHistogram {
  readonly #counts = new Uint32Array(MAX_MICROS + 1);
  #total = 0;

  record(micros: number): void {
    this.#counts[Math.min(MAX_MICROS, Math.max(0, Math.round(micros)))]++;
    this.#total++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** The percentiles of what was recorded; zeroes when nothing was. */
  percentiles(): LatencyMicros {
    return {
      p50: this.#quantile(0.5),
      p99: this.#quantile(0.99),
      p999: this.#quantile(0.999),
      max: this.#quantile(1),
    };
  }

  #quantile(share: number): number {
    let left = Math.ceil(this.#total * share);
    for (let micros = 0; left > 0 && micros <= MAX_MICROS; micros++) {
      left -= this.#counts[micros];
      if (left <= 0) return micros;
    }
    return 0;
  }
}
