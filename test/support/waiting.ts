/**
 * Waiting for a state instead of sleeping for a time: as short as the machine allows, and never shorter than needed.
 */
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MILLIS = 50;

/**
 * Resolves with the first value that `look` finds; undefined and false mean "not yet". What `look` throws ends the
 * wait at once. Rejects after `deadlineMillis` with an error that names `state`.
 */
export async function waitFor<T>(
  state: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMillis = 60_000,
): Promise<T> {
  const deadline = performance.now() + deadlineMillis;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline)
      throw new Error(`waited ${deadlineMillis / 1000} s in vain for: ${state}`);
    await delay(PAUSE_MILLIS);
  }
}
