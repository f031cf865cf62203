/**
 * What interrupts an operator: it is stopped in the middle of its work while it is the leader, or its API server is killed
 * and comes back. By the real command against a real API server of its own.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { type ApiServer, startApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { portOf, type RunningCommand } from '../cli/operator-process.ts';
import { at } from '../environments.ts';
import { startGranted } from './granted-command.ts';
import { makeNamespace, objectIn, OPERATOR_USER, waitForObject } from './running-operator.ts';

const DEADLINE_MILLIS = 90_000;

async function startServer(context: TestContext): Promise<{ server: ApiServer; namespace: string }> {
  const server = await startApiServer();
  context.after(() => server.close());
  await server.admin.install([trackerDefinitionObject()]);
  return { server, namespace: await makeNamespace(server) };
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
    const first = await startGranted(context, server);
    await waitFor('a leader', () => isLeader(first), DEADLINE_MILLIS);
    const second = await startGranted(context, server);
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
    await second.stop();
  },
);

/** Plays the kubelet: a command that gives up, since its lease may be another's, is started again. */
async function keepRunning(context: TestContext, server: ApiServer, more: readonly string[]) {
  let current = await startGranted(context, server, more);
  let isStopping = false;
  const run = async () => {
    while (!isStopping) {
      if (current.child.exitCode === null) await once(current.child, 'exit');
      if (isStopping) return;
      const { code, stdout } = await current.ended();
      assert.equal(code, 1, stdout);
      assert.match(stdout, /another operator may be at work/);
      current = await startGranted(context, server, more);
    }
  };
  const ended = run();
  // Told by `stop`.
  ended.catch(() => undefined);
  return {
    port: () => portOf(current),
    async stop() {
      isStopping = true;
      await current.stop();
      await ended;
    },
  };
}

describe('An API server that is killed and comes back is worked with as before', () => {
  const CASES: Record<string, readonly string[]> = {
    'by an operator that needs no lease': ['--no-leader-elect'],
    'by one that may lose its lease, and is started again then': [],
  };
  for (const [title, more] of Object.entries(CASES)) {
    test(title, needs('apiserver'), async (context) => {
      const { server, namespace } = await startServer(context);
      const command = await keepRunning(context, server, more);
      await server.admin.apply(trackerObject('before', {}, namespace));
      const service = objectIn(namespace, 'v1', 'Service', 'before-udp');
      const { spec } = await waitForObject(server, service, 'made', undefined, DEADLINE_MILLIS);
      await waitForObject(server, objectIn(namespace, 'apps/v1', 'StatefulSet', 'before'), 'made');

      const port = await command.port();
      await server.kill();
      const answer = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
      assert.equal(await answer('/healthz'), 200, 'nobody restarts an operator for its API server');
      await server.restart();
      const stolen = { ...service, spec: { selector: { stolen: 'yes' } } };
      await server.admin.apply(stolen, { manager: 'somebody' });
      const selectorOf = (object: unknown) => JSON.stringify(at(object, 'spec.selector'));
      const isMended = (found: object) => selectorOf(found) === selectorOf({ spec });
      await waitForObject(server, service, 'mended', isMended, DEADLINE_MILLIS);
      await server.admin.apply(trackerObject('after', {}, namespace));
      const next = objectIn(namespace, 'apps/v1', 'StatefulSet', 'after');
      await waitForObject(server, next, 'made', undefined, DEADLINE_MILLIS);
      await command.stop();
    });
  }
});
