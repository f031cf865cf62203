/**
 * The life of a tracker under the operator, against a real API server: it is made, becomes ready by a real announce, stays
 * as it is, is mended, changed, paused and put to sleep.
 */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { NamedObject } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { startLoopbackPod } from '../probe/loopback-pod.ts';
import {
  makeNamespace,
  objectIn,
  playPod,
  playWorkload,
  readyAt,
  type RunningOperator,
  startOperator,
  told,
  waitForObject,
} from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const WRITES: readonly string[] = ['create', 'update', 'patch', 'delete'];

/** Waits until the operator has written nothing for a while. Resolves to the number of its writes. */
async function settle(operator: RunningOperator): Promise<number> {
  const writes = () => operator.requests().filter(({ verb }) => WRITES.includes(verb)).length;
  let last = -1;
  return waitFor('an end of the writes', async () => {
    const count = writes();
    if (count === last) return count;
    last = count;
    await pause(700);
    return undefined;
  });
}

/** A tracker that the operator has made. */
interface Made {
  readonly operator: RunningOperator;
  readonly namespace: string;
  readonly tracker: NamedObject;
  readonly workload: NamedObject;
  /** One of its objects. */
  object(apiVersion: string, kind: string, name: string): NamedObject;
}

async function make(context: TestContext, spec: object, kind = 'StatefulSet'): Promise<Made> {
  const operator = await startOperator(context, server());
  const namespace = await makeNamespace(server());
  const tracker = trackerObject('public', spec, namespace);
  await server().admin.apply(tracker);
  const object = (apiVersion: string, objectKind: string, name: string) =>
    objectIn(namespace, apiVersion, objectKind, name);
  const workload = await waitForObject(server(), object('apps/v1', kind, 'public'), 'made');
  return { operator, namespace, tracker, workload, object };
}

test(
  'a tracker of four lines becomes ready by a real announce, and then nothing is written',
  needs('apiserver'),
  async (context) => {
    const { address, spec } = await startLoopbackPod(context);
    const { operator, namespace, tracker, workload, object } = await make(context, spec);
    for (const [apiVersion, kind, name] of [
      ['v1', 'ServiceAccount', 'public'],
      ['v1', 'Secret', 'public-api-token'],
      ['v1', 'Secret', 'public-connection-id'],
      ['v1', 'PersistentVolumeClaim', 'public-data'],
      ['v1', 'ConfigMap', 'public-config'],
      ['v1', 'Service', 'public-udp'],
      ['v1', 'Service', 'public-http'],
      ['v1', 'Service', 'public-api'],
      ['policy/v1', 'PodDisruptionBudget', 'public'],
      ['networking.k8s.io/v1', 'NetworkPolicy', 'public'],
    ] as const) {
      await waitForObject(server(), object(apiVersion, kind, name), 'made');
    }
    await waitForObject(server(), tracker, 'told', (found) => told(found, 'Ready') === 'False PodsNotReady');

    await playWorkload(server(), workload, { isReady: true });
    await playPod(server(), namespace, 'public', readyAt(address));
    const ready = await waitForObject(
      server(),
      tracker,
      'ready',
      (found) => told(found, 'Ready') === 'True Serving',
    );
    assert.deepEqual(
      ['ProbeSucceeded', 'DatabaseReady', 'Progressing', 'Degraded'].map((type) => told(ready, type)),
      ['True Answered', 'True DatabaseUp', 'False Settled', 'False Settled'],
    );
    assert.deepEqual(at(ready, 'status.announceURLs'), [
      `udp://public-udp.${namespace}.svc:${spec.udp[0].port}/announce`,
      `http://public-http.${namespace}.svc:${spec.http[0].port}/announce`,
    ]);
    assert.ok(operator.events.some(({ type, reason }) => type === 'Normal' && reason === 'Serving'));

    const writes = await settle(operator);
    operator.controller.reconcileAll();
    await pause(2000);
    assert.equal(await settle(operator), writes, 'a steady state writes nothing');

    // Another operator takes over: it finds everything as it should be, and the tracker stays ready meanwhile.
    await operator.stop();
    const next = await startOperator(context, server());
    await pause(2000);
    assert.equal(await settle(next), writes, 'a start of the operator writes nothing');
    assert.deepEqual([...operator.complaints, ...next.complaints], []);
  },
);

