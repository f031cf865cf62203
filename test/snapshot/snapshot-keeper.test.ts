/** When snapshots are restored and written, what the log says of it, and what changes live. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { SnapshotKeeper } from '../../tracker/run/snapshot-keeper.ts';
import { lock } from '../../tracker/swarm/lock.ts';
import { LOCK_WORD } from '../../tracker/swarm/segment.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { restore } from '../swarm/snapshot-bytes.ts';
import { temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { defaultPolicy, filledStore, openTestLog, writeSnapshot } from './swarm-content.ts';

/** Longer than any test. */
const NEVER_SECONDS = 3600;
/** Longer than any last snapshot takes. */
const STOP_MILLIS = 60_000;

interface Kept {
  readonly keeper: SnapshotKeeper;
  readonly store: Store;
  /** The texts of the log's lines that match. */
  said(pattern: RegExp): string[];
  /** Waits until so many lines match. */
  says(pattern: RegExp, count?: number): Promise<void>;
}

/** Starts to keep a store; whoever wants the last snapshot stops the keeper. */
function keep(
  context: TestContext,
  path: string | undefined,
  { store = Store.create(16 * 2 ** 20, 4), interval = NEVER_SECONDS } = {},
): Kept {
  const { logger, lines } = openTestLog();
  const onFailure = (error: Error) => assert.fail(error);
  const keeper = new SnapshotKeeper(
    { store, policy: defaultPolicy(), logger, onFailure },
    { path, interval },
  );
  context.after(() => keeper.stop(STOP_MILLIS));
  const said = (pattern: RegExp) => lines.filter((line) => pattern.test(line));
  return {
    keeper,
    store,
    said,
    async says(pattern, count = 1) {
      await waitFor(
        `${count} lines with ${pattern} in ${lines.join('')}`,
        () => said(pattern).length >= count,
      );
    },
  };
}

function peersIn(path: string): number {
  const { end, counts } = restore(readFileSync(path), Store.create(16 * 2 ** 20, 1), {
    timeoutSeconds: 2 ** 28,
  });
  assert.equal(end, 'end');
  return counts.kept;
}

test('What one tracker wrote at its stop is there after the start of the next', async (context) => {
  const path = join(temporaryFolder(context), 'swarms');
  const first = keep(context, path, { store: filledStore(1000) });
  first.keeper.begin();
  await first.says(/There is no .*swarms begin empty/);
  await first.keeper.stop(STOP_MILLIS);
  assert.equal(first.said(/Swarms written to .*: 1000 peers in \d+ bytes/).length, 1);
  const second = keep(context, path);
  second.keeper.begin();
  await second.says(/kept 1000 of 1000 peers \(100 %\) in 50 torrents, 0 expired, written \d+ s ago/);
  assert.equal(second.store.totals().seeders, 1000);
  assert.equal(second.keeper.figures.restoredPeers, 1000);
});

test('Nothing is written before the file is restored as a whole', async (context) => {
  const path = join(temporaryFolder(context), 'swarms');
  writeSnapshot(path, 200_000);
  const before = readFileSync(path);
  const neverBegun = keep(context, path);
  await neverBegun.keeper.stop(STOP_MILLIS);
  const stopped = keep(context, path, { store: Store.create(128 * 2 ** 20) });
  stopped.keeper.begin();
  await stopped.keeper.stop(STOP_MILLIS);
  assert.ok(stopped.store.totals().seeders < 200_000, 'it was stopped in the middle');
  assert.deepEqual(readFileSync(path), before);
});

test('A snapshot is written every interval, which changes live', async (context) => {
  const path = join(temporaryFolder(context), 'swarms');
  const { keeper, says } = keep(context, path, { store: filledStore(40) });
  keeper.begin();
  await says(/begin empty/);
  assert.equal(existsSync(path), false);
  keeper.update({ path, interval: 1 });
  await waitFor('two snapshots', () => keeper.figures.writes >= 2);
  assert.equal(peersIn(path), 40);
  const { peers, bytes, writtenAtSeconds, failures } = keeper.figures;
  assert.deepEqual([peers, bytes, failures], [40, statSync(path).size, 0]);
  assert.ok(Math.abs(Date.now() / 1000 - writtenAtSeconds) < 60);
});

test('A new path gets a snapshot at once, the old one keeps its file, and none ends them', async (context) => {
  const folder = temporaryFolder(context);
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const { keeper } = keep(context, undefined, { store: filledStore(40) });
  keeper.begin();
  keeper.update({ path: one, interval: NEVER_SECONDS });
  await waitFor('the first file', () => keeper.figures.writes === 1);
  keeper.update({ path: two, interval: NEVER_SECONDS });
  await waitFor('the second file', () => keeper.figures.writes === 2);
  assert.deepEqual([peersIn(one), peersIn(two)], [40, 40]);
  rmSync(two);
  keeper.update({ path: undefined, interval: 1 });
  await keeper.stop(STOP_MILLIS);
  assert.deepEqual(readdirSync(folder), ['one']);
});

