/** The whitelist over the REST API, in memory and in the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRestServer, type RestServer } from './rest-server.ts';

const HASH = '9e0217d0fa71c87332cd8bf9dbeabcb2c2cf3c4d';
const OK = [200, 'application/json', '{"status":"ok"}'];

async function change(server: RestServer, method: string, path: string): Promise<unknown[]> {
  const answer = await server.ask(method, `/api/v1/whitelist/${path}`);
  return [answer.status, answer.type, answer.body];
}

test('adds an info hash, as often as it is asked to', async (context) => {
  const server = await openRestServer(context);
  for (const text of [HASH, HASH, HASH.toUpperCase()]) {
    assert.deepEqual(await change(server, 'POST', text), OK);
  }
  assert.deepEqual(await server.database?.loadWhitelist(), [HASH]);
  assert.equal(server.access.whitelistSize, 1);
  assert.ok(server.access.isListed(wordsOf(HASH), 0));
});

test('removes an info hash, also one that is not there', async (context) => {
  const server = await openRestServer(context);
  await change(server, 'POST', HASH);
  for (let i = 0; i < 2; i++) assert.deepEqual(await change(server, 'DELETE', HASH), OK);
  assert.deepEqual(await server.database?.loadWhitelist(), []);
  assert.ok(!server.access.isListed(wordsOf(HASH), 0));
});

test('reloads what other programs wrote, and drops what they removed', async (context) => {
  const server = await openRestServer(context);
  await change(server, 'POST', HASH);
  const other = 'f'.repeat(40);
  await server.database?.removeFromWhitelist(HASH);
  await server.database?.addToWhitelist(other);
  assert.ok(server.access.isListed(wordsOf(HASH), 0));
  assert.deepEqual(await change(server, 'GET', 'reload'), OK);
  assert.ok(!server.access.isListed(wordsOf(HASH), 0));
  assert.ok(server.access.isListed(wordsOf(other), 0));
});

for (const text of ['0', '-1', '1.1', 'INVALID', 'g'.repeat(40), `${HASH}0`, HASH.slice(1)]) {
  test(`refuses ${text} as an info hash`, async (context) => {
    const server = await openRestServer(context);
    for (const method of ['POST', 'DELETE']) {
      assert.deepEqual(await change(server, method, text), [
        400,
        'text/plain; charset=utf-8',
        `Invalid URL: invalid infohash param: string "${text}", expected a 40 character long string`,
      ]);
    }
    assert.deepEqual(await server.database?.loadWhitelist(), []);
  });
}

function wordsOf(infoHash: string): Int32Array {
  const bytes = Buffer.from(infoHash, 'hex');
  return new Int32Array(Uint8Array.from(bytes).buffer);
}
