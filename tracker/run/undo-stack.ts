/** What was started, to be stopped in the reverse order. */
import type { Logger } from '../telemetry/log.ts';

export class UndoStack {
  readonly #undos: (() => Promise<void> | void)[] = [];

  add(undo: () => Promise<void> | void): void {
    this.#undos.push(undo);
  }

  /** Undoes everything. What fails is logged, and keeps nothing else from being undone. */
  async undo(logger: Logger): Promise<void> {
    for (const undo of this.#undos.splice(0).toReversed()) {
      try {
        await undo();
      } catch (error) {
        logger.error({ err: error }, 'Something could not be stopped in order');
      }
    }
  }
}
