/**
 * The keys of connection ids, in shared memory: the main thread sets them, every network thread reads them, so that a
 * rotation takes effect without a message.
 *
 * Key file: one key a line, `ID:HEX` with 16 bytes in hex; all keys verify, the one whose line begins with `*` signs.
 * Rotation in three steps: add the next key, wait until every replica has it, move the star, remove the old key when
 * its ids have expired. Without a file the key is random, so that ids end with the process.
 */
import { randomBytes } from 'node:crypto';

export const MAX_CONNECTION_KEYS = 16;
/** Words of a SipHash key. */
export const CONNECTION_KEY_WORDS = 4;

const VERSION = 0;
const COUNT = 1;
const FIRST_KEY = 4;
const LINE = /^(\*?)([A-Za-z0-9._-]{1,64}):([0-9A-Fa-f]{32})$/;

/** A key file that can't be used. The message names the line and never shows a key. */
export class ConnectionKeysError extends Error {
  override readonly name = 'ConnectionKeysError';
}

/** Reads a key file. Returns the keys, 16 bytes each, the signing one first. Throws `ConnectionKeysError`. */
export function parseConnectionKeys(text: string): Buffer[] {
  const signing: Buffer[] = [];
  const others: Buffer[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, star, , hex] = LINE.exec(line) ?? [];
    if (hex === undefined) {
      throw new ConnectionKeysError(
        `line ${index + 1} is not "ID:HEX" with 32 hex digits, with a "*" before the signing key`,
      );
    }
    (star === '*' ? signing : others).push(Buffer.from(hex, 'hex'));
  }
  if (signing.length !== 1) {
    throw new ConnectionKeysError(
      `exactly one line must begin with "*", the key that signs; found ${signing.length}`,
    );
  }
  if (signing.length + others.length > MAX_CONNECTION_KEYS) {
    throw new ConnectionKeysError(`at most ${MAX_CONNECTION_KEYS} keys are allowed`);
  }
  return [...signing, ...others];
}

export class ConnectionKeys {
  /** Shared memory: can be posted to a worker. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** Makes a key set of one random key. */
  static create(): ConnectionKeys {
    const words = FIRST_KEY + MAX_CONNECTION_KEYS * CONNECTION_KEY_WORDS;
    const keys = new ConnectionKeys(new SharedArrayBuffer(4 * words));
    keys.set([randomBytes(16)]);
    return keys;
  }

  static attach(buffer: SharedArrayBuffer): ConnectionKeys {
    return new ConnectionKeys(buffer);
  }

  /** Replaces the keys: 16 bytes each, the signing one first. For the main thread. */
  set(keys: readonly Uint8Array[]): void {
    const words = this.#words;
    // An odd version says that the keys are being written.
    Atomics.add(words, VERSION, 1);
    keys.forEach((key, index) => {
      const view = new DataView(key.buffer, key.byteOffset);
      for (let i = 0; i < CONNECTION_KEY_WORDS; i++) {
        words[FIRST_KEY + index * CONNECTION_KEY_WORDS + i] = view.getInt32(4 * i, true);
      }
    });
    words[COUNT] = keys.length;
    Atomics.add(words, VERSION, 1);
  }

  /** Changes whenever the keys do. */
  get version(): number {
    return Atomics.load(this.#words, VERSION);
  }

  /** A copy of the keys, four words each, the signing one first. */
  read(): Int32Array[] {
    for (;;) {
      const { version } = this;
      const keys = Array.from({ length: this.#words[COUNT] }, (_, index) => {
        const at = FIRST_KEY + index * CONNECTION_KEY_WORDS;
        return Int32Array.from(this.#words.subarray(at, at + CONNECTION_KEY_WORDS));
      });
      if (version % 2 === 0 && version === this.version) return keys;
    }
  }
}
