/** The completed counters of the store and of the database, kept together over one database. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { CompletedSync, type CompletedSyncHooks } from '../tracker/run/completed-sync.ts';
import { validateConfig } from '../tracker/config/validation.ts';
import { type Database, openDatabase } from '../tracker/db/client.ts';
import { type DatabaseState, defaultTiming } from '../tracker/db/model.ts';
import type { TrackerConfig } from '../tracker/config/schema.ts';
import { Policy } from '../tracker/policy.ts';
import { AnnounceEvent } from '../tracker/protocol/model.ts';
import { Store } from '../tracker/swarm/store.ts';
import type { SwarmRules } from '../tracker/swarm/swarm-rules.ts';
import { sharedMariadb } from './db/drivers.ts';
import { openLink } from './support/mariadb.ts';
import { needs } from './support/parts.ts';
import { waitFor } from './support/waiting.ts';
import { Announcer, RULES } from './swarm/announcing.ts';

/** Longer than any of these ends takes. */
const STOP_MILLIS = 60_000;
const PERSISTENT = { ...RULES, persistCompleted: true };

describe('Completed counters', () => {
  test('of a torrent that is completed as soon as it is seen are counted once', async (context) => {
    const { database, store, sync } = await openParts(context);
    const infoHash = randomBytes(20).toString('hex');
    await database.addCompleted('earlier', new Map([[infoHash, 5]]));
    assert.equal(complete(store, infoHash), 1);
    // The last round writes and asks for what there is.
    await sync().stop(STOP_MILLIS);
    assert.equal(completedOf(store, infoHash), 6);
    assert.equal((await database.loadCompleted([infoHash])).get(infoHash), 6);
  });

  test('of all torrents are summed as the database knows them', async (context) => {
    const { database, store, sync } = await openParts(context);
    await database.addCompleted('earlier', new Map([[randomBytes(20).toString('hex'), 5]]));
    const running = sync();
    await waitFor('the sum', () => running.totalCompleted === 5);
    complete(store, randomBytes(20).toString('hex'));
    await waitFor('the sum with the new one', () => running.totalCompleted === 6);
    await running.stop(STOP_MILLIS);
  });

  test('of two trackers over one database are added', async (context) => {
    const { database, store, sync, policy, hooks } = await openParts(context);
    const otherStore = Store.create(2 ** 22, 1);
    const infoHash = randomBytes(20).toString('hex');
    complete(store, infoHash);
    complete(otherStore, infoHash);
    await sync().stop(STOP_MILLIS);
    await new CompletedSync(otherStore, database, policy, hooks).stop(STOP_MILLIS);
    assert.equal((await database.loadCompleted([infoHash])).get(infoHash), 2);
    assert.equal(completedOf(otherStore, infoHash), 2);
  });

  test('that begin to be kept while the tracker runs include what the database knew, once', async (context) => {
    const { database, store, sync, policy } = await openParts(context);
    const infoHash = randomBytes(20).toString('hex');
    await database.addCompleted('earlier', new Map([[infoHash, 5]]));
    policy.apply(configOf(false));
    const running = sync();
    assert.equal(complete(store, infoHash, RULES), 1);

    policy.apply(configOf(true));
    await waitFor('the counter of earlier times', () => completedOf(store, infoHash) === 6);
    policy.apply(configOf(false));
    policy.apply(configOf(true));
    assert.equal(complete(store, infoHash), 7);
    await waitFor('the new download in the database', () => running.totalCompleted === 6);
    await running.stop(STOP_MILLIS);
    assert.equal(completedOf(store, infoHash), 7);
    assert.equal((await database.loadCompleted([infoHash])).get(infoHash), 6);
  });
});

