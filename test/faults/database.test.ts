/** The database gone, silent or slow, and a tracker that goes on: nothing that was acknowledged is lost. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sharedMariadb } from '../db/drivers.ts';
import { type Link, openLink } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';
import { type PartialConfig, startTrackerProcess, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { findAll, report, startWitnesses, TOKEN } from './witnesses.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const FAULT_MILLIS = 6_000;
/** What the tracker may take to tell that it has trouble, with a call's deadline in it. */
const TOLD_MILLIS = 20_000;

async function setUp(context: TestContext): Promise<{ link: Link; config: PartialConfig }> {
  const access = await (await sharedMariadb()).createDatabase();
  const link = await openLink(access);
  context.after(() => link.close());
  const { user, password, database } = access;
  const { host, port } = link;
  return {
    link,
    config: {
      core: {
        database: { driver: 'mysql', host, port, user, database, ...(password !== '' && { password }) },
      },
      udp_trackers: [ANY],
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
    },
  };
}

/** Waits until the health API tells of trouble, or of none. Returns the seconds that it took. */
async function untilTold(tracker: TrackerProcess, hasTrouble: boolean): Promise<number> {
  const begin = performance.now();
  await waitFor(
    hasTrouble ? 'the trouble to be told' : 'the end of the trouble to be told',
    async () => {
      const ready = await fetch(`${tracker.health}/readyz`);
      return (await ready.text()).includes('"database_trouble":null') !== hasTrouble;
    },
    TOLD_MILLIS,
  );
  return (performance.now() - begin) / 1000;
}

describe('While the database', needs('mariadb'), () => {
  const faults: Record<string, (link: Link) => void | Promise<void>> = {
    'is gone': (link) => link.cut(),
    'says nothing': (link) => link.freeze(),
  };
  for (const [title, begin] of Object.entries(faults)) {
    test(`${title}, announces are answered, changes are not lost, the health API tells`, async (context) => {
      const { link, config } = await setUp(context);
      const tracker = await startTrackerProcess(context, config);
      const witnesses = startWitnesses(context, tracker);
      await witnesses.changeGetsThrough();
      await begin(link);
      const toldSeconds = await untilTold(tracker, true);
      await delay(FAULT_MILLIS);
      const during = witnesses.testimony().announces;
      await link.restore();
      const healedSeconds = await witnesses.changeGetsThrough();
      await untilTold(tracker, false);
      const seen = await witnesses.stop();
      assert.ok(during.answered > FAULT_MILLIS / 1000, 'announces are answered meanwhile');
      assert.equal(seen.announces.answered, seen.announces.sent);
      assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
      await findAll(context, config, seen);
      report(
        context,
        seen,
        `; told after ${toldSeconds.toFixed(1)} s, healed after ${healedSeconds.toFixed(1)} s`,
      );
    });
  }

  test('is slow, announces are not', async (context) => {
    const { link, config } = await setUp(context);
    const tracker = await startTrackerProcess(context, config);
    const witnesses = startWitnesses(context, tracker);
    await witnesses.changeGetsThrough();
    link.slow(250);
    for (let i = 0; i < 5; i++) await witnesses.changeGetsThrough();
    const seen = await witnesses.stop();
    assert.equal(seen.announces.answered, seen.announces.sent);
    assert.equal(seen.announces.late, 0);
    link.slow(0);
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
    await findAll(context, config, seen);
    report(context, seen);
  });
});
