/**
 * A hash table in shared memory with one writer and any number of readers that never wait: the whitelist and the keys.
 *
 * Two arenas hold one table each, of which one is current. A slot is a state word, the key and the value; entries are
 * published by their state word. When the table fills up, it is written anew into the other arena, and the version
 * moves on; a reader that saw the version move looks again.
 *
 *   0 version   1 current arena   2 log2 of its slots   3 entries   4 slots not empty     16.. arena 0, arena 1
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { halfSipHash } from './swarm/half-sip-hash.ts';

const VERSION = 0;
const ARENA = 1;
const SLOTS_LOG2 = 2;
const ENTRIES = 3;
const OCCUPIED = 4;
const HEAD_WORDS = 16;

const EMPTY = 0;
const PRESENT = 1;
const REMOVED = 2;

const FIRST_SLOTS_LOG2 = 6;
/** Slots filled, in percent, at which the table is written anew. */
const MAX_LOAD_PERCENT = 70;

/** What another thread needs to read the table: can be posted to a worker. */
export interface SharedTableMemory {
  readonly buffer: SharedArrayBuffer;
  readonly keyWords: number;
  readonly valueWords: number;
  readonly maxSlotsLog2: number;
  readonly hashKey: readonly [number, number];
}

/** Raised by `SharedTable.add` when the table holds as much as it may. */
export class TableFullError extends Error {
  override readonly name = 'TableFullError';
}

export class SharedTable {
  readonly memory: SharedTableMemory;
  readonly #words: Int32Array;
  readonly #slotWords: number;

