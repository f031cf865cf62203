/** Real trackers that are stopped, killed and started again: who was in a swarm still is. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { announceBytes, newInfoHash, peerId, UdpClient } from '../net/udp-exchange.ts';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { hex, writeSnapshot } from './swarm-content.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const BATCH = 50;
/** A torrent keeps 64 peers of one address. */
const PEERS_PER_TORRENT = 60;

function configOf(interval = 3600, changes: PartialConfig = {}): PartialConfig {
  return {
    udp_trackers: [ANY],
    network: { workers: 2, receive_buffer_bytes: 2 ** 20 },
    swarm: { memory: '16MiB', snapshot: { path: 'swarms', interval } },
    ...changes,
  };
}

/** The first line of a tracker's log that matches. */
function line(tracker: TrackerProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return waitFor(`a line with ${pattern}`, () => pattern.exec(tracker.stdout()) ?? undefined);
}

/** Announces peer after peer, each of them once, and knows which of them were answered. */
class Crowd {
  readonly torrents: Buffer[] = [];
  peers = 0;

  /** Announces a batch. Returns false when the tracker does not answer any more. */
  async announce(client: UdpClient, connectionId: bigint): Promise<boolean> {
    const first = this.peers;
    const batch = Array.from({ length: BATCH }, (_, i) => {
      const number = first + i;
      const place = Math.floor(number / PEERS_PER_TORRENT);
      this.torrents[place] ??= newInfoHash();
      const infoHash = this.torrents[place];
      const port = 1000 + (number % PEERS_PER_TORRENT);
      return announceBytes({
        connectionId,
        infoHash,
        port,
        peerId: peerId(number),
        leftBytes: 0n,
        numWant: 0,
      });
    });
    try {
      assert.equal((await client.exchange(...batch)).length, BATCH);
    } catch {
      return false;
    }
    this.peers += BATCH;
    return true;
  }

  /** How many of those that were answered a tracker knows. */
  async known(context: TestContext, tracker: TrackerProcess): Promise<number> {
    const client = await UdpClient.open(context, tracker.udp[0]);
    let seeders = 0;
    for (let at = 0; at < this.torrents.length; at += BATCH) {
      const { entries } = await client.scrape(this.torrents.slice(at, at + BATCH));
      entries.forEach((entry, i) => {
        // The last torrent may have peers of a batch that was not answered as a whole.
        const owed = Math.min(PEERS_PER_TORRENT, this.peers - (at + i) * PEERS_PER_TORRENT);
        seeders += Math.min(entry.seeders, Math.max(0, owed));
      });
    }
    return seeders;
  }
}

