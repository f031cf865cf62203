/** `/api/v1/metrics` and `/api/v1/stats` in both of their formats, as the clients of Torrust read them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { Counter, LATENCIES_AT, REFUSALS_AT } from '../../tracker/swarm/counters.ts';
import { LatencyKind, recordLatency } from '../../tracker/swarm/latencies.ts';
import { refusalPlace, RefusalReason, RequestKind } from '../../tracker/swarm/refusals.ts';
import { STAT_NAMES } from '../../tracker/api/stats.ts';
import { needs } from '../support/parts.ts';
import { findProgram } from '../support/programs.ts';
import { parseExposition } from '../telemetry/exposition.ts';
import { openRestServer, type RestServer } from './rest-server.ts';

const TEXT = 'text/plain; charset=utf-8';

/** The listeners of the server are UDP on 0.0.0.0:6969, UDP on [::]:6970 and HTTPS on 192.0.2.1:443; all of two threads. */
function count(server: RestServer, listener: number, counter: number, value: number): void {
  server.counters.row(0, listener)[counter] += value - 1;
  server.counters.row(1, listener)[counter] += 1;
}

test('tells the metrics by name, with the labels of each listener', async (context) => {
  const server = await openRestServer(context, { database: null });
  count(server, 0, Counter.udp4_announces_handled, 5);
  count(server, 1, Counter.udp4_announces_handled, 6);
  count(server, 1, Counter.udp6_announces_handled, 7);
  count(server, 2, Counter.tcp4_scrapes_handled, 8);
  const refusal = (kind: RequestKind, reason: RefusalReason) => REFUSALS_AT + refusalPlace(0, kind, reason);
  count(server, 0, refusal(RequestKind.announce, RefusalReason.connectionId), 3);
  count(server, 0, refusal(RequestKind.announce, RefusalReason.malformed), 4);
  recordLatency(server.counters.row(0, 0), LATENCIES_AT, LatencyKind.udpAnnounce, 2);
  recordLatency(server.counters.row(1, 0), LATENCIES_AT, LatencyKind.udpAnnounce, 4);

  const { status, type, body } = await server.ask('GET', '/api/v1/metrics?format=prometheus');
  assert.deepEqual([status, type], [200, TEXT]);
  const exposition = parseExposition(body);
  const udp4 = {
    server_binding_address_ip_family: 'inet',
    server_binding_address_ip_type: 'plain',
    server_binding_ip: '0.0.0.0',
    server_binding_port: '6969',
    server_binding_protocol: 'udp',
  };
  const from4 = { client_address_ip_family: 'inet', client_address_ip_type: 'plain' };
  const announces = { request_kind: 'announce' };
  const received = 'udp_tracker_core_requests_received_total';
  assert.equal(exposition.value(received, { ...udp4, ...from4, ...announces }), 5);
  const dual = { server_binding_port: '6970', server_binding_ip: '::', ...announces };
  assert.equal(exposition.sum(received, { ...dual, client_address_ip_type: 'v4_mapped_v6' }), 6);
  assert.equal(exposition.sum(received, { ...dual, client_address_ip_type: 'plain' }), 7);
  const https = { server_binding_protocol: 'https', server_binding_port: '443', request_kind: 'scrape' };
  assert.equal(exposition.sum('http_tracker_core_requests_received_total', https), 8);
  assert.equal(
    exposition.value('udp_tracker_server_requests_accepted_total', { ...udp4, ...from4, ...announces }),
    8,
  );
  assert.equal(
    exposition.value('udp_tracker_server_performance_avg_processing_time_ns', { ...udp4, ...announces }),
    3000,
  );
  assert.equal(
    exposition.value('udp_tracker_server_performance_avg_processed_requests_total', {
      ...udp4,
      ...announces,
    }),
    2,
  );
});

test('tells the same as JSON, which is what is sent when nothing is asked', async (context) => {
  const server = await openRestServer(context, { database: null });
  count(server, 2, Counter.tcp4_announces_handled, 9);
  const text = parseExposition((await server.ask('GET', '/api/v1/metrics?format=prometheus')).body);
  const { type, body } = await server.ask('GET', '/api/v1/metrics');
  assert.equal(type, 'application/json');
  // The shape is held by the OpenAPI document, which another test compares with the answer.
  const { metrics } = JSON.parse(body) as {
    metrics: {
      type: string;
      name: string;
      samples: { value: number; recorded_at: string; labels: { name: string; value: string }[] }[];
    }[];
  };
  assert.deepEqual(
    metrics.map(({ name, type: kind }) => [name, kind]),
    [...text.types],
  );
  const samples = metrics.flatMap(({ name, samples: all }) =>
    all.map(({ value, labels, recorded_at: at }) => {
      assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
      return { name, labels: Object.fromEntries(labels.map((each) => [each.name, each.value])), value };
    }),
  );
  assert.deepEqual(samples, text.samples);
});

test('tells the statistics line by line', async (context) => {
  const server = await openRestServer(context, { database: null, persistCompleted: true });
  count(server, 0, Counter.udp4_requests, 12);
  const { status, type, body } = await server.ask('GET', '/api/v1/stats?format=prometheus');
  assert.deepEqual([status, type], [200, TEXT]);
  const lines = body.trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.split(' ')[0]),
    [...STAT_NAMES],
  );
  assert.ok(lines.includes('udp4_requests 12') && lines.includes('completed_persisted_enabled 1'), body);
});

test('refuses other formats, and needs a token', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (const path of ['/api/v1/metrics', '/api/v1/stats']) {
    const refused = await server.ask('GET', `${path}?format=xml`);
    assert.deepEqual(
      [refused.status, refused.body],
      [400, 'Failed to deserialize query string: unknown variant `xml`, expected `json` or `prometheus`'],
    );
    assert.equal((await server.ask('GET', `${path}?format=json&format=json`)).status, 400);
    assert.equal((await server.askBare('GET', path)).status, 500);
  }
});

test('both texts are what promtool takes', needs('prometheus'), async (context) => {
  const server = await openRestServer(context, { database: null });
  const promtool = findProgram('promtool');
  assert.ok(promtool !== undefined);
  for (const path of ['/api/v1/metrics', '/api/v1/stats']) {
    const { body } = await server.ask('GET', `${path}?format=prometheus`);
    const { status, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: body, encoding: 'utf8' });
    // Names of long standing break its rules of style (status 3), never those of the format (status 1).
    assert.ok(status === 0 || status === 3, `${path}: ${stderr}`);
  }
});
