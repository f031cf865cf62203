/** Events say what happened, count what happens again, and never trouble who records them. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { EventRecorder, type Happening } from '../../../operator/kube/event-recorder.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { waitFor } from '../../support/waiting.ts';
import { createManualClock, type ManualClock } from './clocks.ts';
import { createLog, type ReadableLog } from './logs.ts';
import {
  configMap,
  openScriptedServer,
  type Script,
  type ScriptedServer,
  sendJson,
  sendStatus,
} from './scripted-server.ts';

const HAPPENING: Happening = {
  regarding: configMap('one', '5'),
  type: 'Warning',
  reason: 'SecretMissing',
  action: 'Reconcile',
  note: 'The Secret x is not there: make it.',
};
const EVENTS = '/apis/events.k8s.io/v1/namespaces/a/events';

/** Stores what it gets. */
const accept: Script = ({ body, response }) => sendJson(response, body, 201);

let server: ScriptedServer;
let connection: Connection;
let recorder: EventRecorder;
let clock: ManualClock;
let log: ReadableLog;
let registry: Registry;

beforeEach(async () => {
  server = await openScriptedServer(accept);
  connection = Connection.parse(server.kubeconfig);
  clock = createManualClock();
  log = createLog();
  registry = new Registry();
  const metrics = createKubeMetrics(registry);
  const client = new KubeClient(connection, metrics.client);
  recorder = new EventRecorder({ client, identity: 'pod-1_abc', metrics: metrics.events, log, clock });
});
afterEach(async () => {
  await recorder.close(1_000);
  assert.equal(clock.pending, 0);
  await connection.close();
  await server.close();
});

interface Sent {
  readonly method: string;
  readonly body: Record<string, unknown> & {
    readonly metadata: { readonly name: string };
    readonly series: { readonly count: number; readonly lastObservedTime: string };
  };
}

/** What was sent, when it is so much at least. */
async function sent(count: number): Promise<Sent[]> {
  await waitFor(`${count} requests`, () => server.requests.length >= count);
  return server.requests.map(({ method, body }) => ({ method, body: body as Sent['body'] }));
}

/** What was sent last. */
async function lastSent(count: number): Promise<Sent['body']> {
  const last = (await sent(count)).at(-1);
  assert(last !== undefined);
  return last.body;
}

test('an event says what happened to what', async () => {
  recorder.record(HAPPENING);
  const { metadata, eventTime, ...rest } = await lastSent(1);
  assert.equal(server.requests[0]?.path, EVENTS);
  assert.match(metadata.name, /^one\.[0-9a-f]{16}$/);
  assert.match(String(eventTime), /\.\d{6}Z$/);
  assert.deepEqual(rest, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    reportingController: 'tracker.torrust.com/operator',
    reportingInstance: 'pod-1_abc',
    type: 'Warning',
    reason: 'SecretMissing',
    action: 'Reconcile',
    note: 'The Secret x is not there: make it.',
    regarding: { apiVersion: 'v1', kind: 'ConfigMap', name: 'one', namespace: 'a', uid: 'uid-one' },
  });
});

test('an event of an object of the whole cluster is in the namespace default', async () => {
  const regarding = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } };
  recorder.record({ ...HAPPENING, regarding });
  await sent(1);
  assert.equal(server.requests[0]?.path, '/apis/events.k8s.io/v1/namespaces/default/events');
});

