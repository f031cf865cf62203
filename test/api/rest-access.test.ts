/** Who may ask what, and what everybody is told: tokens, unknown paths, methods, ids, compression, limits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import type { Database } from '../../tracker/db/client.ts';
import { waitFor } from '../support/waiting.ts';
import type { Asking } from './asking.ts';
import { openRestServer, openTestDatabase, TOKEN } from './rest-server.ts';

const TEXT = 'text/plain; charset=utf-8';
const unauthorized = 'Unhandled rejection: Err { reason: "unauthorized" }';
const notValid = 'Unhandled rejection: Err { reason: "token not valid" }';
const otherScheme = 'Unhandled rejection: Err { reason: "unknown token provided" }';

const bearer = (value: string): Asking => ({ headers: { authorization: value } });

const refusedRequests: readonly [string, string, string, Asking, number, string][] = [
  ['no token', 'GET', '/api/v1/stats', {}, 500, unauthorized],
  ['an empty token', 'GET', '/api/v1/stats?token=', {}, 500, notValid],
  ['a wrong token', 'GET', '/api/v1/stats?token=wrong', {}, 500, notValid],
  ['a token in the wrong case', 'GET', `/api/v1/stats?token=${TOKEN.toLowerCase()}`, {}, 500, notValid],
  ['a part of a token', 'GET', `/api/v1/stats?token=${TOKEN.slice(0, -1)}`, {}, 500, notValid],
  [
    'two tokens',
    'GET',
    `/api/v1/stats?token=${TOKEN}&token=${TOKEN}`,
    {},
    400,
    'Failed to deserialize query string: duplicate field `token`',
  ],
  ['an unknown path without a token', 'GET', '/nowhere', {}, 500, unauthorized],
  ['the root without a token', 'GET', '/', {}, 500, unauthorized],
  ['an unknown path with a wrong token', 'GET', '/nowhere?token=wrong', {}, 500, notValid],
  ['a wrong method without a token', 'POST', '/api/v1/stats', {}, 500, unauthorized],
  ['a wrong bearer token', 'GET', '/api/v1/stats', bearer('Bearer wrong'), 500, notValid],
  ['a bare Bearer', 'GET', '/api/v1/stats', bearer('Bearer'), 500, notValid],
  ['another scheme', 'GET', '/api/v1/stats', bearer('Basic TXk6VG9rZW4='), 500, otherScheme],
  [
    'a wrong bearer token beside a right one in the query',
    'GET',
    `/api/v1/stats?token=${TOKEN}`,
    bearer('Bearer wrong'),
    500,
    notValid,
  ],
];

for (const [what, method, path, asking, status, body] of refusedRequests) {
  test(`refuses ${what}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    const answer = await server.askBare(method, path, asking);
    assert.deepEqual([answer.status, answer.type, answer.body], [status, TEXT, body]);
    assert.ok(answer.headers['x-request-id']);
  });
}

const acceptedRequests: readonly [string, string, Asking][] = [
  ['a token in the query', `/api/v1/stats?token=${TOKEN}`, {}],
  ['any of the tokens', '/api/v1/stats?token=first', {}],
  ['a token behind other parameters', `/api/v1/torrents?limit=1&token=${TOKEN}`, {}],
  ['a token with escapes', `/api/v1/stats?token=%4DyAccessToken`, {}],
  ['a bearer token', '/api/v1/stats', bearer(`Bearer ${TOKEN}`)],
  ['a bearer token beside a wrong one in the query', '/api/v1/stats?token=wrong', bearer(`Bearer ${TOKEN}`)],
  ["a token in the query beside a proxy's own header", `/api/v1/stats?token=${TOKEN}`, bearer('Basic eDp5')],
];

for (const [what, path, asking] of acceptedRequests) {
  test(`accepts ${what}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    assert.equal((await server.askBare('GET', path, asking)).status, 200);
  });
}

test('takes over tokens that change while it runs', async (context) => {
  const server = await openRestServer(context, { database: null });
  server.tokens.splice(0, Infinity, 'rotated');
  assert.equal((await server.askBare('GET', '/api/v1/stats?token=rotated')).status, 200);
  server.tokens.splice(0, Infinity, 'with a space');
  for (const token of ['with%20a%20space', 'with+a+space']) {
    assert.equal((await server.askBare('GET', `/api/v1/stats?token=${token}`)).status, 200);
  }
  assert.equal((await server.askBare('GET', '/api/v1/stats', bearer('Bearer with a space'))).status, 200);
  server.tokens.splice(0, Infinity, 'rotated');
  assert.equal((await server.askBare('GET', `/api/v1/stats?token=${TOKEN}`)).body, notValid);
  server.tokens.length = 0;
  assert.equal((await server.askBare('GET', '/api/v1/stats?token=rotated')).body, notValid);
});

const hash = 'a'.repeat(40);
const misses: readonly [string, string, number, string | undefined][] = [
  ['GET', '/nowhere', 404, undefined],
  ['GET', '/', 404, undefined],
  ['GET', '/api/v1/torrent/', 404, undefined],
  ['POST', '/api/v1/whitelist/', 404, undefined],
  ['GET', '/api/v1/stats/', 404, undefined],
  ['GET', '/API/v1/stats', 404, undefined],
  ['GET', '/api/stats', 404, undefined],
  ['GET', '/api/v1/key', 404, undefined],
  ['POST', '/api/v1/stats', 405, 'GET,HEAD'],
  ['DELETE', '/api/v1/torrents', 405, 'GET,HEAD'],
  ['OPTIONS', '/api/v1/stats', 405, 'GET,HEAD'],
  ['PUT', `/api/v1/torrent/${hash}`, 405, 'GET,HEAD'],
  ['POST', '/api/v1/whitelist/reload', 405, 'GET,HEAD'],
  ['DELETE', '/api/v1/whitelist/reload', 405, 'GET,HEAD'],
  ['GET', `/api/v1/whitelist/${hash}`, 405, 'POST,DELETE'],
  ['GET', '/api/v1/keys', 405, 'POST'],
  ['POST', '/api/v1/keys/reload', 405, 'GET,HEAD'],
  ['GET', '/api/v1/key/5', 405, 'POST,DELETE'],
];

for (const [method, path, status, allow] of misses) {
  test(`answers ${status} with an empty body to ${method} ${path}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    const answer = await server.ask(method, path);
    assert.deepEqual(
      [answer.status, answer.body, answer.type, answer.headers.allow],
      [status, '', undefined, allow],
    );
    assert.equal(answer.headers['content-length'], '0');
    assert.ok(answer.headers['x-request-id']);
  });
}

test('tells its health to everybody', async (context) => {
  const server = await openRestServer(context, { database: null });
  const answer = await server.askBare('GET', '/api/health_check');
  assert.deepEqual([answer.status, answer.type, answer.body], [200, 'application/json', '{"status":"Ok"}']);
  const refusal = await server.askBare('POST', '/api/health_check');
  assert.deepEqual([refusal.status, refusal.headers.allow], [405, 'GET,HEAD']);
});

test('answers HEAD as GET without a body', async (context) => {
  const server = await openRestServer(context, { database: null });
  const [got, head] = [await server.ask('GET', '/api/v1/stats'), await server.ask('HEAD', '/api/v1/stats')];
  assert.deepEqual([head.status, head.type, head.body], [200, 'application/json', '']);
  assert.equal(head.headers['content-length'], String(got.bytes.length));
});

test('echoes the request id, or makes up a UUID', async (context) => {
  const server = await openRestServer(context, { database: null });
  const headers = { 'x-request-id': 'mine-1' };
  assert.equal((await server.ask('GET', '/api/v1/stats', { headers })).headers['x-request-id'], 'mine-1');
  const ids = await Promise.all(
    [1, 2].map(async () => (await server.askBare('GET', '/nowhere')).headers['x-request-id']),
  );
  assert.notEqual(ids[0], ids[1]);
  for (const id of ids)
    assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('is not cached on the way', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (const path of ['/api/v1/stats', '/nowhere', '/api/v1/torrent/x']) {
    assert.equal((await server.ask('GET', path)).headers['cache-control'], 'no-store');
  }
});

const encodings: readonly [string, string | undefined, (bytes: Buffer) => Buffer][] = [
  ['zstd', 'zstd', zstdDecompressSync],
  ['br', 'br', brotliDecompressSync],
  ['gzip', 'gzip', gunzipSync],
  ['deflate', 'deflate', inflateSync],
  ['deflate, gzip, br, zstd', 'zstd', zstdDecompressSync],
  ['gzip, br;q=0.5', 'gzip', gunzipSync],
  ['gzip;q=0', undefined, (bytes) => bytes],
  ['identity', undefined, (bytes) => bytes],
];

for (const [accepted, used, decode] of encodings) {
  test(`answers Accept-Encoding: ${accepted} in ${used ?? 'plain'}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    const headers = { 'accept-encoding': accepted };
    const plain = await server.ask('GET', '/api/v1/stats');
    const answer = await server.ask('GET', '/api/v1/stats', { headers });
    assert.equal(answer.headers['content-encoding'], used);
    assert.equal(answer.headers.vary?.toLowerCase(), 'accept-encoding');
    assert.equal(decode(answer.bytes).toString(), plain.body);
    const small = await server.askBare('GET', '/api/health_check', { headers });
    assert.equal(small.headers['content-encoding'], undefined);
  });
}

test('answers 408 with nothing when a handler takes too long', async (context) => {
  const database = await openTestDatabase(context);
  const stuck: Database = { ...database, loadKeys: () => new Promise(() => {}) };
  const server = await openRestServer(context, { database: stuck, handlerLimitMillis: 500 });
  const answer = await server.ask('GET', '/api/v1/keys/reload');
  assert.deepEqual([answer.status, answer.body], [408, '']);
  for (const name of ['x-request-id', 'content-type', 'cache-control'])
    assert.equal(answer.headers[name], undefined, name);
  assert.equal((await server.ask('GET', '/api/v1/stats')).status, 200);
});

test('does late what it had no time to tell', async (context) => {
  const database = await openTestDatabase(context);
  const gate = Promise.withResolvers<void>();
  const slow: Database = {
    ...database,
    async addToWhitelist(infoHash) {
      await gate.promise;
      await database.addToWhitelist(infoHash);
    },
  };
  const server = await openRestServer(context, { database: slow, handlerLimitMillis: 50 });
  assert.equal((await server.ask('POST', `/api/v1/whitelist/${hash}`)).status, 408);
  assert.equal(server.access.whitelistSize, 0);
  gate.resolve();
  await waitFor('the info hash is listed', () => server.access.whitelistSize === 1);
  assert.deepEqual(server.faults, []);
});

test('tells its owner of a fault that comes too late for the client', async (context) => {
  const database = await openTestDatabase(context);
  const gate = Promise.withResolvers<never>();
  const server = await openRestServer(context, {
    database: { ...database, loadKeys: () => gate.promise },
    handlerLimitMillis: 50,
  });
  assert.equal((await server.ask('GET', '/api/v1/keys/reload')).status, 408);
  gate.reject(new TypeError('too late'));
  await waitFor('the fault is told', () => server.faults.length === 1);
  assert.match(String(server.faults), /too late/);
});

test('takes no notice of a client that goes away while it sends', async (context) => {
  const server = await openRestServer(context);
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`POST /api/v1/keys?token=${TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{`);
  socket.end();
  socket.resume();
  await once(socket, 'close');
  assert.equal((await server.ask('GET', '/api/v1/stats')).status, 200);
  assert.deepEqual(server.faults, []);
});

test('answers 408 to a body that does not come', async (context) => {
  const server = await openRestServer(context, { handlerLimitMillis: 50 });
  const socket = connect(server.port, '127.0.0.1');
  context.after(() => socket.destroy());
  socket.write(`POST /api/v1/keys?token=${TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{`);
  assert.match(await text(socket), /^HTTP\/1\.1 408 /);
});

test('tells nothing of a fault inside, and tells it to its owner', async (context) => {
  const database = await openTestDatabase(context);
  const broken: Database = {
    ...database,
    loadWhitelist: () => Promise.reject(new TypeError('secret detail')),
  };
  const server = await openRestServer(context, { database: broken });
  const answer = await server.ask('GET', '/api/v1/whitelist/reload');
  assert.deepEqual(
    [answer.status, answer.body],
    [500, 'Unhandled rejection: Err { reason: "internal error" }'],
  );
  assert.ok(answer.headers['x-request-id']);
  assert.match(String(server.faults), /secret detail/);
});

test('reads bodies of two megabytes and refuses more', async (context) => {
  const server = await openRestServer(context);
  const headers = { 'content-type': 'application/json' };
  const limit = 2 * 1024 * 1024;
  const fitting = await server.ask('POST', '/api/v1/keys', {
    headers,
    body: '{"key":null,"seconds_valid":60}'.padEnd(limit),
  });
  assert.equal(fitting.status, 200);
  const larger = await server.ask('POST', '/api/v1/keys', { headers, body: Buffer.alloc(limit + 1, ' ') });
  assert.deepEqual([larger.status, larger.type], [413, TEXT]);
});
