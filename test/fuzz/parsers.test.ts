/** Changed bencode, configurations and resources: taken or refused, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BencodeTrial } from './bencode-trial.ts';
import { ConfigurationTrial } from './configuration-trial.ts';
import { chooseSeed, Random } from './random.ts';
import { ResourceTrial } from './resource-trial.ts';

const TRIALS = {
  bencode: { trial: new BencodeTrial(), count: 20_000 },
  configurations: { trial: new ConfigurationTrial(), count: 2_000 },
  resources: { trial: new ResourceTrial(), count: 1_000 },
};

for (const [title, { trial, count }] of Object.entries(TRIALS)) {
  test(`Changed ${title} are taken or refused`, (context) => {
    const seed = chooseSeed();
    context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
    const random = new Random(seed);
    for (let i = 0; i < count; i++) trial.judge(random);
    context.diagnostic(JSON.stringify(trial.counts));
    for (const times of Object.values(trial.counts)) assert.ok(times > 0, JSON.stringify(trial.counts));
  });
}
