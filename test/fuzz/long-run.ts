/**
 * The long run of the fuzz tests (`make fuzz`): ten million random and changed datagrams and requests, most of them
 * straight into the services, a part through real sockets of either kind. Nothing may crash, no reply may be wrong, and
 * in the end there may be no more memory and no more descriptors in use than after the first rounds.
 *
 *     node --expose-gc test/fuzz/long-run.ts [count]
 *
 * It runs in rounds with a seed each; `FUZZ_SEED` and a count of one round (a twentieth) repeat the round that failed.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { BencodeTrial } from './bencode-trial.ts';
import { ConfigurationTrial } from './configuration-trial.ts';
import { DirectDatagramTrial, SocketDatagramTrial } from './datagram-trial.ts';
import { HttpTrial } from './http-trial.ts';
import { ProxyTrial } from './proxy-trial.ts';
import { chooseSeed, Random } from './random.ts';
import { makeStream } from './request-streams.ts';
import { RequestTrial } from './request-trial.ts';
import { ResourceTrial } from './resource-trial.ts';
import { SnapshotTrial } from './snapshot-trial.ts';

const DEFAULT_COUNT = 10_000_000;
const ROUNDS = 20;
/** After so many rounds everything is compiled, every store is full, and the heap has its size. */
const WARM_ROUNDS = 10;
const DATAGRAMS_PER_BATCH = 64;
/** Parts of the whole that go through sockets; a connection takes a thousand times as long as a call. */
const SOCKET_DATAGRAM_SHARE = 1 / 40;
const STREAM_SHARE = 1 / 1000;
/** Once in so many times, something else is read instead of a request. */
const SNAPSHOT_TURNS = 64;
const BENCODE_TURNS = 16;
const CONFIGURATION_TURNS = 1024;
const RESOURCE_TURNS = 4096;
/** Once in so many times, a PROXY protocol header. */
const PROXY_TURNS = 8;

/** How much more there may be in the end than when it was warm. Resident memory counts what the allocator keeps, too. */
const MAX_GROWTH_BYTES = { heap: 8 * 2 ** 20, external: 8 * 2 ** 20, resident: 64 * 2 ** 20 };

interface Use {
  readonly heap: number;
  readonly external: number;
  readonly resident: number;
  readonly descriptors: number;
}

const count = Number(process.argv[2] ?? DEFAULT_COUNT);
assert.ok(Number.isInteger(count) && count > 0, 'the count is a positive whole number');
assert.ok(global.gc, 'run it with --expose-gc');
const collectGarbage = global.gc;
const seed = chooseSeed();
console.log(`${count} datagrams and requests, FUZZ_SEED=${seed}`);

const trials = {
  datagrams: new DirectDatagramTrial(),
  requests: new RequestTrial(),
  snapshots: new SnapshotTrial(),
  bencode: new BencodeTrial(),
  configurations: new ConfigurationTrial(),
  resources: new ResourceTrial(),
  proxies: new ProxyTrial(),
  native: await SocketDatagramTrial.open('native'),
  portable: await SocketDatagramTrial.open('portable'),
  http: await HttpTrial.open(),
};
const begin = performance.now();
const perRound = Math.ceil(count / ROUNDS);
let done = 0;
let warm: Use | undefined;
try {
  for (let round = 0; done < count; round++) {
    const roundSeed = (seed + round) >>> 0;
    try {
      await runRound(new Random(roundSeed), perRound);
    } catch (cause) {
      throw new Error(
        `FUZZ_SEED=${roundSeed} with a count of ${perRound * ROUNDS} fails in its first round`,
        {
          cause,
        },
      );
    }
    done += perRound;
    const use = measure();
    console.log(`${done} in ${Math.round((performance.now() - begin) / 1000)} s, ${describe(use)}`);
    if (round + 1 === WARM_ROUNDS) warm = use;
  }
  if (warm !== undefined) judgeGrowth(warm, measure());
} finally {
  await trials.native.close();
  await trials.portable.close();
  await trials.http.close();
}
console.log('requests without sockets:', JSON.stringify(trials.requests.counts));
console.log('datagrams behind proxies:', JSON.stringify(trials.proxies.counts));
for (const name of ['snapshots', 'bencode', 'configurations', 'resources'] as const) {
  console.log(`${name}:`, JSON.stringify(trials[name].counts));
}
console.log('HTTP connections:', JSON.stringify(trials.http.counts));

async function runRound(random: Random, size: number): Promise<void> {
  const streams = Math.ceil(size * STREAM_SHARE);
  const batches = Math.ceil((size * SOCKET_DATAGRAM_SHARE) / DATAGRAMS_PER_BATCH);
  const direct = Math.max(0, size - streams - 2 * batches * DATAGRAMS_PER_BATCH);
  for (let i = 0; i < direct; i += 2) {
    trials.datagrams.judge(random);
    if (random.oneIn(SNAPSHOT_TURNS)) trials.snapshots.judge(random);
    else if (random.oneIn(BENCODE_TURNS)) trials.bencode.judge(random);
    else if (random.oneIn(CONFIGURATION_TURNS)) trials.configurations.judge(random);
    else if (random.oneIn(RESOURCE_TURNS)) trials.resources.judge(random);
    else if (random.oneIn(PROXY_TURNS)) trials.proxies.judge(random);
    else trials.requests.judge(random);
  }
  for (let i = 0; i < batches; i++) {
    await trials.native.judge(random, DATAGRAMS_PER_BATCH);
    await trials.portable.judge(random, DATAGRAMS_PER_BATCH);
  }
  for (let i = 0; i < streams; i++) {
    const { bytes } = makeStream(random);
    try {
      await trials.http.judge(bytes, random);
    } catch (cause) {
      throw new Error(`the stream ${JSON.stringify(bytes.toString('latin1'))}`, { cause });
    }
  }
  for (const trial of [trials.datagrams, trials.native, trials.portable]) trial.judgeCounters();
}

function measure(): Use {
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  const folder = '/proc/self/fd';
  const descriptors = existsSync(folder) ? readdirSync(folder).length : 0;
  return { heap: heapUsed, external, resident: rss, descriptors };
}

function describe(use: Use): string {
  const sizes = (['heap', 'external', 'resident'] as const).map(
    (name) => `${name} ${(use[name] / 2 ** 20).toFixed(1)} MiB`,
  );
  return `${sizes.join(', ')}, ${use.descriptors} descriptors`;
}

function judgeGrowth(before: Use, after: Use): void {
  for (const name of ['heap', 'external', 'resident'] as const) {
    const growth = after[name] - before[name];
    assert.ok(growth <= MAX_GROWTH_BYTES[name], `${name} grew by ${growth} bytes`);
  }
  assert.equal(after.descriptors, before.descriptors, 'no descriptor is left open');
}
