/** A short run of what `make fuzz` does for long: random and changed requests against the services without sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirectDatagramTrial } from './datagram-trial.ts';
import { ProxyTrial } from './proxy-trial.ts';
import { chooseSeed, Random } from './random.ts';
import { RequestTrial } from './request-trial.ts';

const RUNS = 40_000;

test('random and changed datagrams get what they deserve from the service', (context) => {
  const trial = new DirectDatagramTrial();
  const seed = chooseSeed();
  context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
  const random = new Random(seed);
  for (let run = 0; run < RUNS; run++) trial.judge(random);
  trial.judgeCounters();
});

test('PROXY protocol headers, whole, changed and missing, get what they deserve', (context) => {
  const trial = new ProxyTrial();
  const seed = chooseSeed();
  context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
  const random = new Random(seed);
  for (let run = 0; run < RUNS / 2; run++) trial.judge(random);
  context.diagnostic(JSON.stringify(trial.counts));
  for (const count of Object.values(trial.counts))
    assert.ok(count > RUNS / 20, 'the datagrams are of all kinds');
});

test('random and changed requests get a whole answer from the service', (context) => {
  const trial = new RequestTrial();
  const seed = chooseSeed();
  context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
  const random = new Random(seed);
  for (let run = 0; run < RUNS; run++) trial.judge(random);
  context.diagnostic(JSON.stringify(trial.counts));
  for (const count of Object.values(trial.counts))
    assert.ok(count > RUNS / 50, 'the requests are of all kinds');
});