describe('What somebody changes is mended', () => {
  const cases: Record<
    string,
    { name: string; kind: string; apiVersion: string; change: object; path: string }
  > = {
    'a field with another value': {
      apiVersion: 'v1',
      kind: 'Service',
      name: 'public-udp',
      change: { spec: { selector: { app: 'mine' } } },
      path: 'spec.selector',
    },
    'a field that is gone': {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      name: 'public',
      change: { spec: { ingress: null } },
      path: 'spec.ingress',
    },
    'a label by which it is found': {
      apiVersion: 'v1',
      kind: 'Service',
      name: 'public-http',
      change: { metadata: { labels: { 'app.kubernetes.io/managed-by': 'me' } } },
      path: 'metadata.labels',
    },
    'the configuration': {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'public-config',
      change: { data: { 'tracker.toml': 'nonsense' } },
      path: 'data',
    },
    'the pods': {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      name: 'public',
      change: { spec: { template: { spec: { hostNetwork: true } }, replicas: 3 } },
      path: 'spec.replicas',
    },
    'a token that is empty': {
      apiVersion: 'v1',
      kind: 'Secret',
      name: 'public-api-token',
      change: { data: { admin: '' } },
      path: 'metadata.labels',
    },
  };
  test('within two seconds', needs('apiserver'), async (context) => {
    const { operator, object } = await make(context, {});
    await settle(operator);
    for (const [title, { apiVersion, kind, name, change, path }] of Object.entries(cases)) {
      const reference = object(apiVersion, kind, name);
      const before = await waitForObject(server(), reference, 'there');
      const where = await server().admin.pathOf(reference);
      const { status, body } = await server().admin.request(
        'PATCH',
        where,
        change,
        'application/merge-patch+json',
      );
      assert.equal(status, 200, JSON.stringify(body));
      const since = performance.now();
      await waitForObject(server(), reference, `mended: ${title}`, (found) => {
        const isFilled = kind !== 'Secret' || String(at(found, 'data.admin')).length > 20;
        return isFilled && JSON.stringify(at(found, path)) === JSON.stringify(at(before, path));
      });
      const seconds = (performance.now() - since) / 1000;
      assert.ok(seconds < 2, `${title}: mended after ${seconds.toFixed(1)} s`);
    }
    for (const [apiVersion, kind, name] of [
      ['v1', 'Service', 'public-udp'],
      ['v1', 'Secret', 'public-connection-id'],
      ['apps/v1', 'StatefulSet', 'public'],
    ] as const) {
      const reference = object(apiVersion, kind, name);
      const before = await server().admin.get(reference);
      await server().admin.delete(reference);
      await waitForObject(server(), reference, 'made again', (found) => {
        return at(found, 'metadata.uid') !== at(before, 'metadata.uid');
      });
    }
    assert.deepEqual(operator.complaints, []);
  });
});

test('what is no longer wanted goes, and what holds data stays', needs('apiserver'), async (context) => {
  const { tracker, namespace, object } = await make(context, {
    monitoring: { dashboards: { enabled: true } },
  });
  const http = object('v1', 'Service', 'public-http');
  const claim = object('v1', 'PersistentVolumeClaim', 'public-data');
  await waitForObject(server(), http, 'made');
  await waitForObject(server(), claim, 'made');
  const stranger = { ...object('v1', 'ConfigMap', 'stranger'), data: { a: 'b' } };
  await server().admin.apply(stranger);

  const mysql = { host: 'db', database: 'torrust', credentialsSecretRef: { name: 'db' } };
  await server().admin.apply(trackerObject('public', { http: [], database: { mysql } }, namespace));
  await waitFor('an end of the Service', async () => (await server().admin.get(http)) === undefined);
  await waitForObject(server(), object('apps/v1', 'Deployment', 'public'), 'made');
  await waitFor('an end of the StatefulSet', async () => {
    return (await server().admin.get(object('apps/v1', 'StatefulSet', 'public'))) === undefined;
  });
  assert.ok(await server().admin.get(claim), 'the volume stays');
  assert.ok(await server().admin.get(object('v1', 'Secret', 'public-api-token')));
  assert.ok(await server().admin.get(stranger));
  await waitForObject(
    server(),
    tracker,
    'told',
    (found) => told(found, 'DatabaseReady') === 'False SecretMissing',
  );
});

test(
  'a live setting leaves the pods alone, another one replaces them',
  needs('apiserver'),
  async (context) => {
    const { namespace, object, operator } = await make(context, {});
    const workload = object('apps/v1', 'StatefulSet', 'public');
    const config = object('v1', 'ConfigMap', 'public-config');
    await settle(operator);
    const hashOf = async () => {
      const found = await waitForObject(server(), workload, 'there');
      const annotations = at(found, 'spec.template.metadata.annotations') as Record<string, string>;
      return annotations['tracker.torrust.com/restart-hash'];
    };
    const before = await hashOf();
    await server().admin.apply(trackerObject('public', { announce: { intervalSeconds: 1234 } }, namespace));
    await waitForObject(server(), config, 'changed', (found) =>
      JSON.stringify(found['data']).includes('1234'),
    );
    await settle(operator);
    assert.equal(await hashOf(), before);
    await server().admin.apply(trackerObject('public', { swarm: { memory: '128Mi' } }, namespace));
    await waitFor('another hash', async () => (await hashOf()) !== before);
  },
);

