/**
 * Keys that wait to be worked on. A key is in the queue once, however often it is added; it is worked on by one worker at a
 * time; and when it is added while that happens, it comes again afterwards.
 * After client-go's work queue: https://pkg.go.dev/k8s.io/client-go/util/workqueue
 */
import assert from 'node:assert';
import type { Clock } from './clock.ts';
import type { QueueMetrics } from './metrics.ts';
import { RetryLimits } from './retry-limits.ts';

/** A spent front of the list is cut off when it is this long. */
const MAX_SPENT = 1024;

/** A queue. */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #metrics: QueueMetrics;
  readonly #labels: { readonly name: string; readonly controller: string };
  readonly #limits: RetryLimits;
  /** Keys in their order; those before `#head` are spent. */
  #waiting: string[] = [];
  #head = 0;
  /** Keys that have to be worked on, with the time since when. */
  readonly #dirty = new Map<string, number>();
  /** Keys that are worked on, with the time since when. */
  readonly #processing = new Map<string, number>();
  readonly #delayed = new Map<string, { readonly atMillis: number; readonly cancel: () => void }>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #idle = Promise.withResolvers<void>();
  #isClosed = false;

  /** `name` is the controller's, in the metrics. */
  constructor(name: string, metrics: QueueMetrics, clock: Clock) {
    this.#clock = clock;
    this.#metrics = metrics;
    this.#labels = { name, controller: name };
    this.#limits = new RetryLimits(clock);
    metrics.depth.set(this.#labels, 0);
    metrics.adds.inc(this.#labels, 0);
    metrics.retries.inc(this.#labels, 0);
    metrics.observers.add(this.#observe);
  }

  /** The keys that wait for a worker. */
  get depth(): number {
    return this.#waiting.length - this.#head;
  }

  /** Has a key worked on as soon as a worker is free. */
  add(key: string): void {
    if (this.#isClosed || this.#dirty.has(key)) return;
    this.#dirty.set(key, this.#clock.monotonicMillis());
    this.#metrics.adds.inc(this.#labels);
    if (!this.#processing.has(key)) this.#offer(key);
  }

  /** Has a key worked on after a delay. Of several delays of a key the one that ends first counts. */
  addAfter(key: string, delayMillis: number): void {
    if (this.#isClosed) return;
    if (!(delayMillis > 0)) {
      this.add(key);
      return;
    }
    const atMillis = this.#clock.monotonicMillis() + delayMillis;
    const earlier = this.#delayed.get(key);
    if (earlier !== undefined && earlier.atMillis <= atMillis) return;
    earlier?.cancel();
    const cancel = this.#clock.after(delayMillis, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { atMillis, cancel });
  }

  /**
   * Has a key that failed worked on again: after a wait that doubles with each failure, and that respects the limit over all
   * keys, but no earlier than `minimumMillis`. Returns the wait.
   */
  retry(key: string, minimumMillis = 0): number {
    const delayMillis = Math.max(minimumMillis, this.#limits.nextMillis(key));
    this.#metrics.retries.inc(this.#labels);
    this.addAfter(key, delayMillis);
    return delayMillis;
  }

  /** Forgets the failures of a key. */
  forget(key: string): void {
    this.#limits.forget(key);
  }

  /** How often a key failed in a row. */
  failuresOf(key: string): number {
    return this.#limits.failuresOf(key);
  }

  /** The next key, as soon as there is one; undefined when the queue is closed. Who takes a key calls `done`. */
  async take(): Promise<string | undefined> {
    if (this.#isClosed) return undefined;
    if (this.depth > 0) {
      const key = this.#shift();
      this.#begin(key);
      return key;
    }
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** The work on a key has ended, well or not. */
  done(key: string): void {
    const since = this.#processing.get(key);
    assert(since !== undefined, `nobody works on ${key}`);
    this.#processing.delete(key);
    this.#metrics.workSeconds.observe(this.#labels, (this.#clock.monotonicMillis() - since) / 1000);
    if (this.#isClosed) {
      if (this.#processing.size === 0) this.#idle.resolve();
    } else if (this.#dirty.has(key)) {
      this.#offer(key);
    }
  }

  /**
   * Takes nothing more, drops what waits, and resolves when the work that is going on has ended. What is dropped is no loss:
   * who comes next begins with everything.
   */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const { cancel } of this.#delayed.values()) cancel();
      this.#delayed.clear();
      this.#dirty.clear();
      this.#waiting = [];
      this.#head = 0;
      this.#metrics.depth.set(this.#labels, 0);
      for (const resolve of this.#takers.splice(0)) resolve(undefined);
      if (this.#processing.size === 0) this.#idle.resolve();
    }
    await this.#idle.promise;
    this.#observe();
    this.#metrics.observers.delete(this.#observe);
  }

  /** Gives a key to a worker who waits, or to the end of the list. */
  #offer(key: string): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      this.#begin(key);
      taker(key);
      return;
    }
    this.#waiting.push(key);
    this.#metrics.depth.set(this.#labels, this.depth);
  }

  #shift(): string {
    const key = this.#waiting[this.#head];
    assert(key !== undefined);
    this.#head += 1;
    if (this.#head >= MAX_SPENT && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#metrics.depth.set(this.#labels, this.depth);
    return key;
  }

  #begin(key: string): void {
    const now = this.#clock.monotonicMillis();
    this.#metrics.queueSeconds.observe(this.#labels, (now - (this.#dirty.get(key) ?? now)) / 1000);
    this.#dirty.delete(key);
    this.#processing.set(key, now);
  }

  readonly #observe = () => {
    const now = this.#clock.monotonicMillis();
    const seconds = [...this.#processing.values()].map((since) => (now - since) / 1000);
    this.#metrics.unfinishedSeconds.set(
      this.#labels,
      seconds.reduce((sum, each) => sum + each, 0),
    );
    this.#metrics.longestRunningSeconds.set(this.#labels, Math.max(0, ...seconds));
  };
}
