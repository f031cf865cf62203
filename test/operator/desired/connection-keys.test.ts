import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConnectionKeys } from '../../../tracker/connection-keys.ts';
import {
  addKey,
  decideRotation,
  formatKeySet,
  formatStep,
  parseKeySet,
  readRotation,
  type RotationState,
} from '../../../operator/desired/connection-keys.ts';

const START = new Date('2026-01-01T00:00:00Z');
const SETTINGS = { rotationHours: 24, lifetimeSeconds: 120 };
const MINUTE = 60_000;
const hex = (digit: number) => digit.toString(16).padStart(2, '0').repeat(16);

test('a year of rotation: no pod, however late it gets the Secret, meets an id whose key it lacks', () => {
  /** Kubelets deliver a change up to ninety seconds late. */
  const latest = 90_000;
  const history: { at: number; state: RotationState }[] = [];
  let now = START;
  let made = 0;
  let state = addKey(undefined, { id: `k${made}`, hex: hex(made % 256) }, now);
  const end = START.getTime() + 365 * 24 * 60 * MINUTE;
  while (now.getTime() < end) {
    history.push({ at: now.getTime(), state });
    const decision = decideRotation(state, SETTINGS, now);
    if (decision.kind === 'keep' && decision.state === state) {
      now = decision.nextAt;
      continue;
    }
    made += 1;
    state =
      decision.kind === 'keep'
        ? decision.state
        : addKey(state, { id: `k${made}`, hex: hex(made % 256) }, now);
  }
  assert.ok(made > 350, `${made} keys`);
  const signerAt = (time: number) => stateAt(time).keys.find(({ signs }) => signs)?.id;
  const stateAt = (time: number) => (history.findLast(({ at }) => at <= time) ?? history[0])?.state ?? state;
  for (const { at } of history) {
    for (const moment of [at, at + 1, at + latest, at + latest + 1]) {
      // The oldest and the newest Secret that a pod may have now, and who signed ids that are valid now.
      const signers = [
        0,
        latest,
        SETTINGS.lifetimeSeconds * 1000,
        latest + SETTINGS.lifetimeSeconds * 1000,
      ].map((age) => signerAt(moment - age));
      for (const view of [moment, moment - latest]) {
        const known = stateAt(view).keys.map(({ id }) => id);
        for (const signer of signers) assert.ok(known.includes(signer ?? ''), `${signer} at ${moment}`);
      }
    }
  }
});

test('the text of a key set is one that the tracker reads, the signing key first', () => {
  const state = addKey(addKey(undefined, { id: 'a', hex: hex(1) }, START), { id: 'b', hex: hex(2) }, START);
  const text = formatKeySet(state.keys);
  assert.equal(text, `*a:${hex(1)}\nb:${hex(2)}\n`);
  assert.deepEqual(parseKeySet(text), state.keys);
  assert.deepEqual(
    parseConnectionKeys(text).map((key) => key.toString('hex')),
    [hex(1), hex(2)],
  );
});

describe('a Secret', () => {
  const good = `*a:${hex(1)}\n`;
  const read = (text: string | undefined, step?: string, since?: string) =>
    readRotation(text, step, since, START);
  const unusable: Record<string, string | undefined> = {
    'that is not there': undefined,
    'without a key': '',
    'with a key that is cut': '*a:0011\n',
    'in which nobody signs': `a:${hex(1)}\n`,
    'in which two sign': `*a:${hex(1)}\n*b:${hex(2)}\n`,
  };
  for (const [title, text] of Object.entries(unusable)) {
    test(`${title} is made anew`, () => {
      assert.deepEqual(decideRotation(read(text), SETTINGS, START), { kind: 'create' });
    });
  }
  test('that was edited by hand is kept, and its time begins now', () => {
    for (const [step, since] of [
      [undefined, undefined],
      ['nonsense', START.toISOString()],
      ['added:gone', START.toISOString()],
      ['stable', 'yesterday'],
    ] as const) {
      assert.deepEqual(read(good, step, since), {
        keys: [{ id: 'a', hex: hex(1), signs: true }],
        step: { kind: 'stable' },
        since: START,
      });
    }
  });
  test('that was written is read back', () => {
    const state = addKey(addKey(undefined, { id: 'a', hex: hex(1) }, START), { id: 'b', hex: hex(2) }, START);
    assert.deepEqual(
      read(formatKeySet(state.keys), formatStep(state.step), state.since.toISOString()),
      state,
    );
  });
  test('from the future does not hold its rotation for good', () => {
    assert.equal(read(good, 'stable', '2099-01-01T00:00:00Z')?.since, START);
  });
});

test('a key that a user added stays through a rotation', () => {
  let state = readRotation(`*a:${hex(1)}\nmine:${hex(9)}\n`, undefined, undefined, START);
  let now = new Date(START.getTime() + 25 * 60 * MINUTE);
  assert.ok(state !== undefined && decideRotation(state, SETTINGS, now).kind === 'add');
  state = addKey(state, { id: 'b', hex: hex(2) }, now);
  for (let step = 0; step < 2; step += 1) {
    now = new Date(now.getTime() + 10 * MINUTE);
    const decision = decideRotation(state, SETTINGS, now);
    assert.ok(decision.kind === 'keep');
    ({ state } = decision);
  }
  assert.deepEqual(
    state.keys.map(({ id, signs }) => (signs ? `*${id}` : id)),
    ['mine', '*b'],
  );
});
