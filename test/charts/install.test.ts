/**
 * The charts in a real API server: every object that they render is taken, the rights are enough and no more, and releases
 * come, change and go without taking a tracker with them.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Permission, PERMISSIONS } from '../../operator/permissions.ts';
import { ApiClient, messageOf, type NamedObject } from '../apiserver/client.ts';
import { runBinary } from '../apiserver/commands.ts';
import { readDefinitions } from '../apiserver/definitions.ts';
import { type ApiServer, useApiServer } from '../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../apiserver/trackers.ts';
import { at } from '../operator/environments.ts';
import { needs, partObstacle } from '../support/parts.ts';
import { BUNDLE_FILE, renderBundle } from './bundle.ts';
import { chartFolder, readObjects, RELEASE, render } from './rendering.ts';
import { checkOutOlderChart } from './older-chart.ts';
import { OPERATOR_VALUES, trackersOf } from './values.ts';

const OPERATOR_CHART = 'torrust-tracker-operator';
const NAMESPACES = [RELEASE.namespace, 'team-a', 'team-b'];

const server = useApiServer(async ({ admin }) => {
  if (partObstacle('definitions') === undefined) await admin.install(readDefinitions());
  for (const name of NAMESPACES) {
    await admin.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    });
  }
});

/** What the server says against objects, one sentence for each that it refuses. */
async function complaints(objects: readonly NamedObject[]): Promise<string[]> {
  const told: string[] = [];
  for (const object of objects) {
    const { status, body } = await server().admin.tryApply(object, { dryRun: true });
    if (status >= 300) told.push(`${object.kind} ${object.metadata.name}: ${messageOf(body)}`);
  }
  return told;
}

/** The pod that a workload would make: the server judges its security only when it is a pod. */
function podOf(workload: NamedObject): NamedObject {
  // A workload's template, which the server has taken or will complain of.
  const { metadata, spec } = at(workload, 'spec.template') as { metadata: object; spec: object };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: 'of-a-workload', namespace: RELEASE.namespace },
    spec,
  };
}

describe('the server takes every object of the operator, with', () => {
  for (const [title, values] of Object.entries(OPERATOR_VALUES)) {
    test(title, needs('apiserver', 'helm', 'definitions'), async () => {
      const objects = await render(OPERATOR_CHART, values);
      const pods = objects.filter(({ kind }) => kind === 'Deployment').map(podOf);
      assert.equal(pods.length, 1);
      assert.deepEqual(await complaints([...objects, ...pods]), []);
    });
  }
});

test('the plain bundle is current (node test/charts/bundle.ts --write)', needs('helm'), async () => {
  assert.equal(readFileSync(BUNDLE_FILE, 'utf8'), await renderBundle());
});

test('the plain bundle is all that a cluster needs', needs('apiserver'), async () => {
  const { code, stderr } = await runBinary('kubectl', server().home, [
    'apply',
    '--server-side',
    '--dry-run=server',
    '-f',
    BUNDLE_FILE,
  ]);
  assert.equal(code, 0, stderr);
  const [first] = readObjects(readFileSync(BUNDLE_FILE, 'utf8'));
  assert.deepEqual([first?.kind, first?.metadata.name], ['Namespace', RELEASE.namespace]);
});

describe('the rights of the operator', () => {
  const account = { namespace: RELEASE.namespace, name: 'torrust-operator' };

  /** Asks the server itself, as `torrust-operator check` does. */
  async function may(
    client: ApiClient,
    { group, resource, verb, namespace }: Record<'group' | 'resource' | 'verb' | 'namespace', string>,
  ): Promise<boolean> {
    const [name = '', subresource = ''] = resource.split('/');
    const { body } = await client.request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { group, resource: name, subresource, verb, namespace } },
    });
    return at(body, 'status.allowed') === true;
  }

  async function asOperator(values: object, work: (client: ApiClient) => Promise<void>): Promise<void> {
    const objects = await render(OPERATOR_CHART, values);
    const roles = objects.filter(
      ({ apiVersion, metadata }) =>
        apiVersion.startsWith('rbac.authorization.k8s.io/') && !metadata.name.endsWith('selftest'),
    );
    const token = await server().serviceAccountToken(account.namespace, account.name);
    const client = new ApiClient(server().url, server().authority, token);
    try {
      for (const role of roles) await server().admin.apply(role);
      await work(client);
    } finally {
      for (const role of [...roles, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: account }]) {
        await server().admin.delete(role);
      }
      await client.close();
    }
  }

  /** Those of the table that the operator does not have in a namespace. */
  async function missing(
    client: ApiClient,
    namespace: string,
    scope: Permission['scope'],
  ): Promise<string[]> {
    const asked = PERMISSIONS.filter((permission) => permission.scope === scope).flatMap(
      ({ group, resources, verbs }) =>
        resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb, namespace }))),
    );
    const answers = await Promise.all(
      asked.map(async (question) =>
        (await may(client, question)) ? [] : [`${question.verb} ${question.resource}`],
      ),
    );
    return answers.flat();
  }

  /** What nobody should have to fear. */
  const FORBIDDEN = [
    { group: '', resource: 'secrets', verb: 'delete' },
    { group: '', resource: 'persistentvolumeclaims', verb: 'delete' },
    { group: '', resource: 'pods', verb: 'create' },
    { group: '', resource: 'pods/exec', verb: 'create' },
    { group: 'rbac.authorization.k8s.io', resource: 'roles', verb: 'create' },
    { group: 'tracker.torrust.com', resource: 'torrusttrackers', verb: 'delete' },
    { group: 'coordination.k8s.io', resource: 'leases', verb: 'delete' },
  ];

  test('are enough everywhere, and no more', needs('apiserver', 'helm'), async () => {
    await asOperator({}, async (client) => {
      assert.deepEqual(await missing(client, 'team-b', 'watched'), []);
      assert.deepEqual(await missing(client, RELEASE.namespace, 'own'), []);
      assert.deepEqual(await missing(client, '', 'cluster'), []);
      assert.equal(
        await may(client, {
          group: 'coordination.k8s.io',
          resource: 'leases',
          verb: 'get',
          namespace: 'team-a',
        }),
        false,
      );
      for (const question of FORBIDDEN) {
        assert.equal(
          await may(client, { ...question, namespace: RELEASE.namespace }),
          false,
          question.resource,
        );
      }
    });
  });

  test('end at the chosen namespaces', needs('apiserver', 'helm'), async () => {
    await asOperator({ namespaces: ['team-a'] }, async (client) => {
      assert.deepEqual(await missing(client, 'team-a', 'watched'), []);
      assert.deepEqual(await missing(client, RELEASE.namespace, 'own'), []);
      for (const resource of ['secrets', 'configmaps', 'services']) {
        for (const namespace of ['team-b', '']) {
          assert.equal(await may(client, { group: '', resource, verb: 'list', namespace }), false);
        }
      }
    });
  });
});

