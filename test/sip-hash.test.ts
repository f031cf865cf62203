/** SipHash-2-4 against its reference vectors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sipHash24 } from '../tracker/sip-hash.ts';

/** MACs of the bytes 0, 1, 2 ... under the key 00 01 ... 0f; those of whole words in the paper's table of vectors. */
const VECTORS: readonly (readonly [bytes: number, mac: string])[] = [
  [0, '310e0edd47db6f72'],
  [4, 'b7877127e09427cf'],
  [8, '6224939a79f5f593'],
  [12, 'fbe50e86bc8f1e75'],
  [16, 'db9bc2577fcc2a3f'],
  [24, '94af49f6c650adb8'],
];

for (const [length, expected] of VECTORS) {
  test(`gives the reference MAC of ${length} bytes`, () => {
    const key = new Int32Array(Uint8Array.from({ length: 16 }, (_, i) => i).buffer);
    const message = new Int32Array(Uint8Array.from({ length }, (_, i) => i).buffer);
    const mac = new Int32Array(2);
    sipHash24(key, message, length / 4, mac);
    assert.equal(Buffer.from(mac.buffer).toString('hex'), expected);
  });
}
