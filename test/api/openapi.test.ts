/** The OpenAPI document says what the routes do: the same paths and methods, and answers of the shapes it promises. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { OPENAPI_DOCUMENT } from '../../tracker/api/openapi.ts';
import { OPEN_ROUTES, restRoutes } from '../../tracker/api/rest-app.ts';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { Announcer } from '../swarm/announcing.ts';
import type { Answer, Asking } from './asking.ts';
import { openRestServer } from './rest-server.ts';

const HASH = 'a'.repeat(40);
const KEY = 'k'.repeat(32);
const { paths, components } = OPENAPI_DOCUMENT;

test('describes every route, and nothing else', async (context) => {
  const { api } = await openRestServer(context, { database: null });
  const routes = [...OPEN_ROUTES, ...restRoutes(api)].flatMap(({ path, handlers }) =>
    Object.keys(handlers).map((method) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`),
  );
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(described.toSorted(), routes.toSorted());
});

test('refers only to what it holds', () => {
  for (const [, kind, name] of JSON.stringify(OPENAPI_DOCUMENT).matchAll(/"#\/components\/(\w+)\/(\w+)"/g)) {
    assert.ok(kind === 'schemas' || kind === 'parameters');
    assert.ok(Object.hasOwn(components[kind], name), `${kind}/${name}`);
  }
});

test('names each operation once', () => {
  const ids = Object.values(paths).flatMap((operations) =>
    Object.values(operations).map(({ operationId }) => operationId),
  );
  assert.equal(new Set(ids).size, ids.length);
});

const json = (body: string): Asking => ({ headers: { 'content-type': 'application/json' }, body });

/** One request after the other: method, path in the document, path asked, status expected. */
const requests: readonly [string, string, string, number, Asking?][] = [
  ['GET', '/api/health_check', '/api/health_check', 200],
  ['GET', '/api/v1/stats', '/api/v1/stats', 200],
  ['GET', '/api/v1/stats', '/api/v1/stats?format=prometheus', 200],
  ['GET', '/api/v1/metrics', '/api/v1/metrics', 200],
  ['GET', '/api/v1/metrics', '/api/v1/metrics?format=prometheus', 200],
  ['GET', '/api/v1/metrics', '/api/v1/metrics?format=xml', 400],
  ['GET', '/api/v1/torrents', '/api/v1/torrents?offset=0&limit=10', 200],
  ['GET', '/api/v1/torrents', '/api/v1/torrents?limit=x', 400],
  ['GET', '/api/v1/torrent/{info_hash}', `/api/v1/torrent/${HASH}`, 200],
  ['GET', '/api/v1/torrent/{info_hash}', `/api/v1/torrent/${'b'.repeat(40)}`, 200],
  ['GET', '/api/v1/torrent/{info_hash}', '/api/v1/torrent/x', 400],
  ['POST', '/api/v1/whitelist/{info_hash}', `/api/v1/whitelist/${HASH}`, 200],
  ['POST', '/api/v1/whitelist/{info_hash}', '/api/v1/whitelist/x', 400],
  ['DELETE', '/api/v1/whitelist/{info_hash}', `/api/v1/whitelist/${HASH}`, 200],
  ['DELETE', '/api/v1/whitelist/{info_hash}', '/api/v1/whitelist/x', 400],
  ['GET', '/api/v1/whitelist/reload', '/api/v1/whitelist/reload', 200],
  ['POST', '/api/v1/keys', '/api/v1/keys', 200, json(`{"key":"${KEY}","seconds_valid":60}`)],
  ['POST', '/api/v1/keys', '/api/v1/keys', 200, json('{"key":null,"seconds_valid":null}')],
  ['POST', '/api/v1/keys', '/api/v1/keys', 400, json('{')],
  ['POST', '/api/v1/keys', '/api/v1/keys', 413, json(' '.repeat(2 ** 21 + 1))],
  ['POST', '/api/v1/keys', '/api/v1/keys', 415],
  ['POST', '/api/v1/keys', '/api/v1/keys', 422, json('{}')],
  ['POST', '/api/v1/keys', '/api/v1/keys', 500, json(`{"key":"${KEY}","seconds_valid":60}`)],
  ['POST', '/api/v1/key/{seconds_valid_or_key}', '/api/v1/key/60', 200],
  ['POST', '/api/v1/key/{seconds_valid_or_key}', '/api/v1/key/x', 400],
  ['DELETE', '/api/v1/key/{seconds_valid_or_key}', `/api/v1/key/${KEY}`, 200],
  ['DELETE', '/api/v1/key/{seconds_valid_or_key}', '/api/v1/key/x', 400],
  ['GET', '/api/v1/keys/reload', '/api/v1/keys/reload', 200],
  ['POST', '/api/v1/bans', '/api/v1/bans', 200, json('{"address":"203.0.113.1","seconds":60}')],
  ['POST', '/api/v1/bans', '/api/v1/bans', 200, json('{"address":"2001:db8::/64"}')],
  ['POST', '/api/v1/bans', '/api/v1/bans', 400, json('{"address":"203.0.113.0/25"}')],
  ['POST', '/api/v1/bans', '/api/v1/bans', 409, json('{"address":"127.0.0.1"}')],
  ['POST', '/api/v1/bans', '/api/v1/bans', 413, json(' '.repeat(2 ** 21 + 1))],
  ['POST', '/api/v1/bans', '/api/v1/bans', 415],
  ['POST', '/api/v1/bans', '/api/v1/bans', 422, json('{}')],
  ['GET', '/api/v1/bans', '/api/v1/bans?offset=0&limit=10', 200],
  ['GET', '/api/v1/bans', '/api/v1/bans?limit=x', 400],
  ['GET', '/api/v1/abuse', '/api/v1/abuse', 200],
  ['DELETE', '/api/v1/ban/{address}', '/api/v1/ban/203.0.113.1', 200],
  ['DELETE', '/api/v1/ban/{address}', '/api/v1/ban/x', 400],
  ['DELETE', '/api/v1/ban/{address}', '/api/v1/ban/203.0.113.1', 404],
  ['DELETE', '/api/v1/bans', '/api/v1/bans', 200],
  ['GET', '/api/v1/openapi.json', '/api/v1/openapi.json', 200],
];

