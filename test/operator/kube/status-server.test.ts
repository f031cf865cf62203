/** The operator tells how it is, in the words of the API server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { Counter, Registry } from 'prom-client';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { openStatusServer, type StatusServer } from '../../../operator/kube/status-server.ts';
import { needs } from '../../support/parts.ts';

let problem: string | undefined;
let server: StatusServer;
let url: string;

beforeEach(async () => {
  problem = undefined;
  const registry = new Registry();
  new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc();
  server = await openStatusServer({
    host: '127.0.0.1',
    port: 0,
    registry,
    alive: [{ name: 'ping', problem: () => undefined }],
    ready: [
      { name: 'caches', problem: () => problem },
      { name: 'ping', problem: () => undefined },
    ],
  });
  url = `http://127.0.0.1:${server.port}`;
});
afterEach(() => server.close(0));

async function get(path: string, init: RequestInit = {}): Promise<[number, string]> {
  const response = await fetch(`${url}${path}`, { ...init, headers: { connection: 'close' } });
  return [response.status, await response.text()];
}

test('is alive and ready when nothing is wrong', async () => {
  assert.deepEqual(await get('/healthz'), [200, 'ok']);
  assert.deepEqual(await get('/readyz'), [200, 'ok']);
  assert.deepEqual(await get('/readyz?verbose'), [200, '[+]caches ok\n[+]ping ok\nreadyz check passed\n']);
});

test('is not ready, and says why, when something is', async () => {
  problem = 'configmaps: not listed yet';
  assert.deepEqual(await get('/healthz'), [200, 'ok']);
  assert.deepEqual(await get('/readyz'), [
    500,
    '[-]caches failed: configmaps: not listed yet\n[+]ping ok\nreadyz check failed\n',
  ]);
  problem = undefined;
  assert.deepEqual(await get('/readyz'), [200, 'ok']);
});

test('is reached at every address when none is named', needs('ipv6'), async (context) => {
  const everywhere = await openStatusServer({ host: undefined, port: 0, alive: [] });
  context.after(() => everywhere.close(0));
  for (const host of ['127.0.0.1', '[::1]']) {
    const response = await fetch(`http://${host}:${everywhere.port}/healthz`, {
      headers: { connection: 'close' },
    });
    assert.equal(response.status, 200, host);
  }
});

test('serves its metrics', async () => {
  const response = await fetch(`${url}/metrics`, { headers: { connection: 'close' } });
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await response.text(), /^things_total 1$/m);
});

test('serves nothing else', async () => {
  assert.equal((await get('/'))[0], 404);
  assert.equal((await get('//metrics'))[0], 404);
  assert.equal((await get('/metrics', { method: 'POST' }))[0], 405);
  const bare = await openStatusServer({ host: '127.0.0.1', port: 0 });
  try {
    const response = await fetch(`http://127.0.0.1:${bare.port}/metrics`, {
      headers: { connection: 'close' },
    });
    assert.equal(response.status, 404);
    await response.text();
  } finally {
    await bare.close(0);
  }
});

test('closes although a client holds its connection', async () => {
  const idle = connect(server.port, '127.0.0.1');
  await once(idle, 'connect');
  const busy = connect(server.port, '127.0.0.1');
  busy.write('GET /metr');
  await once(busy, 'connect');
  const ends = [once(idle, 'close'), once(busy, 'close')];
  await server.close(50);
  await Promise.all(ends);
});

test('says which address it cannot have', async () => {
  await assert.rejects(
    openStatusServer({ host: '127.0.0.1', port: server.port }),
    new RegExp(`cannot listen on 127\\.0\\.0\\.1 port ${server.port}: .*EADDRINUSE`),
  );
});

test('has the instruments under their well-known names, and no other', async () => {
  const registry = new Registry();
  createKubeMetrics(registry);
  const names = registry.getMetricsAsArray().map(({ name }) => name);
  assert.deepEqual(names.toSorted(), [
    'controller_runtime_active_workers',
    'controller_runtime_max_concurrent_reconciles',
    'controller_runtime_reconcile_errors_total',
    'controller_runtime_reconcile_time_seconds',
    'controller_runtime_reconcile_total',
    'leader_election_master_status',
    'reflector_failures_total',
    'reflector_lists_total',
    'reflector_objects',
    'reflector_watches_total',
    'rest_client_request_duration_seconds',
    'rest_client_requests_total',
    'torrust_operator_events_total',
    'workqueue_adds_total',
    'workqueue_depth',
    'workqueue_longest_running_processor_seconds',
    'workqueue_queue_duration_seconds',
    'workqueue_retries_total',
    'workqueue_unfinished_work_seconds',
    'workqueue_work_duration_seconds',
  ]);
  assert.match(await registry.metrics(), /# TYPE workqueue_depth gauge/);
});
