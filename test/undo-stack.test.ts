/** The end of what was started, within one time for all of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pino } from 'pino';
import { UndoStack } from '../tracker/run/undo-stack.ts';

const SILENT = pino({ level: 'silent' });
const LIMIT_MILLIS = 10_000;

describe('The end of what was started', () => {
  test('goes backwards, and tells each part how much of the time the others have left', async (context) => {
    let nowMillis = 5;
    context.mock.method(performance, 'now', () => nowMillis);
    const stack = new UndoStack();
    const told: [string, number][] = [];
    const add = (name: string, takesMillis: number) =>
      stack.add((millisLeft) => {
        told.push([name, millisLeft]);
        nowMillis += takesMillis;
      });
    add('last', 1);
    add('behind a part that is too slow', 1);
    add('too slow', 8_000);
    add('first', 3_000);
    await stack.undo(SILENT, LIMIT_MILLIS);
    assert.deepEqual(told, [
      ['first', 10_000],
      ['too slow', 7_000],
      ['behind a part that is too slow', 0],
      ['last', 0],
    ]);
  });

  test('goes on when a part fails, and comes once', async () => {
    const stack = new UndoStack();
    const undone: string[] = [];
    stack.add(() => void undone.push('first'));
    stack.add(() => Promise.reject(new Error('the test wants it')));
    await stack.undo(SILENT, LIMIT_MILLIS);
    await stack.undo(SILENT, LIMIT_MILLIS);
    assert.deepEqual(undone, ['first']);
  });
});