describe('A tracker with a snapshot', { concurrency: 2 }, () => {
  test('knows every peer that it answered after restarts under load', async (context) => {
    const folder = temporaryFolder(context);
    const crowd = new Crowd();
    for (let restart = 0; restart < 2; restart++) {
      const tracker = await startTrackerProcess(context, configOf(), { folder });
      const client = await UdpClient.open(context, tracker.udp[0]);
      const connectionId = await client.connect();
      const goal = crowd.peers + 3000;
      while (crowd.peers < goal) assert.ok(await crowd.announce(client, connectionId));
      const stopping = tracker.stop();
      while (await crowd.announce(client, connectionId));
      assert.deepEqual(await stopping, { code: 0, signal: null });
    }
    const last = await startTrackerProcess(context, configOf(), { folder });
    const [, kept, live, share] = await line(last, /kept (\d+) of (\d+) peers \(([\d.]+) %\)/);
    const known = await crowd.known(context, last);
    context.diagnostic(
      `${known} of ${crowd.peers} peers that were answered are known after 2 restarts under load; ` +
        `the last one kept ${kept} of ${live} (${share} %)`,
    );
    assert.equal(known, crowd.peers);
    assert.equal(share, '100');
    await last.stop();
  });

  test('loses what came since the last snapshot when it is killed, and no more', async (context) => {
    const folder = temporaryFolder(context);
    const tracker = await startTrackerProcess(context, configOf(1), { folder });
    const client = await UdpClient.open(context, tracker.udp[0]);
    const crowd = new Crowd();
    while (crowd.peers < 1000) assert.ok(await crowd.announce(client, await client.connect()));
    await waitFor('a snapshot with all of them', () => {
      return (statSync(join(folder, 'swarms'), { throwIfNoEntry: false })?.size ?? 0) > 1000 * 56;
    });
    await tracker.stop('SIGKILL');
    const next = await startTrackerProcess(context, configOf(), { folder });
    await line(next, /kept 1000 of 1000 peers/);
    assert.equal(await crowd.known(context, next), 1000);
    await next.stop();
  });

  test('answers while it restores, and believes who announces more than the file', async (context) => {
    const folder = temporaryFolder(context);
    const peers = 400_000;
    writeSnapshot(join(folder, 'swarms'), peers);
    const config = configOf(3600, { swarm: { memory: '256MiB', snapshot: { path: 'swarms' } } });
    const tracker = await startTrackerProcess(context, config, { folder });
    const client = await UdpClient.open(context, tracker.udp[0]);
    const restoredLine = /kept (\d+) of 400000 peers \(100 %\)/;
    const isRestored = () => restoredLine.test(tracker.stdout());
    const connectionId = await client.connect();
    const mine = newInfoHash();
    let answeredBefore = 0;
    for (let port = 1; !isRestored(); port = (port % 60) + 1) {
      const own = announceBytes({ connectionId, infoHash: mine, port, peerId: peerId(port) });
      assert.equal((await client.exchange(own)).length, 1);
      if (!isRestored()) answeredBefore++;
    }
    const [, kept] = await line(tracker, restoredLine);
    context.diagnostic(`${answeredBefore} announces were answered while ${kept} peers were restored`);
    assert.ok(answeredBefore > 0);
    assert.equal(Number(kept), peers);
    const { entries } = await client.scrape([mine, Buffer.from(hex(7, 20), 'hex')]);
    assert.ok(entries[0].leechers > 0);
    assert.equal(entries[1].seeders, 20);
    await tracker.stop();
  });

  test('says how many peers have no room when it has less memory than before', async (context) => {
    const folder = temporaryFolder(context);
    writeSnapshot(join(folder, 'swarms'), 100_000);
    const config = configOf(3600, { swarm: { memory: '1MiB', snapshot: { path: 'swarms' } } });
    const tracker = await startTrackerProcess(context, config, { folder });
    const [, kept, unstored] = await line(
      tracker,
      /kept (\d+) of 100000 peers .* (\d+) had no room in swarm\.memory/,
    );
    assert.equal(Number(kept) + Number(unstored), 100_000);
    assert.ok(Number(unstored) > 10_000);
    await tracker.stop();
  });

  test('counts a completed download once, whether the database keeps it or the snapshot', async (context) => {
    for (const persistent of [true, false]) {
      const folder = temporaryFolder(context);
      const core: PartialConfig['core'] = persistent
        ? {
            database: { driver: 'sqlite3', path: 'tracker.db' },
            tracker_policy: { persistent_torrent_completed_stat: true },
          }
        : {};
      const infoHash = newInfoHash();
      for (let start = 1; start <= 3; start++) {
        const tracker = await startTrackerProcess(context, configOf(3600, { core }), { folder });
        if (start > 1) await line(tracker, /Swarms restored/);
        const client = await UdpClient.open(context, tracker.udp[0]);
        const own = { port: start, peerId: peerId(start), leftBytes: 0n };
        await client.announce(infoHash, { ...own, leftBytes: 1n });
        await client.announce(infoHash, { ...own, event: AnnounceEvent.completed });
        await waitFor(`${start} completed downloads`, async () => {
          const { entries } = await client.scrape([infoHash]);
          assert.ok(entries[0].completed <= start);
          return entries[0].completed === start;
        });
        assert.equal((await tracker.stop()).code, 0);
      }
    }
  });
});

test('A snapshot that can not be written is told by the health check, and keeps no traffic away', async (context) => {
  const config = configOf(1, {
    swarm: { memory: '16MiB', snapshot: { path: 'missing/swarms', interval: 1 } },
  });
  const tracker = await startTrackerProcess(context, config);
  const readiness = await waitFor('the trouble', async () => {
    const response = await fetch(`${tracker.health}/readyz`);
    assert.equal(response.status, 200);
    const text = await response.text();
    return text.includes('written') ? text : undefined;
  });
  assert.match(readiness, /"ready":true,"reasons":\["Swarms can't be written to missing\/swarms: its folder/);
  const report = await fetch(`${tracker.health}/health_check`);
  assert.match(await report.text(), /health check failed: Swarms can't be written/);
  assert.equal((await tracker.stop()).code, 0);
});
