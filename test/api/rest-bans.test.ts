/** Bans over the REST API: imposed, listed by pages, lifted, saved, and refused for those who are never banned. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { BanStore } from '../../tracker/api/ban-keeper.ts';
import type { Ban } from '../../tracker/ban-table.ts';
import { formatIp } from '../../tracker/protocol/ip-text.ts';
import { ipv4Address } from '../support/addresses.ts';
import { waitFor } from '../support/waiting.ts';
import { openRestServer, type RestServer } from './rest-server.ts';

interface ShownBan {
  readonly address: string;
  readonly reason: string;
  readonly since: number;
  readonly until: number | null;
}

function impose(server: RestServer, body: object) {
  return server.ask('POST', '/api/v1/bans', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function list(server: RestServer, query = ''): Promise<{ total: number; bans: ShownBan[] }> {
  const answer = await server.ask('GET', `/api/v1/bans${query}`);
  assert.equal(answer.status, 200);
  return JSON.parse(answer.body) as { total: number; bans: ShownBan[] }; // as the document says
}

/** A place for bans that remembers what was saved last, or fails. */
function memoryStore(): BanStore & { last: string[] | null; failure: Error | null } {
  return {
    last: null,
    failure: null,
    async save(bans: readonly Ban[]) {
      await Promise.resolve();
      if (this.failure !== null) throw this.failure;
      this.last = bans.map(({ address, prefixBits }) => `${formatIp(address)}/${prefixBits}`).toSorted();
    },
  };
}

test('imposes bans with and without an end, and lists them', async (context) => {
  const server = await openRestServer(context, { database: null });
  assert.deepEqual(await list(server), { total: 0, bans: [] });
  const before = Math.floor(Date.now() / 1000);
  const answer = await impose(server, { address: '203.0.113.7', seconds: 3600 });
  assert.equal(answer.status, 200);
  const ban = JSON.parse(answer.body) as ShownBan; // as the document says
  assert.ok(ban.since >= before && ban.since <= Date.now() / 1000);
  assert.deepEqual(ban, {
    address: '203.0.113.7',
    reason: 'by_hand',
    since: ban.since,
    until: ban.since + 3600,
  });
  await impose(server, { address: '2001:DB8:0:1::7/64' });
  await impose(server, { address: '198.51.100.9/24', seconds: null });
  const { total, bans } = await list(server);
  assert.equal(total, 3);
  assert.deepEqual(
    new Map(bans.map(({ address, until }) => [address, until])),
    new Map<string, number | null>([
      ['198.51.100.0/24', null],
      ['2001:db8:0:1::/64', null],
      ['203.0.113.7', ban.until],
    ]),
  );
});

test('lists pages of a thousand, unless another number is asked for', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (let i = 0; i < 1500; i++) await server.api.bans.impose(...target(i), null);
  const [first, second, third] = [await list(server), await list(server, '?offset=1000'), await list(server, '?offset=1490&limit=20')]; // prettier-ignore
  assert.deepEqual([first.total, first.bans.length], [1500, 1000]);
  assert.deepEqual([second.total, second.bans.length], [1500, 500]);
  assert.equal(third.bans.length, 10);
  const all = new Set([...first.bans, ...second.bans].map(({ address }) => address));
  assert.equal(all.size, 1500);
});

test('lifts one ban, or all', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (const address of ['203.0.113.7', '203.0.113.0/24', '2001:db8::1', '198.51.100.1'])
    await impose(server, { address });
  const lift = async (path: string) => (await server.ask('DELETE', path)).status;
  assert.equal(await lift('/api/v1/ban/203.0.113.7'), 200);
  assert.equal(await lift('/api/v1/ban/203.0.113.7'), 404);
  assert.equal(await lift('/api/v1/ban/203.0.113.0%2F24'), 200);
  assert.equal(await lift('/api/v1/ban/2001:db8::1'), 200);
  assert.equal((await list(server)).total, 1);
  assert.equal(await lift('/api/v1/bans'), 200);
  assert.equal((await list(server)).total, 0);
});

