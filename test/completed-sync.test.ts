/** The completed counters of the store and of the database, kept together over one database. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { CompletedSync } from '../tracker/run/completed-sync.ts';
import { validateConfig } from '../tracker/config/validation.ts';
import { type Database, openDatabase } from '../tracker/db/client.ts';
import type { TrackerConfig } from '../tracker/config/schema.ts';
import { Policy } from '../tracker/policy.ts';
import { AnnounceEvent } from '../tracker/protocol/model.ts';
import { Store } from '../tracker/swarm/store.ts';
import type { SwarmRules } from '../tracker/swarm/swarm-rules.ts';
import { waitFor } from './support/waiting.ts';
import { Announcer, RULES } from './swarm/announcing.ts';

const PERSISTENT = { ...RULES, persistCompleted: true };

describe('Completed counters', () => {
  test('of a torrent that is completed as soon as it is seen are counted once', async (context) => {
    const { database, store, sync } = await openParts(context);
    const infoHash = randomBytes(20).toString('hex');
    await database.addCompleted('earlier', new Map([[infoHash, 5]]));
    assert.equal(complete(store, infoHash), 1);
    // The last round writes and asks for what there is.
    await sync().stop();
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
    await running.stop();
  });

  test('of two trackers over one database are added', async (context) => {
    const { database, store, sync, policy, faults } = await openParts(context);
    const otherStore = Store.create(2 ** 22, 1);
    const infoHash = randomBytes(20).toString('hex');
    complete(store, infoHash);
    complete(otherStore, infoHash);
    await sync().stop();
    await new CompletedSync(otherStore, database, policy, (error) => faults.push(error)).stop();
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
    await running.stop();
    assert.equal(completedOf(store, infoHash), 7);
    assert.equal((await database.loadCompleted([infoHash])).get(infoHash), 6);
  });
});

async function openParts(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-completed-'));
  const database: Database = await openDatabase({ kind: 'sqlite3', path: join(folder, 'tracker.db') });
  const faults: unknown[] = [];
  context.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(faults, []);
  });
  const store = Store.create(2 ** 22, 1);
  const policy = Policy.create(configOf(true));
  const sync = () => new CompletedSync(store, database, policy, (error) => faults.push(error));
  return { database, store, policy, sync, faults };
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
