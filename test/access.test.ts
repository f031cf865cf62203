/** The snapshot of keys and whitelist that network threads read. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { Access, isKeyText, KeyState } from '../tracker/access.ts';

const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const OTHER_KEY = 'xqUEH2yJqRa1tMmL0aXWBRN8UjgPnG2v';

function wordsOf(infoHash: Buffer): Int32Array {
  return new Int32Array(Uint8Array.from(infoHash).buffer);
}

describe('A key', () => {
  const texts: Record<string, boolean> = {
    [KEY]: true,
    '00000000000000000000000000000000': true,
    '': false,
    [KEY.slice(1)]: false,
    [`${KEY}a`]: false,
    [`${KEY.slice(1)}-`]: false,
    [`${KEY.slice(1)}é`]: false,
    [`${KEY}\n`]: false,
  };
  for (const [text, isKey] of Object.entries(texts)) {
    test(`${isKey ? 'may' : 'may not'} be ${JSON.stringify(text)}`, () =>
      assert.equal(isKeyText(text), isKey));
  }

  const nowSeconds = 2_000_000_000;
  const cases: Record<string, { validUntilSeconds: number | null; at: number; state: KeyState }> = {
    'for ever is valid': { validUntilSeconds: null, at: nowSeconds, state: KeyState.valid },
    'of the future is valid': { validUntilSeconds: nowSeconds + 1, at: nowSeconds, state: KeyState.valid },
    'is valid in its last second': { validUntilSeconds: nowSeconds, at: nowSeconds, state: KeyState.valid },
    'is expired after its last second': {
      validUntilSeconds: nowSeconds,
      at: nowSeconds + 0.001,
      state: KeyState.expired,
    },
    'of the past is expired': { validUntilSeconds: 0, at: nowSeconds, state: KeyState.expired },
    'of a far future is valid': {
      validUntilSeconds: 8_210_266_876_799,
      at: nowSeconds,
      state: KeyState.valid,
    },
    'beyond 32 bits expires too': {
      validUntilSeconds: 2 ** 32 + 5,
      at: 2 ** 32 + 6,
      state: KeyState.expired,
    },
  };
  for (const [title, { validUntilSeconds, at, state }] of Object.entries(cases)) {
    test(title, () => {
      const access = Access.create();
      access.addKey({ key: KEY, validUntilSeconds });
      assert.equal(Access.attach(access.memory).checkKey(KEY, at), state);
    });
  }

  test('is unknown before it is added and after it is removed, and malformed when it is no key at all', () => {
    const access = Access.create();
    assert.equal(access.checkKey(KEY, 0), KeyState.unknown);
    access.addKey({ key: KEY, validUntilSeconds: null });
    assert.equal(access.checkKey(OTHER_KEY, 0), KeyState.unknown);
    assert.equal(access.checkKey(KEY.slice(1), 0), KeyState.malformed);
    access.removeKey(KEY);
    assert.equal(access.checkKey(KEY, 0), KeyState.unknown);
    assert.equal(access.keysSize, 0);
  });

  test('goes when all keys are replaced', () => {
    const access = Access.create();
    access.addKey({ key: KEY, validUntilSeconds: null });
    access.replaceKeys([{ key: OTHER_KEY, validUntilSeconds: null }]);
    assert.deepEqual(
      [access.checkKey(KEY, 0), access.checkKey(OTHER_KEY, 0)],
      [KeyState.unknown, KeyState.valid],
    );
  });
});

describe('A whitelist', () => {
  test('has what was added and not removed, for other threads too', () => {
    const access = Access.create();
    const reader = Access.attach(access.memory);
    const [one, two] = [randomBytes(20), randomBytes(20)];
    access.addInfoHash(one.toString('hex'));
    access.addInfoHash(two.toString('hex').toUpperCase());
    access.removeInfoHash(one.toString('hex'));
    assert.deepEqual([reader.isListed(wordsOf(one), 0), reader.isListed(wordsOf(two), 0)], [false, true]);
    assert.equal(reader.whitelistSize, 1);
  });

  test('holds a hundred thousand torrents', () => {
    const access = Access.create();
    const hashes = Array.from({ length: 100_000 }, () => randomBytes(20));
    access.replaceInfoHashes(hashes.map((infoHash) => infoHash.toString('hex')));
    assert.equal(access.whitelistSize, 100_000);
    assert.ok(hashes.every((infoHash) => access.isListed(wordsOf(infoHash), 0)));
    assert.equal(access.isListed(wordsOf(randomBytes(20)), 0), false);
  });
});
