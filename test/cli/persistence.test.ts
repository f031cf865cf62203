/** What a tracker keeps over its end, what a kill costs, and what time takes away. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  announce,
  failureOf,
  announceTarget,
  get,
  percentEncode,
  scrapeTarget,
} from '../net/http-exchange.ts';
import { newInfoHash, peerId, UdpClient } from '../net/udp-exchange.ts';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const TOKEN = 'a-token-of-the-test';
const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const LISTENERS: PartialConfig = {
  udp_trackers: [ANY],
  http_trackers: [ANY],
  http_api: { ...ANY, access_tokens: { admin: TOKEN } },
};
const PERSISTENT: PartialConfig = {
  ...LISTENERS,
  core: {
    database: { driver: 'sqlite3' },
    tracker_policy: { persistent_torrent_completed_stat: true },
  },
};

describe('A tracker', { concurrency: 2 }, () => {
  test('knows its keys and its whitelist after a restart, and what was taken off', async (context) => {
    const config: PartialConfig = {
      ...LISTENERS,
      core: { listed: true, private: true, database: { driver: 'sqlite3' } },
    };
    const folder = temporaryFolder(context);
    const [kept, removed] = [newInfoHash(), newInfoHash()];
    const first = await startTrackerProcess(context, config, { folder });
    await askApi(first, 'POST', 'keys', { key: KEY, seconds_valid: 3600 });
    for (const infoHash of [kept, removed])
      await askApi(first, 'POST', `whitelist/${infoHash.toString('hex')}`);
    await askApi(first, 'DELETE', `whitelist/${removed.toString('hex')}`);
    await announce(first.http[0], kept, {}, { key: KEY });
    assert.equal((await first.stop()).code, 0);

    const second = await startTrackerProcess(context, config, { folder });
    const udp = await UdpClient.open(context, second.udp[0]);
    await announce(second.http[0], kept, {}, { key: KEY });
    assert.equal((await udp.tryAnnounce(kept, { urlData: `/${KEY}` })).kind, 'announce');
    const unlisted = await failureOf(second.http[0], announceTarget(removed, {}, KEY));
    assert.match(unlisted.reason, /is not whitelisted$/);
    const keyless = await failureOf(second.http[0], announceTarget(kept));
    assert.match(keyless.reason, /Missing authentication key/);
    await second.stop();
  });

  test('takes over changes of keys and whitelist that another program made, when it is told to reload', async (context) => {
    const core = { listed: true, database: { driver: 'sqlite3' as const } };
    const folder = temporaryFolder(context);
    const one = await startTrackerProcess(context, { ...LISTENERS, core }, { folder });
    const other = await startTrackerProcess(context, { ...LISTENERS, core }, { folder });
    const infoHash = newInfoHash();
    await askApi(one, 'POST', `whitelist/${infoHash.toString('hex')}`);
    assert.match((await failureOf(other.http[0], announceTarget(infoHash))).reason, /is not whitelisted$/);
    await askApi(other, 'GET', 'whitelist/reload');
    assert.equal((await announce(other.http[0], infoHash)).complete, 1);
    await Promise.all([one.stop(), other.stop()]);
  });

  test('writes the downloads that it counted before it ends', async (context) => {
    const folder = temporaryFolder(context);
    const infoHash = newInfoHash();
    const first = await startTrackerProcess(context, PERSISTENT, { folder });
    await download(first, infoHash, 3);
    assert.equal((await first.stop()).code, 0);

    const second = await startTrackerProcess(context, PERSISTENT, { folder });
    await announce(second.http[0], infoHash);
    await waitFor('the count of earlier times', async () => (await downloads(second, infoHash)) === 3);
    await download(second, infoHash, 1);
    assert.equal(await downloads(second, infoHash), 4);
    await second.stop();
  });

  test('loses no download that was counted a flush before it is killed', async (context) => {
    const folder = temporaryFolder(context);
    const infoHash = newInfoHash();
    const first = await startTrackerProcess(context, PERSISTENT, { folder });
    await download(first, infoHash, 2);
    await waitFor('the flush', async () => /"completed_persisted":2,/.test(await stats(first)));
    // These may be lost, as they are less than a flush old; they must not be counted twice.
    await download(first, infoHash, 3);
    assert.deepEqual(await first.stop('SIGKILL'), { code: null, signal: 'SIGKILL' });

    const second = await startTrackerProcess(context, PERSISTENT, { folder });
    await announce(second.http[0], infoHash);
    const count = await waitFor('the count of earlier times', async () => {
      const found = await downloads(second, infoHash);
      return found >= 2 ? found : undefined;
    });
    assert.ok(count <= 5);
    assert.deepEqual(await second.stop(), { code: 0, signal: null });
  });

  test('forgets its downloads where they are not to be kept', async (context) => {
    const folder = temporaryFolder(context);
    const config = { ...LISTENERS, core: { database: { driver: 'sqlite3' as const } } };
    const infoHash = newInfoHash();
    const first = await startTrackerProcess(context, config, { folder });
    await download(first, infoHash, 1);
    assert.equal(await downloads(first, infoHash), 1);
    await first.stop();
    const second = await startTrackerProcess(context, config, { folder });
    await announce(second.http[0], infoHash);
    assert.equal(await downloads(second, infoHash), 0);
    await second.stop();
  });

  const expiring = { inactive_peer_cleanup_interval: 1 };

  test('drops a silent peer and its torrent, and no peer that speaks', async (context) => {
    const tracker = await startTrackerProcess(context, {
      ...LISTENERS,
      core: { ...expiring, tracker_policy: { max_peer_timeout: 2 } },
    });
    const [silent, spoken] = [newInfoHash(), newInfoHash()];
    const client = await UdpClient.open(context, tracker.udp[0]);
    await client.announce(silent);
    await announce(tracker.http[0], silent, { port: 1002, peer_id: percentEncode(peerId(2)) });
    assert.match(await stats(tracker), /^\{"torrents":1,"seeders":1,/);
    await waitFor('the torrent is gone', async () => {
      await announce(tracker.http[0], spoken);
      return /^\{"torrents":1,"seeders":1,.*"leechers":0,/.test(await stats(tracker));
    });
    const { entries } = await client.scrape([silent, spoken]);
    assert.deepEqual(
      entries.map(({ seeders, leechers }) => [seeders, leechers]),
      [[0, 0], [1, 0]], // prettier-ignore
    );
    await tracker.stop();
  });

  test('keeps a torrent without peers whose downloads it counts, and one that it is to keep', async (context) => {
    const policies = [
      { tracker_policy: { max_peer_timeout: 1, persistent_torrent_completed_stat: true } },
      { tracker_policy: { max_peer_timeout: 1, remove_peerless_torrents: false } },
    ];
    for (const policy of policies) {
      const tracker = await startTrackerProcess(context, {
        ...LISTENERS,
        core: { ...expiring, database: { driver: 'sqlite3' }, ...policy },
      });
      const infoHash = newInfoHash();
      await download(tracker, infoHash, 1);
      await waitFor('the peer is gone', async () => /"seeders":0,/.test(await stats(tracker)));
      assert.match(await stats(tracker), /^\{"torrents":1,"seeders":0,"completed":1,/);
      assert.equal(await downloads(tracker, infoHash), 1);
      await tracker.stop();
    }
  });
});

/** Lets so many peers complete the torrent. */
async function download(tracker: TrackerProcess, infoHash: Uint8Array, count: number): Promise<void> {
  for (let number = 0; number < count; number++) {
    const peer = { port: 1000 + number, peer_id: percentEncode(peerId(number)) };
    await announce(tracker.http[0], infoHash, { ...peer, event: 'started', left: 5 });
    await announce(tracker.http[0], infoHash, { ...peer, event: 'completed' });
  }
}

/** The downloads of a torrent, as a scrape tells them. */
async function downloads(tracker: TrackerProcess, infoHash: Uint8Array): Promise<number> {
  const { body } = await get(tracker.http[0], scrapeTarget([infoHash]));
  return Number(/10:downloadedi(\d+)e/.exec(body)?.[1]);
}

async function stats(tracker: TrackerProcess): Promise<string> {
  const response = await fetch(`${tracker.api}/api/v1/stats?token=${TOKEN}`);
  return response.text();
}

async function askApi(tracker: TrackerProcess, method: string, path: string, body?: object): Promise<void> {
  const response = await fetch(`${tracker.api}/api/v1/${path}?token=${TOKEN}`, {
    method,
    ...(body !== undefined && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
  assert.equal(response.status, 200, await response.text());
}