test('lists no ban that is over, and removes it', async (context) => {
  const server = await openRestServer(context, { database: null });
  await impose(server, { address: '203.0.113.7', seconds: 1 });
  await waitFor('the end of the ban', async () => (await list(server)).total === 0);
  await waitFor('its removal', () => server.api.bans.size === 0);
});

const NEVER: readonly string[] = [
  '127.0.0.1',
  '10.1.2.3',
  '192.168.0.0/24',
  '100.64.0.1',
  '::1',
  'fd00::/64',
  '::ffff:10.0.0.1',
];
for (const address of NEVER) {
  test(`never bans ${address}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    const answer = await impose(server, { address });
    assert.equal(answer.status, 409);
    assert.match(answer.body, /^Nobody there is ever banned: /);
    assert.equal((await list(server)).total, 0);
  });
}

const BAD: readonly (readonly [unknown, number, RegExp])[] = [
  [{ address: '203.0.113.0/25' }, 400, /Invalid address "203\.0\.113\.0\/25": expected an IP address/],
  [{ address: '203.0.113.0/' }, 400, /Invalid address/],
  [{ address: '203.0.113.0/24/24' }, 400, /Invalid address/],
  [{ address: '2001:db8::/24' }, 400, /Invalid address/],
  [{ address: 'example.org' }, 400, /Invalid address/],
  [{ address: 7 }, 422, /address: /],
  [{ address: '203.0.113.1', seconds: 0 }, 422, /seconds: /],
  [{ address: '203.0.113.1', seconds: 1.5 }, 422, /seconds: /],
  [{ address: '203.0.113.1', seconds: 1e12 }, 422, /seconds: /],
  [{ address: '203.0.113.1', minutes: 5 }, 422, /minutes/],
  [['203.0.113.1'], 422, /expected object/],
];
for (const [body, status, text] of BAD) {
  test(`refuses ${JSON.stringify(body)}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    const answer = await impose(server, body as object); // a mistake of the caller
    assert.equal(answer.status, status);
    assert.match(answer.body, text);
    assert.deepEqual(server.faults, []);
  });
}

test('saves every change before it answers, and says when it could not', async (context) => {
  const banStore = memoryStore();
  const server = await openRestServer(context, { database: null, banStore });
  await impose(server, { address: '203.0.113.7' });
  await impose(server, { address: '2001:db8::/64' });
  assert.deepEqual(banStore.last, ['2001:db8::/64', '203.0.113.7/32']);
  await server.ask('DELETE', '/api/v1/ban/203.0.113.7');
  assert.deepEqual(banStore.last, ['2001:db8::/64']);
  banStore.failure = new Error('the disk is full');
  const failed = await impose(server, { address: '203.0.113.8' });
  assert.equal(failed.status, 500);
  assert.match(failed.body, /the change is in force, and failed to be saved: the disk is full/);
  assert.equal((await list(server)).total, 2);
  banStore.failure = null;
  await server.ask('DELETE', '/api/v1/bans');
  assert.deepEqual(banStore.last, []);
  assert.deepEqual(server.faults, []);
});

test('asks for a token', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (const [method, path] of [
    ['GET', '/api/v1/bans'],
    ['DELETE', '/api/v1/bans'],
    ['GET', '/api/v1/abuse'],
  ] as const) {
    // prettier-ignore
    assert.equal((await server.askBare(method, path)).status, 500);
  }
});

test('shows what was refused and ignored, by reason', async (context: TestContext) => {
  const server = await openRestServer(context, { database: null });
  await impose(server, { address: '203.0.113.7' });
  const row = server.counters.row(1);
  row.fill(3);
  const answer = await server.ask('GET', '/api/v1/abuse');
  const abuse = JSON.parse(answer.body) as Record<string, unknown>; // as the document says
  assert.deepEqual(abuse['bans'], { in_force: 1, udp_requests_ignored: 3, http_requests_refused: 3 });
  assert.deepEqual(abuse['connection_id_failures'], { expired: 3, other_address: 3, forged: 3 });
  assert.deepEqual(abuse['requests_beyond_limits'], { per_ip: 3, per_network: 3, overall: 3 });
});

function target(number: number) {
  return [ipv4Address(0x08000000 + number * 77), 32] as const;
}
