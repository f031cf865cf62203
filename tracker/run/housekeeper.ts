/**
 * Drops peers that were silent for too long, round after round, in slices of a few milliseconds with pauses between
 * them, so that neither the main thread nor a shard's lock is ever held for long.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Policy } from '../policy.ts';
import type { Store } from '../swarm/store.ts';

const SLICE_MILLIS = 3;
const PAUSE_MILLIS = 10;

export class Housekeeper {
  readonly #store: Store;
  readonly #policy: Policy;
  readonly #abort = new AbortController();
  #intervalSeconds: number;
  #wakeUp = new AbortController();
  readonly #ended: Promise<void>;

  /** Starts the rounds. `intervalSeconds` lies between the beginnings of two rounds; 0: there are none. */
  constructor(store: Store, policy: Policy, intervalSeconds: number) {
    this.#store = store;
    this.#policy = policy;
    this.#intervalSeconds = intervalSeconds;
    this.#ended = this.#work();
  }

  /** Changes the interval; the current wait begins anew. */
  setInterval(intervalSeconds: number): void {
    if (intervalSeconds === this.#intervalSeconds) return;
    this.#intervalSeconds = intervalSeconds;
    this.#wakeUp.abort();
  }

  /** Ends the rounds; the current one is left where it is. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wakeUp.abort();
    await this.#ended;
  }

  async #work(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      this.#wakeUp = new AbortController();
      // A timer can wait for 24 days, and without rounds there is nothing to wait for but a change.
      const waitMillis =
        this.#intervalSeconds === 0 ? 2 ** 31 - 1 : Math.min(this.#intervalSeconds * 1000, 2 ** 31 - 1);
      const isDue = await waited(waitMillis, this.#wakeUp.signal);
      if (isDue && this.#intervalSeconds > 0) await this.#round();
    }
  }

  async #round(): Promise<void> {
    const policy = this.#policy;
    // What expires is to be counted where what comes is.
    this.#store.limits.configure(policy);
    const cutoffSeconds = this.#store.nowSeconds() - policy.peerTimeoutSeconds;
    const rules = {
      persistCompleted: policy.persistsCompleted,
      removePeerless: policy.removesPeerless,
      staleAfterSeconds: policy.intervalSeconds,
    };
    let sliceEnd = performance.now() + SLICE_MILLIS;
    for (const _ of this.#store.expire(cutoffSeconds, rules)) {
      if (performance.now() < sliceEnd) continue;
      if (!(await waited(PAUSE_MILLIS, this.#abort.signal))) return;
      sliceEnd = performance.now() + SLICE_MILLIS;
    }
  }
}

/** Waits; false when the wait was cut short. Keeps no process alive. */
async function waited(millis: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(millis, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
