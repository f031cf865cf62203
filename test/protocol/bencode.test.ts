/**
 * Bencoding: strict about what it reads, canonical in what it writes.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  decodeBencode,
  encodeBencode,
  isBencodeDictionary,
  toByteString,
  writeDecimal,
  type BencodeFault,
  type BencodeValue,
} from '../../tracker/protocol/bencode.ts';

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

suite('a value is read', () => {
  const cases: [text: string, value: BencodeValue][] = [
    ['i0e', 0],
    ['i-7e', -7],
    ['i9007199254740991e', Number.MAX_SAFE_INTEGER],
    ['0:', bytesOf('')],
    ['4:spam', bytesOf('spam')],
    ['2:\u00ff\u0000', bytesOf('\u00ff\u0000')],
    ['le', []],
    ['li1e1:ali2eee', [1, bytesOf('a'), [2]]],
    ['de', new Map()],
    ['d0:i1e1:\u00ffi2ee', new Map([['', 1], ['\u00ff', 2]])], // prettier-ignore
    ['d1:a1:b2:aai3ee', new Map<string, BencodeValue>([['a', bytesOf('b')], ['aa', 3]])], // prettier-ignore
  ];
  for (const [text, value] of cases) {
    test(JSON.stringify(text), () => {
      const result = decodeBencode(bytesOf(text));
      assert.deepEqual(result, { kind: 'value', value });
      assert.equal(Buffer.from(encodeBencode(value)).toString('latin1'), text);
    });
  }
});

suite('a value is refused', () => {
  const cases: [text: string, fault: BencodeFault, offset: number][] = [
    ['', 'unexpectedEnd', 0],
    ['x', 'unexpectedByte', 0],
    ['e', 'unexpectedByte', 0],
    ['i', 'unexpectedEnd', 1],
    ['i1', 'unexpectedEnd', 2],
    ['ie', 'badInteger', 1],
    ['i-e', 'badInteger', 2],
    ['i-0e', 'badInteger', 4],
    ['i00e', 'badInteger', 1],
    ['i01e', 'badInteger', 1],
    ['i+1e', 'badInteger', 1],
    ['i1.0e', 'badInteger', 1],
    ['i9007199254740992e', 'integerOutOfRange', 1],
    ['i99999999999999999999e', 'integerOutOfRange', 1],
    ['5:spam', 'unexpectedEnd', 2],
    ['04:spam', 'badLength', 0],
    ['4spam', 'badLength', 0],
    ['99999999999999999999:', 'badLength', 0],
    ['9007199254740991:', 'unexpectedEnd', 17],
    ['-1:', 'unexpectedByte', 0],
    ['l', 'unexpectedEnd', 1],
    ['li1e', 'unexpectedEnd', 4],
    ['d', 'unexpectedEnd', 1],
    ['d1:a', 'unexpectedEnd', 4],
    ['d1:ae', 'unexpectedByte', 4],
    ['di1ei2ee', 'keyIsNoString', 1],
    ['d1:bi1e1:ai2ee', 'keysNotAscending', 7],
    ['d1:ai1e1:ai2ee', 'keysNotAscending', 7],
    ['i1ei2e', 'trailingBytes', 3],
    ['lee', 'trailingBytes', 2],
    ['l'.repeat(33), 'tooDeep', 32],
  ];
  for (const [text, fault, offset] of cases) {
    test(`${JSON.stringify(text)}: ${fault} at ${offset}`, () =>
      assert.deepEqual(decodeBencode(bytesOf(text)), { kind: 'fault', fault, offset }));
  }

  test('nesting without end is refused instead of exhausting the stack', () => {
    assert.equal(decodeBencode(bytesOf('d1:a'.repeat(1_000_000))).kind, 'fault');
  });
});

const { value: anyValue } = fc.letrec<{ value: BencodeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.maxSafeInteger(),
    fc.uint8Array({ maxLength: 30 }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .array(fc.tuple(fc.uint8Array({ maxLength: 4 }), tie('value')), { maxLength: 5 })
      .map((entries) => new Map(entries.map(([key, item]) => [Buffer.from(key).toString('latin1'), item]))),
  ),
}));

test('any value comes back from its bytes, and its bytes from the value', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = encodeBencode(value);
      const result = decodeBencode(bytes);
      assert.equal(result.kind, 'value');
      assert.deepEqual(encodeBencode(result.value), bytes);
      assert.deepEqual(normalize(result.value), normalize(value));
    }),
  );
});

test('every cut of a value is refused', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = encodeBencode(value);
      for (let length = 0; length < bytes.length; length++) {
        assert.equal(decodeBencode(bytes.subarray(0, length)).kind, 'fault', `cut at ${length}`);
      }
    }),
    { numRuns: 50 },
  );
});

test('whatever is accepted is the only form of its value', () => {
  const character = fc.constantFrom(...'0123456789:-ilde abc');
  fc.assert(
    fc.property(fc.array(character, { maxLength: 12 }), (characters) => {
      const bytes = toByteString(characters.join(''));
      const result = decodeBencode(bytes);
      if (result.kind === 'value')
        assert.deepEqual(Buffer.from(encodeBencode(result.value)), Buffer.from(bytes));
    }),
    { numRuns: 5000 },
  );
});

test('any safe integer is written in its decimal digits', () => {
  const edges = [
    0,
    9,
    10,
    99,
    100,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    1e15,
    1e15 - 1,
    Number.MAX_SAFE_INTEGER,
  ];
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(...edges), fc.maxSafeNat(), fc.nat()), (value) => {
      const out = Buffer.alloc(24, 0x23);
      const end = writeDecimal(out, 2, value);
      assert.equal(out.toString('latin1'), `##${value}`.padEnd(24, '#'));
      assert.equal(end, 2 + String(value).length);
    }),
  );
});

/** Byte strings as plain arrays and dictionaries as sorted pairs, so that equality doesn't depend on their classes. */
function normalize(value: BencodeValue): unknown {
  if (typeof value === 'number') return value === 0 ? 0 : value;
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (isBencodeDictionary(value)) {
    return {
      entries: [...value.entries()]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, v]) => [k, normalize(v)]),
    };
  }
  return value.map(normalize);
}
