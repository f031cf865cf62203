/**
 * Memory inside one segment: allocate and free blocks of words in bounded time, joining free neighbours (TLSF, "a new
 * dynamic memory allocator for real-time systems", Masmano et al. 2004). It lives wholly in shared words, so that any
 * thread which holds the segment's lock may use it.
 *
 *   block   0 header: size << 2 | previous is free << 1 | free      1.. payload
 *   free    0 header   1 next in its bin   2 previous in its bin    last: size
 *
 * Sizes count the header. Blocks below 64 words have a bin for each size; larger ones sixteen bins per power of two.
 */
import assert from 'node:assert/strict';

const EXACT_BINS = 64;
const FIRST_POWER = 6;
const LAST_POWER = 27;
const STEP_BITS = 4;
const BINS = EXACT_BINS + ((LAST_POWER - FIRST_POWER + 1) << STEP_BITS);
const BITMAP_WORDS = Math.ceil(BINS / 32);
const MIN_BLOCK_WORDS = 4;

const USED_OFFSET = 0;
const SUMMARY_OFFSET = 1;
const BITMAP_OFFSET = 2;
const BINS_OFFSET = BITMAP_OFFSET + BITMAP_WORDS;

/** Words that the heap keeps for itself at `base`. */
export const HEAP_HEAD_WORDS = BINS_OFFSET + BINS;
/** The largest heap: a size must fit into 28 bits. */
export const MAX_HEAP_WORDS = 2 ** 28 - 1;

export class Heap {
  readonly #words: Int32Array;
  readonly #base: number;

  private constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
  }

  /** Makes an empty heap of the words from `start` to `end`; its own data is at `base`. */
  static create(words: Int32Array, base: number, start: number, end: number): Heap {
    const heap = new Heap(words, base);
    const size = end - start - 1;
    assert(size >= MIN_BLOCK_WORDS && size <= MAX_HEAP_WORDS, `a heap of ${size} words`);
    // A used block of no size ends the heap, so that the last block never looks beyond it.
    words[end - 1] = 0;
    words[start] = size << 2;
    heap.#insert(start, size);
    return heap;
  }

  /** Uses the heap that another thread made. */
  static attach(words: Int32Array, base: number): Heap {
    return new Heap(words, base);
  }

  /** Words in use, headers included. */
  get usedWords(): number {
    return this.#words[this.#base + USED_OFFSET];
  }

  /** Returns the index of `payloadWords` words of unknown content, or 0 when there is no room. */
  allocate(payloadWords: number): number {
    const words = this.#words;
    const size = Math.max(MIN_BLOCK_WORDS, payloadWords + 1);
    const bin = this.#findBin(binThatFits(size));
    if (bin < 0) return 0;
    const block = words[this.#base + BINS_OFFSET + bin];
    const blockSize = words[block] >>> 2;
    this.#remove(block, blockSize);
    const rest = blockSize - size;
    // A free block is never preceded by another one, so the bit "previous is free" of this block is not set.
    if (rest >= MIN_BLOCK_WORDS) {
      words[block] = size << 2;
      words[block + size] = rest << 2;
      this.#insert(block + size, rest);
      words[this.#base + USED_OFFSET] += size;
    } else {
      words[block] = blockSize << 2;
      words[block + blockSize] &= ~2;
      words[this.#base + USED_OFFSET] += blockSize;
    }
    return block + 1;
  }

  /** Gives back what `allocate` returned. */
  free(payload: number): void {
    const words = this.#words;
    let block = payload - 1;
    let size = words[block] >>> 2;
    assert((words[block] & 1) === 0, 'freed twice');
    words[this.#base + USED_OFFSET] -= size;
    const next = block + size;
    if (words[next] & 1) {
      const nextSize = words[next] >>> 2;
      this.#remove(next, nextSize);
      size += nextSize;
    }
    if (words[block] & 2) {
      const previousSize = words[block - 1];
      block -= previousSize;
      this.#remove(block, previousSize);
      size += previousSize;
    }
    words[block] = size << 2;
    this.#insert(block, size);
  }

  /** Marks a block free, writes its tail and puts it first into its bin. */
  #insert(block: number, size: number): void {
    const words = this.#words;
    const bin = binOf(size);
    const head = this.#base + BINS_OFFSET + bin;
    const first = words[head];
    words[block] |= 1;
    words[block + 1] = first;
    words[block + 2] = 0;
    words[block + size - 1] = size;
    words[block + size] |= 2;
    if (first !== 0) words[first + 2] = block;
    words[head] = block;
    words[this.#base + BITMAP_OFFSET + (bin >>> 5)] |= 1 << (bin & 31);
    words[this.#base + SUMMARY_OFFSET] |= 1 << (bin >>> 5);
  }

  #remove(block: number, size: number): void {
    const words = this.#words;
    const next = words[block + 1];
    const previous = words[block + 2];
    if (next !== 0) words[next + 2] = previous;
    if (previous !== 0) {
      words[previous + 1] = next;
      return;
    }
    const bin = binOf(size);
    words[this.#base + BINS_OFFSET + bin] = next;
    if (next !== 0) return;
    const bitmap = this.#base + BITMAP_OFFSET + (bin >>> 5);
    words[bitmap] &= ~(1 << (bin & 31));
    if (words[bitmap] === 0) words[this.#base + SUMMARY_OFFSET] &= ~(1 << (bin >>> 5));
  }

  /** The first bin from `bin` on that holds a block, or -1. */
  #findBin(bin: number): number {
    const words = this.#words;
    let index = bin >>> 5;
    if (index >= BITMAP_WORDS) return -1;
    let bits = words[this.#base + BITMAP_OFFSET + index] & (-1 << (bin & 31));
    if (bits === 0) {
      const above = index === 31 ? 0 : words[this.#base + SUMMARY_OFFSET] & (-1 << (index + 1));
      if (above === 0) return -1;
      index = lowestBit(above);
      bits = words[this.#base + BITMAP_OFFSET + index];
    }
    return (index << 5) + lowestBit(bits);
  }
}

/** The bin that a free block of this size is kept in. */
function binOf(size: number): number {
  if (size < EXACT_BINS) return size;
  const power = 31 - Math.clz32(size);
  return EXACT_BINS + ((power - FIRST_POWER) << STEP_BITS) + ((size >>> (power - STEP_BITS)) & 15);
}

/** The first bin in which every block is at least this large. */
function binThatFits(size: number): number {
  if (size < EXACT_BINS) return size;
  const power = 31 - Math.clz32(size);
  return binOf(size + (1 << (power - STEP_BITS)) - 1);
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & (~bits + 1));
}
