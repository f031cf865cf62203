/**
 * What the operator reads in Secrets and puts into them is nowhere else: in no status, event, line of its log, ConfigMap or
 * annotation. What others claim moves nothing of theirs; and what it has no business with, the API server refuses. Against a
 * real API server, under the operator's own rights.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ApiClient } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { selfSigned } from '../../api/certificates.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { grant, makeNamespace, objectIn, startOperator, told, waitForObject } from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

/** Everything that the operator writes in a namespace but Secrets, and what others write about it. */
const READABLE = [
  '/api/v1/namespaces/NAMESPACE/configmaps',
  '/api/v1/namespaces/NAMESPACE/events',
  '/api/v1/namespaces/NAMESPACE/persistentvolumeclaims',
  '/api/v1/namespaces/NAMESPACE/serviceaccounts',
  '/api/v1/namespaces/NAMESPACE/services',
  '/apis/apps/v1/namespaces/NAMESPACE/deployments',
  '/apis/apps/v1/namespaces/NAMESPACE/statefulsets',
  '/apis/networking.k8s.io/v1/namespaces/NAMESPACE/networkpolicies',
  '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets',
  '/apis/tracker.torrust.com/v1alpha1/namespaces/NAMESPACE/torrusttrackers',
];

test('no content of a Secret gets out of it', needs('apiserver'), async (context) => {
  const operator = await startOperator(context, server());
  const namespace = await makeNamespace(server());
  const { admin } = server();
  const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const pair = selfSigned('web');
  const bad: Record<string, Record<string, string>> = {
    // Each is one that is complained about.
    token: { admin: 'hush-token-schlüssel' },
    db: { username: 'hush-user' },
    authority: { 'ca.crt': 'hush-authority' },
    garbage: { 'tls.crt': 'hush-certificate', 'tls.key': 'hush-key' },
    mixed: { 'tls.crt': pair.cert, 'tls.key': other },
  };
  for (const [name, content] of Object.entries(bad)) {
    const data = Object.fromEntries(
      Object.entries(content).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    );
    await admin.apply({ ...objectIn(namespace, 'v1', 'Secret', name), data });
  }
  const web = (name: string, port: number, tls: object) => ({ name, port, tls });
  const spec = {
    api: { tokenSecretRef: { name: 'token' } },
    http: [web('a', 7443, { secretName: 'garbage' }), web('b', 7444, { secretName: 'mixed' })],
    database: {
      mysql: {
        host: 'db',
        database: 'd',
        credentialsSecretRef: { name: 'db' },
        tls: { caSecretRef: { name: 'authority' } },
      },
    },
  };
  const broken = trackerObject('broken', spec, namespace);
  const signed = trackerObject('signed', { http: [web('a', 7443, { selfSigned: {} })] }, namespace);
  await admin.apply(broken);
  await admin.apply(signed);
  for (const type of ['ConfigValid', 'CertificatesReady', 'DatabaseReady']) {
    await waitForObject(server(), broken, `${type} is told`, (found) =>
      told(found, type).startsWith('False'),
    );
  }
  await waitForObject(server(), objectIn(namespace, 'apps/v1', 'StatefulSet', 'signed'), 'made');
  await waitForObject(server(), signed, 'told', (found) => told(found, 'CertificatesReady') !== '');

  const { body } = await admin.request('GET', `/api/v1/namespaces/${namespace}/secrets`);
  // A list of Secrets.
  const { items } = body as { items: { metadata: { name: string }; data: Record<string, string> }[] };
  const secrets = items.flatMap(({ metadata: { name }, data }) =>
    Object.entries(data).flatMap(([key, encoded]) => {
      // Certificates are shown to everybody who connects; of a key it is enough to find a line.
      const value = Buffer.from(encoded, 'base64').toString();
      if (key !== 'tls.key' && value.includes('BEGIN CERTIFICATE')) return [];
      const lines = value.split('\n').filter((line) => line.length >= 8 && !line.startsWith('-----'));
      return [encoded, ...lines].map((text) => ({ from: `${name}/${key}`, text }));
    }),
  );
  const made = new Set(items.map(({ metadata: { name } }) => name));
  for (const name of ['signed-api-token', 'signed-connection-id', 'signed-ca', 'signed-http-a-tls']) {
    assert.ok(made.has(name), name);
  }
  const texts = new Map([
    ['events', JSON.stringify(operator.events)],
    ['the log', operator.lines.join('\n')],
  ]);
  for (const path of READABLE) {
    const answer = await admin.request('GET', path.replace('NAMESPACE', namespace));
    assert.equal(answer.status, 200, path);
    texts.set(path, JSON.stringify(answer.body));
  }
  assert.ok(operator.events.length > 0);
  for (const [where, text] of texts) {
    for (const { from, text: secret } of secrets) assert.ok(!text.includes(secret), `${where} holds ${from}`);
  }
});

