/** Statistics, torrents and peers over the REST API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { COUNTERS, LATENCIES_AT } from '../../tracker/swarm/counters.ts';
import { LatencyKind, recordLatency } from '../../tracker/swarm/latencies.ts';
import { Announcer, RULES } from '../swarm/announcing.ts';
import type { ModelAnnounce } from '../swarm/model.ts';
import { openRestServer, type RestServer } from './rest-server.ts';

const JSON_TYPE = 'application/json';
const QBITTORRENT = '2d7142343431302d3064465a3844484944704579';

const hashOf = (n: number): string => n.toString(16).padStart(40, '0');

function announce(server: RestServer, changes: Partial<ModelAnnounce> = {}): void {
  const full: ModelAnnounce = {
    infoHash: hashOf(1),
    address: 'c0a80158',
    port: 17548,
    peerId: QBITTORRENT,
    left: 0n,
    event: AnnounceEvent.none,
    ...changes,
  };
  new Announcer(server.store).announce(full, server.store.nowSeconds());
}

test('shows every field of the statistics in the order of the newest upstream', async (context) => {
  const figures = {
    completedInSession: 71,
    completedPersisted: 72,
    bannedIps: 73,
    restoredTorrents: 0,
    restoredPeers: 0,
  };
  const server = await openRestServer(context, { database: null, figures, persistCompleted: true });
  const rows = [server.counters.row(0), server.counters.row(1)];
  COUNTERS.forEach((_, place) => {
    rows[0][place] = place;
    rows[1][place] = 100;
  });
  recordLatency(rows[0], LATENCIES_AT, LatencyKind.udpConnect, 0.0744);
  for (const micros of [1, 2]) recordLatency(rows[1], LATENCIES_AT, LatencyKind.udpAnnounce, micros);
  announce(server);
  announce(server, { infoHash: hashOf(2), left: 5n, peerId: hashOf(7) });
  announce(server, { infoHash: hashOf(2), event: AnnounceEvent.completed, peerId: hashOf(7) });
  announce(server, { infoHash: hashOf(2), left: 1n, port: 2, peerId: hashOf(8) });
  const answer = await server.ask('GET', '/api/v1/stats');
  assert.deepEqual([answer.status, answer.type], [200, JSON_TYPE]);
  const count = (name: (typeof COUNTERS)[number]): number => COUNTERS.indexOf(name) + 100;
  const expected: [string, unknown][] = [
    ['torrents', 2],
    ['seeders', 2],
    ['completed', 1],
    ['completed_in_session', 71],
    ['completed_persisted', 72],
    ['completed_persisted_enabled', true],
    ['leechers', 1],
    ...tcpFields(count),
    ['udp_requests_discarded', count('udp_requests_discarded')],
    ['udp_requests_aborted', count('udp_requests_aborted')],
    ['udp_requests_banned', count('udp_requests_banned')],
    ['udp_banned_ips_total', 73],
    ['udp_avg_connect_processing_time_ns', 74],
    ['udp_avg_announce_processing_time_ns', 1500],
    ['udp_avg_scrape_processing_time_ns', 0],
    ...udpFields(count),
  ];
  // An object, whose fields are compared here.
  assert.deepEqual(Object.entries(JSON.parse(answer.body) as object), expected);
});

function tcpFields(count: (name: (typeof COUNTERS)[number]) => number): [string, number][] {
  return [4, 6].flatMap((family) =>
    ['connections_handled', 'announces_handled', 'scrapes_handled'].map((what): [string, number] => {
      // The names of both families are in the list of counters.
      const name = `tcp${family}_${what}` as (typeof COUNTERS)[number];
      return [name, count(name)];
    }),
  );
}

function udpFields(count: (name: (typeof COUNTERS)[number]) => number): [string, number][] {
  const what = [
    'requests',
    'connections_handled',
    'announces_handled',
    'scrapes_handled',
    'responses',
    'errors_handled',
  ];
  return [4, 6].flatMap((family) =>
    what.map((suffix): [string, number] => {
      // The names of both families are in the list of counters.
      const name = `udp${family}_${suffix}` as (typeof COUNTERS)[number];
      return [name, count(name)];
    }),
  );
}

test('shows a torrent with its peers as Torrust does', async (context) => {
  const server = await openRestServer(context, { database: null });
  const before = Date.now();
  announce(server);
  const answer = await server.ask('GET', `/api/v1/torrent/${hashOf(1)}`);
  assert.deepEqual([answer.status, answer.type], [200, JSON_TYPE]);
  const [, updated] = /"updated":(\d+)/.exec(answer.body) ?? [];
  assert.equal(
    answer.body,
    `{"info_hash":"${hashOf(1)}","seeders":1,"completed":0,"leechers":0,` +
      `"peers":[{"peer_id":{"id":"0x${QBITTORRENT}","client":"qBittorrent"},` +
      `"peer_addr":"192.168.1.88:17548",` +
      `"updated":${updated},"updated_milliseconds_ago":${updated},` +
      `"uploaded":0,"downloaded":0,"left":0,"event":"None"}]}`,
  );
  assert.ok(Number(updated) >= before - 1000 && Number(updated) <= Date.now(), `updated: ${updated}`);
});

test('tells the last announce of a peer by the clock on the wall', async (context) => {
  const server = await openRestServer(context, { database: null });
  const peer = {
    infoHash: hashOf(1),
    address: '01020304',
    port: 1,
    peerId: hashOf(1),
    left: 1n,
    event: AnnounceEvent.none,
  };
  const seconds = server.store.nowSeconds();
  new Announcer(server.store).announce(peer, seconds - 1);
  const { body } = await server.ask('GET', `/api/v1/torrent/${hashOf(1)}`);
  const updated = Number(/"updated":(\d+)/.exec(body)?.[1]);
  const age = Date.now() - updated;
  assert.ok(age >= 1000 && age < 60_000, `age: ${age}`);
});

test('shows peers in the order of their ids, with addresses, 64-bit numbers and events', async (context) => {
  const server = await openRestServer(context, { database: null });
  const infoHash = hashOf(1);
  announce(server, { infoHash, peerId: 'ff'.repeat(20), port: 3, event: AnnounceEvent.started });
  announce(server, {
    infoHash,
    peerId: '00'.repeat(20),
    address: '20010db8000000000000000000000001',
    port: 1,
    left: 2n ** 63n - 1n,
    event: AnnounceEvent.completed,
  });
  announce(server, { infoHash, peerId: '7f'.repeat(20), port: 2, left: -(2n ** 63n) });
  const { body } = await server.ask('GET', `/api/v1/torrent/${infoHash}`);
  const peers = [
    ...body.matchAll(/"client":(\w+)\},"peer_addr":"([^"]+)".*?"left":(-?\d+),"event":"(\w+)"/g),
  ];
  assert.deepEqual(
    peers.map(([, ...fields]) => fields),
    [
      ['null', '[2001:db8::1]:1', '9223372036854775807', 'Completed'],
      ['null', '192.168.1.88:2', '-9223372036854775808', 'None'],
      ['null', '192.168.1.88:3', '0', 'Started'],
    ],
  );
  assert.match(body, /"seeders":2,"completed":0,"leechers":1,/);
});

test('shows a known torrent without peers', async (context) => {
  const server = await openRestServer(context, { database: null });
  announce(server);
  announce(server, { event: AnnounceEvent.stopped });
  const { body } = await server.ask('GET', `/api/v1/torrent/${hashOf(1)}`);
  assert.equal(body, `{"info_hash":"${hashOf(1)}","seeders":0,"completed":0,"leechers":0,"peers":[]}`);
});

test('knows info hashes in capitals and with escapes', async (context) => {
  const server = await openRestServer(context, { database: null });
  const infoHash = 'abcdef'.padEnd(40, '0');
  announce(server, { infoHash });
  for (const text of [infoHash.toUpperCase(), infoHash.replace('a', '%61')]) {
    assert.match((await server.ask('GET', `/api/v1/torrent/${text}`)).body, RegExp(infoHash));
  }
});

test('tells of an unknown torrent with status 200 and a JSON string', async (context) => {
  const server = await openRestServer(context, { database: null });
  const answer = await server.ask('GET', `/api/v1/torrent/${hashOf(5)}`);
  assert.deepEqual([answer.status, answer.type, answer.body], [200, JSON_TYPE, '"torrent not known"']);
});

const invalidHash = (value: string): string =>
  `Invalid URL: invalid infohash param: string "${value}", expected a 40 character long string`;
const badQuery = (fault: string): string => `Failed to deserialize query string: ${fault}`;
const noDigits = badQuery('invalid digit found in string');

const refused: readonly [string, string][] = [
  ['/api/v1/torrent/0', invalidHash('0')],
  [`/api/v1/torrent/${'g'.repeat(40)}`, invalidHash('g'.repeat(40))],
  [`/api/v1/torrent/${'a'.repeat(41)}`, invalidHash('a'.repeat(41))],
  ['/api/v1/torrent/%20', invalidHash(' ')],
  ['/api/v1/torrents?info_hash=bad', invalidHash('bad')],
  [`/api/v1/torrents?info_hash=${hashOf(1)}&info_hash=one&info_hash=two`, invalidHash('one')],
  ['/api/v1/torrents?offset=%20', noDigits],
  ['/api/v1/torrents?offset=-1', noDigits],
  ['/api/v1/torrents?offset=1.1', noDigits],
  ['/api/v1/torrents?offset=many', noDigits],
  ['/api/v1/torrents?limit=%20', noDigits],
  ['/api/v1/torrents?limit=-1', noDigits],
  ['/api/v1/torrents?limit=1.1', noDigits],
  ['/api/v1/torrents?limit=many', noDigits],
  ['/api/v1/torrents?offset=4294967296', badQuery('number too large to fit in target type')],
  ['/api/v1/torrents?limit=99999999999999999999', badQuery('number too large to fit in target type')],
  ['/api/v1/torrents?limit=1&limit=2', badQuery('duplicate field `limit`')],
  [`/api/v1/torrents?info_hash=${hashOf(1)}&limit=x`, noDigits],
  ['/api/v1/torrents?info_hash=bad&limit=x', noDigits],
];

test('refuses bad info hashes and page numbers', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (const [path, body] of refused) {
    const answer = await server.ask('GET', path);
    assert.deepEqual(
      [answer.status, answer.type, answer.body],
      [400, 'text/plain; charset=utf-8', body],
      path,
    );
  }
});

const first = 'ff'.padEnd(40, '1');
const pages: readonly [string, string, string[]][] = [
  ['all in ascending order', '', [hashOf(1), hashOf(2), hashOf(3), first]],
  ['the first ones', '?limit=2', [hashOf(1), hashOf(2)]],
  ['items behind an offset', '?offset=1&limit=2', [hashOf(2), hashOf(3)]],
  ['the rest when the limit reaches beyond it', '?offset=3&limit=4294967295', [first]],
  ['nothing at the end', '?offset=4', []],
  ['nothing far behind the end', '?offset=4294967295', []],
  ['nothing within a limit of none', '?limit=0', []],
  ['all for empty numbers', '?offset=&limit=', [hashOf(1), hashOf(2), hashOf(3), first]],
  ['numbers with a sign and zeros', '?offset=%2B02&limit=001', [hashOf(3)]],
  [
    'asked torrents in the order asked, repeated, without unknown ones',
    `?info_hash=${hashOf(3)}&info_hash=${hashOf(9)}&info_hash=${first.toUpperCase()}&info_hash=${hashOf(3)}`,
    [hashOf(3), first, hashOf(3)],
  ],
  ['asked torrents whatever the page', `?info_hash=${hashOf(2)}&offset=5&limit=0`, [hashOf(2)]],
];

for (const [what, query, infoHashes] of pages) {
  test(`lists ${what}`, async (context) => {
    const server = await openRestServer(context, { database: null });
    for (const infoHash of [hashOf(3), first, hashOf(1), hashOf(2)]) announce(server, { infoHash });
    const answer = await server.ask('GET', `/api/v1/torrents${query}`);
    assert.deepEqual([answer.status, answer.type], [200, JSON_TYPE]);
    const item = (infoHash: string): string =>
      `{"info_hash":"${infoHash}","seeders":1,"completed":0,"leechers":0}`;
    assert.equal(answer.body, `[${infoHashes.map(item).join(',')}]`);
  });
}

test('lists thousands of torrents in order, page by page and all at once', async (context) => {
  const server = await openRestServer(context, { database: null });
  const announcer = new Announcer(server.store);
  const infoHashes = Array.from({ length: 10_000 }, (_, n) =>
    ((n * 7919) % 1_000_003).toString(16).padStart(6, '0').padEnd(40, '5'),
  );
  for (const infoHash of infoHashes) {
    const peer = {
      infoHash,
      address: '01020304',
      port: 1,
      peerId: hashOf(1),
      left: 1n,
      event: AnnounceEvent.none,
    };
    announcer.announce(peer, 1, 0, RULES);
  }
  const sorted = infoHashes.toSorted();
  const list = async (query: string): Promise<string[]> => {
    const { body } = await server.ask('GET', `/api/v1/torrents?${query}`);
    // The shape of an item is tested above.
    return (JSON.parse(body) as { info_hash: string }[]).map((torrent) => torrent.info_hash);
  };
  assert.deepEqual(await list(''), sorted.slice(0, 4000));
  assert.deepEqual(await list('offset=3999&limit=3'), sorted.slice(3999, 4002));
  assert.deepEqual(await list('offset=9990'), sorted.slice(9990));
  assert.deepEqual(await list('limit=4294967295'), sorted);
  assert.deepEqual(server.faults, []);
});

test('shows thousands of peers', async (context) => {
  const server = await openRestServer(context, { database: null });
  const announcer = new Announcer(server.store);
  const ports = Array.from({ length: 5000 }, (_, n) => n + 1);
  for (const port of ports) {
    const peerId = hashOf(100_000 - port);
    const address = `0102${port.toString(16).padStart(4, '0')}`;
    const peer = { infoHash: hashOf(1), address, port, peerId, left: 0n, event: AnnounceEvent.none };
    announcer.announce(peer, 1, 0, RULES);
  }
  const { body } = await server.ask('GET', `/api/v1/torrent/${hashOf(1)}`);
  // The shape of a peer is tested above.
  const torrent = JSON.parse(body) as { seeders: number; peers: { peer_addr: string }[] };
  assert.equal(torrent.seeders, 5000);
  assert.deepEqual(
    torrent.peers.map((peer) => Number(peer.peer_addr.split(':')[1])),
    ports.toReversed(),
  );
});
