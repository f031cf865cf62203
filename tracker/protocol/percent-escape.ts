/**
 * Percent escapes of URLs (RFC 3986, 2.1), read from raw bytes.
 */

/** The byte that the escape beginning at `at` stands for, -1 when it is malformed or reaches beyond `end`. */
export function decodeEscape(bytes: Uint8Array, at: number, end: number): number {
  if (at + 2 >= end) return -1;
  const high = hexDigit(bytes[at + 1]);
  const low = hexDigit(bytes[at + 2]);
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

/** The value of a hex digit, -1 when the byte is none. */
export function hexDigit(byte: number): number {
  return HEX_VALUES[byte];
}

/** By byte. Whether a digit of a hash is a letter follows no pattern: a branch on it would often be guessed wrong. */
const HEX_VALUES = Int8Array.from({ length: 256 }, (_, byte) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase()),
);
