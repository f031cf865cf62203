/**
 * An operator for some namespaces, by the real command with the arguments and exactly the roles that the chart renders for
 * them: it may do all that it does there, and looks at nothing else. With no right on anything of the whole cluster only the
 * nodes stay unknown.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NamedObject } from '../../apiserver/client.ts';
import { readDefinitions } from '../../apiserver/definitions.ts';
import { type AuditedRequest, useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { only, RELEASE, render, textsAt } from '../../charts/rendering.ts';
import { needs, partObstacle } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { runCommand, startCommand } from '../cli/operator-process.ts';
import { at } from '../environments.ts';
import {
  makeNamespace,
  objectIn,
  OPERATOR_USER,
  playPod,
  sentence,
  told,
  waitForObject,
} from './running-operator.ts';

const RBAC = 'rbac.authorization.k8s.io/';
/** For what is noticed by a look from time to time. */
const LOOK_MILLIS = 60_000;

const server = useApiServer(async ({ admin }) => {
  if (partObstacle('definitions') === undefined) await admin.install(readDefinitions());
  await admin.install([trackerDefinitionObject()]);
});

/** Everything of one tracker that is not of the core of Kubernetes. */
const EVERYTHING = {
  http: [
    { name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] },
    {
      name: 'tls',
      port: 7443,
      tls: { certManager: { issuerRef: { name: 'ca' }, dnsNames: ['a.example'] } },
    },
  ],
  exposure: {
    acknowledgeSourceNAT: true,
    gateway: {
      parentRefs: [{ name: 'edge' }],
      udpRoutes: [{ listener: 'main', parentRefs: [{ name: 'edge' }] }],
    },
    ingress: { host: 'a.example' },
  },
  monitoring: { serviceMonitor: { enabled: true }, rules: { enabled: true } },
};

const MADE_OF_EVERYTHING = [
  ['apps/v1', 'StatefulSet', 'all'],
  ['v1', 'PersistentVolumeClaim', 'all-data'],
  ['policy/v1', 'PodDisruptionBudget', 'all'],
  ['networking.k8s.io/v1', 'NetworkPolicy', 'all'],
  ['networking.k8s.io/v1', 'Ingress', 'all'],
  ['gateway.networking.k8s.io/v1', 'HTTPRoute', 'all'],
  ['gateway.networking.k8s.io/v1', 'UDPRoute', 'all-udp-main'],
  ['monitoring.coreos.com/v1', 'ServiceMonitor', 'all'],
  ['monitoring.coreos.com/v1', 'PrometheusRule', 'all'],
  ['cert-manager.io/v1', 'Certificate', 'all-http-tls-tls'],
] as const;

/** Makes the account and the roles of the chart. Resolves to the account's token, when the server has read the roles. */
async function install(objects: readonly NamedObject[], namespaces: readonly string[]): Promise<string> {
  const token = await server().serviceAccountToken(RELEASE.namespace, RELEASE.name);
  for (const object of objects) await server().admin.apply(object);
  const may = async (namespace: string, group: string, resource: string, verb: string) => {
    const { body } = await server().admin.request(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user: OPERATOR_USER, resourceAttributes: { namespace, group, resource, verb } },
      },
    );
    return at(body, 'status.allowed') === true;
  };
  await waitFor('the server knows the roles', async () => {
    const answers = await Promise.all([
      may(RELEASE.namespace, 'coordination.k8s.io', 'leases', 'update'),
      ...namespaces.map((namespace) => may(namespace, 'cert-manager.io', 'certificates', 'delete')),
    ]);
    return answers.every((answer) => answer);
  });
  return token;
}

/** What the operator asks of the whole cluster: nodes, ranges of Services, classes of Ingresses. */
const OF_THE_CLUSTER = ['get nodes', 'list ingressclasses', 'list nodes', 'list servicecidrs'];

interface Case {
  readonly nodes: boolean;
  /** What the operator is refused, and does without. */
  readonly denied: readonly string[];
  /** The address at which a pod on a node is told. */
  readonly nodeAddress: string;
}

