/**
 * The clock of the machine jumps, as it does when NTP comes late or a virtual machine was asleep. What is judged by the
 * clock is judged anew (keys, connection ids); what is a matter of time passing goes on as if nothing were (peers, limits).
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { announceTarget, get, percentEncode } from '../net/http-exchange.ts';
import { newInfoHash, peerId } from '../net/udp-exchange.ts';
import { faketimeLibrary, needs } from '../support/parts.ts';
import { startTrackerProcess, temporaryFolder, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { findAll, report, startWitnesses, TOKEN } from './witnesses.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const authorization = `Bearer ${TOKEN}`;
const HOUR_SECONDS = 3600;

interface ClockedTracker {
  readonly tracker: TrackerProcess;
  readonly config: Parameters<typeof startTrackerProcess>[1];
  /** Moves its clock to so many seconds from the true time, and waits until it is seen. */
  jump(seconds: number): Promise<void>;
}

async function startClocked(
  context: TestContext,
  more: Parameters<typeof startTrackerProcess>[1] = {},
): Promise<ClockedTracker> {
  const folder = temporaryFolder(context);
  const clock = join(folder, 'clock');
  writeFileSync(clock, '+0\n');
  const config = {
    ...more,
    core: { ...more.core, database: { driver: 'sqlite3' as const, path: join(folder, 'tracker.db') } },
    udp_trackers: [ANY],
    http_trackers: [ANY],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
  };
  const env = {
    LD_PRELOAD: faketimeLibrary() ?? '',
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  };
  const tracker = await startTrackerProcess(context, config, { env, folder });
  return {
    tracker,
    config,
    async jump(seconds) {
      writeFileSync(clock, `${seconds < 0 ? '' : '+'}${seconds}\n`);
      await waitFor('the clock to have jumped', async () => {
        const { headers } = await fetch(`${tracker.health}/health_check`);
        const told = Date.parse(headers.get('date') ?? '');
        return Math.abs(told - Date.now() - seconds * 1000) < 5000;
      });
    },
  };
}

describe('A clock that jumps', needs('faketime'), () => {
  for (const seconds of [HOUR_SECONDS, -HOUR_SECONDS, 400 * 24 * HOUR_SECONDS]) {
    const name = `by ${seconds} s and back loses no client, no peer and no change`;
    test(name, async (context) => {
      const { tracker, config, jump } = await startClocked(context, {
        limits: { exempt_private: false, per_ip: { requests_per_second: 1000, burst: 2000 } },
      });
      const infoHash = newInfoHash();
      await get(tracker.http[0], announceTarget(infoHash, { left: 0 }));
      const witnesses = startWitnesses(context, tracker);
      await witnesses.changeGetsThrough();
      await jump(seconds);
      await witnesses.changeGetsThrough();
      await untilServed(witnesses);
      await jump(0);
      await witnesses.changeGetsThrough();
      await untilServed(witnesses);
      const seen = await witnesses.stop();
      // Every announce is answered: a connection id of another hour by a refusal, and the next one is asked for.
      assert.equal(seen.announces.answered, seen.announces.sent);
      assert.ok(seen.announces.refused <= 4 + seen.announces.sent / 10, `${seen.announces.refused} refused`);
      const { body } = await get(
        tracker.http[0],
        announceTarget(infoHash, { left: 1, port: 2, peer_id: percentEncode(peerId(2)) }),
      );
      assert.match(body, /8:completei1e/, 'the seeder is still there');
      assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
      await findAll(context, { core: config.core }, seen);
      report(context, seen, `; ${seen.announces.refused} announces refused once`);
    });
  }

  test('expires keys, and brings them back', async (context) => {
    const { tracker, jump } = await startClocked(context, { core: { private: true } });
    const made = await fetch(`${tracker.api}/api/v1/key/600`, { method: 'POST', headers: { authorization } });
    // The REST API answers with a key.
    const { key } = (await made.json()) as { key: string };
    const ask = async () => (await get(tracker.http[0], announceTarget(newInfoHash(), {}, key))).body;
    assert.match(await ask(), /8:complete/);
    await jump(HOUR_SECONDS);
    assert.match(await ask(), /failure reason.*expired/);
    await jump(0);
    assert.match(await ask(), /8:complete/);
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
  });
});

/** Waits until the client is served: an announce is sent, and answered, and not by a refusal. */
async function untilServed(witnesses: ReturnType<typeof startWitnesses>): Promise<void> {
  const served = () => {
    const { answered, refused } = witnesses.testimony().announces;
    return answered - refused;
  };
  const before = served();
  await waitFor('announces to be served', () => served() > before + 5);
}
