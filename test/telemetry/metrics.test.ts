/** The metrics of a running tracker: what Prometheus is served, by its own rules and by ours. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { InstrumentFacts } from '../../tracker/telemetry/instrument.ts';
import {
  READ_HISTOGRAMS,
  READ_INSTRUMENTS,
  RECORDED_COUNTERS,
  RECORDED_HISTOGRAMS,
} from '../../tracker/telemetry/instruments.ts';
import { referencePath, renderReference } from '../../tracker/telemetry/reference.ts';
import { readVersion } from '../../tracker/telemetry/version.ts';
import { selfSigned } from '../api/certificates.ts';
import { PROCESS_METRIC_NAMES } from '../monitoring/metric-names.ts';
import { announce } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { startLiveTracker, stopInOrder, TOKEN } from '../reload/live-tracker.ts';
import { needs } from '../support/parts.ts';
import { findProgram } from '../support/programs.ts';
import { type PartialConfig, startTrackerProcess, temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { type Exposition, scrape } from './exposition.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const INSTRUMENTS: readonly (InstrumentFacts & { readonly type: string })[] = [
  ...READ_INSTRUMENTS,
  ...READ_HISTOGRAMS,
  ...Object.values(RECORDED_COUNTERS),
  ...Object.values(RECORDED_HISTOGRAMS),
];
const KEY = 'abcdefghijklmnopqrstuvwxyz012345';

/** A configuration in which every instrument has something to say, with its files in a folder. */
function everything(folder: string): PartialConfig {
  const { cert, key } = selfSigned('tracker.example');
  const [ssl_cert_path, ssl_key_path] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  writeFileSync(ssl_cert_path, cert);
  writeFileSync(ssl_key_path, key);
  const tls_config = { ssl_cert_path, ssl_key_path };
  return {
    core: {
      private: true,
      tracker_policy: { persistent_torrent_completed_stat: true },
      database: { driver: 'sqlite3', path: join(folder, 'tracker.db') },
    },
    udp_trackers: [ANY],
    http_trackers: [ANY, { ...ANY, tls_config }],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
  };
}

