/** Unsigned integers in paths and queries, read as Rust's `parse` reads them. */

export const MAX_U32 = 2n ** 32n - 1n;
export const MAX_U64 = 2n ** 64n - 1n;

/** What reading gave; `fault` is in Rust's words. */
export type WholeNumber =
  { readonly kind: 'value'; readonly value: bigint } | { readonly kind: 'refused'; readonly fault: string };

/** Reads decimal digits, with a plus sign at most before them. */
export function parseWholeNumber(text: string, max: bigint): WholeNumber {
  if (!/^\+?[0-9]+$/.test(text)) return { kind: 'refused', fault: 'invalid digit found in string' };
  const number = BigInt(text.replace('+', ''));
  return number > max
    ? { kind: 'refused', fault: 'number too large to fit in target type' }
    : { kind: 'value', value: number };
}
