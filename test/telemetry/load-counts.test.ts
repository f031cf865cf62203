/**
 * Numbers agree: after a known load over UDP and HTTP, IPv4 and IPv6, every counter is what the clients counted. Once for
 * each way of moving packets, with two threads, so that rows are summed.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { announceTarget, get, scrapeTarget } from '../net/http-exchange.ts';
import { SOCKET_PATHS } from '../net/tracker-threads.ts';
import { announceBytes, newInfoHash, peerId, UdpClient } from '../net/udp-exchange.ts';
import { needs } from '../support/parts.ts';
import { startTrackerProcess, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { type Exposition, parseExposition, scrape } from './exposition.ts';

const TOKEN = 'a-token-of-the-test';
const LISTEN = [{ bind_address: '127.0.0.1:0' }, { bind_address: '[::1]:0' }];
/** More than one is measured, whatever the share. */
const CONNECTS = 130;

type Family = 'ipv4' | 'ipv6';
type Expected = Record<string, number>;

for (const sockets of SOCKET_PATHS) {
  test(
    `every counter is what the clients counted, with ${sockets} sockets`,
    needs('ipv6'),
    async (context) => {
      const tracker = await startTrackerProcess(context, {
        udp_trackers: LISTEN,
        http_trackers: LISTEN,
        http_api: { bind_address: '127.0.0.1:0', access_tokens: { admin: TOKEN } },
        network: { sockets, workers: 2, receive_buffer_bytes: 2 ** 20 },
        udp_tracker_server: { max_connection_id_errors_per_ip: 1000 },
      });
      const expected: Expected = {};
      for (const [index, family] of (['ipv4', 'ipv6'] as const).entries()) {
        await loadUdp(context, tracker, index, family, expected);
        await loadHttp(tracker, index, family, expected);
      }
      const exposition = await waitFor('every reply to be counted', async () => {
        const found = await scrape(tracker.metrics);
        const replies = found.sum('torrust_tracker_replies_sent_total');
        return replies === found.sum('torrust_tracker_requests_total') && found;
      });
      assert.deepEqual(nonZero(exposition), sorted(expected));
      assert.equal(exposition.value('torrust_tracker_connection_id_failures_total', { reason: 'forged' }), 2);
      assert.equal(
        exposition.value('torrust_tracker_udp_datagrams_ignored_total', { reason: 'unanswerable' }),
        2,
      );
      assert.equal(exposition.value('torrust_tracker_completed_downloads_total'), 4);
      assert.deepEqual(
        ['ipv4', 'ipv6'].map((family) => exposition.value('torrust_tracker_peers', { family })),
        [2, 2],
      );
      checkDurations(exposition);
      await checkTorrustNames(tracker, expected);
    },
  );
}

/** Three kinds of requests that are served and four that are not. */
async function loadUdp(
  context: TestContext,
  tracker: TrackerProcess,
  index: number,
  family: Family,
  expected: Expected,
): Promise<void> {
  const client = await UdpClient.open(context, tracker.udp[index], index === 0 ? '127.0.0.1' : '::1');
  const infoHash = newInfoHash();
  const add = (kind: string, outcome: string, count: number) =>
    tally(expected, { protocol: 'udp', family, kind, outcome }, count);
  for (let i = 0; i < CONNECTS; i++) await client.connect();
  // Each of these connects first.
  await client.announce(infoHash, { peerId: peerId(1) });
  await client.announce(infoHash, { peerId: peerId(1), event: AnnounceEvent.completed, leftBytes: 0n });
  await client.scrape([infoHash]);
  add('connect', 'ok', CONNECTS + 3);
  add('announce', 'ok', 2);
  add('scrape', 'ok', 1);
  assert.equal((await client.tryAnnounce(infoHash, { connectionId: 1n })).kind, 'error');
  add('announce', 'connection_id', 1);
  const malformed = Buffer.from(announceBytes({ infoHash, port: 0 }));
  assert.equal((await client.ask(malformed)).kind, 'error');
  add('announce', 'malformed', 1);
  const unknown = Buffer.alloc(16);
  unknown.writeInt32BE(9, 8);
  assert.equal((await client.ask(unknown)).kind, 'error');
  add('other', 'malformed', 1);
  assert.deepEqual(await client.exchange(Buffer.alloc(15)), []);
  // Behind what is met with silence, the client sends a connect request.
  add('connect', 'ok', 1);
}