describe('a release', () => {
  const helm = async ({ home }: ApiServer, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runBinary('helm', home, [
      ...args,
      '--namespace',
      RELEASE.namespace,
    ]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: RELEASE };
  const replicas = async (): Promise<unknown> => at(await server().admin.get(deployment), 'spec.replicas');

  test(
    'is installed, upgraded and rolled back, and leaves definition and trackers when it goes',
    needs('apiserver', 'helm'),
    async () => {
      const { name } = RELEASE;
      const folder = chartFolder(OPERATOR_CHART);
      assert.match(await helm(server(), 'install', name, folder), /STATUS: deployed/);
      assert.equal(await replicas(), 2);
      await server().admin.awaitKinds([trackerDefinitionObject()]);
      const public_ = trackerObject('public', {}, 'team-a');
      await server().admin.apply(public_);
      // A second release brings trackers, through the definition of the first.
      const trackers = ['--set-json', 'trackers={"club":{"mode":"Private"}}'];
      await helm(server(), 'install', 'mine', chartFolder('torrust-tracker'), ...trackers);
      const club = await server().admin.get(trackerObject('club', {}, RELEASE.namespace));
      assert.equal(at(club, 'spec.mode'), 'Private');

      // So would every tracker of our examples be.
      const examples = await render('torrust-tracker', { trackers: trackersOf('.') });
      assert.deepEqual(await complaints(examples), []);

      await helm(server(), 'upgrade', name, folder, '--set', 'replicas=3');
      assert.equal(await replicas(), 3);
      await helm(server(), 'rollback', name, '1');
      assert.equal(await replicas(), 2);

      await helm(server(), 'uninstall', 'mine');
      assert.equal(await server().admin.get(trackerObject('club', {}, RELEASE.namespace)), undefined);
      await helm(server(), 'uninstall', name);
      assert.equal(await replicas(), undefined);
      assert.notEqual(await server().admin.get(trackerDefinitionObject()), undefined);
      assert.notEqual(await server().admin.get(public_), undefined);
      // What stayed is taken up again.
      await helm(server(), 'install', name, folder, '--take-ownership');
      await helm(server(), 'uninstall', name);
      await server().admin.delete(public_);
    },
  );

  test(
    'of an older chart is upgraded to this one and rolled back, with the trackers that it had',
    needs('apiserver', 'helm', 'history'),
    async (context) => {
      const { name } = RELEASE;
      const folder = mkdtempSync(join(tmpdir(), 'tt-older-chart-'));
      context.after(() => rmSync(folder, { recursive: true, force: true }));
      const older = checkOutOlderChart(OPERATOR_CHART, folder);
      const definition = trackerDefinitionObject();
      const schema = async (): Promise<unknown> => at(await server().admin.get(definition), 'spec.versions');

      await helm(server(), 'install', name, older, '--take-ownership');
      await server().admin.awaitKinds([definition]);
      const schemaBefore = await schema();
      const tracker = trackerObject('veteran', {}, 'team-a');
      await server().admin.apply(tracker);
      const uid = at(await server().admin.get(tracker), 'metadata.uid');

      await helm(server(), 'upgrade', name, chartFolder(OPERATOR_CHART));
      assert.notDeepEqual(await schema(), schemaBefore);
      assert.equal(at(await server().admin.get(tracker), 'metadata.uid'), uid);
      // Whatever the newer chart has is there, as one that is installed afresh would have it.
      for (const object of await render(OPERATOR_CHART)) {
        if (object.metadata.name.endsWith('selftest')) continue;
        assert.notEqual(
          await server().admin.get(object),
          undefined,
          `${object.kind} ${object.metadata.name}`,
        );
      }

      await helm(server(), 'rollback', name, '1');
      assert.deepEqual(await schema(), schemaBefore);
      assert.equal(at(await server().admin.get(tracker), 'metadata.uid'), uid);
      await helm(server(), 'uninstall', name);
      assert.equal(at(await server().admin.get(tracker), 'metadata.uid'), uid);
    },
  );
});
