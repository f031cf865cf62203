/**
 * Single values in the raw query of an HTTP request: digits, counters, percent-encoded bytes. Everything is read in
 * place, from a range of bytes, and nothing is allocated.
 */
import { decodeEscape } from './percent-escape.ts';

/** What became of a counter: between 2^63 and 2^64 - 1 it is an overflow, beyond or without digits it is bad. */
export const Counter = { good: 0, bad: 1, overflow: 2 } as const;
export type Counter = (typeof Counter)[keyof typeof Counter];

/** Characters of a request that a failure reason repeats at most, so that no reply outgrows its request by much. */
const MAX_QUOTED_CHARACTERS = 200;
const PERCENT = 0x25;
const PLUS = 0x2b;
const ZERO = 0x30;
const MAX_U32 = 0xffff_ffff;
const TWO_POW_32 = 0x1_0000_0000;
/** Decimal digits that always fit a safe integer. */
const SAFE_DIGITS = 15;

/** Reads digits, with a `+` before them or not. Returns -1 when they are no number from 0 to `max` (below 2^32). */
export function readUnsigned(bytes: Uint8Array, start: number, end: number, max: number): number {
  const first = bytes[start] === PLUS && start < end ? start + 1 : start;
  if (first >= end) return -1;
  let value = 0;
  for (let i = first; i < end; i++) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > max) return -1;
  }
  return value;
}

/** Reads a counter of 64 bits into two words, high first; both zero unless it is good. */
export function readCounter(
  bytes: Uint8Array,
  start: number,
  end: number,
  words: Int32Array,
  word: number,
): Counter {
  words[word] = 0;
  words[word + 1] = 0;
  const first = bytes[start] === PLUS && start < end ? start + 1 : start;
  if (first >= end) return Counter.bad;

  let value = 0;
  const safeEnd = Math.min(end, first + SAFE_DIGITS);
  for (let i = first; i < safeEnd; i++) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return Counter.bad;
    value = value * 10 + digit;
  }
  let high = Math.floor(value / TWO_POW_32);
  let low = value - high * TWO_POW_32;
  for (let i = safeEnd; i < end; i++) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return Counter.bad;
    low = low * 10 + digit;
    const carry = Math.floor(low / TWO_POW_32);
    low -= carry * TWO_POW_32;
    high = high * 10 + carry;
    if (high > MAX_U32) return Counter.bad;
  }
  if (high > 0x7fff_ffff) return Counter.overflow;
  words[word] = high;
  words[word + 1] = low;
  return Counter.good;
}

/**
 * Decodes percent escapes into at most `limitBytes` bytes of `out`. A malformed escape stands for itself, and so does `+`.
 * Returns the length of the whole decoded value, which may be more.
 */
export function decodePercent(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  offset: number,
  limitBytes: number,
): number {
  let length = 0;
  for (let i = start; i < end; i++) {
    let byte = bytes[i];
    if (byte === PERCENT) {
      const escaped = decodeEscape(bytes, i, end);
      if (escaped >= 0) {
        byte = escaped;
        i += 2;
      }
    }
    if (length < limitBytes) out[offset + length] = byte;
    length++;
  }
  return length;
}

/** Whether the range holds exactly the bytes of `text`. */
export function isText(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}

/** Where `byte` stands from `start` on; `end` when it doesn't. */
export function indexOf(bytes: Uint8Array, byte: number, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== byte) at++;
  return at;
}

/** Raw bytes as latin1 text, cut where it would become long. */
export function quote(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  const cut = Math.min(end, start + MAX_QUOTED_CHARACTERS);
  for (let i = start; i < cut; i++) text += String.fromCharCode(bytes[i]);
  return text;
}
