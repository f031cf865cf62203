/**
 * Others who write what the operator writes, against a real API server: who applies a field of the operator's is told so,
 * who forces it loses it again, what others add stays; and the refusals of a real server (409) when two change one object.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { isApiError, REASON } from '../../../operator/kube/kube-error.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { Applier } from '../../../operator/reconcile/applier.ts';
import type { ClusterCache } from '../../../operator/reconcile/cluster-cache.ts';
import type { NamedObject } from '../../apiserver/client.ts';
import { runBinary } from '../../apiserver/commands.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { createLog } from '../kube/logs.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import {
  makeNamespace,
  objectIn,
  OPERATOR_USER,
  type RunningOperator,
  startOperator,
  waitForObject,
} from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const WRITES: readonly string[] = ['create', 'update', 'patch', 'delete'];

/** Waits until nothing has been written in a namespace for a while. Resolves to the number of writes. */
async function settle(operator: RunningOperator, namespace: string): Promise<number> {
  let last = -1;
  return waitFor('an end of the writes', async () => {
    const count = operator
      .requests()
      .filter((each) => each.namespace === namespace && WRITES.includes(each.verb)).length;
    if (count === last) return count;
    last = count;
    await pause(1000);
    return undefined;
  });
}

test(
  'who applies a field of the operator is told whose it is, and who forces it loses it',
  needs('apiserver'),
  async (context) => {
    const { admin, home } = server();
    const namespace = await makeNamespace(server());
    const operator = await startOperator(context, server(), { namespaces: [namespace] });
    await admin.apply(trackerObject('public', {}, namespace));
    const service = objectIn(namespace, 'v1', 'Service', 'public-udp');
    const made = await waitForObject(server(), service, 'made');
    await settle(operator, namespace);
    const mine = {
      ...service,
      metadata: { ...service.metadata, labels: { team: 'seeds' } },
      spec: { type: 'NodePort' },
    };
    const apply = (...options: string[]) =>
      runBinary(
        'kubectl',
        home,
        ['apply', '--server-side', '--field-manager=someone', ...options, '-f', '-'],
        JSON.stringify(mine),
      );

    const refused = await apply();
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /Apply failed with 1 conflict: conflict with "torrust-operator"[^]*\.spec\.type/,
    );
    assert.equal(at(await admin.get(service), 'spec.type'), 'ClusterIP');
    assert.equal(at(await admin.get(service), 'metadata.labels.team'), undefined, 'nothing of it is taken');

    assert.equal((await apply('--force-conflicts')).code, 0);
    const mended = await waitForObject(server(), service, 'mended', (found) => {
      return at(found, 'spec.type') === 'ClusterIP';
    });
    assert.equal(at(mended, 'metadata.labels.team'), 'seeds', 'what somebody added stays');
    assert.deepEqual(at(mended, 'spec.selector'), at(made, 'spec.selector'));
    // The operator's fields are its own again, so that the next who applies is told again.
    assert.match((await apply()).stderr, /conflict with "torrust-operator"/);
    const writes = await settle(operator, namespace);
    operator.controller.reconcileAll();
    assert.equal(await settle(operator, namespace), writes, 'both are content');
    assert.deepEqual(operator.complaints, []);
  },
);