test('A file that can not be written is told of once, and once more when it can', async (context) => {
  const folder = join(temporaryFolder(context), 'data');
  const path = join(folder, 'swarms');
  const { keeper, said, says } = keep(context, path, { store: filledStore(40), interval: 1 });
  keeper.begin();
  await waitFor('three vain tries', () => keeper.figures.failures >= 3);
  const trouble = /can't be written to .*swarms: its folder does not exist \(ENOENT\)/;
  assert.equal(said(trouble).length, 1);
  assert.match(keeper.trouble ?? '', trouble);
  mkdirSync(folder);
  await says(/are written to .*swarms again/);
  assert.equal(keeper.trouble, null);
  rmSync(folder, { recursive: true });
  await says(trouble, 2);
});

describe('A file that is of no use is set aside with one warning, and snapshots go on:', () => {
  const snapshot = Buffer.from(filledSnapshot());
  const newer = Buffer.from(snapshot);
  newer.writeUInt32LE(77, 8);
  const cases: Record<string, { bytes: Uint8Array; says: RegExp; peers: number }> = {
    'an empty file': {
      bytes: Buffer.alloc(0),
      says: /is no snapshot of swarms: swarms begin empty/,
      peers: 0,
    },
    'a foreign file': { bytes: Buffer.alloc(900, 'x'), says: /is no snapshot of swarms/, peers: 0 },
    'one of a newer tracker': { bytes: newer, says: /by a newer version of the tracker/, peers: 0 },
    'a file that is cut': {
      bytes: snapshot.subarray(0, -10),
      says: /is damaged: 4000 peers of its sound part are restored/,
      peers: 4000,
    },
    'a damaged file': {
      bytes: Buffer.concat([snapshot.subarray(0, 1000), Buffer.from([1]), snapshot.subarray(1001)]),
      says: /is damaged: swarms begin empty/,
      peers: 0,
    },
  };
  for (const [title, { bytes, says: text, peers }] of Object.entries(cases)) {
    test(title, async (context) => {
      const folder = temporaryFolder(context);
      const path = join(folder, 'swarms');
      writeFileSync(path, bytes);
      const { keeper, store, said, says } = keep(context, path, { interval: 1 });
      keeper.begin();
      await says(text);
      assert.equal(said(/"level":"(warn|error)"/).length, 1);
      assert.equal(store.totals().seeders, peers);
      const [aside] = readdirSync(folder).filter((name) => /^swarms\.\w+-\d{8}T\d{9}Z$/.test(name));
      assert.deepEqual(readFileSync(join(folder, aside)), Buffer.from(bytes));
      await waitFor('the next snapshot', () => keeper.figures.writes > 0);
      assert.equal(peersIn(path), peers);
      assert.equal(keeper.trouble, null);
    });
  }

  test('but a folder stays where it is', async (context) => {
    const folder = temporaryFolder(context);
    mkdirSync(join(folder, 'swarms'));
    const { keeper, said } = keep(context, join(folder, 'swarms'), { interval: 1 });
    keeper.begin();
    await waitFor('two vain tries', () => keeper.figures.failures >= 2);
    assert.equal(said(/"level":"(warn|error)"/).length, 1);
    assert.match(keeper.trouble ?? '', /it is a folder$/);
    assert.deepEqual(readdirSync(folder), ['swarms']);
  });
});

function filledSnapshot(): Uint8Array {
  const folder = temporaryFolder({ after: (cleanup) => process.once('exit', cleanup) });
  writeSnapshot(join(folder, 'swarms'), 4000);
  return readFileSync(join(folder, 'swarms'));
}

test('A job that hangs does not keep the tracker from stopping', async (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'swarms');
  const store = filledStore(1000);
  const { keeper, says, said } = keep(context, path, { store, interval: 1 });
  // As a disk that does not answer: the job can't go on, and can't hear that it shall end.
  const words = new Int32Array(store.memory.segments[0]);
  const release = () => {
    Atomics.store(words, LOCK_WORD, 0);
    Atomics.notify(words, LOCK_WORD);
  };
  context.after(release);
  lock(words, LOCK_WORD);
  keeper.begin();
  const partials = () => readdirSync(folder).filter((name) => name.includes('.partial-'));
  await waitFor('a snapshot that is being written', () => partials().length > 0);
  // What is left of a stop is no whole number.
  await keeper.stop(1_000.5);
  await says(/could not be written to .* within 1 s: the file of before stays/);
  release();
  await waitFor('the end of the job', () => partials().length === 0);
  assert.equal(existsSync(path), false);
  assert.equal(said(/Swarms written/).length, 0);
});