describe('Completed counters that are left when the tracker ends', needs('mariadb'), () => {
  test('are written to a database that has come back, without the pause before its next try', async (context) => {
    const { parts, link, infoHash } = await startWithoutDatabase(context);
    await link.restore();
    await parts.running.stop(STOP_MILLIS);
    assert.deepEqual(parts.losses, []);
    assert.equal((await parts.database.loadCompleted([infoHash])).get(infoHash), 1);
  });

  test('are told of when the database stays away', async (context) => {
    const { parts } = await startWithoutDatabase(context);
    // One more, that came after the batch which waits.
    complete(parts.store, randomBytes(20).toString('hex'));
    await parts.running.stop(STOP_MILLIS);
    assert.deepEqual(parts.losses, [2]);
  });

  test('hold the end up no longer than it allows when the database falls silent, and are told of', async (context) => {
    const access = await (await sharedMariadb()).createDatabase();
    const link = await openLink(access);
    context.after(() => link.close());
    // A call that lasts longer than the test may.
    const timing = { ...defaultTiming, callDeadlineMillis: 120_000 };
    const database = await openDatabase({ ...access, host: link.host, port: link.port }, {}, timing);
    const parts = partsAround(context, database);
    const running = parts.sync();
    await waitFor('the first round', () => database.callsWaiting() === 0 && running.torrentsWaiting === 0);
    link.freeze();
    complete(parts.store, randomBytes(20).toString('hex'));
    await waitFor('a call', () => database.callsWaiting() > 0);
    const began = performance.now();
    await running.stop(100);
    await database.close(100);
    assert.ok(performance.now() - began < 60_000, 'long before the call is over');
    assert.deepEqual(parts.losses, [1]);
  });
});

/** Counters over a MySQL that goes away, and is next looked for in an hour; one download waits to be written. */
async function startWithoutDatabase(context: TestContext) {
  const access = await (await sharedMariadb()).createDatabase();
  const link = await openLink(access);
  context.after(() => link.close());
  const hourMillis = 3_600_000;
  const timing = { ...defaultTiming, retryMinMillis: hourMillis, retryMaxMillis: hourMillis };
  let triesFailed = 0;
  const onStateChange = (state: DatabaseState) => (triesFailed += state.kind === 'down' ? 1 : 0);
  const options = { ...access, host: link.host, port: link.port };
  const database = await openDatabase(options, { onStateChange }, timing);
  const parts = partsAround(context, database);
  const running = parts.sync();
  await link.cut();
  const infoHash = randomBytes(20).toString('hex');
  complete(parts.store, infoHash);
  // The call that found out, and the try that follows at once.
  await waitFor('the pause before the next try', () => triesFailed >= 2);
  return { parts: { ...parts, running }, link, infoHash };
}

async function openParts(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-completed-'));
  const database = await openDatabase({ kind: 'sqlite3', path: join(folder, 'tracker.db') });
  const parts = partsAround(context, database);
  context.after(() => {
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(parts.losses, []);
  });
  return parts;
}

function partsAround(context: TestContext, database: Database) {
  const faults: unknown[] = [];
  const losses: number[] = [];
  context.after(async () => {
    await database.close();
    assert.deepEqual(faults, []);
  });
  const store = Store.create(2 ** 22, 1);
  const policy = Policy.create(configOf(true));
  const hooks: CompletedSyncHooks = {
    onError: (error) => faults.push(error),
    onLoss: (downloads) => losses.push(downloads),
  };
  const sync = () => new CompletedSync(store, database, policy, hooks);
  return { database, store, policy, sync, hooks, losses };
}

function configOf(isPersistent: boolean): TrackerConfig {
  return validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: {
        listed: false,
        private: false,
        database: { driver: 'sqlite3' },
        tracker_policy: { persistent_torrent_completed_stat: isPersistent },
      },
    },
    () => 'the test',
  );
}

/** Lets a peer start and complete; returns the counter. */
function complete(store: Store, infoHash: string, rules: SwarmRules = PERSISTENT): number {
  const announcer = new Announcer(store);
  const peer = { infoHash, peerId: randomBytes(20).toString('hex'), address: 'c0000201', port: 6881 };
  announcer.announce({ ...peer, left: 1n, event: AnnounceEvent.started }, 1, 0, rules);
  return announcer.announce({ ...peer, left: 0n, event: AnnounceEvent.completed }, 1, 0, rules).completed;
}

function completedOf(store: Store, infoHash: string): number | undefined {
  return [...store.torrents()].flat().find((torrent) => torrent.infoHash === infoHash)?.completed;
}