describe('Under the roles of chosen namespaces everything works there and nothing elsewhere,', () => {
  const CASES: Record<string, Case> = {
    'with no ClusterRole': { nodes: false, denied: OF_THE_CLUSTER, nodeAddress: '192.0.2.1' },
    'with one for what is of the cluster alone': { nodes: true, denied: [], nodeAddress: '198.51.100.7' },
  };
  for (const [title, { nodes, denied, nodeAddress }] of Object.entries(CASES)) {
    test(title, needs('apiserver', 'helm', 'definitions'), async (context) => {
      const { admin } = server();
      const [first, second, elsewhere] = [
        await makeNamespace(server()),
        await makeNamespace(server()),
        await makeNamespace(server()),
      ];
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } };
      await admin.apply(node);
      const addresses = [{ type: 'ExternalIP', address: '198.51.100.7' }];
      await admin.apply({ ...node, status: { addresses } }, { subresource: 'status' });
      const chart = await render('torrust-tracker-operator', {
        namespaces: [first, second],
        rbac: { nodes, aggregate: false },
        crds: { enabled: false },
      });
      const roles = chart.filter(
        ({ apiVersion, metadata }) => apiVersion.startsWith(RBAC) && !metadata.name.endsWith('selftest'),
      );
      assert.equal(roles.filter(({ kind }) => kind === 'ClusterRole').length, nodes ? 1 : 0);
      const token = await install(roles, [first, second]);
      const since = server().requestsOf(OPERATOR_USER).length;
      const requests = (): AuditedRequest[] => server().requestsOf(OPERATOR_USER).slice(since);
      const args = textsAt(only(chart, 'Deployment'), 'spec.template.spec.containers.0.args');
      const kubeconfig = server().kubeconfig(token, RELEASE.namespace);
      const command = startCommand(context, [...args, '--bind-address', '127.0.0.1:0'], kubeconfig);

      await admin.apply(trackerObject('all', EVERYTHING, elsewhere));
      await admin.apply(trackerObject('all', EVERYTHING, first));
      for (const [apiVersion, kind, name] of MADE_OF_EVERYTHING) {
        await waitForObject(
          server(),
          objectIn(first, apiVersion, kind, name),
          'made',
          undefined,
          LOOK_MILLIS,
        );
      }
      const lease = objectIn(RELEASE.namespace, 'coordination.k8s.io/v1', 'Lease', 'torrust-operator');
      assert.ok(at(await admin.get(lease), 'spec.holderIdentity'), 'the lease is held');

      // In the other namespace: a Secret that comes later, what somebody changes, a node, a prune.
      const edge = { exposure: { type: 'NodePort' }, api: { tokenSecretRef: { name: 'token' } } };
      const tracker = trackerObject('edge', edge, second);
      await admin.apply(tracker);
      await playPod(
        server(),
        second,
        'edge',
        { phase: 'Running', hostIP: '192.0.2.1', hostIPs: [{ ip: '192.0.2.1' }] },
        'node-1',
      );
      const sees = (type: string, state: string) =>
        waitForObject(server(), tracker, `${type} ${state}`, (found) => told(found, type) === state);
      await sees('ConfigValid', 'False SecretMissing');
      const data = { admin: Buffer.from('one-word').toString('base64') };
      await admin.apply({ ...objectIn(second, 'v1', 'Secret', 'token'), data });
      await sees('ConfigValid', 'True Valid');
      await waitForObject(server(), tracker, 'an address of its node', (found) =>
        JSON.stringify(at(found, 'status.addresses') ?? []).includes(`"${nodeAddress}"`),
      );
      const service = objectIn(second, 'v1', 'Service', 'edge-udp');
      const { spec } = await waitForObject(server(), service, 'made');
      await admin.apply({ ...service, spec: { selector: { stolen: 'yes' } } }, { manager: 'somebody' });
      await waitForObject(
        server(),
        service,
        'mended',
        (found) =>
          JSON.stringify(at(found, 'spec.selector')) === JSON.stringify(at({ spec }, 'spec.selector')),
      );
      await admin.apply(trackerObject('edge', { ...edge, http: [] }, second));
      await waitFor('an end of the Service of HTTP', async () => {
        return (await admin.get(objectIn(second, 'v1', 'Service', 'edge-http'))) === undefined;
      });
      await waitFor('an event', () =>
        requests().some(
          ({ group, verb, namespace }) =>
            group === 'events.k8s.io' && verb === 'create' && namespace === second,
        ),
      );

      const foreign = await admin.get(trackerObject('all', {}, elsewhere));
      assert.equal(at(foreign, 'status'), undefined, sentence(foreign ?? tracker, 'Ready'));
      command.child.kill('SIGTERM');
      const end = await command.ended();
      assert.equal(end.code, 0, end.stderr);
      const nameOf = ({ verb, resource }: AuditedRequest) => `${verb} ${resource}`;
      const refused = requests().filter(({ isDenied }) => isDenied);
      assert.deepEqual([...new Set(refused.map(nameOf))].toSorted(), denied);
      const places = new Set(requests().flatMap(({ namespace }) => (namespace === '' ? [] : [namespace])));
      assert.deepEqual(
        places,
        new Set([first, second, RELEASE.namespace]),
        'other namespaces are left alone',
      );
      // Without a namespace: what is of the whole cluster, and the list of what its APIs are.
      const wide = requests().filter(({ namespace, resource }) => namespace === '' && resource !== '');
      assert.deepEqual([...new Set(wide.map(nameOf))].toSorted(), OF_THE_CLUSTER);
      // What the operator says of itself is the same.
      const check = (...more: string[]) => runCommand(context, ['check', ...more], kubeconfig);
      const enough = await check('--namespaces', `${first},${second}`);
      assert.equal(enough.code, 0, enough.stdout);
      assert.equal(/^no {3}nodes +lacks get, list/m.test(enough.stdout), !nodes);
      const everywhere = await check();
      assert.equal(everywhere.code, 1);
      assert.match(everywhere.stdout, /^NO {3}secrets +lacks get, list, watch, create, patch: /m);
      for (const role of roles) await admin.delete(role);
    });
  }
});
