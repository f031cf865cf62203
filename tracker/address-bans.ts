/**
 * Addresses that are ignored: those that sent too many wrong connection ids, and those that somebody banned by hand. In
 * bounded shared memory: every network thread counts and looks, the main thread forgives, bans and lifts. As in Torrust
 * Tracker, an address with more errors than allowed is ignored until all are forgiven.
 *
 * Bans are in `ban-table.ts`; here are the errors that lead to one. They are counted in a cache of two places for each
 * hash, where a new address takes the place with the lower count, so that a flood from many addresses costs no memory.
 *
 *   0 second of the next pardon    4.. per place: tag, errors
 */
import { randomBytes } from 'node:crypto';
import type { AddressHash } from './address-hash.ts';
import { BanReason, BanTable, type BanTableMemory } from './ban-table.ts';
import type { PeerAddress } from './protocol/model.ts';
import { sipHash24 } from './sip-hash.ts';

const NEXT_PARDON = 0;
const HEAD_WORDS = 4;
const SETS_LOG2 = 15;
const PLACES_PER_SET = 2;
const PLACE_WORDS = 2;
const TABLE_WORDS = PLACES_PER_SET * PLACE_WORDS * 2 ** SETS_LOG2;

/** What another thread needs: can be posted to a worker. */
export interface AddressBansMemory {
  readonly errors: SharedArrayBuffer;
  readonly errorsKey: Int32Array;
  readonly bans: BanTableMemory;
}

export class AddressBans {
  readonly memory: AddressBansMemory;
  readonly table: BanTable;
  readonly #errors: Int32Array;
  readonly #mac = new Int32Array(2);

  private constructor(memory: AddressBansMemory, hash?: AddressHash) {
    this.memory = memory;
    this.table = BanTable.attach(memory.bans, hash);
    this.#errors = new Int32Array(memory.errors);
  }

  static create(key?: Int32Array): AddressBans {
    return new AddressBans({
      errors: new SharedArrayBuffer(4 * (HEAD_WORDS + TABLE_WORDS)),
      errorsKey: new Int32Array(new Uint8Array(randomBytes(16)).buffer),
      bans: BanTable.create(key).memory,
    });
  }

  /** Uses the bans that another thread made. `hash` is under the key of their table. */
  static attach(memory: AddressBansMemory, hash?: AddressHash): AddressBans {
    return new AddressBans(memory, hash);
  }

  /** Counts a wrong connection id. With more than `maxErrors`, the address is banned until the next pardon. */
  countError(address: PeerAddress, maxErrors: number, nowSeconds: number): void {
    if (this.#countError(address) !== maxErrors) return;
    this.table.add({
      address,
      prefixBits: address.family === 4 ? 32 : 128,
      reason: BanReason.wrongConnectionIds,
      beginSeconds: nowSeconds,
      endSeconds: Atomics.load(this.#errors, NEXT_PARDON) >>> 0,
    });
  }

  /** Forgives everybody who was banned for wrong ids. */
  pardon(): void {
    this.#errors.fill(0, HEAD_WORDS);
    this.table.removeWhere(({ reason }) => reason === BanReason.wrongConnectionIds);
  }

  /** Says when the next pardon will be, in seconds since 1970, which bans for wrong ids last until. */
  expectPardon(atSeconds: number): void {
    Atomics.store(this.#errors, NEXT_PARDON, atSeconds);
  }

  /** Forgets the errors of one address, whose ban was lifted. */
  forget(address: PeerAddress): void {
    const place = this.#find(address);
    if (place >= 0) Atomics.store(this.#errors, place + 1, 0);
  }

  /** Adds an error. Returns how many there were before. */
  #countError(address: PeerAddress): number {
    let place = this.#find(address);
    if (place < 0) place = this.#take();
    return Atomics.add(this.#errors, place + 1, 1);
  }

  /** The place of an address, or -1. Leaves its hash in `#mac`. */
  #find(address: PeerAddress): number {
    sipHash24(this.memory.errorsKey, address.words, address.family === 4 ? 1 : 4, this.#mac);
    const first = this.#firstPlace();
    for (let i = 0; i < PLACES_PER_SET; i++) {
      const place = first + i * PLACE_WORDS;
      if (Atomics.load(this.#errors, place) === this.#tag()) return place;
    }
    return -1;
  }

  /** Gives the address whose hash is in `#mac` the place of its set with the lower count. */
  #take(): number {
    const errors = this.#errors;
    let place = this.#firstPlace();
    const other = place + PLACE_WORDS;
    if (errors[other + 1] < errors[place + 1]) place = other;
    Atomics.store(errors, place + 1, 0);
    Atomics.store(errors, place, this.#tag());
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