test(
  'a Secret that somebody changes in the same moment is looked at again, and nothing of it is lost',
  needs('apiserver'),
  async (context) => {
    const { admin } = server();
    const namespace = await makeNamespace(server());
    const operator = await startOperator(context, server(), { namespaces: [namespace] });
    await admin.apply(trackerObject('public', {}, namespace));
    const secret = objectIn(namespace, 'v1', 'Secret', 'public-api-token');
    await waitForObject(server(), secret, 'made');
    await settle(operator, namespace);
    const path = await admin.pathOf(secret);
    const conflicts = () =>
      server()
        .requestsOf(OPERATOR_USER)
        .filter((each) => each.namespace === namespace && each.resource === 'secrets' && each.code === 409);
    const spoil = async (note: string) => {
      const change = { data: { admin: '', note: Buffer.from(note).toString('base64') } };
      const { status } = await admin.request('PATCH', path, change, 'application/merge-patch+json');
      assert.equal(status, 200);
    };
    let isOver = false;
    const hammer = async (name: number) => {
      for (let count = 0; !isOver; count += 1) await spoil(`${name}-${count}`);
    };
    const hammers = Promise.all(Array.from({ length: 4 }, (_, name) => hammer(name)));
    try {
      await waitFor('a conflict', () => conflicts().length > 0);
    } finally {
      isOver = true;
      await hammers;
    }
    await spoil('last');
    const note = Buffer.from('last').toString('base64');
    const healed = await waitForObject(
      server(),
      secret,
      'filled again',
      (found) => at(found, 'data.admin') !== '',
    );
    assert.equal(at(healed, 'data.note'), note);
    await settle(operator, namespace);
    assert.equal(at(await admin.get(secret), 'data.note'), note);
    assert.deepEqual(operator.complaints, [], 'who was slower complains of nothing');
  },
);

test('two operators that nobody elected agree, and come to rest', needs('apiserver'), async (context) => {
  const { admin } = server();
  const namespace = await makeNamespace(server());
  const [first, second] = await Promise.all([
    startOperator(context, server(), { namespaces: [namespace] }),
    startOperator(context, server(), { namespaces: [namespace] }),
  ]);
  const http = [{ name: 'tls', port: 7443, tls: { selfSigned: {} } }];
  await admin.apply(trackerObject('public', { http }, namespace));
  const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
  await waitForObject(server(), workload, 'made');
  await settle(first, namespace);
  // What both made at the same time fits together, whoever was the last.
  const pair = await waitForObject(
    server(),
    objectIn(namespace, 'v1', 'Secret', 'public-http-tls-tls'),
    'made',
  );
  const authority = await waitForObject(server(), objectIn(namespace, 'v1', 'Secret', 'public-ca'), 'made');
  // A Secret: texts in base64.
  const textOf = (secret: NamedObject, key: string) => (secret['data'] as Record<string, string>)[key];
  assert.equal(textOf(pair, 'ca.crt'), textOf(authority, 'tls.crt'));
  const writes = await settle(first, namespace);
  for (const operator of [first, second]) operator.controller.reconcileAll();
  assert.equal(await settle(first, namespace), writes);
  assert.deepEqual([...first.complaints, ...second.complaints], []);
});

test('what somebody makes in the same moment is not taken over', needs('apiserver'), async (context) => {
  const { admin } = server();
  const namespace = await makeNamespace(server());
  const connection = Connection.parse(server().kubeconfig());
  context.after(() => connection.close());
  const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
  // Of the cache an applier only uses this.
  const cache = { remember: () => undefined } as unknown as ClusterCache;
  const { signal } = new AbortController();
  const applier = new Applier(client, cache, createLog(), false);
  const wanted = {
    ...objectIn(namespace, 'v1', 'Secret', 'public-api-token'),
    metadata: { name: 'public-api-token', namespace, labels: {}, annotations: {} },
    type: 'Opaque',
    data: { admin: Buffer.from('ours').toString('base64') },
  };
  // It was not there when the operator looked.
  const theirs = Buffer.from('theirs').toString('base64');
  const foreign = await admin.apply({ ...wanted, data: { admin: theirs } }, { manager: 'someone' });
  await assert.rejects(applier.apply(wanted, undefined, signal), (error: unknown) => {
    return isApiError(error, REASON.conflict) && /conflicts? with "someone"/.test(error.message);
  });
  assert.deepEqual(await admin.get(wanted), foreign);
  await admin.delete(wanted);
  const made = await applier.apply(wanted, undefined, signal);
  assert.equal(made.kind, 'applied');
});
