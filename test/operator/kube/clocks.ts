/**
 * Clocks for tests: one that only moves when it is told to, and one that runs faster than the system's.
 */
import type { Clock } from '../../../operator/kube/clock.ts';

/** A clock that stands until it is moved. */
export interface ManualClock extends Clock {
  /** The timers that wait. */
  readonly pending: number;
  /** Moves on; timers that come due are called in their order. */
  advance(millis: number): void;
  /** Calls the timer that is due first, and no other: what it begins goes on before the next one is called. */
  callNext(): void;
  /** Moves on while nobody looks, as for a process that sleeps: what came due is called by the next `advance`. */
  jump(millis: number): void;
  /** Changes the time of day alone, as somebody who sets it does. */
  setDate(date: Date): void;
}

/** A clock that begins at an arbitrary moment. */
export function createManualClock(): ManualClock {
  let nowMillis = 1_000_000;
  let dateOffsetMillis = Date.UTC(2026, 0, 1);
  const timers = new Set<{ readonly atMillis: number; readonly callback: () => void }>();
  const next = () => [...timers].toSorted((one, other) => one.atMillis - other.atMillis)[0];
  const run = (timer: { readonly atMillis: number; readonly callback: () => void }) => {
    nowMillis = Math.max(nowMillis, timer.atMillis);
    timers.delete(timer);
    timer.callback();
  };
  return {
    get pending() {
      return timers.size;
    },
    monotonicMillis: () => nowMillis,
    date: () => new Date(dateOffsetMillis + nowMillis),
    after(delayMillis, callback) {
      const timer = { atMillis: nowMillis + Math.max(0, delayMillis), callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance(millis) {
      const end = nowMillis + millis;
      for (let timer = next(); timer !== undefined && timer.atMillis <= end; timer = next()) run(timer);
      nowMillis = end;
    },
    callNext() {
      const timer = next();
      if (timer !== undefined) run(timer);
    },
    jump(millis) {
      nowMillis += millis;
    },
    setDate(date) {
      dateOffsetMillis = date.getTime() - nowMillis;
    },
  };
}

/** A clock that runs `factor` times as fast, and the delays that were asked of it. */
export function createFastClock(factor: number): Clock & { readonly delays: number[] } {
  const delays: number[] = [];
  return {
    delays,
    monotonicMillis: () => performance.now() * factor,
    date: () => new Date(),
    after(delayMillis, callback) {
      delays.push(delayMillis);
      const timer = setTimeout(callback, delayMillis / factor);
      return () => clearTimeout(timer);
    },
  };
}