  private constructor(memory: SharedTableMemory) {
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer);
    this.#slotWords = 1 + memory.keyWords + memory.valueWords;
  }

  /** Makes an empty table. Memory for `2 ** maxSlotsLog2` slots is reserved, and taken only as it fills. */
  static create(keyWords: number, valueWords: number, maxSlotsLog2: number): SharedTable {
    const arenaWords = (1 + keyWords + valueWords) * 2 ** maxSlotsLog2;
    const key = randomBytes(8);
    const table = new SharedTable({
      buffer: new SharedArrayBuffer(4 * (HEAD_WORDS + 2 * arenaWords)),
      keyWords,
      valueWords,
      maxSlotsLog2,
      hashKey: [key.readInt32LE(0), key.readInt32LE(4)],
    });
    table.#words[SLOTS_LOG2] = FIRST_SLOTS_LOG2;
    return table;
  }

  /** Reads the table that another thread made and writes. */
  static attach(memory: SharedTableMemory): SharedTable {
    return new SharedTable(memory);
  }

  get size(): number {
    return this.#words[ENTRIES];
  }

  /**
   * Looks up the key at `source[first]`. Returns whether it is there, and copies its value to `value`, when one is
   * given.
   */
  find(source: Int32Array, first: number, value?: Int32Array): boolean {
    const words = this.#words;
    for (;;) {
      const version = Atomics.load(words, VERSION);
      // An odd version: the writer is changing over to the other arena, for a few stores.
      if ((version & 1) === 1) continue;
      const slot = this.#slotOf(source, first);
      const found = slot >= 0 && Atomics.load(words, slot) === PRESENT;
      if (found && value !== undefined) {
        const at = slot + 1 + this.memory.keyWords;
        for (let i = 0; i < this.memory.valueWords; i++) value[i] = words[at + i];
      }
      if (Atomics.load(words, VERSION) === version) return found;
    }
  }

  /** Adds a key that is not there, or does nothing. For the one writer. Throws `TableFullError`. */
  add(key: Int32Array, value: Int32Array): void {
    if (this.find(key, 0)) return;
    const words = this.#words;
    const slots = 2 ** words[SLOTS_LOG2];
    if ((words[OCCUPIED] + 1) * 100 > slots * MAX_LOAD_PERCENT) this.#rebuild();
    this.#put(key, 0, value, 0);
    words[ENTRIES]++;
  }

  /** Removes a key; returns whether it was there. For the one writer. */
  remove(key: Int32Array): boolean {
    const slot = this.#slotOf(key, 0);
    if (slot < 0) return false;
    Atomics.store(this.#words, slot, REMOVED);
    this.#words[ENTRIES]--;
    return true;
  }

  /**
   * Replaces all that is in the table by `entries`, keys and values in turn, which readers see at once. For the one
   * writer. Throws `TableFullError`, with the old entries in place.
   */
  replace(entries: readonly (readonly [key: Int32Array, value: Int32Array])[]): void {
    this.#beginArena(entries.length);
    const unique = entries.reduce((count, [key, value]) => count + (this.#putNew(key, value) ? 1 : 0), 0);
    this.#switchArena(unique);
  }

  /** The slot of a key that is present in the current arena, or -1. */
  #slotOf(source: Int32Array, first: number): number {
    const words = this.#words;
    return this.#probe(words[ARENA], words[SLOTS_LOG2], source, first, false);
  }

  /** Follows the probe sequence of a key: to its slot, else (when `toEmpty`) to the empty slot at the end, else -1. */
  #probe(arena: number, slotsLog2: number, source: Int32Array, first: number, toEmpty: boolean): number {
    const words = this.#words;
    const { keyWords, hashKey, maxSlotsLog2 } = this.memory;
    const base = HEAD_WORDS + arena * this.#slotWords * 2 ** maxSlotsLog2;
    const mask = 2 ** slotsLog2 - 1;
    let index = halfSipHash(source, first, keyWords, hashKey[0], hashKey[1]) & mask;
    for (let probes = 0; probes <= mask; probes++) {
      const slot = base + index * this.#slotWords;
      const state = Atomics.load(words, slot);
      if (state === EMPTY) return toEmpty ? slot : -1;
      if (state === PRESENT && this.#hasKey(slot, source, first)) return slot;
      index = (index + 1) & mask;
    }
    return -1;
  }

  #hasKey(slot: number, source: Int32Array, first: number): boolean {
    for (let i = 0; i < this.memory.keyWords; i++) {
      if (this.#words[slot + 1 + i] !== source[first + i]) return false;
    }
    return true;
  }

  #put(source: Int32Array, first: number, value: Int32Array, firstValue: number): void {
    const words = this.#words;
    const slot = this.#probe(words[ARENA], words[SLOTS_LOG2], source, first, true);
    this.#write(slot, source, first, value, firstValue);
    words[OCCUPIED]++;
  }

  #write(slot: number, source: Int32Array, first: number, value: Int32Array, firstValue: number): void {
    const { keyWords, valueWords } = this.memory;
    assert(slot >= 0, 'a table below its load limit has an empty slot');
    for (let i = 0; i < keyWords; i++) this.#words[slot + 1 + i] = source[first + i];
    for (let i = 0; i < valueWords; i++) this.#words[slot + 1 + keyWords + i] = value[firstValue + i];
    Atomics.store(this.#words, slot, PRESENT);
  }

  /** Log2 of the slots of the arena that is being written. */
  #nextLog2 = FIRST_SLOTS_LOG2;

  #beginArena(entries: number): void {
    let log2 = FIRST_SLOTS_LOG2;
    while ((entries + 1) * 100 > 2 ** log2 * (MAX_LOAD_PERCENT / 2) && log2 < this.memory.maxSlotsLog2)
      log2++;
    if ((entries + 1) * 100 > 2 ** log2 * MAX_LOAD_PERCENT) {
      throw new TableFullError(`the table is full: ${entries} entries`);
    }
    this.#nextLog2 = log2;
    const arenaWords = this.#slotWords * 2 ** this.memory.maxSlotsLog2;
    const base = HEAD_WORDS + (1 - this.#words[ARENA]) * arenaWords;
    this.#words.fill(0, base, base + this.#slotWords * 2 ** log2);
  }

  #putNew(key: Int32Array, value: Int32Array, first = 0): boolean {
    const slot = this.#probe(1 - this.#words[ARENA], this.#nextLog2, key, first, true);
    if (Atomics.load(this.#words, slot) === PRESENT) return false;
    this.#write(slot, key, first, value, first === 0 ? 0 : first + this.memory.keyWords);
    return true;
  }

  #switchArena(entries: number): void {
    const words = this.#words;
    words[ENTRIES] = entries;
    words[OCCUPIED] = entries;
    // A reader between these stores may look into the wrong place, and looks again because the version moved.
    Atomics.add(words, VERSION, 1);
    Atomics.store(words, SLOTS_LOG2, this.#nextLog2);
    Atomics.store(words, ARENA, 1 - words[ARENA]);
    Atomics.add(words, VERSION, 1);
  }

  #rebuild(): void {
    const words = this.#words;
    this.#beginArena(words[ENTRIES]);
    const base = HEAD_WORDS + words[ARENA] * this.#slotWords * 2 ** this.memory.maxSlotsLog2;
    const slots = 2 ** words[SLOTS_LOG2];
    for (let index = 0; index < slots; index++) {
      const slot = base + index * this.#slotWords;
      if (words[slot] === PRESENT) this.#putNew(words, words, slot + 1);
    }
    this.#switchArena(words[ENTRIES]);
  }
}
