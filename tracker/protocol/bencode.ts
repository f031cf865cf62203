/**
 * Bencoding (BEP 3): the format of HTTP tracker replies. Byte strings stay bytes; dictionary keys, which are byte
 * strings too, are held as latin1 text, one character per byte, so that they can be compared and looked up.
 *
 * Two halves: a strict decoder of untrusted bytes with its encoder, for clients and tests, and the writers that put
 * single elements into memory without allocating, for the reply path.
 */

/** A dictionary: latin1 keys, ascending by byte as the format demands. */
export type BencodeDictionary = ReadonlyMap<string, BencodeValue>;
export type BencodeValue = number | Uint8Array | readonly BencodeValue[] | BencodeDictionary;

/** Why bytes are no bencoded value; `offset` is where the reader stopped. */
export type BencodeFault =
  | 'unexpectedEnd'
  | 'unexpectedByte'
  | 'badInteger'
  | 'integerOutOfRange'
  | 'badLength'
  | 'keyIsNoString'
  | 'keysNotAscending'
  | 'tooDeep'
  | 'trailingBytes';

export type BencodeResult =
  | { readonly kind: 'value'; readonly value: BencodeValue }
  | { readonly kind: 'fault'; readonly fault: BencodeFault; readonly offset: number };

/** Lists and dictionaries inside one another that the decoder follows; replies of trackers need four. */
const MAX_DEPTH = 32;
/** Decimal digits of the longest number that can still be a safe integer. */
const MAX_DIGITS = 16;

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const LETTER_D = 0x64;
const LETTER_E = 0x65;
const LETTER_I = 0x69;
const LETTER_L = 0x6c;

/**
 * Reads the one value that `bytes` consists of. Strict: no leading zeros, no `-0`, keys ascending and unique, no bytes
 * after the value, integers within the safe range of a number. Byte strings are views of `bytes`. Never throws.
 */
export function decodeBencode(bytes: Uint8Array): BencodeResult {
  const reader = new Reader(bytes);
  const value = reader.readValue(0);
  if (value !== undefined && reader.offset < bytes.length) reader.fault = 'trailingBytes';
  if (value === undefined || reader.fault !== undefined) {
    return { kind: 'fault', fault: reader.fault ?? 'unexpectedByte', offset: reader.offset };
  }
  return { kind: 'value', value };
}

/** Writes a value out. Dictionary keys are sorted here; integers must be safe integers. */
export function encodeBencode(value: BencodeValue): Uint8Array {
  const chunks: Uint8Array[] = [];
  collectChunks(value, chunks);
  return Buffer.concat(chunks);
}

/** A byte string from latin1 text, for building values. */
export function toByteString(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** The entry `key` of a value that may be a dictionary; undefined when it is none or has no such key. */
export function dictionaryEntry(value: BencodeValue | undefined, key: string): BencodeValue | undefined {
  return isBencodeDictionary(value) ? value.get(key) : undefined;
}

/** Whether a value is a dictionary. (`instanceof Map` takes the items of a readonly map for `any`.) */
export function isBencodeDictionary(value: BencodeValue | undefined): value is BencodeDictionary {
  return value instanceof Map;
}

/** Whether a value is a list. (`Array.isArray` takes the items of a readonly array for `any`.) */
export function isBencodeList(value: BencodeValue | undefined): value is readonly BencodeValue[] {
  return Array.isArray(value);
}

/** The bytes of ASCII text, made once for `writeLiteral`. */
export function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Copies `literal` to `at` of `out`. Returns the offset behind it. */
export function writeLiteral(out: Uint8Array, at: number, literal: Uint8Array): number {
  const length = literal.length;
  for (let i = 0; i < length; i++) out[at + i] = literal[i];
  return at + length;
}

/** Writes `value`, an integer from 0 to 2^53 - 1, in decimal digits. Returns the offset behind them. */
export function writeDecimal(out: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    out[at] = ZERO + value;
    return at + 1;
  }
  let end = at + countDigits(value);
  const next = end;
  let rest = value;
  // Beyond 31 bits `| 0` would cut the number, and `%` would be slow for all the numbers that fit.
  while (rest > 0x7fffffff) {
    const quotient = Math.floor(rest / 10);
    out[--end] = ZERO + (rest - quotient * 10);
    rest = quotient;
  }
  while (end > at) {
    const quotient = (rest / 10) | 0;
    out[--end] = ZERO + (rest - quotient * 10);
    rest = quotient;
  }
  return next;
}

/** Writes a bencoded integer from 0 to 2^53 - 1. Returns the offset behind it. */
export function writeInteger(out: Uint8Array, at: number, value: number): number {
  out[at] = LETTER_I;
  const end = writeDecimal(out, at + 1, value);
  out[end] = LETTER_E;
  return end + 1;
}

