/** Traces of a real tracker at a real collector: what arrives, and that nobody notices a collector that fails. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { wantsTracing } from '../../tracker/telemetry/tracing.ts';
import { announce, announceTarget, get } from '../net/http-exchange.ts';
import { SOCKET_PATHS } from '../net/tracker-threads.ts';
import { newInfoHash, UdpClient } from '../net/udp-exchange.ts';
import { TOKEN } from '../reload/live-tracker.ts';
import { startTrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { scrape } from './exposition.ts';
import { openOtlpReceiver, type ReceivedSpan } from './otlp-receiver.ts';
import { newTrace, startTraced } from './traced-tracker.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const KEY = 'abcdefghijklmnopqrstuvwxyz012345';

describe('Traces show', () => {
  for (const sockets of SOCKET_PATHS) {
    test(`announces over HTTP with ${sockets} sockets, in the trace of their caller`, async (context) => {
      const receiver = await openOtlpReceiver(context);
      const tracker = await startTraced(context, receiver, { network: { sockets, workers: 1 } });
      const trace = newTrace();
      const infoHash = newInfoHash();
      await announce(tracker.http[0], infoHash, {}, { headers: { TraceParent: trace.header } });
      const span = await receiver.span('the announce', ({ traceId }) => traceId === trace.traceId);
      assert.deepEqual(
        [span.name, span.kind, span.parentId, span.isError],
        ['GET /announce', 2, trace.parentId, false],
      );
      assert.deepEqual(span.attributes, {
        'network.transport': 'tcp',
        'network.type': 'ipv4',
        'torrust.request.kind': 'announce',
        'torrust.request.outcome': 'ok',
        'http.request.method': 'GET',
        'http.route': '/announce',
        'http.response.status_code': 200,
      });
      assert.ok(span.durationMillis > 0 && span.durationMillis < 10_000, String(span.durationMillis));
      // Without a caller's trace, one begins here.
      await get(tracker.http[0], announceTarget(infoHash, { port: null }));
      const refused = await receiver.span(
        'a refused announce',
        ({ attributes }) => attributes['torrust.request.outcome'] === 'malformed',
      );
      assert.equal(refused.parentId, '');
      assert.notEqual(refused.traceId, trace.traceId);
    });
  }

  test('one in so many requests over UDP', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    const client = await UdpClient.open(context, tracker.udp[0]);
    for (let i = 0; i < 61; i++) await client.connect();
    const span = await receiver.span('UDP', ({ name }) => name === 'UDP connect');
    assert.equal(span.attributes['network.transport'], 'udp');
    assert.equal(receiver.spans.filter(({ name }) => name === 'UDP connect').length, 1);
  });

  test('no request over UDP where nobody asked for them', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver, { telemetry: { otlp_endpoint: receiver.url } });
    const client = await UdpClient.open(context, tracker.udp[0]);
    for (let i = 0; i < 130; i++) await client.connect();
    await announce(tracker.http[0], newInfoHash());
    await receiver.span('the announce', ({ name }) => name === 'GET /announce');
    assert.deepEqual(
      receiver.spans.filter(({ name }) => name.startsWith('UDP')),
      [],
    );
  });

  test('requests to the REST API, and below them what they ask of the database', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    const trace = newTrace();
    const response = await fetch(`${tracker.api}/api/v1/keys?token=${TOKEN}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: trace.header },
      body: JSON.stringify({ key: KEY, seconds_valid: null }),
    });
    assert.equal(response.status, 200);
    const removed = await fetch(`${tracker.api}/api/v1/key/${KEY}?token=${TOKEN}`, { method: 'DELETE' });
    assert.equal(removed.status, 200);
    const request = await receiver.span('the request', ({ name }) => name === 'POST /api/v1/keys');
    assert.deepEqual([request.traceId, request.parentId, request.kind], [trace.traceId, trace.parentId, 2]);
    const call = await receiver.span('the database', ({ name }) => name === 'addKey');
    assert.deepEqual([call.traceId, call.parentId, call.kind], [trace.traceId, request.spanId, 3]);
    await receiver.span('the removal', ({ name }) => name === 'DELETE /api/v1/key/:seconds_valid_or_key');
    const sent = JSON.stringify(receiver.spans);
    for (const secret of [KEY, TOKEN, '127.0.0.1']) assert.ok(!sent.includes(secret), secret);
  });

  test('what a health check asks, as a part of its trace', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    const trace = newTrace();
    await (await fetch(`${tracker.health}/health_check`, { headers: { traceparent: trace.header } })).text();
    const check = await receiver.span('the check', ({ name }) => name === 'GET /health_check');
    const asked = await receiver.span('the API', ({ name }) => name === 'GET /api/health_check');
    assert.deepEqual([check.traceId, asked.traceId], [trace.traceId, trace.traceId]);
    assert.equal(asked.parentId, check.spanId);
  });

  test('reloads, whose lines of the log name them', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    process.kill(tracker.pid, 'SIGHUP');
    const line = await waitFor('the line', () => tracker.log().find(({ msg }) => msg.startsWith('Reload: ')));
    const { trace_id: traceId, span_id: spanId } = line as unknown as Record<string, string>;
    const span = await receiver.span('the reload', ({ name }) => name === 'reload');
    assert.deepEqual([span.traceId, span.spanId], [traceId, spanId]);
    const first = tracker.log()[0] as unknown as Record<string, string>;
    assert.equal(first['trace_id'], undefined);
  });

  test('what a database refuses, whose line of the log names the request', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    const database = new DatabaseSync(join(tracker.folder, 'tracker.db'));
    database.exec('DROP TABLE keys');
    database.close();
    const trace = newTrace();
    const response = await fetch(`${tracker.api}/api/v1/keys?token=${TOKEN}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent: trace.header },
      body: JSON.stringify({ key: KEY, seconds_valid: null }),
    });
    assert.equal(response.status, 500);
    const request = await receiver.span('the request', ({ name }) => name === 'POST /api/v1/keys');
    const call = await receiver.span('the database', ({ name }) => name === 'addKey');
    assert.deepEqual([request.isError, call.isError, call.parentId], [true, true, request.spanId]);
    assert.equal(call.attributes['error.type'], 'refused');
    const lines = await waitFor('the line', () => {
      const found = tracker.log().filter(({ level }) => level === 'warn');
      return found.length > 0 && found;
    });
    assert.deepEqual(
      lines.map((line) => ({ ...line, time: '' })),
      [
        {
          time: '',
          level: 'warn',
          msg: 'REST API: failed to generate key: The Sqlite3 query was malformed: no such table: keys',
          trace_id: trace.traceId,
          span_id: request.spanId,
        },
      ],
    );
  });

  test('who sends them: the service, its version, and its place in a cluster', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(
      context,
      receiver,
      {},
      {
        POD_NAME: 'tracker-0',
        POD_NAMESPACE: 'torrents',
        POD_UID: '5a1c9a3e-7f4f-4d0c-a64f-0a4b6a1f2c3d',
        NODE_NAME: 'node-7',
        OTEL_RESOURCE_ATTRIBUTES: 'k8s.namespace.name=said-by-hand,team=a%20b',
      },
    );
    await announce(tracker.http[0], newInfoHash());
    const { resource } = await receiver.span('the announce', ({ name }) => name === 'GET /announce');
    assert.equal(resource['service.name'], 'torrust-tracker');
    assert.match(String(resource['service.version']), /^\d+\.\d+\.\d+/);
    assert.equal(resource['k8s.pod.name'], 'tracker-0');
    assert.equal(resource['k8s.pod.uid'], '5a1c9a3e-7f4f-4d0c-a64f-0a4b6a1f2c3d');
    assert.equal(resource['k8s.node.name'], 'node-7');
    assert.equal(resource['k8s.namespace.name'], 'said-by-hand');
    assert.equal(resource['team'], 'a b');
    assert.equal(resource['process.command_args'], undefined);
  });
});

test('The variables of OpenTelemetry win over the configuration', async (context) => {
  const [ours, theirs] = [await openOtlpReceiver(context), await openOtlpReceiver(context)];
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: theirs.url,
    OTEL_SERVICE_NAME: 'named',
    POD_NAMESPACE: 'torrents',
  };
  const tracker = await startTraced(context, ours, {}, env);
  await announce(tracker.http[0], newInfoHash());
  const { resource } = await theirs.span('the announce', ({ name }) => name === 'GET /announce');
  assert.equal(resource['service.name'], 'named');
  // Where they say nothing, the pod template does, and what neither says is not told.
  assert.equal(resource['k8s.namespace.name'], 'torrents');
  assert.equal(resource['k8s.pod.uid'], undefined);
  assert.equal(ours.requests(), 0);
});

test('A ratio of 0 keeps only the traces of callers', async (context) => {
  const receiver = await openOtlpReceiver(context);
  const tracker = await startTraced(context, receiver, {
    telemetry: { otlp_endpoint: receiver.url, sample_ratio: 0 },
  });
  await announce(tracker.http[0], newInfoHash());
  const trace = newTrace();
  await announce(tracker.http[0], newInfoHash(), {}, { headers: { traceparent: trace.header } });
  await receiver.span('the second', ({ traceId }) => traceId === trace.traceId);
  const others = receiver.spans.filter(({ traceId }: ReceivedSpan) => traceId !== trace.traceId);
  assert.deepEqual(others, []);
});

test('The metrics tell how many spans the collector took', async (context) => {
  const receiver = await openOtlpReceiver(context);
  const tracker = await startTraced(context, receiver);
  for (let i = 0; i < 40; i++) await announce(tracker.http[0], newInfoHash());
  const isAnnounce = ({ name }: ReceivedSpan) => name === 'GET /announce';
  await waitFor('all of them', () => receiver.spans.filter(isAnnounce).length === 40);
  const exposition = await waitFor('the count', async () => {
    const found = await scrape(tracker.metrics);
    return found.value('torrust_tracker_spans_total', { outcome: 'sent' }) === receiver.spans.length && found;
  });
  for (const outcome of ['failed', 'queue_full', 'thread_full']) {
    assert.equal(exposition.value('torrust_tracker_spans_total', { outcome }), 0);
  }
  assert.equal(exposition.value('torrust_tracker_spans_waiting_limit'), 2048);
});

test('What came last is sent before the end', async (context) => {
  const receiver = await openOtlpReceiver(context);
  const tracker = await startTraced(context, receiver, {}, { OTEL_BSP_SCHEDULE_DELAY: '600000' });
  const trace = newTrace();
  await announce(tracker.http[0], newInfoHash(), {}, { headers: { traceparent: trace.header } });
  assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
  assert.deepEqual(
    receiver.spans.map(({ traceId }) => traceId),
    [trace.traceId],
  );
});

test('A collector that is away is told of in words, outside of any trace', async (context) => {
  const receiver = await openOtlpReceiver(context);
  const telemetry = { otlp_endpoint: 'http://127.0.0.1:9' };
  const tracker = await startTraced(context, receiver, { telemetry }, { OTEL_EXPORTER_OTLP_TIMEOUT: '500' });
  const line = await waitFor('a word about it', async () => {
    await fetch(`${tracker.api}/api/v1/stats?token=${TOKEN}`);
    return tracker.log().find(({ msg }) => msg.startsWith('Traces: spans'));
  });
  assert.match(line.msg, /^Traces: spans could not be sent: [^{]*ECONNREFUSED/);
  assert.ok(!('trace_id' in line), JSON.stringify(line));
});

describe('Traces are', () => {
  const off = { serviceName: 'a', sampleRatio: 1 };
  const on = { ...off, endpoint: 'http://127.0.0.1:4318' };
  const cases: Record<
    string,
    { settings: typeof off | typeof on; env: Record<string, string>; wanted: boolean }
  > = {
    'off by default': { settings: off, env: {}, wanted: false },
    'on with an endpoint': { settings: on, env: {}, wanted: true },
    'on with an endpoint of the variables': {
      settings: off,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' },
      wanted: true,
    },
    'on with an endpoint for traces': {
      settings: off,
      env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/v1/traces' },
      wanted: true,
    },
    'off when the SDK is': { settings: on, env: { OTEL_SDK_DISABLED: 'TRUE' }, wanted: false },
    'off without an exporter': { settings: on, env: { OTEL_TRACES_EXPORTER: 'none' }, wanted: false },
    'off with an empty variable': { settings: off, env: { OTEL_EXPORTER_OTLP_ENDPOINT: '' }, wanted: false },
  };
  for (const [title, { settings, env, wanted }] of Object.entries(cases)) {
    test(title, () => assert.equal(wantsTracing(settings, env), wanted));
  }

  test('off in a tracker that is told nothing, which then has none to log', async (context) => {
    const tracker = await startTrackerProcess(context, { http_trackers: [ANY] });
    await announce(tracker.http[0], newInfoHash(), {}, { headers: { traceparent: newTrace().header } });
    assert.ok(tracker.log().every(({ msg }) => !msg.startsWith('Traces')));
  });
});
