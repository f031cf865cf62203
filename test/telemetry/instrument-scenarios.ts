/** What trackers are asked, and what their metrics have to tell of it: what they hold, what they limit, what has no room. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { announce, announceTarget, get, scrapeTarget } from '../net/http-exchange.ts';
import { announceBytes, newInfoHash, peerId, UdpClient } from '../net/udp-exchange.ts';
import { startTrackerProcess, temporaryFolder } from '../support/tracker-process.ts';
import { API, ANY, ask, writePair } from './instrument-trackers.ts';
import { type SeenSeries, valueOf } from './seen-series.ts';

/** Datagrams that are sent at once. */
const BATCH = 100;
const FIRST_PORT = 7000;
/** More than the smallest store has room for. */
const MOST_ANNOUNCES = 300_000;

/** What a tracker is and holds, over both families, with plain and secure listeners. */
export async function showHoldings(context: TestContext, seen: SeenSeries): Promise<void> {
  const folder = temporaryFolder(context);
  const tls = writePair(folder, 'tls');
  const both = [ANY, { bind_address: '[::1]:0' }];
  const began = Date.now() / 1000;
  const tracker = await startTrackerProcess(
    context,
    {
      core: {
        listed: true,
        tracker_policy: { persistent_torrent_completed_stat: true },
        database: { driver: 'sqlite3', path: join(folder, 'tracker.db') },
      },
      udp_trackers: both,
      http_trackers: [...both, { ...ANY, tls_config: tls.paths }],
      http_api: API,
      network: { workers: 2, receive_buffer_bytes: 2 ** 20 },
    },
    { folder },
  );
  const infoHash = newInfoHash();
  assert.equal(await ask(tracker, 'POST', `whitelist/${infoHash.toString('hex')}`), 200);
  assert.equal(await ask(tracker, 'POST', 'keys', { key: null, seconds_valid: 60 }), 200);
  assert.equal(await ask(tracker, 'POST', 'bans', { address: '203.0.113.7' }), 200);
  const clients = [
    await UdpClient.open(context, tracker.udp[0]),
    await UdpClient.open(context, tracker.udp[1], '::1'),
  ];
  for (const [number, client] of clients.entries())
    await client.announce(infoHash, { peerId: peerId(number), leftBytes: 0n });
  await clients[0].announce(infoHash, { peerId: peerId(9), port: 9 });
  // Durations are those of some requests only.
  for (let i = 0; i < 150; i++) {
    for (const client of clients)
      await client.announce(infoHash, { peerId: peerId(0), leftBytes: 0n, port: 8 });
    await clients[0].scrape([infoHash]);
    await get(tracker.http[0], announceTarget(infoHash, { port: 8 }));
    await get(tracker.http[0], scrapeTarget([infoHash]));
  }
  await announce(tracker.http[0], infoHash, { left: 1, port: 10, peer_id: '-TT0001-00000000000b' });
  const done = { left: 0, event: 'completed', port: 10, peer_id: '-TT0001-00000000000b' };
  await announce(tracker.http[0], infoHash, done);
  const counted = (value: number) => value > 0;
  await seen.untilTold(tracker, {
    ready: 1,
    network_threads: process.platform === 'linux' ? 4 : 2,
    torrents: 1,
    'peers family=ipv4': 3,
    'peers family=ipv6': 2,
    seeders: 4,
    leechers: 1,
    whitelisted_torrents: 1,
    keys: 1,
    banned_addresses: 1,
    completed_downloads_total: 1,
    completed_downloads_persisted: 1,
    database_up: 1,
    swarm_memory_limit_bytes: 2 ** 24,
    swarm_memory_used_bytes: (value) => value > 0 && value < 2 ** 24,
    config_last_reload_successful: 1,
    config_last_reload_success_timestamp_seconds: (value) => value > began && value < began + 60,
    'certificate_expiry_timestamp_seconds service=http_trackers[2]': tls.expirySeconds,
    'network_thread_delay_seconds_count sockets=native': (value) => value > 0 || process.platform !== 'linux',
    'network_thread_delay_seconds_count sockets=portable': counted,
    'network_thread_cpu_seconds_total thread=0': counted,
    'request_duration_seconds_count protocol=udp kind=scrape': counted,
    'request_duration_seconds_count protocol=http kind=scrape': counted,
  });
  assert.equal((await tracker.stop()).code, 0);
}

