/**
 * Time as this room uses it, so that tests can run it by hand: a monotonic clock, which no change of the system's time
 * moves, timers of any length, and the time of day for what people read.
 */

/** A clock. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  monotonicMillis(): number;
  /** The time of day. */
  date(): Date;
  /** Calls back once after the delay, and never when what it returns has been called before. */
  after(delayMillis: number, callback: () => void): () => void;
}

/** The longest delay that a timer of Node takes; a longer one would be over at once. */
const MAX_TIMER_MILLIS = 2 ** 31 - 1;

/** The clock of the system. */
export const SYSTEM_CLOCK: Clock = {
  monotonicMillis: () => performance.now(),
  date: () => new Date(),
  after(delayMillis, callback) {
    let timer: NodeJS.Timeout;
    const arm = (leftMillis: number) => {
      const stepMillis = Math.min(leftMillis, MAX_TIMER_MILLIS);
      timer = setTimeout(() => {
        if (leftMillis > stepMillis) arm(leftMillis - stepMillis);
        else callback();
      }, stepMillis);
    };
    arm(Math.max(0, delayMillis));
    return () => clearTimeout(timer);
  },
};

/** Resolves after the delay, or at once when the signal is aborted; never rejects. */
export async function pause(clock: Clock, delayMillis: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMillis, end);
    signal.addEventListener('abort', end, { once: true });
  });
}
