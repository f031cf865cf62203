/** What goes wrong around trackers, or changes under their hands, and what their metrics have to tell of it. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import knex from 'knex';
import { announce } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { startLiveTracker } from '../reload/live-tracker.ts';
import { type PartialConfig, startTrackerProcess, temporaryFolder } from '../support/tracker-process.ts';
import { ANY, API, ask, writePair } from './instrument-trackers.ts';
import type { SeenSeries } from './seen-series.ts';

const isCounted = (value: number) => value > 0;

/** Every call of the database, and every way in which one can fail: locked by another program, changed by one, ruined. */
export async function showDatabase(context: TestContext, seen: SeenSeries): Promise<void> {
  const folder = temporaryFolder(context);
  const path = join(folder, 'tracker.db');
  const tracker = await startTrackerProcess(
    context,
    {
      core: {
        private: true,
        listed: true,
        tracker_policy: { persistent_torrent_completed_stat: true },
        database: { driver: 'sqlite3', path },
      },
      http_trackers: [ANY],
      http_api: API,
    },
    { folder },
  );
  const direct = knex({ client: 'better-sqlite3', connection: { filename: path }, useNullAsDefault: true });
  context.after(() => void direct.destroy());
  const addKey = (key: string) => ask(tracker, 'POST', 'keys', { key, seconds_valid: null });
  const [key, other, third] = ['a', 'b', 'c'].map((letter) => letter.repeat(32));
  const infoHash = newInfoHash();
  const listed = `whitelist/${infoHash.toString('hex')}`;
  for (const [method, asked] of [
    ['GET', 'keys/reload'],
    ['POST', listed],
    ['DELETE', listed],
    ['POST', listed],
    ['GET', 'whitelist/reload'],
  ])
    assert.equal(await ask(tracker, method, asked), 200, asked);
  assert.equal(await addKey(key), 200);
  assert.equal(await addKey(other), 200);
  assert.equal(await ask(tracker, 'DELETE', `key/${other}`), 200);
  const complete = async (port: number) => {
    const peer = { port, peer_id: `-TT0001-${String(port).padStart(12, '0')}` };
    await announce(tracker.http[0], infoHash, { ...peer, left: 1 }, { key });
    await announce(tracker.http[0], infoHash, { ...peer, left: 0, event: 'completed' }, { key });
  };
  await complete(7000);
  await seen.untilTold(tracker, {
    database_up: 1,
    completed_counters_waiting: 0,
    completed_downloads_persisted: 1,
    'database_calls_total operation=addKey outcome=ok': 2,
    'database_calls_total operation=removeKey outcome=ok': 1,
    'database_calls_total operation=addToWhitelist outcome=ok': 2,
    'database_calls_total operation=removeFromWhitelist outcome=ok': 1,
    'database_calls_total operation=addCompleted outcome=ok': 1,
    'database_call_duration_seconds_count operation=addKey': 2,
  });

  // Another program holds the file: calls wait, and at last one is given up.
  await direct.raw('BEGIN EXCLUSIVE');
  const late = addKey(third);
  await complete(7001);
  await seen.untilTold(tracker, { database_calls_waiting: isCounted, completed_counters_waiting: 1 });
  assert.equal(await late, 500);
  await seen.untilTold(tracker, { 'database_calls_total operation=addKey outcome=unavailable': isCounted });
  await direct.raw('ROLLBACK');
  await seen.untilTold(tracker, {
    database_calls_waiting: 0,
    completed_counters_waiting: 0,
    completed_downloads_persisted: 2,
    completed_downloads_total: 2,
  });

  // Another program wrote a key that the tracker has not heard of, and took the table away.
  await direct('keys').insert({ key: other, valid_until: null });
  assert.equal(await addKey(other), 500);
  await direct.raw('ALTER TABLE keys RENAME TO others');
  assert.equal(await addKey(third), 500);
  await seen.untilTold(tracker, {
    'database_calls_total operation=addKey outcome=duplicate': 1,
    'database_calls_total operation=addKey outcome=refused': 1,
    database_up: 1,
  });
  await direct.raw('ALTER TABLE others RENAME TO keys');

  // Another program ruins the file; what the tracker read of it before is out of date by then.
  await direct('whitelist').delete();
  await direct.raw('PRAGMA wal_checkpoint(TRUNCATE)');
  // The first page has the names of the tables.
  const ruined = readFileSync(path).fill('no table ', 4096);
  writeFileSync(path, ruined);
  assert.equal(await addKey(third), 500);
  await seen.untilTold(tracker, {
    'database_calls_total operation=addKey outcome=malformed': isCounted,
    database_up: 0,
  });
  assert.equal((await tracker.stop()).code, 0);
}

