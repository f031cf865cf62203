/** What the operator learns of the network of a real cluster. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { KubeClient } from '../../operator/kube/client.ts';
import { Connection } from '../../operator/kube/connection.ts';
import { createKubeMetrics } from '../../operator/kube/metrics.ts';
import { PERMISSIONS } from '../../operator/permissions.ts';
import { NetworkView } from '../../operator/surroundings.ts';
import { useApiServer } from '../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../apiserver/trackers.ts';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';
import { startCommand } from './cli/operator-process.ts';
import { at } from './environments.ts';
import { createFastClock } from './kube/clocks.ts';
import { createLog } from './kube/logs.ts';
import { openScriptedServer, type Script, sendList, sendStatus } from './kube/scripted-server.ts';
import {
  grant,
  makeNamespace,
  objectIn,
  OPERATOR_USER,
  waitForObject,
} from './reconcile/running-operator.ts';

/** The half minute for which a refusal is doubted takes 0.3 s. */
const FASTER = 100;

const server = useApiServer(async ({ admin }) => {
  await admin.install([trackerDefinitionObject()]);
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } };
  await admin.apply({ ...node, spec: { podCIDRs: ['10.244.1.0/24'] } });
  const addresses = [
    { type: 'InternalIP', address: '192.0.2.1' },
    { type: 'Hostname', address: 'node-1' },
  ];
  await admin.apply({ ...node, status: { addresses } }, { subresource: 'status' });
});

/** By the administrator's token unless another is given. */
function connect(token?: string) {
  const connection = Connection.parse(server().kubeconfig(token));
  const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
  const view = new NetworkView(client, createLog(), createFastClock(FASTER));
  const look = () => view.look(new AbortController().signal);
  return { look, close: () => connection.close() };
}

test(
  'addresses of nodes and the ranges of pods and Services are those of the cluster',
  needs('apiserver'),
  async (context) => {
    const { look, close } = connect();
    context.after(close);
    // The server writes down its range of Services soon after its start.
    const network = await waitFor('the range of Services', async () => {
      const seen = await look();
      return seen.ranges.length > 2 && seen;
    });
    assert.deepEqual(network, {
      ipFamilies: [4],
      ranges: ['10.244.1.0/24', '10.96.0.0/16', '192.0.2.1/32'],
      nodes: ['node-1'],
    });
  },
);

test('without the right to look, nothing is known', needs('apiserver'), async (context) => {
  const { look, close } = connect(await server().serviceAccountToken('default', 'nobody'));
  context.after(close);
  assert.deepEqual(await look(), { ipFamilies: [4], ranges: [], nodes: [] });
});

const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-1', resourceVersion: '1', uid: 'uid-1' },
  spec: { podCIDRs: ['10.244.1.0/24', 'fd00:1::/64'] },
};
const RANGE = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name: 'kubernetes', resourceVersion: '1', uid: 'uid-2' },
  spec: { cidrs: ['10.96.0.0/16'] },
};
const SEEN = {
  ipFamilies: [4, 6],
  ranges: ['10.244.1.0/24', '10.96.0.0/16', 'fd00:1::/64'],
  nodes: ['node-1'],
};

const answer: Script = ({ path, response }) =>
  sendList(response, '1', path.endsWith('/nodes') ? [NODE] : [RANGE]);
const refuse: Script = ({ response }) => sendStatus(response, 403, 'Forbidden');

/** Looks at what a server of the test tells. */
async function connectScripted(context: TestContext, script: Script) {
  const scripted = await openScriptedServer(script);
  const connection = Connection.parse(scripted.kubeconfig);
  const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
  const clock = createFastClock(FASTER);
  const log = createLog();
  const view = new NetworkView(client, log, clock);
  context.after(async () => {
    await connection.close();
    await scripted.close();
  });
  return { scripted, log, look: (signal = new AbortController().signal) => view.look(signal) };
}

test('an API server that refuses at first is asked until it tells', async (context) => {
  let refusals = 6;
  const { log, look } = await connectScripted(context, (request) => {
    refusals -= 1;
    return refusals >= 0 ? refuse(request) : answer(request);
  });
  assert.deepEqual(await look(), SEEN);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ['warn'],
    'and that is told once',
  );
});

test('what was seen last holds while the API server refuses, kind by kind', async (context) => {
  const { scripted, look } = await connectScripted(context, answer);
  assert.deepEqual(await look(), SEEN);
  scripted.answer(refuse);
  assert.deepEqual(await look(), SEEN);
  // Each is asked once: nobody waits for it.
  assert.equal(scripted.lists().length, 4);
  scripted.answer((request) => {
    if (request.path.endsWith('/nodes')) return refuse(request);
    sendList(request.response, '2', []);
  });
  assert.deepEqual(await look(), { ...SEEN, ranges: ['10.244.1.0/24', 'fd00:1::/64'] });
  scripted.answer(answer);
  assert.deepEqual(await look(), SEEN);
});

test('a refusal is believed after half a minute, and not before', async (context) => {
  const { scripted, look } = await connectScripted(context, refuse);
  const since = performance.now();
  assert.deepEqual(await look(), { ipFamilies: [4], ranges: [], nodes: [] });
  assert.ok(performance.now() - since >= 30_000 / FASTER);
  assert.ok(scripted.lists().length >= 4);
});

test('an operator that ends while it is refused does not wait', async (context) => {
  const { scripted, look } = await connectScripted(context, refuse);
  const ended = new AbortController();
  const looking = look(ended.signal);
  await waitFor('a refusal', () => scripted.lists().length > 0);
  ended.abort(new Error('the end'));
  await assert.rejects(looking);
});

test('nothing is written before the operator knows the network', needs('apiserver'), async (context) => {
  const namespace = await makeNamespace(server());
  const isOfNetwork = (name: string) => ['nodes', 'servicecidrs'].includes(name);
  const without = PERMISSIONS.filter(({ resources }) => !resources.some(isOfNetwork));
  assert.ok(without.length < PERMISSIONS.length);
  const kubeconfig = server().kubeconfig(await grant(server(), without), 'torrust-system');
  const args = ['run', '--no-leader-elect', '--bind-address', '127.0.0.1:0', '--namespaces', namespace];
  const command = startCommand(context, args, kubeconfig);
  const exposure = { type: 'NodePort' };
  await server().admin.apply(trackerObject('public', { exposure }, namespace));
  const requests = () => server().requestsOf(OPERATOR_USER);
  const looks = () => requests().filter(({ resource, isDenied }) => resource === 'nodes' && isDenied);
  await waitFor('three looks that are refused', () => looks().length >= 3);
  const writes = () => requests().filter(({ verb }) => !['get', 'list', 'watch'].includes(verb));
  assert.deepEqual(writes(), []);

  await grant(server());
  const configuration = objectIn(namespace, 'v1', 'ConfigMap', 'public-config');
  const made = await waitForObject(server(), configuration, 'made');
  assert.match(JSON.stringify(at(made, 'data')), /cluster_ranges = .*10\.244\.1\.0/);
  await waitForObject(server(), objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'), 'made');
  const written = writes().filter(({ resource, verb }) => resource === 'configmaps' && verb === 'patch');
  assert.equal(written.length, 1);
  command.child.kill('SIGTERM');
  assert.equal((await command.ended()).code, 0);
});
