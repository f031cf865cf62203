/** What was started, to be stopped in the reverse order within one time for all of it. */
import type { Logger } from '../telemetry/log.ts';

/** Stops something. `millisLeft` is what is left of the time for everything, never below 0. */
type Undo = (millisLeft: number) => Promise<void> | void;

export class UndoStack {
  readonly #undos: Undo[] = [];

  add(undo: Undo): void {
    this.#undos.push(undo);
  }

  /** Undoes everything within `limitMillis`. What fails is logged, and keeps nothing else from being undone. */
  async undo(logger: Logger, limitMillis: number): Promise<void> {
    const endMillis = performance.now() + limitMillis;
    for (const undo of this.#undos.splice(0).toReversed()) {
      try {
        await undo(Math.max(0, endMillis - performance.now()));
      } catch (error) {
        logger.error({ err: error }, 'Something could not be stopped in order');
      }
    }
  }
}
