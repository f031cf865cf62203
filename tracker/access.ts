/**
 * Who may announce what: the whitelist of the listed mode and the keys of the private mode, as a snapshot in shared
 * memory that every network thread reads without waiting. The main thread is the only writer, after the database has
 * the change.
 */
import { SharedTable, type SharedTableMemory } from './shared-table.ts';

/** Bytes of an authentication key: ASCII letters and digits. */
export const KEY_BYTES = 32;
const KEY_WORDS = KEY_BYTES / 4;
const INFO_HASH_WORDS = 5;
const KEY_PATTERN = /^[A-Za-z0-9]{32}$/;

/** Room for about eleven million torrents and three million keys. */
const WHITELIST_SLOTS_LOG2 = 24;
const KEYS_SLOTS_LOG2 = 22;

/** A key as the tracker holds it. */
export interface AccessKey {
  readonly key: string;
  /** Seconds since 1970; null: for ever. */
  readonly validUntilSeconds: number | null;
}

export const KeyState = { valid: 0, unknown: 1, expired: 2, malformed: 3 } as const;
export type KeyState = (typeof KeyState)[keyof typeof KeyState];

/** What another thread needs: can be posted to a worker. */
export interface AccessMemory {
  readonly whitelist: SharedTableMemory;
  readonly keys: SharedTableMemory;
}

/** Whether a text has the form of a key. */
export function isKeyText(text: string): boolean {
  return KEY_PATTERN.test(text);
}

export class Access {
  readonly #whitelist: SharedTable;
  readonly #keys: SharedTable;
  readonly #keyBytes = Buffer.alloc(KEY_BYTES);
  readonly #keyWords = new Int32Array(this.#keyBytes.buffer, this.#keyBytes.byteOffset, KEY_WORDS);
  readonly #validity = new Int32Array(2);

  private constructor(whitelist: SharedTable, keys: SharedTable) {
    this.#whitelist = whitelist;
    this.#keys = keys;
  }

  /** Makes an empty snapshot. */
  static create(): Access {
    return new Access(
      SharedTable.create(INFO_HASH_WORDS, 0, WHITELIST_SLOTS_LOG2),
      SharedTable.create(KEY_WORDS, 2, KEYS_SLOTS_LOG2),
    );
  }

  /** Reads the snapshot that another thread keeps. */
  static attach(memory: AccessMemory): Access {
    return new Access(SharedTable.attach(memory.whitelist), SharedTable.attach(memory.keys));
  }

  get memory(): AccessMemory {
    return { whitelist: this.#whitelist.memory, keys: this.#keys.memory };
  }

  get whitelistSize(): number {
    return this.#whitelist.size;
  }

  get keysSize(): number {
    return this.#keys.size;
  }

  /** Whether the info hash at `words[first]` is on the whitelist. */
  isListed(words: Int32Array, first: number): boolean {
    return this.#whitelist.find(words, first);
  }

  /** Looks a key up. `nowSeconds`: since 1970, with fraction. A key is valid until its second has passed. */
  checkKey(key: string, nowSeconds: number): KeyState {
    if (!isKeyText(key)) return KeyState.malformed;
    this.#keyBytes.write(key, 'latin1');
    if (!this.#keys.find(this.#keyWords, 0, this.#validity)) return KeyState.unknown;
    const [high, low] = this.#validity;
    if (high < 0) return KeyState.valid;
    return high * 2 ** 32 + (low >>> 0) < nowSeconds ? KeyState.expired : KeyState.valid;
  }

  /** Adds a key that is not there yet. Throws `TableFullError`. */
  addKey(key: AccessKey): void {
    const [words, validity] = keyEntry(key);
    this.#keys.add(words, validity);
  }

  removeKey(key: string): void {
    this.#keys.remove(keyWordsOf(key));
  }

  /** Replaces all keys at once. */
  replaceKeys(keys: readonly AccessKey[]): void {
    this.#keys.replace(keys.map((key) => keyEntry(key)));
  }

  /** Adds 40 hex digits to the whitelist. Throws `TableFullError`. */
  addInfoHash(infoHash: string): void {
    this.#whitelist.add(infoHashWordsOf(infoHash), NO_VALUE);
  }

  removeInfoHash(infoHash: string): void {
    this.#whitelist.remove(infoHashWordsOf(infoHash));
  }

  /** Replaces the whole whitelist at once. */
  replaceInfoHashes(infoHashes: readonly string[]): void {
    this.#whitelist.replace(infoHashes.map((infoHash) => [infoHashWordsOf(infoHash), NO_VALUE] as const));
  }
}

const NO_VALUE = new Int32Array(0);

/** The words of a key and of the second it ends at; a negative high word is "never". */
function keyEntry(key: AccessKey): [Int32Array, Int32Array] {
  const seconds = key.validUntilSeconds;
  const validity = seconds === null ? [-1, 0] : [Math.floor(seconds / 2 ** 32), seconds | 0];
  return [keyWordsOf(key.key), Int32Array.from(validity)];
}

function keyWordsOf(key: string): Int32Array {
  const words = new Int32Array(KEY_WORDS);
  Buffer.from(words.buffer).write(key, 'latin1');
  return words;
}

function infoHashWordsOf(infoHash: string): Int32Array {
  const words = new Int32Array(INFO_HASH_WORDS);
  Buffer.from(words.buffer).write(infoHash, 'hex');
  return words;
}
