/** Torrust's counters of peers and torrents that came and went, and what network threads tell of themselves. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { announce } from '../net/http-exchange.ts';
import { SOCKET_PATHS } from '../net/tracker-threads.ts';
import { announceBytes, newInfoHash, UdpClient } from '../net/udp-exchange.ts';
import { TOKEN } from '../reload/live-tracker.ts';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { parseExposition, scrape } from './exposition.ts';

const ANY = { bind_address: '127.0.0.1:0' };

async function turnoverOf(tracker: TrackerProcess): Promise<Record<string, number>> {
  const response = await fetch(`${tracker.api}/api/v1/metrics?format=prometheus&token=${TOKEN}`);
  const exposition = parseExposition(await response.text());
  const names = ['torrents_added', 'torrents_removed', 'peers_added', 'peers_removed', 'peers_updated'];
  return Object.fromEntries(
    names.map((name) => [name, exposition.value(`swarm_coordination_registry_${name}_total`)]),
  );
}

test('who comes, stays and goes is counted, those of a snapshot among them', async (context) => {
  const folder = temporaryFolder(context);
  const config: PartialConfig = {
    udp_trackers: [ANY],
    http_trackers: [ANY],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
    swarm: { snapshot: { path: join(folder, 'swarms') } },
  };
  const first = await startTrackerProcess(context, config, { folder });
  const [one, other] = [newInfoHash(), newInfoHash()];
  const client = await UdpClient.open(context, first.udp[0]);
  await client.announce(one);
  await client.announce(one);
  const peer = { port: 7000, peer_id: '-XX0000-123456789013' };
  await announce(first.http[0], one, { ...peer, left: 1 });
  await announce(first.http[0], one, { ...peer, event: 'completed' });
  await announce(first.http[0], other, peer);
  assert.deepEqual(await turnoverOf(first), {
    torrents_added: 2,
    torrents_removed: 0,
    peers_added: 3,
    peers_removed: 0,
    peers_updated: 2,
  });
  await announce(first.http[0], one, { ...peer, event: 'stopped' });
  // Who was never there neither comes nor goes.
  await announce(first.http[0], one, { port: 7001, peer_id: '-XX0000-123456789014', event: 'stopped' });
  const { peers_added: added, peers_removed: removed, peers_updated: updated } = await turnoverOf(first);
  assert.deepEqual([added, removed, updated], [3, 1, 2]);
  assert.equal((await first.stop()).code, 0);

  const second = await startTrackerProcess(context, config, { folder });
  await waitFor('the restore', async () => (await turnoverOf(second))['peers_added'] === 2);
  assert.deepEqual(await turnoverOf(second), {
    torrents_added: 2,
    torrents_removed: 0,
    peers_added: 2,
    peers_removed: 0,
    peers_updated: 0,
  });
  assert.equal((await second.stop()).code, 0);
});

for (const sockets of SOCKET_PATHS) {
  test(`each thread with ${sockets} sockets tells its CPU time, and how long it is busy at a time`, async (context) => {
    const tracker = await startTrackerProcess(context, {
      udp_trackers: [ANY],
      network: { sockets, workers: 2 },
    });
    const clients = await Promise.all(
      Array.from({ length: 4 }, () => UdpClient.open(context, tracker.udp[0])),
    );
    // Some of the looks that find something are measured.
    for (let i = 0; i < 100; i++) await Promise.all(clients.map((client) => client.connect()));
    await waitFor('figures of both threads', async () => {
      const exposition = await scrape(tracker.metrics);
      const cpu = ['0', '1'].map((thread) =>
        exposition.value('torrust_tracker_network_thread_cpu_seconds_total', { thread }),
      );
      return (
        cpu.every((seconds) => seconds > 0 && seconds < 60) &&
        exposition.value('torrust_tracker_network_thread_delay_seconds_count', { sockets }) > 0
      );
    });
    assert.equal((await tracker.stop()).code, 0);
  });

  test(`threads with ${sockets} sockets tell how long garbage collections stop them`, async (context) => {
    const tracker = await startTrackerProcess(context, {
      core: { private: true, database: { driver: 'sqlite3', path: 'tracker.db' } },
      udp_trackers: [ANY],
      network: { sockets, workers: 1, receive_buffer_bytes: 2 ** 22 },
    });
    const name = 'torrust_tracker_network_thread_gc_duration_seconds';
    const client = await UdpClient.open(context, tracker.udp[0]);
    const connectionId = await client.connect();
    // A refusal for want of a key is one of the answers that leave something to collect.
    const refused = announceBytes({ connectionId, urlData: `/announce/${'x'.repeat(200)}` });
    const exposition = await waitFor('a collection', async () => {
      for (let i = 0; i < 20; i++) await client.exchange(...Array.from({ length: 100 }, () => refused));
      const found = await scrape(tracker.metrics);
      return found.value(`${name}_count`) > 0 && found;
    });
    const seconds = exposition.value(`${name}_sum`);
    assert.ok(seconds > 0 && seconds < 60, String(seconds));
    assert.equal((await tracker.stop()).code, 0);
  });
}
