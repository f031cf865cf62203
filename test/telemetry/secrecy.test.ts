/**
 * What others may read of a tracker (metrics, health checks, errors of the REST API, all without a token) holds no secret,
 * whatever was done with the secrets before. Logs are read in test/cli/run.test.ts, traces in tracing.test.ts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { announceTarget, get } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { startTrackerProcess, temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const TOKEN = 'a-token-of-the-test';
const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const WRONG_KEY = 'XXSl4lMZupRuOpSRC3krIKR5BPB14nXX';
const CONNECTION_KEY = '00112233445566778899aabbccddeeff';
const PASSWORD = 'hush-of-the-database';
const WRONG_TOKEN = 'almost-a-token-of-the-test';

function assertSilent(read: Readonly<Record<string, string>>, secrets: readonly string[]): void {
  for (const [where, text] of Object.entries(read)) {
    assert.notEqual(text, '', where);
    for (const secret of secrets) assert.ok(!text.includes(secret), `${where} holds ${secret}: ${text}`);
  }
}

async function textOf(url: string, init: RequestInit = {}): Promise<string> {
  return (await fetch(url, init)).text();
}

test('metrics, health and errors say nothing secret of tokens and keys', async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'ids'), `*first:${CONNECTION_KEY}\n`);
  const { api, health, metrics, http } = await startTrackerProcess(
    context,
    {
      udp_trackers: [ANY],
      http_trackers: [ANY],
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
      metrics: ANY,
      core: { private: true, database: { driver: 'sqlite3', path: join(folder, 'tracker.db') } },
      udp_tracker_server: { connection_id_keys_file: join(folder, 'ids') },
    },
    { folder },
  );
  const json = { 'content-type': 'application/json' };
  const added = await fetch(`${api}/api/v1/keys?token=${TOKEN}`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ key: KEY, seconds_valid: 3600 }),
  });
  assert.equal(added.status, 200);
  for (const key of [KEY, WRONG_KEY]) await get(http[0], announceTarget(newInfoHash(), {}, key));
  const bearer = { authorization: `Bearer ${WRONG_TOKEN}` };
  const errors = {
    'a wrong token in the query': await textOf(`${api}/api/v1/key/${KEY}?token=${WRONG_TOKEN}`),
    'a wrong bearer token': await textOf(`${api}/api/v1/keys`, { method: 'POST', headers: bearer }),
    'two tokens': await textOf(`${api}/api/v1/stats?token=${TOKEN}&token=${WRONG_TOKEN}`),
    'another scheme': await textOf(`${api}/api/v1/stats`, {
      headers: { authorization: `Basic ${btoa(TOKEN)}` },
    }),
  };
  assertSilent(errors, [TOKEN, WRONG_TOKEN, KEY, btoa(TOKEN)]);
  const read = {
    metrics: await textOf(metrics),
    'the health check': await textOf(`${health}/health_check`),
    readiness: await textOf(`${health}/readyz`),
    'the metrics of the API': await textOf(`${api}/api/v1/metrics?token=${TOKEN}`),
    abuse: await textOf(`${api}/api/v1/abuse?token=${TOKEN}`),
    torrents: await textOf(`${api}/api/v1/torrents?token=${TOKEN}`),
  };
  assertSilent(read, [TOKEN, WRONG_TOKEN, KEY, WRONG_KEY, CONNECTION_KEY]);
});

test('nor of the login of a database that refuses it', async (context) => {
  const folder = temporaryFolder(context);
  const { api, health, metrics, stdout, stderr } = await startTrackerProcess(
    context,
    {
      udp_trackers: [ANY],
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
      metrics: ANY,
      logging: { trace_filter: 'trace' },
      // The discard port of this machine, where nobody listens.
      core: {
        database: {
          driver: 'mysql',
          host: '127.0.0.1',
          port: 9,
          user: 'u',
          password: PASSWORD,
          database: 'd',
        },
      },
    },
    { folder },
  );
  const readiness = await waitFor('the trouble', async () => {
    const text = await textOf(`${health}/readyz`);
    return text.includes('"database_trouble":null') ? undefined : text;
  });
  const key = await textOf(`${api}/api/v1/keys?token=${TOKEN}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: KEY, seconds_valid: 3600 }),
  });
  const checked = await textOf(`${health}/health_check`);
  const read = { readiness, 'the API': key, 'the health check': checked, metrics: await textOf(metrics) };
  assertSilent(read, [PASSWORD, TOKEN]);
  assertSilent({ 'the log': stdout() + stderr() }, [PASSWORD, TOKEN, KEY]);
});
