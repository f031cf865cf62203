/** A tracker whose MySQL falls silent in the middle of everything: what it says, and that it ends in time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { sharedMariadb } from '../db/drivers.ts';
import { announce } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { openLink } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';
import { startTrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const TOKEN = 'a-token-of-the-test';
const authorization = `Bearer ${TOKEN}`;

describe('A tracker whose database falls silent', needs('mariadb'), () => {
  test('answers changes with the truth, says that it is ill, and ends in time with downloads unwritten', async (context) => {
    const access = await (await sharedMariadb()).createDatabase();
    const link = await openLink(access);
    context.after(() => link.close());
    const { user, password, database } = access;
    const tracker = await startTrackerProcess(context, {
      core: {
        tracker_policy: { persistent_torrent_completed_stat: true },
        database: {
          driver: 'mysql',
          host: link.host,
          port: link.port,
          user,
          database,
          ...(password !== '' && { password }),
        },
      },
      http_trackers: [ANY],
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
    });
    const infoHash = newInfoHash();
    await announce(tracker.http[0], infoHash, { left: 1 });
    const added = await fetch(`${tracker.api}/api/v1/key/60`, { method: 'POST', headers: { authorization } });
    assert.equal(added.status, 200, await added.text());

    link.freeze();
    await announce(tracker.http[0], infoHash, { left: 0, event: 'completed' });
    const refused = await fetch(`${tracker.api}/api/v1/key/60`, {
      method: 'POST',
      headers: { authorization },
    });
    assert.equal(refused.status, 500);
    assert.match(await refused.text(), /database.*; whether it was done all the same is seen when/);
    const health = await fetch(`${tracker.health}/health_check`);
    assert.match(await health.text(), /^\{"status":"Error","message":"[^"]*the database does not answer/);

    // Back for a moment, so that the end finds it silent while it seems to be up.
    await link.restore();
    await waitFor('the database to be there', async () => {
      const ready = await fetch(`${tracker.health}/readyz`);
      return (await ready.text()).includes('"database_trouble":null');
    });
    link.freeze();
    await announce(tracker.http[0], newInfoHash(), { left: 1 });
    await announce(tracker.http[0], infoHash, {
      left: 0,
      event: 'completed',
      port: 7000,
      peer_id: '-XX0000-123456789013',
    });
    // Slow clients take all the time that the services give them.
    for (const port of [tracker.http[0].port, Number(new URL(tracker.api).port)]) {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      context.after(() => socket.destroy());
      await once(socket, 'connect');
      socket.write('GET /announce HTTP/1.1\r\n');
    }
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
    const messages = tracker.log().map(({ msg }) => msg);
    assert.equal(messages.at(-1), 'Stopped');
    assert.ok(
      messages.includes('The end came before the database: 1 completed downloads may not be in it'),
      messages.join('\n'),
    );
  });
});
