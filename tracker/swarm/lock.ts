/**
 * A lock on one word of shared memory, for sections of a few microseconds (Drepper, "Futexes are tricky", mutex 2).
 * Word values: 0 free, 1 held, 2 held and somebody may sleep. A thread that dies inside ends the process, so there is
 * no owner to record.
 */

/** Tries before a thread sleeps: about as long as the longest section takes. */
const SPINS = 200;

/** No section takes a thousandth of this. Whoever waits in vain so often waits for a thread that died inside. */
const PATIENCE_MILLIS = 5_000;
const PATIENCE_TIMES = 3;

/**
 * Takes the lock at `words[index]`; sleeps when it stays held. Never re-entrant. When the lock is not given back for a
 * quarter of a minute, it throws an error that ends the process, even if the caller catches it.
 */
export function lock(words: Int32Array, index: number): void {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.compareExchange(words, index, 0, 1) === 0) return;
  }
  let vain = 0;
  while (Atomics.exchange(words, index, 2) !== 0) {
    if (Atomics.wait(words, index, 2, PATIENCE_MILLIS) !== 'timed-out') continue;
    if (++vain === PATIENCE_TIMES) giveUp();
  }
}

function giveUp(): never {
  const error = new Error('a lock of the swarm store is held by a thread that does not give it back');
  setImmediate(() => {
    throw error;
  });
  throw error;
}

/** Gives the lock back and wakes one sleeper, if there may be one. */
export function unlock(words: Int32Array, index: number): void {
  if (Atomics.exchange(words, index, 0) === 2) Atomics.notify(words, index, 1);
}
