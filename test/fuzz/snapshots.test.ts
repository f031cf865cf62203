/** Changed snapshots: each is read as far as it is sound, or refused, and harms no store. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseSeed, Random } from './random.ts';
import { SnapshotTrial } from './snapshot-trial.ts';

const COUNT = 5_000;

test('Changed snapshots are refused or restored, and the store stays whole', (context) => {
  const seed = chooseSeed();
  context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
  const trial = new SnapshotTrial();
  const random = new Random(seed);
  for (let i = 0; i < COUNT; i++) trial.judge(random);
  context.diagnostic(JSON.stringify(trial.counts));
  for (const count of Object.values(trial.counts)) assert.ok(count > 0, JSON.stringify(trial.counts));
});
