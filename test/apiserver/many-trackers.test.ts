/**
 * What the operator costs with a thousand trackers, against the targets that were set for it: the first reconcile of all,
 * the mending of drift, the writes of a steady state, and its memory. The operator is the real command in a process of its
 * own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startCommand } from '../operator/cli/operator-process.ts';
import { grant, makeNamespace, objectIn, OPERATOR_USER } from '../operator/reconcile/running-operator.ts';
import { at } from '../operator/environments.ts';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';
import { useApiServer } from './server.ts';
import { trackerDefinitionObject, trackerObject } from './trackers.ts';

const TRACKERS = Number(process.env['OPERATOR_TRACKERS'] ?? 1000);
/** Trackers that the test makes at the same time. */
const PARALLEL = 8;
const MAX_FIRST_SECONDS = 120;
const MAX_MENDING_SECONDS = 2;
const MAX_MEBIBYTES = 300;
const DEADLINE_MILLIS = 900_000;
const WRITES: readonly string[] = ['create', 'update', 'patch', 'delete'];

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

/** The CPU time of a process, in seconds: fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms. */
function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function mebibytesOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

test(`${TRACKERS} trackers`, needs('apiserver'), async (context) => {
  const namespace = await makeNamespace(server());
  const kubeconfig = server().kubeconfig(await grant(server()), 'torrust-system');
  const names = Array.from({ length: TRACKERS }, (_, index) => `tracker-${index}`);
  const queue = [...names];
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
        await server().admin.apply(trackerObject(name, {}, namespace));
      }
    }),
  );

  const begin = performance.now();
  const command = startCommand(context, ['run', '--bind-address', '127.0.0.1:0'], kubeconfig);
  const list = `/apis/tracker.torrust.com/v1alpha1/namespaces/${namespace}/torrusttrackers`;
  await waitFor(
    'every tracker has a status',
    async () => {
      await pause(1000);
      const { body } = await server().admin.request('GET', list);
      const items = at(body, 'items') as unknown[]; // A list of trackers.
      return items.every((tracker) => at(tracker, 'status.observedGeneration') === 1);
    },
    DEADLINE_MILLIS,
  );
  const firstSeconds = (performance.now() - begin) / 1000;

  const writes = () =>
    server()
      .requestsOf(OPERATOR_USER)
      .filter(({ verb, resource }) => WRITES.includes(verb) && resource !== 'leases').length;
  let last = -1;
  await waitFor(
    'an end of the writes',
    async () => {
      const count = writes();
      if (count === last) return true;
      last = count;
      await pause(3000);
      return false;
    },
    DEADLINE_MILLIS,
  );

  const service = objectIn(namespace, 'v1', 'Service', 'tracker-7-udp');
  const drifted = await server().admin.get(service);
  assert.ok(drifted);
  await server().admin.request(
    'PATCH',
    await server().admin.pathOf(service),
    { spec: { selector: { app: 'mine' } } },
    'application/merge-patch+json',
  );
  const since = performance.now();
  await waitFor('the Service is mended', async () => {
    return at(await server().admin.get(service), 'spec.selector.app') === undefined;
  });
  const mendingSeconds = (performance.now() - since) / 1000;

  const before = writes();
  await pause(20_000);
  const steadyWrites = writes() - before;
  assert.ok(command.child.pid !== undefined);
  const mebibytes = mebibytesOf(command.child.pid);
  const requests = server().requestsOf(OPERATOR_USER);
  const figures = {
    firstSeconds: Math.round(firstSeconds),
    mendingSeconds: Number(mendingSeconds.toFixed(2)),
    steadyWrites,
    mebibytes: Math.round(mebibytes),
    cpuSeconds: Math.round(cpuSecondsOf(command.child.pid)),
    requests: requests.length,
    writes: before,
  };
  context.diagnostic(JSON.stringify(figures));
  assert.deepEqual(
    requests.filter(({ code }) => code === 403),
    [],
  );
  assert.equal(steadyWrites, 0);
  assert.ok(mendingSeconds < MAX_MENDING_SECONDS);
  assert.ok(firstSeconds < MAX_FIRST_SECONDS);
  assert.ok(mebibytes < MAX_MEBIBYTES);
  command.child.kill('SIGTERM');
  assert.equal((await command.ended()).code, 0);
});
