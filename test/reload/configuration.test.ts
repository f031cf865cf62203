/** A configuration that changes while the tracker runs: what is taken over, what waits, and what is refused. */
import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { announce, announceTarget, failureOf } from '../net/http-exchange.ts';
import { newInfoHash, UdpClient } from '../net/udp-exchange.ts';
import { type PartialConfig, temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { ANY, startLiveTracker, stopInOrder, TOKEN } from './live-tracker.ts';

const TRACKERS: PartialConfig = { udp_trackers: [ANY], http_trackers: [ANY] };
const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';

/** The trackers with an interval. */
function withInterval(interval: number, core: PartialConfig['core'] = {}): PartialConfig {
  return { ...TRACKERS, core: { announce_policy: { interval, interval_min: interval }, ...core } };
}

describe('A running tracker', { concurrency: 2 }, () => {
  for (const sockets of ['native', 'portable'] as const) {
    test(`tells clients the new interval when its file changes, with ${sockets} sockets`, async (context) => {
      const network = { sockets, workers: 2 };
      const tracker = await startLiveTracker(context, { ...withInterval(300), network });
      const client = await UdpClient.open(context, tracker.udp[0]);
      assert.equal((await client.announce(newInfoHash())).intervalSeconds, 300);
      tracker.rewrite({ ...withInterval(600), network });
      const line = await tracker.line(/Taken over/);
      assert.match(line, /: core\.announce_policy\.interval, core\.announce_policy\.interval_min"/);
      assert.equal((await client.announce(newInfoHash())).intervalSeconds, 600);
      assert.equal((await announce(tracker.http[0], newInfoHash())).interval, 600);
      await stopInOrder(tracker);
    });
  }

  test('refuses a broken file with all that is wrong, and takes the next good one', async (context) => {
    const folder = temporaryFolder(context);
    const tracker = await startLiveTracker(context, withInterval(300), folder);
    const broken = join(folder, 'broken');
    writeFileSync(
      broken,
      '[metadata]\nschema_version = "3.0.0"\n[logging]\ntrace_filter = "loud"\n[core]\nlisted = 1\nprivate = false\n',
    );
    renameSync(broken, join(folder, 'tracker.toml'));
    const line = await tracker.line(/"level":"error"/);
    assert.match(line, /is refused, the one in force stays/);
    assert.match(line, /2 mistakes.*logging\.trace_filter.*allowed:.*core\.listed/);
    assert.equal((await announce(tracker.http[0], newInfoHash())).interval, 300);
    const ready = await fetch(`${tracker.health}/readyz`);
    assert.deepEqual(await ready.json(), { ready: true, reasons: [], database_trouble: null });

    rmSync(join(folder, 'tracker.toml'));
    assert.match(await tracker.line(/"level":"error"/, 2), /tracker\.toml does not exist/);
    tracker.rewrite(withInterval(600));
    await tracker.line(/Taken over/);
    assert.equal((await announce(tracker.http[0], newInfoHash())).interval, 600);
    await stopInOrder(tracker);
  });

  test('names in one line what needs a restart, and leaves it as it is', async (context) => {
    const tracker = await startLiveTracker(context, withInterval(300));
    const changed = {
      ...withInterval(600),
      udp_trackers: [ANY, { bind_address: '127.0.0.2:0' }],
      network: { workers: 2, receive_buffer_bytes: 2 ** 20 },
    };
    tracker.rewrite(changed);
    const line = await tracker.line(/needs a restart/);
    assert.match(line, /"level":"warn".*: udp_trackers\[1\], network\.workers"/);
    assert.equal((await announce(tracker.http[0], newInfoHash())).interval, 600);
    // Said once for a change, and again to somebody who asks.
    tracker.rewrite({ ...changed, core: { announce_policy: { interval: 700 } } });
    await tracker.line(/Taken over/, 2);
    assert.equal(tracker.lines(/needs a restart/).length, 1);
    tracker.signal('SIGHUP');
    await tracker.line(/needs a restart/, 2);
    await stopInOrder(tracker);
  });

  test('looks anew at SIGHUP, and says so when nothing has changed', async (context) => {
    const tracker = await startLiveTracker(context, withInterval(300));
    tracker.signal('SIGHUP');
    await tracker.line(/Reload: nothing has changed/);
    assert.deepEqual(tracker.lines(/Taken over|refused|needs a restart/), []);
    await stopInOrder(tracker);
  });

  test('takes over settings of one listener among several', async (context) => {
    const others = { tracker_usage_statistics: false };
    const config = (external_ip_in_reply: boolean): PartialConfig => ({
      http_trackers: [{ ...ANY }, { ...ANY, external_ip_in_reply }],
      udp_trackers: [{ ...ANY, ...others }],
    });
    const tracker = await startLiveTracker(context, config(false));
    const told = async (place: number) => {
      const { port } = tracker.http[place];
      const reply = await fetch(`http://127.0.0.1:${port}${announceTarget(newInfoHash())}`);
      return (await reply.text()).includes('11:external ip');
    };
    assert.deepEqual([await told(0), await told(1)], [false, false]);
    tracker.rewrite(config(true));
    await tracker.line(/Taken over.*: http_trackers\[1\]\.external_ip_in_reply"/);
    await waitFor('the threads have heard of it', () => told(1));
    assert.equal(await told(0), false);
    await stopInOrder(tracker);
  });

  test('becomes private and listed with all keys and torrents, and public again', async (context) => {
    const config = (isPrivate: boolean, isListed: boolean): PartialConfig => ({
      ...TRACKERS,
      core: { private: isPrivate, listed: isListed, database: { driver: 'sqlite3' } },
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
    });
    const tracker = await startLiveTracker(context, config(false, false));
    const [listed, other] = [newInfoHash(), newInfoHash()];
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    for (const [path, body] of [
      ['keys', { key: KEY, seconds_valid: 3600 }],
      [`whitelist/${listed.toString('hex')}`, {}],
    ] as const) {
      const url = `${tracker.api}/api/v1/${path}`;
      const { status } = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
      assert.equal(status, 200);
    }
    await announce(tracker.http[0], other);

    tracker.rewrite(config(true, false));
    await tracker.line(/Taken over.*: core\.private"/);
    await announce(tracker.http[0], other, {}, { key: KEY });
    const noKey = await failureOf(tracker.http[0], announceTarget(other));
    assert.match(noKey.reason, /key/i);

    tracker.rewrite(config(false, true));
    await tracker.line(/Taken over/, 2);
    await announce(tracker.http[0], listed);
    const notListed = await failureOf(tracker.http[0], announceTarget(other));
    assert.match(notListed.reason, /whitelist/);

    tracker.rewrite(config(false, false));
    await tracker.line(/Taken over/, 3);
    await announce(tracker.http[0], other);
    assert.ok(!tracker.stdout().includes(KEY));
    await stopInOrder(tracker);
  });

  test('becomes no stricter than its database allows', async (context) => {
    const tracker = await startLiveTracker(context, withInterval(300));
    tracker.rewrite(withInterval(600, { listed: true, database: { driver: 'sqlite3' } }));
    const line = await tracker.line(/needs a restart/);
    assert.match(line, /core\.listed.*core\.database/);
    assert.equal((await announce(tracker.http[0], newInfoHash())).interval, 300);
    await stopInOrder(tracker);
  });

  test('logs by its new level and in its new style', async (context) => {
    const config = (interval: number, logging: PartialConfig['logging']): PartialConfig => ({
      ...withInterval(interval),
      ...(logging && { logging }),
    });
    const tracker = await startLiveTracker(context, config(300, {}));
    const untilInterval = (interval: number) =>
      waitFor(`interval ${interval}`, async () => {
        return (await announce(tracker.http[0], newInfoHash())).interval === interval;
      });
    tracker.rewrite(config(600, { trace_filter: 'error' }));
    await tracker.line(/Taken over.*logging\.trace_filter/);
    await untilInterval(600);
    tracker.signal('SIGHUP');
    // What comes after shows that the signal was dealt with, and told nobody.
    tracker.rewrite(config(900, { trace_filter: 'info', trace_style: 'compact' }));
    // It is told by the new level, as the old one would not have let it be heard.
    assert.match(await tracker.line(/Taken over.*logging\.trace_style/), /^INFO/);
    await untilInterval(900);
    tracker.signal('SIGHUP');
    const line = await tracker.line(/nothing has changed/);
    assert.match(line, /^INFO/);
    assert.equal(tracker.lines(/SIGHUP/).length, 1);
    assert.equal(tracker.lines(/"level":"error"/).length, 0);
    await stopInOrder(tracker);
  });

  test('drops peers by its new rounds', async (context) => {
    const config = (interval: number): PartialConfig => ({
      ...TRACKERS,
      core: { inactive_peer_cleanup_interval: interval, tracker_policy: { max_peer_timeout: 1 } },
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
    });
    const tracker = await startLiveTracker(context, config(0));
    await announce(tracker.http[0], newInfoHash());
    const torrents = async () => {
      const reply = await fetch(`${tracker.api}/api/v1/stats?token=${TOKEN}`);
      return /"torrents":(\d+)/.exec(await reply.text())?.[1];
    };
    assert.equal(await torrents(), '1');
    tracker.rewrite(config(1));
    await waitFor('the torrent is gone', async () => (await torrents()) === '0', 20_000);
    await stopInOrder(tracker);
  });
});
