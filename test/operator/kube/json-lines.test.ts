/** A watch's body is the same events however its bytes are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JsonLines } from '../../../operator/kube/json-lines.ts';

test('any values come out as they went in, cut anywhere, in the middle of a character too', () => {
  const values = fc.array(fc.jsonValue({ stringUnit: 'binary' }), { maxLength: 5 });
  const cuts = fc.array(fc.nat(), { maxLength: 20 });
  fc.assert(
    fc.property(values, cuts, (wanted, places) => {
      const bytes = Buffer.from(wanted.map((value) => `${JSON.stringify(value)}\n`).join(''));
      const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted(
        (a, b) => a - b,
      );
      const lines = new JsonLines();
      let start = 0;
      const found: unknown[] = [];
      for (const end of ends) {
        found.push(...lines.push(bytes.subarray(start, end)));
        start = end;
      }
      assert.deepEqual(JSON.stringify(found), JSON.stringify(wanted));
    }),
  );
});

test('one byte at a time', () => {
  const lines = new JsonLines();
  const found = [...Buffer.from('{"name":"Ünïcödé 🎈"}\n\r\n[1]\n')].flatMap((byte) => [
    ...lines.push(Uint8Array.of(byte)),
  ]);
  assert.deepEqual(found, [{ name: 'Ünïcödé 🎈' }, [1]]);
});

test('half a line says nothing', () => {
  assert.deepEqual([...new JsonLines().push(Buffer.from('{"a":1'))], []);
});

test('a line that is no JSON is an error', () => {
  assert.throws(() => [...new JsonLines().push(Buffer.from('<html>\n'))], { code: 'malformed' });
});

test('a line without an end is an error, before it fills the memory', () => {
  const lines = new JsonLines();
  const chunk = Buffer.alloc(2 ** 20, 0x20);
  const push = () => {
    for (let count = 0; count < 40; count += 1) assert.deepEqual([...lines.push(chunk)], []);
  };
  assert.throws(push, { code: 'malformed' });
});
