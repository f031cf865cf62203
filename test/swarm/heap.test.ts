/** The heap inside a segment: every block is its owner's alone, and what is freed can be had again. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Heap, HEAP_HEAD_WORDS } from '../../tracker/swarm/heap.ts';

const BASE = 8;
const START = BASE + HEAP_HEAD_WORDS;
/** The header of a block, and the least block there is. */
const HEADER_WORDS = 1;
const LEAST_WORDS = 4;

function createHeap(words: number): { heap: Heap; memory: Int32Array; end: number } {
  const end = START + words;
  const memory = new Int32Array(new SharedArrayBuffer(4 * (end + 8)));
  return { heap: Heap.create(memory, BASE, START, end), memory, end };
}

/** Allocates blocks of a size until there is no room. */
function fill(heap: Heap, payloadWords: number): number[] {
  const blocks: number[] = [];
  for (let block = heap.allocate(payloadWords); block !== 0; block = heap.allocate(payloadWords)) {
    blocks.push(block);
  }
  return blocks;
}

describe('A heap', () => {
  test('gives nothing when there is no room, and the same again when there is', () => {
    const { heap } = createHeap(1000);
    const block = heap.allocate(900);
    assert.notEqual(block, 0);
    assert.equal(heap.allocate(200), 0);
    heap.free(block);
    assert.equal(heap.allocate(900), block);
  });

  test('counts the words in use, headers included', () => {
    const { heap } = createHeap(1000);
    assert.equal(heap.usedWords, 0);
    const blocks = [0, 1, 3, 10].map((words) => heap.allocate(words));
    assert.equal(heap.usedWords, 3 * LEAST_WORDS + 10 + HEADER_WORDS);
    for (const block of blocks) heap.free(block);
    assert.equal(heap.usedWords, 0);
  });

  for (const order of ['forwards', 'backwards', 'every second first'] as const) {
    test(`joins its blocks when all are freed ${order}`, () => {
      const { heap } = createHeap(4000);
      const largest = heap.allocate(3000);
      assert.notEqual(largest, 0);
      heap.free(largest);
      const blocks = fill(heap, 20);
      const sorted = {
        forwards: blocks,
        backwards: blocks.toReversed(),
        'every second first': [
          ...blocks.filter((_, index) => index % 2 === 0),
          ...blocks.filter((_, index) => index % 2 === 1),
        ],
      }[order];
      for (const block of sorted) heap.free(block);
      assert.equal(heap.allocate(3000), largest);
    });
  }

  test('serves many sizes from a page of free blocks between used ones', () => {
    const { heap } = createHeap(50_000);
    const blocks = fill(heap, 99);
    // The last one stays, so that no hole joins what is left behind it.
    const holes = blocks.slice(0, -1).filter((_, index) => index % 2 === 0);
    for (const block of holes) heap.free(block);
    assert.equal(heap.allocate(100), 0, 'no hole is large enough');
    assert.ok(fill(heap, 95).length >= holes.length, 'each hole is used');
  });

  test('refuses to free a block twice', () => {
    const { heap } = createHeap(100);
    const block = heap.allocate(10);
    heap.free(block);
    assert.throws(() => heap.free(block), assert.AssertionError);
  });

  test('refuses to be smaller than a block', () => {
    assert.throws(() => createHeap(4), assert.AssertionError);
  });

  test('is the same heap where another thread attaches it', () => {
    const { heap, memory } = createHeap(100);
    const other = Heap.attach(memory, BASE);
    const block = other.allocate(10);
    assert.equal(heap.usedWords, 11);
    heap.free(block);
    assert.equal(other.usedWords, 0);
  });

  test('never gives two owners one word, whatever is allocated and freed', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('allocate' as const), words: fc.integer({ min: 0, max: 300 }) }),
      fc.record({ kind: fc.constant('free' as const), which: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { heap, memory, end } = createHeap(3000);
        memory.fill(0x5a5a5a5a, end);
        const owned: { block: number; words: number; mark: number }[] = [];
        let mark = 1;
        for (const change of steps) {
          if (change.kind === 'allocate') {
            const block = heap.allocate(change.words);
            if (block === 0) continue;
            assert.ok(block >= START && block + change.words <= end);
            memory.fill(mark, block, block + change.words);
            owned.push({ block, words: change.words, mark: mark++ });
          } else if (owned.length > 0) {
            const [freed] = owned.splice(change.which % owned.length, 1);
            heap.free(freed.block);
          }
          for (const { block, words, mark: own } of owned) {
            assert.ok(memory.subarray(block, block + words).every((word) => word === own));
          }
        }
        assert.ok(memory.subarray(end).every((word) => word === 0x5a5a5a5a));
        for (const { block } of owned) heap.free(block);
        assert.equal(heap.usedWords, 0);
        assert.notEqual(heap.allocate(2700), 0, 'all is one block again');
      }),
      { numRuns: 100 },
    );
  });
});
