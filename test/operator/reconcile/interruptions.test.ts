/**
 * What interrupts an operator: it is stopped in the middle of its work while it is the leader, or its API server is killed
 * and comes back. By the real command against a real API server of its own.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type ApiServer, startApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { portOf, type RunningCommand, startCommand } from '../cli/operator-process.ts';
import { at } from '../environments.ts';
import {
  forbiddenTo,
  grant,
  makeNamespace,
  objectIn,
  OPERATOR_USER,
  waitForObject,
} from './running-operator.ts';

const DEADLINE_MILLIS = 90_000;

async function startServer(context: TestContext): Promise<{ server: ApiServer; namespace: string }> {
  const server = await startApiServer();
  context.after(() => server.close());
  await server.admin.install([trackerDefinitionObject()]);
  return { server, namespace: await makeNamespace(server) };
}

async function startRun(
  context: TestContext,
  server: ApiServer,
  more: readonly string[] = [],
): Promise<RunningCommand> {
  const kubeconfig = server.kubeconfig(await grant(server), 'torrust-system');
  return startCommand(context, ['run', '--bind-address', '127.0.0.1:0', ...more], kubeconfig);
}

async function isLeader(command: RunningCommand): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${await portOf(command)}/metrics`);
  return (await response.text()).includes('leader_election_master_status{name="torrust-operator"} 1');
}

test(
  'a leader that is stopped is followed, and ends when it goes on, with nothing written',
  needs('apiserver'),
  async (context) => {
    const { server, namespace } = await startServer(context);
    const first = await startRun(context, server);
    await waitFor('a leader', () => isLeader(first), DEADLINE_MILLIS);
    const second = await startRun(context, server);
    await portOf(second);
    first.child.kill('SIGSTOP');
    const since = performance.now();
    await waitFor('another leader', () => isLeader(second), DEADLINE_MILLIS);
    assert.ok(performance.now() - since > 10_000, 'a lease that may still be held is not taken');

    await server.admin.apply(trackerObject('next', {}, namespace));
    const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'next');
    await waitForObject(server, workload, 'made', undefined, DEADLINE_MILLIS);
    const requests = () => server.requestsOf(OPERATOR_USER);
    const made = () =>
      requests().filter(({ verb, resource }) => verb === 'patch' && resource === 'statefulsets').length;
    assert.equal(made(), 1);
    first.child.kill('SIGCONT');
    const end = await first.ended();
    assert.equal(end.code, 1, end.stdout);
    assert.match(end.stdout, /another operator may be at work/);
    assert.equal(made(), 1, 'the one that was stopped writes nothing');
    assert.equal(await isLeader(second), true);
    assert.deepEqual(forbiddenTo(server), []);
  },
);

test(
  'an API server that is killed and comes back is worked with as before',
  needs('apiserver'),
  async (context) => {
    const { server, namespace } = await startServer(context);
    const command = await startRun(context, server, ['--no-leader-elect']);
    await server.admin.apply(trackerObject('before', {}, namespace));
    const service = objectIn(namespace, 'v1', 'Service', 'before-udp');
    const { spec } = await waitForObject(server, service, 'made', undefined, DEADLINE_MILLIS);
    await waitForObject(server, objectIn(namespace, 'apps/v1', 'StatefulSet', 'before'), 'made');

    await server.kill();
    const port = await portOf(command);
    const answer = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    assert.equal(await answer('/healthz'), 200, 'nobody restarts an operator for its API server');
    await server.restart();
    await server.admin.apply({ ...service, spec: { selector: { stolen: 'yes' } } }, { manager: 'somebody' });
    await waitForObject(
      server,
      service,
      'mended',
      (found) => JSON.stringify(at(found, 'spec.selector')) === JSON.stringify(at({ spec }, 'spec.selector')),
      DEADLINE_MILLIS,
    );
    await server.admin.apply(trackerObject('after', {}, namespace));
    const next = objectIn(namespace, 'apps/v1', 'StatefulSet', 'after');
    await waitForObject(server, next, 'made', undefined, DEADLINE_MILLIS);
    command.child.kill('SIGTERM');
    assert.equal((await command.ended()).code, 0);
    assert.deepEqual(forbiddenTo(server), []);
  },
);
