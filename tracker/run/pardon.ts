/** Forgives banned addresses from time to time, as Torrust Tracker does, and when the limit changes. */
import type { AddressBans } from '../address-bans.ts';

export class Pardon {
  readonly #bans: AddressBans;
  #intervalSeconds: number;
  #maxErrors: number;
  #timer: NodeJS.Timeout;

  constructor(bans: AddressBans, intervalSeconds: number, maxErrors: number) {
    this.#bans = bans;
    this.#intervalSeconds = intervalSeconds;
    this.#maxErrors = maxErrors;
    this.#timer = this.#start();
  }

  /** Takes over changed settings; with another limit, all that was counted is void. */
  update(intervalSeconds: number, maxErrors: number): void {
    if (maxErrors !== this.#maxErrors) this.#bans.pardon();
    this.#maxErrors = maxErrors;
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
    const expectNext = () => this.#bans.expectPardon(Math.floor((Date.now() + millis) / 1000));
    expectNext();
    return setInterval(() => {
      this.#bans.pardon();
      expectNext();
    }, millis).unref();
  }
}
