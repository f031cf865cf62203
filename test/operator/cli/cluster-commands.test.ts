/** The commands of `torrust-operator` in a cluster: a real API server, and the test in the place of its kubelet. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { startGranted } from '../reconcile/granted-command.ts';
import { grant, makeNamespace, objectIn, waitForObject } from '../reconcile/running-operator.ts';
import { portOf, runCommand } from './operator-process.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const LEASE = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };

async function ask(port: number, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

describe('run', () => {
  test('makes trackers, tells how it is, and gives its lease back', needs('apiserver'), async (context) => {
    const namespace = await makeNamespace(server());
    const first = await startGranted(context, server(), ['--namespaces', namespace]);
    const port = await portOf(first);
    await waitFor('a leader that is ready', async () => (await ask(port, '/readyz')).status === 200);
    const lease = { ...LEASE, metadata: { name: 'torrust-operator', namespace: 'torrust-system' } };
    const held = await waitForObject(
      server(),
      lease,
      'held',
      (found) => at(found, 'spec.holderIdentity') !== '',
    );

    const second = await startGranted(context, server(), ['--namespaces', namespace]);
    const secondPort = await portOf(second);
    assert.equal((await ask(secondPort, '/readyz')).status, 200, 'one that waits for its turn is ready');
    const isLeader = async (at: number) =>
      (await ask(at, '/metrics')).text.includes('leader_election_master_status{name="torrust-operator"} 1');
    assert.equal(await isLeader(secondPort), false);

    const monitoring = { dashboards: { enabled: true } };
    await server().admin.apply(trackerObject('public', { monitoring }, namespace));
    await waitForObject(server(), objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'), 'made');
    const dashboards = objectIn(namespace, 'v1', 'ConfigMap', 'public-dashboards');
    const files = Object.keys(at(await waitForObject(server(), dashboards, 'made'), 'data') ?? {});
    assert.ok(files.includes('torrust-tracker.json'), files.join());
    assert.ok(!files.includes('torrust-operator.json'), 'that of the operator is no matter of a tracker');
    const { text } = await ask(port, '/metrics');
    assert.match(text, /controller_runtime_reconcile_total\{controller="torrusttracker",result="success"\}/);
    const elsewhere = await makeNamespace(server());
    await server().admin.apply(trackerObject('public', {}, elsewhere));

    await first.stop();
    await waitForObject(server(), lease, 'taken over', (found) => {
      return ![at(held, 'spec.holderIdentity'), ''].includes(at(found, 'spec.holderIdentity'));
    });
    await waitFor('a second leader', () => isLeader(secondPort));
    await server().admin.apply(trackerObject('next', {}, namespace));
    await waitForObject(server(), objectIn(namespace, 'apps/v1', 'StatefulSet', 'next'), 'made');
    const foreign = objectIn(elsewhere, 'apps/v1', 'StatefulSet', 'public');
    assert.equal(await server().admin.get(foreign), undefined, 'other namespaces are left alone');
    await second.stop();
  });

  test('stores nothing when it is dry, and says what it would', needs('apiserver'), async (context) => {
    const namespace = await makeNamespace(server());
    const command = await startGranted(context, server(), ['--dry-run', '--namespaces', namespace]);
    const tracker = trackerObject('public', {}, namespace);
    await server().admin.apply(tracker);
    await waitFor('the workload in the log', () => command.stdout().includes('"kind":"StatefulSet"'));
    assert.equal(
      await server().admin.get(objectIn(namespace, 'apps/v1', 'StatefulSet', 'public')),
      undefined,
    );
    assert.equal(at(await server().admin.get(tracker), 'status'), undefined);
    await command.stop();
  });
});

describe('check', () => {
  test('says yes to everything that the roles grant', needs('apiserver'), async (context) => {
    const kubeconfig = server().kubeconfig(await grant(server()));
    const { code, stdout } = await runCommand(context, ['check'], kubeconfig);
    assert.match(stdout, /^Kubernetes v1\.\d+\.\d+ at https:/);
    assert.match(stdout, /yes {2}secrets +get, list, watch, create, patch\n/);
    assert.doesNotMatch(stdout, /lacks/);
    assert.equal(code, 0, stdout);
  });

  test('says what is missing, and what for', needs('apiserver'), async (context) => {
    const nobody = await server().serviceAccountToken('default', 'nobody');
    const { code, stdout } = await runCommand(
      context,
      ['check', '--namespaces', 'a'],
      server().kubeconfig(nobody),
    );
    assert.match(stdout, /NO {3}pods in a +lacks list, watch: to see how trackers run\n/);
    assert.match(stdout, /no {3}nodes +lacks get/);
    assert.equal(code, 1);
  });
});
