/**
 * Addresses that sent too many wrong connection ids, in bounded shared memory: every network thread counts and looks,
 * the main thread forgives all of them from time to time. As in Torrust Tracker, an address with more errors than
 * allowed is ignored until then.
 *
 * The table is a cache of two places for each hash. A new address takes the place with the lower count, unless both are
 * banned; so a flood from many addresses costs no memory, and neither lifts a ban nor gives one to somebody else.
 *
 *   0 addresses banned    4.. per place: tag, errors
 *
 * Private addresses are never counted: behind one of them may be a proxy or a whole cluster.
 */
import { randomBytes } from 'node:crypto';
import type { PeerAddress } from './protocol/model.ts';
import { sipHash24 } from './sip-hash.ts';

const BANNED = 0;
const HEAD_WORDS = 4;
const SETS_LOG2 = 15;
const PLACES_PER_SET = 2;
const PLACE_WORDS = 2;
const TABLE_WORDS = PLACES_PER_SET * PLACE_WORDS * 2 ** SETS_LOG2;

/** What another thread needs: can be posted to a worker. */
export interface AddressBansMemory {
  readonly buffer: SharedArrayBuffer;
  readonly key: Int32Array;
}

export class AddressBans {
  readonly memory: AddressBansMemory;
  readonly #words: Int32Array;
  readonly #mac = new Int32Array(2);

  private constructor(memory: AddressBansMemory) {
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer);
  }

  static create(): AddressBans {
    const key = new Int32Array(new Uint8Array(randomBytes(16)).buffer);
    return new AddressBans({ buffer: new SharedArrayBuffer(4 * (HEAD_WORDS + TABLE_WORDS)), key });
  }

  static attach(memory: AddressBansMemory): AddressBans {
    return new AddressBans(memory);
  }

  /** Addresses banned at this moment. */
  get bannedAddresses(): number {
    return Atomics.load(this.#words, BANNED);
  }

  /** Whether an address is ignored. Costs nothing while nobody is banned. */
  isBanned(address: PeerAddress, maxErrors: number): boolean {
    if (this.bannedAddresses === 0) return false;
    const place = this.#find(address);
    return place >= 0 && Atomics.load(this.#words, place + 1) > maxErrors;
  }

  /** Counts a wrong connection id. */
  countError(address: PeerAddress, maxErrors: number): void {
    if (isPrivate(address)) return;
    const words = this.#words;
    let place = this.#find(address);
    if (place < 0) place = this.#take(maxErrors);
    if (place < 0) return;
    if (Atomics.add(words, place + 1, 1) === maxErrors) Atomics.add(words, BANNED, 1);
  }

  /** Forgives everybody. */
  clear(): void {
    for (let i = HEAD_WORDS; i < this.#words.length; i++) Atomics.store(this.#words, i, 0);
    Atomics.store(this.#words, BANNED, 0);
  }

  /** The place of an address, or -1. Leaves its hash in `#mac`. */
  #find(address: PeerAddress): number {
    sipHash24(this.memory.key, address.words, address.family === 4 ? 1 : 4, this.#mac);
    const first = this.#firstPlace();
    for (let i = 0; i < PLACES_PER_SET; i++) {
      const place = first + i * PLACE_WORDS;
      if (Atomics.load(this.#words, place) === this.#tag()) return place;
    }
    return -1;
  }

  /** Gives the address whose hash is in `#mac` a place of its set; -1 when all are banned. */
  #take(maxErrors: number): number {
    const words = this.#words;
    const first = this.#firstPlace();
    let place = first;
    for (let i = 1; i < PLACES_PER_SET; i++) {
      const other = first + i * PLACE_WORDS;
      if (words[other + 1] < words[place + 1]) place = other;
    }
    if (words[place + 1] > maxErrors) return -1;
    Atomics.store(words, place + 1, 0);
    Atomics.store(words, place, this.#tag());
    return place;
  }

  #firstPlace(): number {
    return HEAD_WORDS + (this.#mac[0] & (2 ** SETS_LOG2 - 1)) * PLACES_PER_SET * PLACE_WORDS;
  }

  /** Never zero, which is the tag of nobody. */
  #tag(): number {
    return this.#mac[1] | 1;
  }
}

/** Loopback, private, shared (RFC 6598), link-local and unique local addresses. */
function isPrivate({ bytes, family }: PeerAddress): boolean {
  const [a, b] = bytes;
  if (family === 4) {
    return (
      a === 10 ||
      a === 127 ||
      (a === 100 && (b & 0xc0) === 64) ||
      (a === 169 && b === 254) ||
      (a === 172 && (b & 0xf0) === 16) ||
      (a === 192 && b === 168)
    );
  }
  return (
    (a & 0xfe) === 0xfc ||
    (a === 0xfe && (b & 0xc0) === 0x80) ||
    bytes.subarray(0, 15).every((byte) => byte === 0)
  );
}
