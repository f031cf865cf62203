/**
 * `make run-operator` and the option behind it on a cluster that has no definition of trackers: it is applied, taken up and
 * used, and what stands in the way of that is told.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { temporaryFolder } from '../../support/tracker-process.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { makeNamespace, objectIn, waitForObject } from '../reconcile/running-operator.ts';
import { openScriptedServer } from '../kube/scripted-server.ts';
import { runCommand, startCommand } from './operator-process.ts';

const ROOT = join(import.meta.dirname, '../../..');
const APPLY = ['run', '--apply-definitions', '--bind-address', '127.0.0.1:0'];

test('`make run-operator` brings the definition, and runs', needs('apiserver'), async (context) => {
  const server = await startApiServer();
  context.after(() => server.close());
  const definition = trackerDefinitionObject();
  const namespace = await makeNamespace(server);

  // One that is dry only asks.
  const dry = startCommand(context, [...APPLY, '--dry-run'], server.kubeconfig());
  await waitFor('the judgement of the server', () => dry.stdout().includes('the definition is applied'));
  dry.child.kill('SIGTERM');
  assert.equal((await dry.ended()).code, 0, dry.stderr());
  assert.equal(await server.admin.get(definition), undefined, 'nothing is stored');

  // Who may do nothing is told what is missing.
  const nobody = server.kubeconfig(await server.serviceAccountToken('default', 'nobody'));
  const refused = await runCommand(context, [...APPLY, '--no-leader-elect'], nobody);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^error: .*403 Forbidden: .*cannot patch resource "customresourcedefinitions".*\n$/,
  );

  const file = join(temporaryFolder(context), 'kubeconfig');
  writeFileSync(file, server.kubeconfig(undefined, namespace));
  const make = async (work: () => Promise<void>): Promise<string> => {
    const child = spawn('make', ['run-operator', 'OPERATOR_ARGS=--bind-address 127.0.0.1:0'], {
      cwd: ROOT,
      env: { ...process.env, KUBECONFIG: file, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'inherit'],
      // A group of its own, which a terminal's Ctrl-C would reach as a whole.
      detached: true,
    });
    const closed = once(child, 'close');
    const interrupt = (signal: NodeJS.Signals) => {
      const isOver = child.exitCode !== null || child.signalCode !== null;
      if (child.pid !== undefined && !isOver) process.kill(-child.pid, signal);
    };
    context.after(() => interrupt('SIGKILL'));
    let log = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
    await waitFor('the definition', () => log.includes('the definition is applied'));
    await work();
    interrupt('SIGINT');
    await closed;
    assert.match(log, /"msg":"stopped"\}\n$/);
    return log;
  };
  const tracker = trackerObject('public', {}, namespace);
  const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
  await make(async () => {
    // It is served from this moment on.
    const { status } = await server.admin.tryApply(tracker);
    assert.equal(status, 201);
    await waitForObject(server, workload, 'made');
  });
  // On a cluster that has it, nothing changes, and the trackers stay.
  const before = await server.admin.get(definition);
  const { metadata } = await waitForObject(server, tracker, 'there');
  await make(async () => {
    await server.admin.delete(workload);
    await waitForObject(server, workload, 'made again');
  });
  const after = await server.admin.get(definition);
  assert.equal(at(after, 'metadata.resourceVersion'), at(before, 'metadata.resourceVersion'));
  assert.equal(at(await server.admin.get(tracker), 'metadata.uid'), at({ metadata }, 'metadata.uid'));
});

test(
  'a definition that the server does not take up is told with the reason',
  needs('apiserver'),
  async (context) => {
    const server = await startApiServer();
    context.after(() => server.close());
    // Somebody else's kind of the same group has our short name.
    const schema = { openAPIV3Schema: { type: 'object' } };
    await server.admin.install([
      {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'tortoises.tracker.torrust.com' },
        spec: {
          group: 'tracker.torrust.com',
          scope: 'Namespaced',
          names: { plural: 'tortoises', kind: 'Tortoise', shortNames: ['tt'] },
          versions: [{ name: 'v1', served: true, storage: true, schema }],
        },
      },
    ]);
    const { code, stderr } = await runCommand(context, APPLY, server.kubeconfig());
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: the API server does not take up the definition torrusttrackers\.\S+: "tt" is already in use\n$/,
    );
  },
);

test('a stop in the middle of the start is an orderly one', async (context) => {
  // It takes every request, and answers none.
  const server = await openScriptedServer(() => undefined);
  context.after(() => server.close());
  for (const more of [[], ['--no-leader-elect'], ['--no-leader-elect', '--apply-definitions']]) {
    const args = ['run', '--bind-address', '127.0.0.1:0', ...more];
    const command = startCommand(context, args, server.kubeconfig);
    const before = server.requests.length;
    await waitFor('a request', () => server.requests.length > before);
    command.child.kill('SIGTERM');
    const { code, stderr, stdout } = await command.ended();
    assert.equal(stderr, '', more.join(' '));
    assert.equal(code, 0);
    assert.match(stdout, /"msg":"stopped"\}\n$/);
  }
});
