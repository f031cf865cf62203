/**
 * Writes with a field that the API server does not know, by the operator's client against a real one: each is refused with the
 * name of the field, as a fault of who writes and not of the moment, and nothing of it is stored.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { API_VERSION, KIND } from '../../../operator/crd/tracker.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { isApiError } from '../../../operator/kube/kube-error.ts';
import type { KubeObject } from '../../../operator/kube/kube-object.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { makeNamespace } from '../reconcile/running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const OPTIONS = { fieldManager: 'test', signal: new AbortController().signal };
const FORCED = { ...OPTIONS, force: true };

/** A write that is refused, of an object that is there or not. */
interface Case {
  readonly object: { readonly apiVersion: string; readonly kind: string; readonly [field: string]: unknown };
  readonly isThere: boolean;
  /** The status of the refusal: 400 for a whole object that can't be read, 422 for an apply. */
  readonly status: number;
  write(client: KubeClient, object: KubeObject): Promise<unknown>;
}

const CONFIG_MAP = { apiVersion: 'v1', kind: 'ConfigMap', datta: { a: 'b' } };
const TRACKER = { apiVersion: API_VERSION, kind: KIND };

const CASES: Record<string, Case> = {
  'a create': {
    object: CONFIG_MAP,
    isThere: false,
    status: 400,
    write: (client, object) => client.create(object, OPTIONS),
  },
  'a replace': {
    object: CONFIG_MAP,
    isThere: true,
    status: 400,
    write: (client, object) => client.replace(object, OPTIONS),
  },
  'a merge patch': {
    object: CONFIG_MAP,
    isThere: true,
    status: 422,
    write: (client, object) => client.merge(object, OPTIONS),
  },
  'an apply of a new object': {
    object: CONFIG_MAP,
    isThere: false,
    status: 422,
    write: (client, object) => client.apply(object, FORCED),
  },
  'an apply of an object that is there': {
    object: { apiVersion: 'v1', kind: 'Service', spec: { datta: 1, ports: [{ port: 1 }] } },
    isThere: true,
    status: 422,
    write: (client, object) => client.apply(object, FORCED),
  },
  'an apply of a tracker': {
    object: { ...TRACKER, spec: { datta: 1 } },
    isThere: true,
    status: 422,
    write: (client, object) => client.apply(object, FORCED),
  },
  'an apply of a status': {
    object: { ...TRACKER, status: { datta: 1 } },
    isThere: true,
    status: 422,
    write: (client, object) => client.applyStatus(object, FORCED),
  },
};

describe('A field that the server does not know is refused, by its name, in', () => {
  for (const [title, { object, isThere, status, write }] of Object.entries(CASES)) {
    test(title, needs('apiserver'), async (context) => {
      const { admin } = server();
      const namespace = await makeNamespace(server());
      const connection = Connection.parse(server().kubeconfig());
      context.after(() => connection.close());
      const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
      const metadata = { name: 'one', namespace };
      const { apiVersion, kind } = object;
      const plain = kind === 'Service' ? { spec: { ports: [{ port: 1 }] } } : {};
      const before = isThere ? await admin.apply({ apiVersion, kind, metadata, ...plain }) : undefined;
      await assert.rejects(write(client, { ...object, metadata }), (error: unknown) => {
        assert.ok(isApiError(error), String(error));
        assert.match(error.message, /datta/);
        assert.equal(error.status, status, error.message);
        return true;
      });
      assert.deepEqual(await admin.get({ apiVersion, kind, metadata }), before, 'nothing is stored');
    });
  }
});

test('a field that the server knows is taken by the same ways', needs('apiserver'), async (context) => {
  const namespace = await makeNamespace(server());
  const connection = Connection.parse(server().kubeconfig());
  context.after(() => connection.close());
  const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'one', namespace } };
  await client.create({ ...object, data: { a: '1' } }, OPTIONS);
  await client.replace({ ...object, data: { a: '2' } }, OPTIONS);
  await client.merge({ ...object, data: { b: '3' } }, OPTIONS);
  const applied = await client.apply({ ...object, data: { c: '4' } }, FORCED);
  assert.deepEqual(applied['data'], { a: '2', b: '3', c: '4' });
  const tracker = trackerObject('one', {}, namespace);
  await client.apply(tracker as KubeObject, FORCED);
  const told = await client.applyStatus({ ...tracker, status: { readyReplicas: 1 } } as KubeObject, FORCED);
  assert.deepEqual(told['status'], { readyReplicas: 1 });
});
