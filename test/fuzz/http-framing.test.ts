/**
 * Where HTTP requests begin and end: the native listener must see no request that node:http doesn't see, whatever comes
 * and however it is cut, so that nobody can smuggle one past a proxy.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HttpTrial } from './http-trial.ts';
import { chooseSeed, Random } from './random.ts';
import { CORPUS, makeStream } from './request-streams.ts';

const RUN_MILLIS = 6_000;
const MIN_STREAMS = 50;

describe('On the same bytes the native listener and node:http agree, or the connection is refused:', () => {
  let trial: HttpTrial;
  before(async () => {
    trial = await HttpTrial.open();
  });
  after(() => trial.close());

  for (const [index, { name, bytes }] of CORPUS.entries()) {
    test(name, () => trial.judgeBytewise(bytes, new Random(index)));
  }

  test('made and changed streams', async (context) => {
    const seed = chooseSeed();
    context.diagnostic(`FUZZ_SEED=${seed} repeats it`);
    const end = performance.now() + RUN_MILLIS;
    let streams = 0;
    for (; streams < MIN_STREAMS || performance.now() < end; streams++) {
      const random = new Random(seed + streams);
      const { bytes } = makeStream(random);
      try {
        await trial.judge(bytes, random);
      } catch (cause) {
        const shown = JSON.stringify(bytes.toString('latin1').slice(0, 4_000));
        throw new Error(`FUZZ_SEED=${seed + streams} sends ${shown}`, { cause });
      }
    }
    const { served, refused } = trial.counts;
    context.diagnostic(`${streams} streams, ${served} requests served, ${refused} refused`);
    assert.ok(served > streams / 4 && refused > streams / 10, 'the streams are of all kinds');
  });
});
