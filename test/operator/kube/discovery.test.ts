/** Optional APIs are noticed when they come and when they go, and only then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { type Discovery, startDiscovery } from '../../../operator/kube/discovery.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { waitFor } from '../../support/waiting.ts';
import { createManualClock, type ManualClock } from './clocks.ts';
import { createLog } from './logs.ts';
import {
  openScriptedServer,
  type Script,
  type ScriptedServer,
  sendJson,
  sendStatus,
} from './scripted-server.ts';

const MONITOR = 'monitoring.coreos.com/v1/ServiceMonitor';
const RULE = 'monitoring.coreos.com/v1/PrometheusRule';
const ROUTE = 'gateway.networking.k8s.io/v1/HTTPRoute';
const APIS = [MONITOR, RULE, ROUTE] as const;

interface Setup {
  readonly server: ScriptedServer;
  readonly clock: ManualClock;
  readonly discovery: Discovery<string>;
  readonly changes: string[][];
  readonly controller: AbortController;
}

/** Serves some kinds, by the paths of their versions. */
function serving(kinds: Record<string, readonly string[]>): Script {
  return ({ path, response }) => {
    const found = kinds[path];
    if (found === undefined) sendStatus(response, 404, 'NotFound');
    else
      sendJson(response, { kind: 'APIResourceList', resources: found.map((kind) => ({ kind, name: 'x' })) });
  };
}

const SOME = serving({ '/apis/monitoring.coreos.com/v1': ['ServiceMonitor', 'PodMonitor'] });
const OTHERS = serving({ '/apis/gateway.networking.k8s.io/v1': ['Gateway', 'HTTPRoute'] });

async function withDiscovery(script: Script, use: (setup: Setup) => Promise<void>): Promise<void> {
  const server = await openScriptedServer(script);
  const connection = Connection.parse(server.kubeconfig);
  const clock = createManualClock();
  const controller = new AbortController();
  const changes: string[][] = [];
  const discovery = startDiscovery({
    client: new KubeClient(connection, createKubeMetrics(new Registry()).client),
    apis: APIS,
    log: createLog(),
    signal: controller.signal,
    clock,
  });
  discovery.subscribe((apis) => void changes.push([...apis]));
  try {
    await use({ server, clock, discovery, changes, controller });
  } finally {
    controller.abort();
    await discovery.ended;
    assert.equal(clock.pending, 0);
    await connection.close();
    await server.close();
  }
}

test('knows what is there, and not what only has the same group', () =>
  withDiscovery(SOME, async ({ discovery, server }) => {
    await discovery.synced;
    assert.deepEqual([...discovery.apis()], [MONITOR]);
    // A version is asked for once, for all of its kinds.
    assert.equal(server.requests.length, 2);
  }));

test('notices within a minute what came and what went, and tells it once', () =>
  withDiscovery(SOME, async ({ discovery, server, clock, changes }) => {
    await discovery.synced;
    for (const script of [SOME, OTHERS, OTHERS]) {
      server.answer(script);
      const asked = server.requests.length;
      await waitFor('the pause', () => clock.pending === 1);
      clock.advance(30_000);
      await waitFor('a look', () => server.requests.length === asked + 2 && clock.pending === 1);
    }
    assert.deepEqual(changes, [[MONITOR], [ROUTE]]);
    assert.deepEqual([...discovery.apis()], [ROUTE]);
  }));

test('takes no API for gone because the server is', () =>
  withDiscovery(SOME, async ({ discovery, server, clock, changes }) => {
    await discovery.synced;
    server.answer(({ response }) => sendStatus(response, 503, 'ServiceUnavailable'));
    for (let look = 0; look < 3; look += 1) {
      const asked = server.requests.length;
      await waitFor('the pause', () => clock.pending === 1);
      clock.advance(30_000);
      await waitFor('a look', () => server.requests.length > asked);
    }
    assert.deepEqual([...discovery.apis()], [MONITOR]);
    assert.deepEqual(changes, [[MONITOR]]);
  }));

test('is not synced before the server has answered', () =>
  withDiscovery(
    ({ response }) => sendStatus(response, 403, 'Forbidden'),
    async ({ discovery, server, clock, controller }) => {
      await waitFor('the pause', () => clock.pending === 1);
      server.answer(SOME);
      clock.advance(30_000);
      await discovery.synced;
      controller.abort();
      await discovery.ended;
    },
  ));

test('tells who waits for it that it has ended', () =>
  withDiscovery(
    () => undefined,
    async ({ discovery, controller, server }) => {
      await waitFor('a request', () => server.requests.length === 1);
      controller.abort();
      await assert.rejects(discovery.synced, /ended/);
    },
  ));
