/**
 * A lock on one word of shared memory, for sections of a few microseconds (Drepper, "Futexes are tricky", mutex 2).
 * Word values: 0 free, 1 held, 2 held and somebody may sleep. A thread that dies inside ends the process, so there is
 * no owner to record.
 */

/** Tries before a thread sleeps: about as long as the longest section takes. */
const SPINS = 200;

/** Takes the lock at `words[index]`; sleeps when it stays held. Never re-entrant. */
export function lock(words: Int32Array, index: number): void {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.compareExchange(words, index, 0, 1) === 0) return;
  }
  while (Atomics.exchange(words, index, 2) !== 0) Atomics.wait(words, index, 2);
}

/** Gives the lock back and wakes one sleeper, if there may be one. */
export function unlock(words: Int32Array, index: number): void {
  if (Atomics.exchange(words, index, 0) === 2) Atomics.notify(words, index, 1);
}
