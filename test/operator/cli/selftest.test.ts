/**
 * `torrust-operator selftest` against a real API server: an operator makes what the tracker asks for, a real tracker answers
 * in the place of its pod, and the test plays the rest, names of Services included. What it says, and how it ends, when
 * something is wrong; and that it leaves nothing.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { GROUP } from '../../../operator/crd/tracker.ts';
import type { NamedObject } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { only, render } from '../../charts/rendering.ts';
import { needs, partObstacle } from '../../support/parts.ts';
import { temporaryFolder } from '../../support/tracker-process.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { loopbackAddress, startLoopbackPod } from '../probe/loopback-pod.ts';
import {
  makeNamespace,
  objectIn,
  playPod,
  playWorkload,
  readyAt,
  startOperator,
  waitForObject,
} from '../reconcile/running-operator.ts';
import { type CommandEnd, type RunningCommand, startCommand } from './operator-process.ts';

// Without the definition, which comes with the second suite.
const server = useApiServer();

const ACCOUNT = 'torrust-operator-selftest';
const MADE = /^made the tracker (\S+)\/(selftest-[0-9a-f]{6})$/m;
/** The listeners of a tracker that says nothing of them. */
const USUAL_PORTS = {
  udp: [{ name: 'main', port: 6969 }],
  http: [{ name: 'main', port: 7070 }],
  api: { port: 1212 },
} as const;

/** An account with the rights of the chart. */
interface Granted {
  readonly kubeconfig: string;
  /** As `resource verb`, sorted. */
  readonly rights: readonly string[];
  /** Those that it has used. */
  used(): string[];
  /** Those that it lacked. */
  denied(): string[];
}

/** Gives the account the role of the chart, for a namespace. */
async function grantSelftest(namespace: string): Promise<Granted> {
  const chart = await render('torrust-tracker-operator', { selftest: { namespace } });
  // A Role, which the server takes.
  const rules = only(chart, 'Role', ACCOUNT)['rules'] as { resources: string[]; verbs: string[] }[];
  const token = await server().serviceAccountToken(namespace, ACCOUNT);
  for (const object of chart.filter(({ metadata }) => metadata.name === ACCOUNT)) {
    if (['Role', 'RoleBinding'].includes(object.kind)) await server().admin.apply(object);
  }
  await waitFor('the server knows the role', async () => {
    const { body } = await server().admin.request(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: userOf(namespace),
          resourceAttributes: { namespace, verb: 'delete', group: GROUP, resource: 'torrusttrackers' },
        },
      },
    );
    return at(body, 'status.allowed') === true;
  });
  const requests = (isDenied: boolean) =>
    server()
      .requestsOf(userOf(namespace))
      .filter((request) => request.isDenied === isDenied)
      // A patch that makes an object needs the right to create it too.
      .flatMap(({ resource, verb, code }) => [
        `${resource} ${verb}`,
        ...(verb === 'patch' && code === 201 ? [`${resource} create`] : []),
      ]);
  return {
    kubeconfig: server().kubeconfig(token, namespace),
    rights: rules
      .flatMap(({ resources, verbs }) =>
        resources.flatMap((resource) => verbs.map((verb) => `${resource} ${verb}`)),
      )
      .toSorted(),
    used: () => [...new Set(requests(false))].toSorted(),
    denied: () => requests(true),
  };
}

function userOf(namespace: string): string {
  return `system:serviceaccount:${namespace}:${ACCOUNT}`;
}

/** The tracker that a call has made. */
async function trackerOf(command: RunningCommand): Promise<NamedObject> {
  const [, namespace, name = ''] = await waitFor('a tracker', () => MADE.exec(command.stdout()) ?? undefined);
  return trackerObject(name, {}, namespace);
}

