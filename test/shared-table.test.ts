/** The table of whitelist and keys: one writer, readers in other threads that never see half a change. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { SharedTable, TableFullError } from '../tracker/shared-table.ts';

const KEY_WORDS = 2;
const VALUE_WORDS = 1;

function keyOf(number: number): Int32Array {
  return Int32Array.of(number, ~number);
}

function valueOf(number: number): Int32Array {
  return Int32Array.of(number * 3);
}

function createTable(maxSlotsLog2 = 10): SharedTable {
  return SharedTable.create(KEY_WORDS, VALUE_WORDS, maxSlotsLog2);
}

function look(table: SharedTable, number: number): number | null {
  const value = new Int32Array(VALUE_WORDS);
  return table.find(keyOf(number), 0, value) ? value[0] : null;
}

describe('A shared table', () => {
  test('finds what was added, where another thread attaches it too', () => {
    const table = createTable();
    table.add(keyOf(5), valueOf(5));
    const reader = SharedTable.attach(table.memory);
    assert.deepEqual([look(table, 5), look(reader, 5), look(reader, 6)], [15, 15, null]);
    assert.equal(reader.size, 1);
  });

  test('keeps the value of a key that is added twice', () => {
    const table = createTable();
    table.add(keyOf(5), valueOf(5));
    table.add(keyOf(5), valueOf(6));
    assert.equal(look(table, 5), 15);
    assert.equal(table.size, 1);
  });

  test('says whether what it removes was there', () => {
    const table = createTable();
    table.add(keyOf(5), valueOf(5));
    assert.deepEqual([table.remove(keyOf(5)), table.remove(keyOf(5)), table.remove(keyOf(6))], [true, false, false]); // prettier-ignore
    assert.equal(look(table, 5), null);
    assert.equal(table.size, 0);
  });

  test('replaces everything at once, and each key by its first value', () => {
    const table = createTable();
    table.add(keyOf(1), valueOf(1));
    table.replace([
      [keyOf(2), valueOf(2)],
      [keyOf(3), valueOf(3)],
      [keyOf(2), valueOf(9)],
    ]);
    assert.deepEqual([1, 2, 3].map((number) => look(table, number)), [null, 6, 9]); // prettier-ignore
    assert.equal(table.size, 2);
  });

  test('takes no more than it has room for, and keeps what it has', () => {
    const table = createTable(6);
    let added = 0;
    assert.throws(() => {
      for (; added < 100; added++) table.add(keyOf(added), valueOf(added));
    }, TableFullError);
    assert.ok(added >= 32, `${added} entries went into 64 slots`);
    const tooMany = Array.from({ length: 100 }, (_, index) => [keyOf(1000 + index), valueOf(0)] as const);
    assert.throws(() => table.replace(tooMany), TableFullError);
    for (let number = 0; number < added; number++) assert.equal(look(table, number), number * 3);
    assert.equal(table.size, added);
  });

  test('is not used up by additions and removals', () => {
    const table = createTable(6);
    for (let number = 0; number < 5000; number++) {
      table.add(keyOf(number), valueOf(number));
      if (number >= 20) assert.ok(table.remove(keyOf(number - 20)));
    }
    assert.equal(table.size, 20);
  });

  test('does what a map does', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), number: fc.nat(200) }),
      fc.record({ kind: fc.constant('remove' as const), number: fc.nat(200) }),
      fc.record({ kind: fc.constant('replace' as const), numbers: fc.array(fc.nat(200), { maxLength: 50 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = createTable(9);
        const reader = SharedTable.attach(table.memory);
        const model = new Set<number>();
        for (const change of steps) {
          switch (change.kind) {
            case 'add':
              table.add(keyOf(change.number), valueOf(change.number));
              model.add(change.number);
              break;
            case 'remove':
              assert.equal(table.remove(keyOf(change.number)), model.delete(change.number));
              break;
            case 'replace':
              table.replace(change.numbers.map((number) => [keyOf(number), valueOf(number)]));
              model.clear();
              for (const number of change.numbers) model.add(number);
              break;
          }
        }
        for (let number = 0; number <= 200; number++) {
          assert.equal(look(reader, number), model.has(number) ? number * 3 : null);
        }
        assert.equal(reader.size, model.size);
      }),
      { numRuns: 100 },
    );
  });

  test('never shows a reader less than what stays, nor a wrong value, while it is written anew', async (context) => {
    const table = createTable(12);
    const stays = Array.from({ length: 50 }, (_, number) => number);
    for (const number of stays) table.add(keyOf(number), valueOf(number));
    const done = new Int32Array(new SharedArrayBuffer(8));
    const worker = new Worker(new URL('./shared-table-worker.ts', import.meta.url), {
      workerData: { memory: table.memory, stays, done },
    });
    context.after(() => worker.terminate());
    await once(worker, 'message');
    for (let round = 0; round < 300; round++) {
      const others = Array.from({ length: round % 100 }, (_, index) => 1000 + round + index);
      if (round % 3 === 0) {
        table.replace([...stays, ...others].map((number) => [keyOf(number), valueOf(number)]));
      } else {
        for (const number of others) table.add(keyOf(number), valueOf(number));
        for (const number of others) table.remove(keyOf(number));
      }
    }
    Atomics.store(done, 0, 1);
    const [lookups] = (await once(worker, 'message')) as [number];
    assert.ok(lookups > 0);
    assert.equal(done[1], 0, 'lookups that found nothing or a wrong value');
  });
});
