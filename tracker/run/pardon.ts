/** Forgives banned addresses from time to time, as Torrust Tracker does. */
import type { AddressBans } from '../address-bans.ts';

export class Pardon {
  readonly #bans: AddressBans;
  #intervalSeconds: number;
  #timer: NodeJS.Timeout;

  constructor(bans: AddressBans, intervalSeconds: number) {
    this.#bans = bans;
    this.#intervalSeconds = intervalSeconds;
    this.#timer = this.#start();
  }

  /** Changes the time between two pardons; the current wait begins anew. */
  setInterval(intervalSeconds: number): void {
    if (intervalSeconds === this.#intervalSeconds) return;
    this.stop();
    this.#intervalSeconds = intervalSeconds;
    this.#timer = this.#start();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #start(): NodeJS.Timeout {
    // A timer can wait for 24 days.
    const millis = Math.min(this.#intervalSeconds * 1000, 2 ** 31 - 1);
    return setInterval(() => this.#bans.clear(), millis).unref();
  }
}