test(
  'what an object of another namespace says of its owner is not believed',
  needs('apiserver'),
  async (context) => {
    await startOperator(context, server());
    const { admin } = server();
    const [namespace, elsewhere] = [await makeNamespace(server()), await makeNamespace(server())];
    const tracker = trackerObject('public', {}, namespace);
    await admin.apply(tracker);
    const config = objectIn(namespace, 'v1', 'ConfigMap', 'public-config');
    const made = await waitForObject(server(), config, 'made');
    // Its owner is the tracker, it says, and it is none of what a tracker has: here it would be removed.
    const claim = (where: string) => ({
      ...objectIn(where, 'v1', 'ConfigMap', 'claimed'),
      metadata: {
        name: 'claimed',
        namespace: where,
        labels: { 'app.kubernetes.io/managed-by': 'torrust-operator' },
        ownerReferences: at(made, 'metadata.ownerReferences'),
      },
    });
    const [there, here] = [claim(elsewhere), claim(namespace)];
    await admin.apply(there);
    await admin.apply(here);
    await waitFor('the removal here', async () => (await admin.get(here)) === undefined);
    assert.notEqual(await admin.get(there), undefined);
  },
);

test(
  'a tracker has an account that may do nothing, and no token of it',
  needs('apiserver'),
  async (context) => {
    await startOperator(context, server());
    const { admin } = server();
    const namespace = await makeNamespace(server());
    await admin.apply(trackerObject('public', {}, namespace));
    await admin.apply({ ...objectIn(namespace, 'v1', 'Secret', 'mine'), data: {} });
    const workload = await waitForObject(
      server(),
      objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'),
      'made',
    );
    const account = at(workload, 'spec.template.spec.serviceAccountName');
    assert.equal(account, 'public');
    assert.equal(at(workload, 'spec.template.spec.automountServiceAccountToken'), false);
    // Whoever takes a tracker over and gets at a token of its account all the same.
    const token = await server().serviceAccountToken(namespace, account);
    const client = new ApiClient(server().url, server().authority, token);
    context.after(() => client.close());
    const core = `/api/v1/namespaces/${namespace}`;
    const trackers = `/apis/tracker.torrust.com/v1alpha1/namespaces/${namespace}/torrusttrackers`;
    const refused: readonly [method: string, path: string, body?: object][] = [
      ['GET', `${core}/secrets`],
      ['GET', `${core}/secrets/mine`],
      ['GET', `${core}/secrets/public-api-token`],
      ['GET', '/api/v1/secrets'],
      ['POST', `${core}/secrets`, objectIn(namespace, 'v1', 'Secret', 'another')],
      ['GET', `${core}/configmaps/public-config`],
      ['GET', `${core}/pods`],
      ['POST', `${core}/pods`, objectIn(namespace, 'v1', 'Pod', 'another')],
      ['POST', `${core}/pods/public-0/exec?command=id`],
      ['POST', `${core}/serviceaccounts/default/token`, {}],
      ['GET', `${core}/services`],
      ['GET', '/api/v1/nodes'],
      ['GET', `/apis/apps/v1/namespaces/${namespace}/statefulsets/public`],
      ['GET', `${trackers}/public`],
      ['DELETE', `${trackers}/public`],
    ];
    for (const [method, path, body] of refused) {
      assert.equal((await client.request(method, path, body)).status, 403, `${method} ${path}`);
    }
  },
);

// The last one: an operator that stops looks for requests of its account that were refused.
test('what the operator has no business with is refused', needs('apiserver'), async (context) => {
  const { admin } = server();
  const token = await grant(server());
  const kubeconfig: unknown = parse(server().kubeconfig(token));
  const cluster = at(kubeconfig, 'clusters.0.cluster');
  const authority = Buffer.from(String(at(cluster, 'certificate-authority-data')), 'base64').toString();
  const client = new ApiClient(String(at(cluster, 'server')), authority, token);
  context.after(() => client.close());
  const namespace = await makeNamespace(server());
  await admin.apply({ ...objectIn(namespace, 'v1', 'Secret', 'mine'), data: {} });
  await admin.apply(trackerObject('mine', {}, namespace));
  const core = `/api/v1/namespaces/${namespace}`;
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const trackers = `/apis/tracker.torrust.com/v1alpha1/namespaces/${namespace}/torrusttrackers`;
  const refused: readonly [method: string, path: string, body?: object][] = [
    ['DELETE', `${core}/secrets/mine`],
    ['PUT', `${core}/secrets/mine`, { ...objectIn(namespace, 'v1', 'Secret', 'mine'), data: {} }],
    ['DELETE', `${core}/persistentvolumeclaims/mine`],
    ['POST', `${core}/pods`, objectIn(namespace, 'v1', 'Pod', 'mine')],
    ['DELETE', `${core}/pods/mine`],
    ['POST', `${core}/pods/mine/exec?command=id`],
    ['GET', `${core}/pods/mine/log`],
    ['POST', `${core}/serviceaccounts/default/token`, {}],
    ['GET', '/api/v1/nodes/mine/proxy/pods'],
    ['GET', '/api/v1/namespaces'],
    ['DELETE', `${trackers}/mine`],
    ['PUT', `${trackers}/mine`, trackerObject('mine', {}, namespace)],
    ['GET', `${rbac}/clusterroles`],
    ['POST', `${rbac}/clusterrolebindings`, {}],
    ['GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'],
    ['GET', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'],
  ];
  for (const [method, path, body] of refused) {
    assert.equal((await client.request(method, path, body)).status, 403, `${method} ${path}`);
  }
});
