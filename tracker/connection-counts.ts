/**
 * How many connections each address holds open, in shared memory of a fixed size: a cache of eight places for each keyed
 * hash, where a new address takes the place with the lowest count. It may forget an address and then counts too few; it
 * never counts too many, so that nobody is refused for the connections of others. Whoever counts holds the lock, which
 * few wait for: a connection that is answered and closed at once is not counted.
 *
 *   0 lock      8.. per place: hash (0: nobody), connections
 */
import { lock, unlock } from './swarm/lock.ts';

const LOCK = 0;
const HEAD_WORDS = 8;

/** 32,768 addresses in a quarter of a megabyte: more than descriptors are there for connections. */
const SETS_LOG2 = 12;
const PLACES_PER_SET = 8;
const PLACE_WORDS = 2;
const SET_WORDS = PLACES_PER_SET * PLACE_WORDS;

export class ConnectionCounts {
  readonly #words: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /** Makes the memory that all threads share. */
  static createMemory(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * (HEAD_WORDS + SET_WORDS * 2 ** SETS_LOG2));
  }

  static attach(buffer: SharedArrayBuffer): ConnectionCounts {
    return new ConnectionCounts(buffer);
  }

  /** Counts a connection of the address with this keyed hash, which is not 0. Returns how many there were before. */
  enter(hash: number): number {
    const words = this.#words;
    lock(words, LOCK);
    let place = this.#find(hash);
    if (place < 0) place = this.#take(hash);
    const before = words[place + 1]++;
    unlock(words, LOCK);
    return before;
  }

  /** Counts its end. */
  leave(hash: number): void {
    const words = this.#words;
    lock(words, LOCK);
    const place = this.#find(hash);
    // Of an address that was forgotten meanwhile, fewer were counted than end.
    if (place >= 0 && words[place + 1] > 0) words[place + 1]--;
    unlock(words, LOCK);
  }

  #find(hash: number): number {
    const first = firstPlace(hash);
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      if (this.#words[place] === hash) return place;
    }
    return -1;
  }

  #take(hash: number): number {
    const words = this.#words;
    const first = firstPlace(hash);
    let lowest = first;
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      if (words[place + 1] < words[lowest + 1]) lowest = place;
    }
    words[lowest + 1] = 0;
    words[lowest] = hash;
    return lowest;
  }
}

function firstPlace(hash: number): number {
  return HEAD_WORDS + (hash & (2 ** SETS_LOG2 - 1)) * SET_WORDS;
}