test(
  'a newer operator leaves the pods alone until the tracker changes',
  needs('apiserver'),
  async (context) => {
    const { namespace, object, operator } = await make(context, {});
    await settle(operator);
    await operator.stop();
    const newer = await startOperator(context, server(), { environment: { defaultImage: 'newer:2' } });
    const writes = await settle(newer);
    newer.controller.reconcileAll();
    assert.equal(await settle(newer), writes);
    const workload = object('apps/v1', 'StatefulSet', 'public');
    const imageOf = (found: NamedObject) => at(found, 'spec.template.spec.containers.0.image');
    assert.notEqual(imageOf(await waitForObject(server(), workload, 'there')), 'newer:2');
    await server().admin.apply(trackerObject('public', { policy: { persistentCompleted: true } }, namespace));
    await waitForObject(server(), workload, 'of the newer image', (found) => imageOf(found) === 'newer:2');
  },
);

test(
  'a pause changes nothing but the status, and hibernation takes the pods',
  needs('apiserver'),
  async (context) => {
    const { namespace, tracker, object, operator } = await make(context, {});
    await settle(operator);
    await server().admin.apply(trackerObject('public', { paused: true, udp: [] }, namespace));
    await waitForObject(
      server(),
      tracker,
      'paused',
      (found) => told(found, 'Paused') === 'True PausedByUser',
    );
    const udp = object('v1', 'Service', 'public-udp');
    assert.ok(await server().admin.get(udp));
    await server().admin.delete(udp);
    await pause(1000);
    assert.equal(await server().admin.get(udp), undefined, 'nothing is mended');

    await server().admin.apply(trackerObject('public', { replicas: 0 }, namespace));
    await waitForObject(server(), udp, 'made again');
    await waitForObject(server(), tracker, 'asleep', (found) => told(found, 'Ready') === 'False Hibernating');
    await waitForObject(server(), object('apps/v1', 'StatefulSet', 'public'), 'empty', (found) => {
      return at(found, 'spec.replicas') === 0;
    });
    const scale = await server().admin.request(
      'PATCH',
      `${await server().admin.pathOf(tracker)}/scale`,
      { spec: { replicas: 1 } },
      'application/merge-patch+json',
    );
    assert.deepEqual([scale.status, at(scale.body, 'spec.replicas')], [200, 1]);
    await waitForObject(server(), object('apps/v1', 'StatefulSet', 'public'), 'awake', (found) => {
      return at(found, 'spec.replicas') === 1;
    });
  },
);

describe('A volume whose resource asks for more', () => {
  const CASES: Record<string, { mayGrow: boolean; then: (scene: Made) => Promise<void> }> = {
    'grows where its class allows that': {
      mayGrow: true,
      then: async ({ object, tracker }) => {
        const claim = object('v1', 'PersistentVolumeClaim', 'public-data');
        await waitForObject(server(), claim, 'larger', (found) => {
          return at(found, 'spec.resources.requests.storage') === '2Gi';
        });
        await waitForObject(
          server(),
          tracker,
          'told',
          (found) => told(found, 'Degraded') === 'False Settled',
        );
      },
    },
    'is told where its class does not': {
      mayGrow: false,
      then: async ({ tracker }) => {
        await waitForObject(
          server(),
          tracker,
          'refused',
          (found) => told(found, 'Degraded') === 'True StorageFailed',
        );
      },
    },
  };
  for (const [title, { mayGrow, then }] of Object.entries(CASES)) {
    test(title, needs('apiserver'), async (context) => {
      const storageClassName = `class-that-${mayGrow ? 'grows' : 'stays'}`;
      await server().admin.apply({
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: storageClassName },
        provisioner: 'example.com/disks',
        allowVolumeExpansion: mayGrow,
      });
      const sized = (size: string) => ({ database: { sqlite: { size, storageClassName } } });
      const made = await make(context, sized('1Gi'));
      const claim = made.object('v1', 'PersistentVolumeClaim', 'public-data');
      await server().admin.apply(
        { ...claim, status: { phase: 'Bound', capacity: { storage: '1Gi' } } },
        { subresource: 'status', manager: 'kube-controller-manager' },
      );
      await server().admin.apply(trackerObject('public', sized('2Gi'), made.namespace));
      await then(made);
    });
  }
});
