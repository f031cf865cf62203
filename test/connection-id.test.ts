/** Connection ids: who may use one, from where, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnectionIds, IdState } from '../tracker/connection-id.ts';
import { ConnectionKeys, ConnectionKeysError, parseConnectionKeys } from '../tracker/connection-keys.ts';
import { PeerAddress } from '../tracker/protocol/model.ts';

const LIFETIME_SECONDS = 120;
const NOW_SECONDS = 1_800_000_000;

function addressOf(bytes: readonly number[], port: number): PeerAddress {
  const address = new PeerAddress();
  address.bytes.set(bytes);
  address.family = bytes.length === 4 ? 4 : 6;
  address.port = port;
  return address;
}

const HOME = addressOf([203, 0, 113, 7], 6881);

/** Issues an id at one time and judges it at another, by another thread that shares the keys. */
function judge(ageSeconds: number, from = HOME, keys = ConnectionKeys.create()): IdState {
  const issuer = new ConnectionIds(keys);
  issuer.readClock(NOW_SECONDS);
  issuer.issue(HOME);
  const verifier = new ConnectionIds(ConnectionKeys.attach(keys.buffer));
  verifier.readClock(NOW_SECONDS + ageSeconds);
  return verifier.verify(issuer.high, issuer.low, from, LIFETIME_SECONDS);
}

const TABLE: readonly (readonly [what: string, state: IdState, actual: () => IdState])[] = [
  ['accepts an id at once', IdState.valid, () => judge(0)],
  ['accepts an id at the end of its lifetime', IdState.valid, () => judge(120)],
  ['calls an id expired two slots later', IdState.expired, () => judge(124)],
  ['calls an id expired hours later', IdState.expired, () => judge(15 * 3600)],
  ['accepts an id of a replica whose clock is two seconds ahead', IdState.valid, () => judge(-2)],
  ['calls an id of the future forged', IdState.forged, () => judge(-10)],
  ['knows an id of another port', IdState.otherAddress, () => judge(0, addressOf([203, 0, 113, 7], 6882))],
  ['knows an id of another address', IdState.otherAddress, () => judge(0, addressOf([203, 0, 113, 8], 6881))],
  [
    'tells IPv6 addresses apart by their last byte',
    IdState.otherAddress,
    () => judge(0, addressOf([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], 6881)),
  ],
];
for (const [what, expected, actual] of TABLE) test(what, () => assert.equal(actual(), expected));

test('calls ids that nobody issued forged', () => {
  const ids = new ConnectionIds(ConnectionKeys.create());
  ids.readClock(NOW_SECONDS);
  let accepted = 0;
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (high, low) => {
      const state = ids.verify(high, low, HOME, LIFETIME_SECONDS);
      if (state !== IdState.forged && state !== IdState.otherAddress) accepted++;
    }),
    { numRuns: 2000 },
  );
  assert.equal(accepted, 0);
});

test('gives the same id twice in a slot and another one in the next', () => {
  const ids = new ConnectionIds(ConnectionKeys.create());
  const issue = (nowSeconds: number) => {
    ids.readClock(nowSeconds);
    ids.issue(HOME);
    return [ids.high, ids.low];
  };
  assert.deepEqual(issue(NOW_SECONDS), issue(NOW_SECONDS + 1));
  assert.notDeepEqual(issue(NOW_SECONDS), issue(NOW_SECONDS + 2));
});

test('keeps ids valid while keys rotate: next key added, star moved, old key removed', () => {
  const [a, b] = ['a:000102030405060708090a0b0c0d0e0f', 'b:ffeeddccbbaa99887766554433221100'];
  const keys = ConnectionKeys.create();
  const issuer = new ConnectionIds(keys);
  const issue = (text: string) => {
    keys.set(parseConnectionKeys(text));
    issuer.readClock(NOW_SECONDS);
    issuer.issue(HOME);
    return [issuer.high, issuer.low] as const;
  };
  const verify = ([high, low]: readonly [number, number], text: string) => {
    keys.set(parseConnectionKeys(text));
    issuer.readClock(NOW_SECONDS);
    return issuer.verify(high, low, HOME, LIFETIME_SECONDS);
  };
  const old = issue(`*${a}\n`);
  assert.equal(verify(old, `*${a}\n${b}`), IdState.valid);
  assert.equal(verify(old, `${a}\n*${b}`), IdState.valid);
  const next = issue(`${a}\n*${b}`);
  assert.notDeepEqual(next, old);
  assert.equal(verify(next, `*${b}`), IdState.valid);
  assert.equal(verify(old, `*${b}`), IdState.forged);
});

const BAD_FILES: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['no key', '\n', /exactly one line must begin with "\*".*found 0/],
  ['two stars', `*a:${'0'.repeat(32)}\n*b:${'1'.repeat(32)}`, /found 2/],
  ['a short key', `*a:${'0'.repeat(30)}`, /line 1 is not "ID:HEX"/],
  ['too many keys', `*s:${'0'.repeat(32)}\n${`k:${'1'.repeat(32)}\n`.repeat(16)}`, /at most 16/],
];
for (const [what, text, message] of BAD_FILES) {
  test(`refuses a key file with ${what}, without showing a key`, () => {
    assert.throws(
      () => parseConnectionKeys(text),
      (error: unknown) =>
        error instanceof ConnectionKeysError && message.test(error.message) && !/0{30}/.test(error.message),
    );
  });
}
