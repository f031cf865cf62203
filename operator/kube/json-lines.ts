/**
 * Cuts the body of a watch into values: one JSON text a line, however the bytes come. Lines are cut as bytes, so a
 * character that is spread over two chunks is whole again when it is read.
 */
import { ConnectionError } from './kube-error.ts';

const NEWLINE = 0x0a;
/** An object has 1.5 MiB at most where etcd has its defaults. */
const MAX_LINE_BYTES = 32 * 2 ** 20;

/** One body. */
export class JsonLines {
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  /** The values that a chunk completes. Throws `ConnectionError` at a line that is no JSON, or without an end. */
  *push(chunk: Uint8Array): Generator<unknown, void, void> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      const line = this.#complete(chunk.subarray(start, end));
      start = end + 1;
      if (line.trim() !== '') yield parse(line);
    }
    const rest = chunk.subarray(start);
    if (rest.length === 0) return;
    this.#parts.push(rest);
    this.#partBytes += rest.length;
    if (this.#partBytes > MAX_LINE_BYTES)
      throw new ConnectionError('malformed', 'a line of a watch has no end');
  }

  #complete(last: Uint8Array): string {
    const bytes = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#partBytes = 0;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch (error) {
    throw new ConnectionError('malformed', 'a line of a watch is no JSON', error);
  }
}