/** What is beyond the limits of what is kept, of connections, and of all clients together. */
export async function showLimits(context: TestContext, seen: SeenSeries): Promise<void> {
  const tracker = await startTrackerProcess(context, {
    udp_trackers: [ANY],
    http_trackers: [ANY],
    limits: {
      exempt_private: false,
      max_swarms: 1,
      max_peers_per_swarm: 2,
      max_peers_per_ip: 1,
      max_connections_per_ip: 2,
      overall: { requests_per_second: 1, burst: 30 },
    },
  });
  const infoHash = newInfoHash();
  const from = async (address: string, torrent = infoHash) => {
    const client = await UdpClient.open(context, tracker.udp[0], address);
    await client.announce(torrent, { port: 7000 });
  };
  await from('127.0.0.2');
  await from('127.0.0.2', newInfoHash()); // a second swarm
  await from('127.0.0.3');
  await from('127.0.0.4'); // a third peer
  const [one] = tracker.http;
  const again = await get(one, announceTarget(infoHash, { port: 7001 }), { from: '127.0.0.2' }); // a second peer
  assert.equal(again.status, 200);
  for (let i = 0; i < 5; i++) {
    const socket = connect({ host: '127.0.0.1', port: one.port, localAddress: '127.0.0.5' });
    context.after(() => socket.destroy());
    socket.on('error', () => undefined).write('GET');
  }
  await seen.untilTold(tracker, {
    'announces_beyond_limits_total limit=max_swarms': 1,
    'announces_beyond_limits_total limit=max_peers_per_swarm': 1,
    'announces_beyond_limits_total limit=max_peers_per_ip': 1,
    connections_beyond_limit_total: 3,
    'peers family=ipv4': 2,
  });
  let refused = 0;
  for (let i = 0; i < 60; i++) {
    const { status } = await get(one, '/health_check', { from: `127.0.1.${i + 1}` });
    if (status === 429) refused++;
  }
  assert.ok(refused > 0);
  await seen.untilTold(tracker, { 'requests_beyond_limits_total limit=overall': refused });
  assert.equal((await tracker.stop()).code, 0);
}

/** What a full store gives up, and what it does not keep: not a peer is lost in the figures. */
export async function showFullStore(context: TestContext, seen: SeenSeries): Promise<void> {
  const tracker = await startTrackerProcess(context, {
    core: {
      announce_policy: { interval: 2, interval_min: 2 },
      tracker_policy: { remove_peerless_torrents: false },
    },
    udp_trackers: [ANY],
    swarm: { memory: '1MiB' }, // rounded up to the least that there is
  });
  const client = await UdpClient.open(context, tracker.udp[0]);
  const connectionId = await client.connect();
  /** Announces a peer for each torrent, and expects all to be answered. */
  const announceAll = async (torrents: readonly Uint8Array[], port: number, event: AnnounceEvent) => {
    for (let first = 0; first < torrents.length; first += BATCH) {
      const datagrams = torrents
        .slice(first, first + BATCH)
        .map((infoHash) =>
          announceBytes({ connectionId, infoHash, port, peerId: peerId(port), event, numWant: 0 }),
        );
      assert.equal((await client.exchange(...datagrams)).length, datagrams.length);
    }
  };
  let port = FIRST_PORT;
  let announced = 0;
  let stopped = 0;
  /** Announces new peers for torrents until a counter rises. */
  const untilRising = async (name: string, next: () => readonly Uint8Array[]) => {
    const before = await seen.valueOf(tracker, name);
    while ((await seen.valueOf(tracker, name)) === before) {
      assert.ok(announced < MOST_ANNOUNCES, `${name} rises at last`);
      const torrents = next();
      await announceAll(torrents, port++, AnnounceEvent.none);
      announced += torrents.length;
    }
    const found = await seen.look(tracker);
    const gone =
      valueOf(found, 'announces_not_kept_total') + valueOf(found, 'swarm_evictions_total what=peer');
    assert.equal(valueOf(found, 'peers family=ipv4') + gone + stopped, announced, name);
  };
  const newTorrents = () => Array.from({ length: 1000 }, () => newInfoHash());
  const first = newTorrents();
  await untilRising('torrents', () => first);
  await untilRising('announces_not_kept_total', newTorrents);
  // The first ones were kept. Without a peer, they make room for others.
  await announceAll(first, FIRST_PORT, AnnounceEvent.stopped);
  stopped = first.length;
  const held = await seen.valueOf(tracker, 'torrents');
  const second = newTorrents();
  await untilRising('swarm_evictions_total what=torrent', () => second);
  const found = await seen.look(tracker);
  assert.ok(
    valueOf(found, 'torrents') <= held + second.length - valueOf(found, 'swarm_evictions_total what=torrent'),
  );
  // When an interval has passed, those who were silent make room as well.
  await untilRising('swarm_evictions_total what=peer', () => second);
  assert.equal((await tracker.stop()).code, 0);
}