test('are what promtool takes for good ones', needs('prometheus'), async (context) => {
  const folder = temporaryFolder(context);
  const tracker = await startTrackerProcess(context, everything(folder), { folder });
  const text = await (await fetch(tracker.metrics)).text();
  const promtool = findProgram('promtool');
  assert.ok(promtool !== undefined);
  const { stdout, stderr, status } = spawnSync(promtool, ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  assert.equal(`${stdout}${stderr}`, '');
  assert.equal(status, 0);
});

test('are the instruments of the table with the labels that it names, and those of Node.js', async (context) => {
  const folder = temporaryFolder(context);
  const tracker = await startTrackerProcess(context, everything(folder), { folder });
  const exposition = await scrape(tracker.metrics);
  const own = [...exposition.types].filter(([name]) => name.startsWith('torrust_tracker_'));
  assert.deepEqual(
    own,
    INSTRUMENTS.map(({ name, type }) => [name, type]),
  );
  for (const facts of INSTRUMENTS) checkLabels(facts, exposition);
  const others = [...exposition.types.keys()].filter((name) => !name.startsWith('torrust_tracker_'));
  assert.deepEqual(others.toSorted(), PROCESS_METRIC_NAMES.toSorted());
});

test('tell what the tracker is and holds', async (context) => {
  const folder = temporaryFolder(context);
  const tracker = await startTrackerProcess(context, everything(folder), { folder });
  const created = await fetch(`${tracker.api}/api/v1/keys?token=${TOKEN}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: KEY, seconds_valid: null }),
  });
  assert.equal(created.status, 200);
  const infoHash = newInfoHash();
  await announce(tracker.http[0], infoHash, {}, { key: KEY });
  await announce(
    tracker.http[0],
    infoHash,
    { left: 1, port: 2, peer_id: '-TT0001-00000000000b' },
    { key: KEY },
  );
  await announce(
    tracker.http[0],
    infoHash,
    { left: 0, port: 2, peer_id: '-TT0001-00000000000b', event: 'completed' },
    { key: KEY },
  );

  const exposition = await waitFor('a completed download that is written', async () => {
    const found = await scrape(tracker.metrics);
    return found.value('torrust_tracker_completed_downloads_persisted') === 1 && found;
  });
  const value = (name: string, labels?: Record<string, string>) =>
    exposition.value(`torrust_tracker_${name}`, labels);
  assert.equal(value('build_info', { version: readVersion(), node_version: process.version }), 1);
  assert.equal(value('ready'), 1);
  assert.equal(value('torrents'), 1);
  assert.deepEqual([value('seeders'), value('leechers')], [2, 0]);
  assert.deepEqual([value('peers', { family: 'ipv4' }), value('peers', { family: 'ipv6' })], [2, 0]);
  assert.equal(value('completed_downloads_total'), 1);
  assert.equal(value('completed_counters_waiting'), 0);
  assert.equal(value('keys'), 1);
  assert.equal(value('database_up'), 1);
  assert.equal(value('database_calls_total', { operation: 'addKey', outcome: 'ok' }), 1);
  assert.equal(value('database_call_duration_seconds_count', { operation: 'addKey' }), 1);
  assert.equal(value('swarm_memory_limit_bytes'), 16 * 2 ** 20);
  const used = value('swarm_memory_used_bytes');
  assert.ok(used > 0 && used < 2 ** 20, String(used));
  const daysLeft =
    (value('certificate_expiry_timestamp_seconds', { service: 'http_trackers[1]' }) - Date.now() / 1000) /
    86_400;
  assert.ok(daysLeft > 0.9 && daysLeft <= 1, String(daysLeft));
  const text = await (await fetch(tracker.metrics)).text();
  for (const secret of [KEY, TOKEN, infoHash.toString('hex'), '127.0.0.1']) {
    assert.ok(!text.includes(secret), `the metrics hold ${secret}`);
  }
});

test('tell how reloads end', async (context) => {
  const tracker = await startLiveTracker(context, { udp_trackers: [ANY] });
  const outcomes = async () => {
    const exposition = await scrape(tracker.metrics);
    const of = (outcome: string) => exposition.value('torrust_tracker_config_reloads_total', { outcome });
    return {
      counts: ['adopted', 'same', 'waiting', 'refused'].map(of),
      good: exposition.value('torrust_tracker_config_last_reload_successful'),
      restart: exposition.value('torrust_tracker_config_restart_needed'),
    };
  };
  assert.deepEqual(await outcomes(), { counts: [0, 0, 0, 0], good: 1, restart: 0 });
  tracker.rewrite({ udp_trackers: [ANY], core: { announce_policy: { interval: 600 } } });
  await tracker.line(/Taken over/);
  const steps = [
    { config: { network: { workers: 7 } }, line: /needs a restart/, good: 1, restart: 1 },
    { config: { core: { announce_policy: { interval: 0 } } }, line: /is refused/, good: 0, restart: 1 },
    {
      config: { core: { announce_policy: { interval: 700 } } },
      line: /Taken over.*interval/,
      good: 1,
      restart: 0,
    },
  ];
  for (const { config, line, good, restart } of steps) {
    const known = tracker.lines(line).length;
    tracker.rewrite({ udp_trackers: [ANY], ...config });
    await tracker.line(line, known + 1);
    await waitFor('metrics of that reload', async () => {
      const found = await outcomes();
      return found.good === good && found.restart === restart;
    });
  }
  const { counts } = await outcomes();
  const [adopted, , , refused] = counts;
  assert.ok(adopted >= 2 && refused >= 1, String(counts));
  await stopInOrder(tracker);
});

suite('the listener', () => {
  const requests: Record<string, { path: string; method: string; status: number }> = {
    'answers with a query behind the path': { path: '/metrics?a=b', method: 'GET', status: 200 },
    'answers HEAD': { path: '/metrics', method: 'HEAD', status: 200 },
    'has nothing else': { path: '/', method: 'GET', status: 404 },
    'takes no other method': { path: '/metrics', method: 'POST', status: 405 },
  };
  test('answers what it has, and nothing else', async (context) => {
    const tracker = await startTrackerProcess(context, {});
    for (const [title, { path, method, status }] of Object.entries(requests)) {
      const response = await fetch(new URL(path, tracker.metrics), { method });
      await response.arrayBuffer();
      assert.equal(response.status, status, title);
    }
    await stopInOrder(tracker);
  });
});

suite('the table of the instruments', () => {
  test('gives every name once, by the conventions of Prometheus', () => {
    const names = INSTRUMENTS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, type, unit, help } of INSTRUMENTS) {
      assert.match(name, /^torrust_tracker_[a-z0-9_]+$/);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      if (unit.startsWith('seconds') || unit === 'bytes')
        assert.match(name.replace(/_total$/, ''), new RegExp(`_${unit.split(' ', 1)[0]}$`));
      assert.match(help, /^[A-Z].*[^.]$/, name);
    }
  });

  test('makes a page that is current: node tracker/telemetry/reference.ts --write', () => {
    assert.equal(readFileSync(referencePath, 'utf8'), renderReference());
  });
});

/** Every sample of an instrument has exactly its labels, with values that the table names. */
function checkLabels({ name, labels = {} }: InstrumentFacts, exposition: Exposition): void {
  const samples = exposition.samples.filter(
    (sample) => sample.name.replace(/_(bucket|sum|count)$/, '') === name,
  );
  assert.ok(samples.length > 0, `${name} has a value`);
  for (const sample of samples) {
    const { le, ...own } = sample.labels;
    assert.equal(le !== undefined, sample.name.endsWith('_bucket'));
    assert.deepEqual(Object.keys(own).toSorted(), Object.keys(labels).toSorted(), name);
    for (const [label, value] of Object.entries(own)) {
      const allowed = labels[label];
      if (typeof allowed !== 'string') assert.ok(allowed.includes(value), `${name}: ${label}="${value}"`);
    }
  }
}