test('a long note and a long name are cut to what the API takes, in whole characters', async () => {
  const regarding = configMap(`${'long.'.repeat(50)}x`, '5');
  recorder.record({ ...HAPPENING, regarding, note: 'ü'.repeat(2_000) });
  const {
    metadata: { name },
    note,
  } = await lastSent(1);
  assert.ok(name.length <= 253);
  assert.match(name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
  assert.ok(Buffer.byteLength(String(note)) <= 1_024);
  assert.match(String(note), /^ü+\.\.\.$/);
});

describe('what happens again', () => {
  test('is one event that counts, at most once a minute', async () => {
    recorder.record(HAPPENING);
    recorder.record(HAPPENING);
    await sent(2);
    for (let count = 0; count < 20; count += 1) {
      clock.advance(1_000);
      recorder.record(HAPPENING);
    }
    clock.advance(60_000);
    const requests = await sent(3);
    assert.deepEqual(
      requests.map(({ method }) => method),
      ['POST', 'PATCH', 'PATCH'],
    );
    const [first, second, third] = requests.map(({ body }) => body);
    assert.equal(server.requests[2]?.path, `${EVENTS}/${first?.metadata.name}`);
    assert.equal(second?.series.count, 2);
    assert.equal(third?.series.count, 22);
    assert.match(third.series.lastObservedTime, /\.\d{6}Z$/);
  });

  test('is a new event when it is long ago', async () => {
    recorder.record(HAPPENING);
    clock.advance(600_000);
    recorder.record(HAPPENING);
    assert.deepEqual(
      (await sent(2)).map(({ method }) => method),
      ['POST', 'POST'],
    );
  });

  test('is counted at the end as well', async () => {
    for (let count = 0; count < 3; count += 1) recorder.record(HAPPENING);
    await recorder.close(1_000);
    assert.equal((await lastSent(3)).series.count, 3);
    recorder.record(HAPPENING);
    assert.equal(server.requests.length, 3);
  });

  test('is a new event when the old one is gone', async () => {
    server.answer((request) =>
      request.method === 'PATCH' ? sendStatus(request.response, 404, 'NotFound') : accept(request),
    );
    recorder.record(HAPPENING);
    recorder.record(HAPPENING);
    await waitFor('the failure', async () => /result="failed"\} 1$/m.test(await registry.metrics()));
    recorder.record(HAPPENING);
    assert.deepEqual(
      (await sent(3)).map(({ method }) => method),
      ['POST', 'PATCH', 'POST'],
    );
  });
});

test('an object with ever new events is cut short, and the others are not', async () => {
  for (let count = 0; count < 100; count += 1) recorder.record({ ...HAPPENING, note: `number ${count}` });
  recorder.record({ ...HAPPENING, regarding: configMap('two', '5') });
  await sent(26);
  assert.match(await registry.metrics(), /^torrust_operator_events_total\{result="dropped"\} 75$/m);
  clock.advance(300_000);
  recorder.record({ ...HAPPENING, note: 'later' });
  recorder.record({ ...HAPPENING, note: 'too soon' });
  assert.equal((await lastSent(27))['note'], 'later');
});

test('a server that refuses, is away or says nothing troubles nobody', async () => {
  const troubles: Script[] = [
    ({ response }) => sendStatus(response, 403, 'Forbidden'),
    ({ response }) => sendStatus(response, 500, 'InternalError'),
    ({ response }) => void response.destroy(),
  ];
  for (const [index, trouble] of troubles.entries()) {
    server.answer(trouble);
    recorder.record({ ...HAPPENING, note: `trouble ${index}` });
    await waitFor('the failure', async () =>
      (await registry.metrics()).includes(`torrust_operator_events_total{result="failed"} ${index + 1}\n`),
    );
  }
  server.answer(() => undefined);
  recorder.record({ ...HAPPENING, note: 'silence' });
  await waitFor('the request', () => server.requests.length === 4);
  const closed = recorder.close(1_000);
  clock.advance(1_000);
  await closed;
  assert.ok(log.lines.every(({ message }) => message === 'an event could not be written'));
});

test('more than can be written is dropped, not hoarded', async () => {
  server.answer(() => undefined);
  for (let count = 0; count < 500; count += 1) {
    recorder.record({ ...HAPPENING, regarding: configMap(`map-${count}`, '5') });
  }
  assert.match(await registry.metrics(), /^torrust_operator_events_total\{result="dropped"\} 300$/m);
  const closed = recorder.close(1_000);
  clock.advance(1_000);
  await closed;
});