/** Ends the call, and looks that nothing of its tracker is left but what a garbage collector takes. */
async function endOf(command: RunningCommand, tracker: NamedObject): Promise<CommandEnd> {
  const end = await command.ended();
  const { name, namespace = '' } = tracker.metadata;
  assert.equal(await server().admin.get(tracker), undefined, end.stdout);
  for (const kind of ['secrets', 'persistentvolumeclaims']) {
    const path = `/api/v1/namespaces/${namespace}/${kind}?labelSelector=app.kubernetes.io/instance=${name}`;
    const { body } = await server().admin.request('GET', path);
    // A list of the server. A volume claim waits for a controller that ends its protection.
    const items = (body as { items: NamedObject[] }).items;
    const left = items.filter((item) => at(item, 'metadata.deletionTimestamp') === undefined);
    assert.deepEqual(left, [], `${kind} are left`);
  }
  assert.match(end.stdout, /deleted it\n$/);
  return end;
}

/** Runs a program with a file in the place of /etc/hosts, and with no name server. */
function withHosts(context: TestContext, hosts: string): readonly string[] {
  const resolver = join(temporaryFolder(context), 'resolv.conf');
  writeFileSync(resolver, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  const script =
    'mount --bind "$0" /etc/hosts && mount --bind "$1" "$(realpath /etc/resolv.conf)" && shift && exec "$@"';
  return ['unshare', '--mount', 'sh', '-c', script, hosts, resolver];
}

describe('In a cluster without the definition', () => {
  test('it says so, and what to do', needs('apiserver'), async (context) => {
    const command = startCommand(context, ['selftest'], server().kubeconfig());
    const { code, stdout, stderr } = await command.ended();
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: this cluster has no TorrustTracker .*: install the chart, or apply crds\/\n$/,
    );
    assert.equal(stdout, '');
  });
});