async function loadHttp(
  tracker: TrackerProcess,
  index: number,
  family: Family,
  expected: Expected,
): Promise<void> {
  const infoHash = newInfoHash();
  const ask = async (kind: string, outcome: string, target: string, status = 200, method = 'GET') => {
    const answer = await get(tracker.http[index], target, { method });
    assert.equal(answer.status, status);
    tally(expected, { protocol: 'http', family, kind, outcome }, 1);
  };
  for (const event of ['started', 'completed', 'completed']) {
    await ask('announce', 'ok', announceTarget(infoHash, { event, left: event === 'started' ? 1 : 0 }));
  }
  for (let i = 0; i < 20; i++) await ask('scrape', 'ok', scrapeTarget([infoHash]));
  await ask('announce', 'malformed', '/announce?info_hash=1');
  await ask('scrape', 'malformed', '/scrape');
  await ask('health_check', 'ok', '/health_check');
  await ask('other', 'malformed', '/nowhere', 404);
  await ask('other', 'malformed', '/announce', 405, 'POST');
}

function tally(expected: Expected, labels: Record<string, string>, count: number): void {
  const key = JSON.stringify(labels);
  expected[key] = (expected[key] ?? 0) + count;
}

function nonZero(exposition: Exposition): Expected {
  const samples = exposition.samples.filter(
    ({ name, value }) => name === 'torrust_tracker_requests_total' && value !== 0,
  );
  return sorted(Object.fromEntries(samples.map(({ labels, value }) => [JSON.stringify(labels), value])));
}

function sorted(expected: Expected): Expected {
  return Object.fromEntries(Object.entries(expected).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

/** Some requests were measured, none took longer than the test, and the buckets rise. */
function checkDurations(exposition: Exposition): void {
  const name = 'torrust_tracker_request_duration_seconds';
  for (const labels of [
    { protocol: 'udp', kind: 'connect' },
    { protocol: 'http', kind: 'scrape' },
  ]) {
    const count = exposition.value(`${name}_count`, labels);
    assert.ok(count >= 2, `${count} of ${JSON.stringify(labels)} were measured`);
    const sum = exposition.value(`${name}_sum`, labels);
    assert.ok(sum > 0 && sum < 60, String(sum));
    const buckets = exposition.samples.filter(
      (sample) =>
        sample.name === `${name}_bucket` &&
        sample.labels['kind'] === labels.kind &&
        sample.labels['protocol'] === labels.protocol,
    );
    const values = buckets.map(({ value }) => value);
    assert.deepEqual(
      values,
      values.toSorted((one, other) => one - other),
    );
    assert.deepEqual([buckets.at(-1)?.labels['le'], values.at(-1)], ['+Inf', count]);
  }
}

/** The REST API counts the same under the names of Torrust, for each listener apart. */
async function checkTorrustNames(tracker: TrackerProcess, expected: Expected): Promise<void> {
  const response = await fetch(`${tracker.api}/api/v1/metrics?format=prometheus&token=${TOKEN}`);
  const exposition = parseExposition(await response.text());
  for (const [index, family] of (['ipv4', 'ipv6'] as const).entries()) {
    const of = (protocol: string, kind: string) =>
      expected[JSON.stringify({ protocol, family, kind, outcome: 'ok' })];
    const udp = { server_binding_port: String(tracker.udp[index].port) };
    const http = { server_binding_port: String(tracker.http[index].port) };
    for (const kind of ['connect', 'announce', 'scrape']) {
      const labels = { ...udp, request_kind: kind };
      assert.equal(exposition.sum('udp_tracker_core_requests_received_total', labels), of('udp', kind));
      assert.equal(
        exposition.sum('udp_tracker_server_responses_sent_total', { ...labels, result: 'ok' }),
        of('udp', kind),
      );
    }
    for (const kind of ['announce', 'scrape']) {
      const labels = { ...http, request_kind: kind };
      assert.equal(exposition.sum('http_tracker_core_requests_received_total', labels), of('http', kind));
    }
    assert.equal(exposition.sum('udp_tracker_server_errors_total', udp), 3);
  }
  assert.equal(
    exposition.value('swarm_coordination_registry_torrents_downloads_total', { peer_role: 'seeder' }),
    4,
  );
}
