/**
 * From an upgrade of the operator to the end of a tracker: an upgrade rolls nothing, a deletion keeps what cannot be made
 * again, and a tracker of the same name takes it up.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { installOperator, OPERATOR_NAMESPACE } from '../cluster/install.ts';
import { waitFor } from '../support/waiting.ts';
import {
  applyTracker,
  awaitReady,
  createNamespace,
  find,
  HOME,
  kube,
  listAll,
  podOf,
  secretValue,
} from './world.ts';

const NAME = 'kept';
const SPEC = { http: [{ name: 'main', port: 7070, tls: { selfSigned: {} } }] };
const DEADLINE_MILLIS = 180_000;
/** Everything that a tracker may have. */
const KINDS =
  'pods,services,statefulsets,deployments,daemonsets,configmaps,secrets,serviceaccounts,persistentvolumeclaims,' +
  'poddisruptionbudgets,networkpolicies,ingresses,endpointslices,controllerrevisions,replicasets,torrusttrackers';
/** What every namespace has. */
const OF_NAMESPACE = ['ConfigMap/kube-root-ca.crt', 'ServiceAccount/default'];

describe('the life of a tracker', () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let namespace = '';

  before(async () => {
    namespace = await createNamespace(cleaning, 'e2e-life');
    await applyTracker(namespace, NAME, SPEC);
    await awaitReady(namespace, NAME);
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  test('goes on through an upgrade of the operator that brings another default image', async () => {
    const { uid, restarts } = await podOf(namespace, NAME);
    const before = await holder();
    cleaning.after(() => installOperator(HOME));
    await installOperator(HOME, ['trackerImage.tag=9.9.9', 'podAnnotations.upgraded=yes']);
    await waitFor('a new operator leads', async () => (await holder()) !== before, DEADLINE_MILLIS);
    // The new operator looks after the tracker when it makes again what is missing.
    await kube(namespace, ['delete', 'poddisruptionbudget', NAME]);
    await waitFor('what was missing', () => find(namespace, 'poddisruptionbudget', NAME), DEADLINE_MILLIS);
    await awaitReady(namespace, NAME);
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([pod.uid, pod.restarts], [uid, restarts]);
    // A StatefulSet as the API server has it.
    const workload = JSON.stringify((await find(namespace, 'statefulset', NAME))?.['spec']);
    assert.ok(!workload.includes(':9.9.9'), workload);
  });

  test('leaves its volume and its generated Secrets, and nothing else', async () => {
    await kube(namespace, ['delete', 'torrusttracker', NAME]);
    const left = await waitFor(
      'nothing but what is kept',
      async () => {
        const names = await objectNames();
        return names.every((name) => /^(PersistentVolumeClaim|Secret)\//.test(name)) && names;
      },
      DEADLINE_MILLIS,
    );
    const kept = ['ca', 'connection-id', 'api-token', 'http-main-tls'].map(
      (part) => `Secret/${NAME}-${part}`,
    );
    assert.deepEqual(left, [`PersistentVolumeClaim/${NAME}-data`, ...kept].toSorted());
  });

  test('is taken up by a tracker of the same name', async () => {
    await installOperator(HOME);
    const token = await secretValue(namespace, `${NAME}-api-token`, 'admin');
    await applyTracker(namespace, NAME, SPEC);
    await awaitReady(namespace, NAME);
    assert.equal(await secretValue(namespace, `${NAME}-api-token`, 'admin'), token);
  });

  async function objectNames(): Promise<string[]> {
    const objects = await listAll(namespace, KINDS);
    return objects
      .map(({ kind, metadata }) => `${kind}/${metadata.name}`)
      .filter((name) => !OF_NAMESPACE.includes(name))
      .toSorted();
  }
});

/** Who leads the operators. */
async function holder(): Promise<string> {
  const [lease] = await listAll(OPERATOR_NAMESPACE, 'leases');
  // A Lease as the API server has it.
  return (lease?.['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity ?? '';
}