/** Snapshots that are written, that can't be, and that a start brings back. */
export async function showSnapshots(context: TestContext, seen: SeenSeries): Promise<void> {
  const folder = temporaryFolder(context);
  const [home, away] = [join(folder, 'home'), join(folder, 'away')];
  mkdirSync(home);
  const path = join(home, 'swarms');
  const config: PartialConfig = {
    http_trackers: [ANY],
    swarm: { snapshot: { path, interval: 1 } },
  };
  const began = Math.floor(Date.now() / 1000);
  const first = await startTrackerProcess(context, config, { folder });
  const infoHash = newInfoHash();
  for (const port of [7000, 7001]) {
    const peer = { port, peer_id: `-TT0001-${String(port).padStart(12, '0')}` };
    await announce(first.http[0], infoHash, peer);
  }
  await seen.untilTold(first, {
    'snapshots_total outcome=written': isCounted,
    'snapshots_total outcome=failed': 0,
    snapshot_peers: 2,
    snapshot_last_success_timestamp_seconds: (value) => value >= began && value < began + 60,
    snapshot_duration_seconds: (value) => value > 0 && value < 60,
    snapshot_restored_peers: 0,
  });
  assert.equal(await seen.valueOf(first, 'snapshot_size_bytes'), statSync(path).size);
  renameSync(home, away);
  writeFileSync(home, 'no folder');
  await seen.untilTold(first, { 'snapshots_total outcome=failed': isCounted });
  renameSync(home, join(folder, 'file'));
  renameSync(away, home);
  assert.equal((await first.stop()).code, 0);
  const second = await startTrackerProcess(context, config, { folder });
  await seen.untilTold(second, { snapshot_restored_peers: 2, torrents: 1 });
  assert.equal((await second.stop()).code, 0);
}

/** Reloads with each of their ends, and a certificate that is replaced. */
export async function showReloads(context: TestContext, seen: SeenSeries): Promise<void> {
  const folder = temporaryFolder(context);
  const before = writePair(folder, 'tls', 1);
  const config = (interval: number, workers = 1): PartialConfig => ({
    http_trackers: [{ ...ANY, tls_config: before.paths }],
    http_api: { ...API, tls_config: before.paths },
    core: { announce_policy: { interval } },
    network: { workers, receive_buffer_bytes: 2 ** 20 },
  });
  const tracker = await startLiveTracker(context, config(600), folder);
  const reloads = 'config_reloads_total outcome';
  const succeeded = 'config_last_reload_success_timestamp_seconds';
  const expires = 'certificate_expiry_timestamp_seconds service';
  await seen.untilTold(tracker, {
    config_last_reload_successful: 1,
    [`${expires}=http_trackers[0]`]: before.expirySeconds,
    [`${expires}=http_api`]: before.expirySeconds,
  });
  let latest = await seen.valueOf(tracker, succeeded);
  const isLater = (value: number) => value > latest;

  tracker.signal('SIGHUP');
  await seen.untilTold(tracker, { [`${reloads}=same`]: isCounted, [succeeded]: isLater });
  latest = await seen.valueOf(tracker, succeeded);
  tracker.rewrite(config(700));
  await seen.untilTold(tracker, { [`${reloads}=adopted`]: isCounted, [succeeded]: isLater });
  latest = await seen.valueOf(tracker, succeeded);
  tracker.rewrite(config(700, 2));
  await seen.untilTold(tracker, {
    [`${reloads}=waiting`]: isCounted,
    config_restart_needed: 1,
    [succeeded]: isLater,
  });
  latest = await seen.valueOf(tracker, succeeded);
  tracker.rewrite(config(0));
  await seen.untilTold(tracker, {
    [`${reloads}=refused`]: isCounted,
    config_last_reload_successful: 0,
    [succeeded]: latest,
  });
  tracker.rewrite(config(700));
  const after = writePair(folder, 'tls', 30);
  assert.ok(after.expirySeconds > before.expirySeconds + 86_400);
  await seen.untilTold(tracker, {
    config_last_reload_successful: 1,
    config_restart_needed: 0,
    [succeeded]: isLater,
    [`${expires}=http_trackers[0]`]: after.expirySeconds,
    [`${expires}=http_api`]: after.expirySeconds,
  });
  assert.equal((await tracker.stop()).code, 0);
}
