/** A header of a request whose head was read already (`http-request.ts`): for what only few requests are asked. */

const LF = 0x0a;
const COLON = 0x3a;

/**
 * The value of the headers called `name`, without the spaces around it, in the lines between `start` and `end`; several
 * are joined by commas, in their order (RFC 9110, 5.3). `''` when there is none. `name` is in lower case. The bytes are
 * Latin-1 (5.5).
 */
export function findHeader(bytes: Uint8Array, start: number, end: number, name: string): string {
  let value: string | null = null;
  for (let at = bytes.indexOf(LF, start) + 1; at > 0 && at < end; at = bytes.indexOf(LF, at) + 1) {
    const colon = at + name.length;
    if (colon >= end || bytes[colon] !== COLON) continue;
    if (textOf(bytes, at, colon).toLowerCase() !== name) continue;
    const lineEnd = bytes.indexOf(LF, colon);
    const text = textOf(bytes, colon + 1, lineEnd < 0 || lineEnd > end ? end : lineEnd).trim();
    value = value === null ? text : `${value},${text}`;
  }
  return value ?? '';
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}