test('promises the answers that are given', async (context) => {
  const server = await openRestServer(context);
  for (const [address, left] of [
    ['01020304', 0n],
    ['20010db8000000000000000000000001', 5n],
  ] as const) {
    const peer = {
      infoHash: HASH,
      address,
      port: 1,
      peerId: `2d7142${'0'.repeat(34)}`,
      left,
      event: AnnounceEvent.none,
    };
    new Announcer(server.store).announce(peer, server.store.nowSeconds());
  }
  const seen = new Set<string>();
  for (const [method, path, asked, status, asking] of requests) {
    const answer = await server.ask(method, asked, asking);
    assert.equal(answer.status, status, `${method} ${asked}`);
    assertPromised(method, path, answer);
    seen.add(`${method} ${path}`);
  }
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual([...seen].toSorted(), described.toSorted());
});

/** Whether the document has the status, the content type and the shape of an answer. */
function assertPromised(method: string, path: string, answer: Answer): void {
  // The document's methods are these, in lower case.
  const operation = paths[path]?.[method.toLowerCase() as 'get' | 'post' | 'delete'];
  const promise = operation?.responses[String(answer.status)];
  assert.ok(promise !== undefined, `${method} ${path} promises ${answer.status}`);
  const type = (answer.type ?? '').replace(/;.*/, '');
  // Written by the helpers of the document.
  const content = promise.content?.[type] as { readonly schema: object } | undefined;
  assert.ok(content !== undefined, `${method} ${path} promises ${type}`);
  // The document's schemas are JSON Schemas, which its types do not say.
  const bundle = { ...strict(content.schema), $defs: strict(components.schemas) } as JsonSchema;
  const schema = z.fromJSONSchema(bundle);
  const body: unknown = type === 'application/json' ? JSON.parse(answer.body) : answer.body;
  const result = schema.safeParse(body);
  assert.ok(result.success, `${method} ${path}: ${result.success ? '' : result.error.message}`);
}

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0];

/** A schema that stands alone, and allows no members that the document does not name. */
function strict<Value extends object>(schema: Value): Value {
  const text = JSON.stringify(schema)
    .replaceAll('#/components/schemas/', '#/$defs/')
    .replaceAll('"type":"object","properties"', '"type":"object","additionalProperties":false,"properties"');
  // The same value with more members.
  return JSON.parse(text) as Value;
}