/** Writes the length and the colon that a byte string of `length` bytes begins with. Returns the offset behind them. */
export function writeStringHead(out: Uint8Array, at: number, length: number): number {
  const end = writeDecimal(out, at, length);
  out[end] = COLON;
  return end + 1;
}

function countDigits(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return digits;
}

/** One pass over the bytes. A method that returns undefined has set `fault`, and `offset` stays where that was. */
class Reader {
  readonly bytes: Uint8Array;
  offset = 0;
  fault: BencodeFault | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  readValue(depth: number): BencodeValue | undefined {
    const byte = this.bytes[this.offset];
    if (byte === LETTER_I) return this.readInteger();
    if (byte === LETTER_L || byte === LETTER_D) {
      if (depth === MAX_DEPTH) return this.fail('tooDeep');
      return byte === LETTER_L ? this.readList(depth + 1) : this.readDictionary(depth + 1);
    }
    return this.readString();
  }

  readInteger(): number | undefined {
    this.offset++;
    const negative = this.bytes[this.offset] === MINUS;
    if (negative) this.offset++;
    const value = this.readDecimal(LETTER_E, 'badInteger', 'integerOutOfRange');
    if (value === undefined) return undefined;
    if (negative && value === 0) return this.fail('badInteger');
    return negative ? -value : value;
  }

  readString(): Uint8Array | undefined {
    const first = this.bytes[this.offset];
    if (first === undefined) return this.fail('unexpectedEnd');
    if (first < ZERO || first > NINE) return this.fail('unexpectedByte');
    const length = this.readDecimal(COLON, 'badLength', 'badLength');
    if (length === undefined) return undefined;
    if (length > this.bytes.length - this.offset) return this.fail('unexpectedEnd');
    const start = this.offset;
    this.offset += length;
    return this.bytes.subarray(start, this.offset);
  }

  readList(depth: number): BencodeValue[] | undefined {
    this.offset++;
    const list: BencodeValue[] = [];
    while (this.bytes[this.offset] !== LETTER_E) {
      const value = this.readValue(depth);
      if (value === undefined) return undefined;
      list.push(value);
    }
    this.offset++;
    return list;
  }

  readDictionary(depth: number): BencodeDictionary | undefined {
    this.offset++;
    const dictionary = new Map<string, BencodeValue>();
    let previous: string | undefined;
    while (this.bytes[this.offset] !== LETTER_E) {
      const start = this.offset;
      const first = this.bytes[start];
      if (first === LETTER_I || first === LETTER_L || first === LETTER_D) return this.fail('keyIsNoString');
      const keyBytes = this.readString();
      if (keyBytes === undefined) return undefined;
      const key = Buffer.from(keyBytes.buffer, keyBytes.byteOffset, keyBytes.length).toString('latin1');
      // Latin1 text has one code unit per byte, so comparing text is comparing bytes.
      if (previous !== undefined && key <= previous) {
        this.offset = start;
        return this.fail('keysNotAscending');
      }
      const value = this.readValue(depth);
      if (value === undefined) return undefined;
      dictionary.set(key, value);
      previous = key;
    }
    this.offset++;
    return dictionary;
  }

  /** Reads digits up to `end`, which is consumed. */
  readDecimal(end: number, bad: BencodeFault, outOfRange: BencodeFault): number | undefined {
    const bytes = this.bytes;
    const start = this.offset;
    let at = start;
    let value = 0;
    while (bytes[at] >= ZERO && bytes[at] <= NINE && at - start < MAX_DIGITS)
      value = value * 10 + (bytes[at++] - ZERO);
    if (at === bytes.length) {
      this.offset = at;
      return this.fail('unexpectedEnd');
    }
    if (bytes[at] >= ZERO && bytes[at] <= NINE) return this.fail(outOfRange);
    if (bytes[at] !== end || at === start) return this.fail(bad);
    if (at - start > 1 && bytes[start] === ZERO) return this.fail(bad);
    if (!Number.isSafeInteger(value)) return this.fail(outOfRange);
    this.offset = at + 1;
    return value;
  }

  fail(fault: BencodeFault): undefined {
    this.fault = fault;
    return undefined;
  }
}

function collectChunks(value: BencodeValue, chunks: Uint8Array[]): void {
  if (typeof value === 'number') {
    chunks.push(toByteString(`i${value}e`));
  } else if (value instanceof Uint8Array) {
    chunks.push(toByteString(`${value.length}:`), value);
  } else if (isBencodeList(value)) {
    chunks.push(toByteString('l'));
    for (const item of value) collectChunks(item, chunks);
    chunks.push(toByteString('e'));
  } else {
    chunks.push(toByteString('d'));
    for (const key of [...value.keys()].toSorted()) {
      chunks.push(toByteString(`${key.length}:${key}`));
      const item = value.get(key);
      if (item !== undefined) collectChunks(item, chunks);
    }
    chunks.push(toByteString('e'));
  }
}