describe('In a cluster with the definition', () => {
  before(async () => {
    if (partObstacle('apiserver') === undefined) await server().admin.install([trackerDefinitionObject()]);
  });

  test(
    'a tracker that answers is a success, with every right of its role used and none missing',
    needs('apiserver', 'helm', 'tmpfs'),
    async (context) => {
      const namespace = await makeNamespace(server());
      const account = await grantSelftest(namespace);
      await startOperator(context, server(), { namespaces: [namespace] });
      const address = loopbackAddress();
      await startLoopbackPod(context, {}, address, USUAL_PORTS);
      const folder = temporaryFolder(context);
      const hosts = join(folder, 'hosts');
      writeFileSync(hosts, '127.0.0.1 localhost\n');

      const args = ['selftest', '--namespace', namespace, '--timeout', '60'];
      const command = startCommand(context, args, account.kubeconfig, withHosts(context, hosts));
      const tracker = await trackerOf(command);
      const { name } = tracker.metadata;
      const services = [`${name}-udp.${namespace}.svc`, `${name}-http.${namespace}.svc`];
      writeFileSync(hosts, `127.0.0.1 localhost\n${address} ${services.join(' ')}\n`);
      await waitFor('a word about the pods', () => command.stdout().includes('\nPodsNotReady: '));
      const workload = await waitForObject(
        server(),
        objectIn(namespace, 'apps/v1', 'StatefulSet', name),
        'made',
      );
      await playWorkload(server(), workload, { isReady: true });
      await playPod(server(), namespace, name, readyAt(address));

      const { code, stdout, stderr } = await endOf(command, tracker);
      assert.equal(stderr, '');
      assert.equal(code, 0, stdout);
      assert.match(
        stdout,
        /^udp:\/\/selftest-\S+-udp\.\S+\.svc:6969\/announce: .*connect, announce, scrape, stop in/m,
      );
      assert.match(
        stdout,
        /^http:\/\/selftest-\S+-http\.\S+\.svc:7070\/announce: .*announce, scrape, stop in/m,
      );
      assert.match(stdout, /^the tracker answers$/m);
      assert.deepEqual(account.denied(), []);
      // The Services are asked for when their names are not known.
      assert.deepEqual([...account.used(), 'services get'].toSorted(), account.rights);
    },
  );

  test(
    'a listener that does not answer is a failure, told by its URL',
    needs('apiserver', 'helm', 'tmpfs'),
    async (context) => {
      const namespace = await makeNamespace(server());
      const account = await grantSelftest(namespace);
      const hosts = join(temporaryFolder(context), 'hosts');
      writeFileSync(hosts, '127.0.0.1 localhost\n');
      const args = ['selftest', '--namespace', namespace, '--timeout', '60'];
      const command = startCommand(context, args, account.kubeconfig, withHosts(context, hosts));
      const tracker = await trackerOf(command);
      const { name } = tracker.metadata;
      // Nothing to be sent to, but there: its name is unknown, and the test plays the operator.
      const service = `${name}-http`;
      const spec = { clusterIP: 'None', ports: [{ port: 7070 }] };
      await server().admin.apply({ ...objectIn(namespace, 'v1', 'Service', service), spec });
      const urls = [
        `http://${loopbackAddress()}:1/announce`,
        `http://${service}.${namespace}.svc:7070/announce`,
      ];
      const conditions = [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Serving',
          message: 'so it seems',
          observedGeneration: 1,
          lastTransitionTime: '2026-11-22T12:00:00Z',
        },
      ];
      await server().admin.apply(
        { ...tracker, status: { conditions, announceURLs: urls } },
        { subresource: 'status' },
      );
      const { code, stdout } = await endOf(command, tracker);
      assert.equal(code, 1);
      assert.match(stdout, /:1\/announce: connect failed: nobody listens there .*\n/);
      assert.match(stdout, /\.svc:7070\/announce: resolve failed: .*\n/);
      assert.match(stdout, /^the tracker does not answer as it should$/m);
      assert.deepEqual(account.denied(), []);
      assert.ok(account.used().includes('services get'));
    },
  );

  test('without an operator the time is over, and that is told', needs('apiserver'), async (context) => {
    const namespace = await makeNamespace(server());
    const args = ['selftest', '--namespace', namespace, '--timeout', '4'];
    const command = startCommand(context, args, server().kubeconfig());
    const tracker = await trackerOf(command);
    const { code, stdout } = await endOf(command, tracker);
    assert.equal(code, 1);
    assert.match(stdout, /\nno operator has looked at it yet\nit took more than 4 s\ndeleted it\n$/);
  });

  test('stopped in the middle it takes its tracker along', needs('apiserver'), async (context) => {
    const namespace = await makeNamespace(server());
    await startOperator(context, server(), { namespaces: [namespace] });
    const command = startCommand(context, ['selftest', '--namespace', namespace], server().kubeconfig());
    const tracker = await trackerOf(command);
    await waitFor('why it waits', () => /^PodsNotReady: 0 of 1 pods are ready\.$/m.test(command.stdout()));
    command.child.kill('SIGTERM');
    const { code, stdout } = await endOf(command, tracker);
    assert.equal(code, 1);
    assert.match(stdout, /\nit was stopped by SIGTERM\ndeleted it\n$/);
  });

  test('what is to be kept stays', needs('apiserver'), async (context) => {
    const namespace = await makeNamespace(server());
    const args = ['selftest', '--keep', '--namespace', namespace, '--timeout', '2'];
    const command = startCommand(context, args, server().kubeconfig());
    const tracker = await trackerOf(command);
    const { code, stdout } = await command.ended();
    assert.equal(code, 1);
    assert.doesNotMatch(stdout, /deleted/);
    assert.notEqual(await server().admin.get(tracker), undefined);
    await server().admin.delete(tracker);
  });

  test('who may not make a tracker is told so in one line', needs('apiserver'), async (context) => {
    const nobody = await server().serviceAccountToken('default', 'nobody');
    const command = startCommand(context, ['selftest'], server().kubeconfig(nobody));
    const { code, stdout, stderr } = await command.ended();
    assert.equal(code, 1);
    assert.match(stderr, /^error: .*403 Forbidden: .*nobody" cannot patch resource "torrusttrackers".*\n$/);
    assert.equal(stdout, '', 'nothing was made, and nothing is deleted');
  });
});
