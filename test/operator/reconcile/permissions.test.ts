/**
 * What the operator may do is what it does: over a life with every kind of object it is refused nothing, and every verb of
 * every resource that its roles grant is used.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Environment } from '../../../operator/desired/environment.ts';
import { PERMISSIONS } from '../../../operator/permissions.ts';
import { readDefinitions } from '../../apiserver/definitions.ts';
import { type ApiServer, startApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { EVERYTHING } from '../environments.ts';
import { startGranted } from './granted-command.ts';
import {
  makeNamespace,
  objectIn,
  OPERATOR_USER,
  playPod,
  startOperator,
  waitForObject,
} from './running-operator.ts';

/** `group/resource verb` of everything that the server did for the operator. */
function usedBy(server: ApiServer): Set<string> {
  return new Set(
    server
      .requestsOf(OPERATOR_USER)
      .filter(({ code }) => code < 400 || code === 404)
      .flatMap(({ group, resource, subresource, verb, code }) => {
        const what = `${group}/${resource}${subresource === '' ? '' : `/${subresource}`}`;
        // A patch that makes an object needs the right to create it too.
        return verb === 'patch' && code === 201 ? [`${what} patch`, `${what} create`] : [`${what} ${verb}`];
      }),
  );
}

const GRANTED = PERMISSIONS.flatMap(({ group, resources, verbs }) =>
  resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
);

test('every right is used, and none is missing', needs('apiserver', 'definitions'), async (context) => {
  const server = await startApiServer();
  context.after(() => server.close());
  await server.admin.install([trackerDefinitionObject(), ...readDefinitions()]);
  const namespace = await makeNamespace(server);
  const proxied = { name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] };
  const issued = {
    name: 'tls',
    port: 7443,
    tls: { certManager: { issuerRef: { name: 'ca' }, dnsNames: ['a.b'] } },
  };
  const issuedByCluster = {
    name: 'tls-2',
    port: 7444,
    tls: { certManager: { issuerRef: { name: 'ca', kind: 'ClusterIssuer' }, dnsNames: ['a.b'] } },
  };
  const everything = {
    http: [proxied, issued, issuedByCluster],
    exposure: {
      acknowledgeSourceNAT: true,
      gateway: {
        parentRefs: [{ name: 'edge' }],
        udpRoutes: [{ listener: 'main', parentRefs: [{ name: 'edge' }] }],
      },
      ingress: { host: 'a.b' },
    },
    monitoring: {
      serviceMonitor: { enabled: true },
      rules: { enabled: true },
      dashboards: { enabled: true },
    },
  };
  const mysql = { host: 'db', database: 'd', credentialsSecretRef: { name: 'db' } };
  const lives: Record<string, { object: [string, string, string]; spec: object }> = {
    'with everything, on a volume': { object: ['apps/v1', 'StatefulSet', 'all'], spec: everything },
    'with nothing of that, on MySQL': {
      object: ['apps/v1', 'Deployment', 'all'],
      spec: { http: [proxied], database: { mysql }, networkPolicy: { enabled: false } },
    },
    'on nodes': {
      object: ['apps/v1', 'DaemonSet', 'all'],
      spec: { topology: 'HostNode', http: [], database: { mysql } },
    },
    'as at first': { object: ['apps/v1', 'StatefulSet', 'all'], spec: {} },
  };
  // Dashboards come with the operator's image; here they are the test's.
  const environment: Partial<Environment> = { apis: EVERYTHING.apis, dashboards: EVERYTHING.dashboards };
  const operator = await startOperator(context, server, { environment });
  await server.admin.apply({ ...objectIn(namespace, 'v1', 'Secret', 'db'), data: { username: 'dQ==' } });
  for (const { object, spec } of Object.values(lives)) {
    await server.admin.apply(trackerObject('all', spec, namespace));
    await waitForObject(server, objectIn(namespace, ...object), 'made');
  }
  await waitFor('an end of the last change', async () => {
    return (await server.admin.get(objectIn(namespace, 'apps/v1', 'DaemonSet', 'all'))) === undefined;
  });
  await operator.stop();

  // The lease, events and nodes are matters of the whole command.
  const command = await startGranted(context, server);
  await server.admin.apply({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-1' },
    spec: { podCIDRs: ['10.244.1.0/24'] },
  });
  await server.admin.apply(trackerObject('edge', { exposure: { type: 'NodePort' } }, namespace));
  await playPod(server, namespace, 'edge', { phase: 'Running', hostIP: '192.0.2.1' }, 'node-1');
  const rest = () => GRANTED.filter((right) => !usedBy(server).has(right));
  await waitFor('the node is looked at', () => !rest().includes('/nodes get'));
  // What happens again is one event that counts.
  for (let round = 0; round < 3 && rest().includes('events.k8s.io/events patch'); round++) {
    for (const value of ['schlüssel', 'one-word']) {
      const data = { admin: Buffer.from(value).toString('base64') };
      await server.admin.apply({ ...objectIn(namespace, 'v1', 'Secret', 'token'), data });
      await server.admin.apply(
        trackerObject('edge', { api: { tokenSecretRef: { name: 'token' } } }, namespace),
      );
      await pause(1500);
    }
  }
  await command.stop();

  assert.deepEqual(rest(), [], 'rights that nothing uses');
});
