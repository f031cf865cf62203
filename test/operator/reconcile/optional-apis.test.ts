/** APIs that come to a cluster while the operator runs, by the real command against a real API server of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selfSigned } from '../../api/certificates.ts';
import { readDefinitions } from '../../apiserver/definitions.ts';
import { startApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { at } from '../environments.ts';
import { startGranted } from './granted-command.ts';
import { makeNamespace, objectIn, OPERATOR_USER, sentence, told, waitForObject } from './running-operator.ts';

const WITHIN_MILLIS = 60_000;

test(
  'an API that appears later is used within a minute',
  needs('apiserver', 'definitions'),
  async (context) => {
    const server = await startApiServer();
    context.after(() => server.close());
    await server.admin.install([trackerDefinitionObject()]);
    const namespace = await makeNamespace(server);
    const command = await startGranted(context, server);
    const tracker = trackerObject(
      'open',
      {
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
        },
        monitoring: { serviceMonitor: { enabled: true }, rules: { enabled: true } },
      },
      namespace,
    );
    await server.admin.apply(tracker);
    await waitForObject(
      server,
      tracker,
      'told',
      (found) => told(found, 'ExposureReady') === 'False APIMissing',
    );

    await server.admin.install(readDefinitions());
    const since = performance.now();
    for (const [apiVersion, kind, name] of [
      ['gateway.networking.k8s.io/v1', 'HTTPRoute', 'open'],
      ['gateway.networking.k8s.io/v1', 'UDPRoute', 'open-udp-main'],
      ['monitoring.coreos.com/v1', 'ServiceMonitor', 'open'],
      ['monitoring.coreos.com/v1', 'PrometheusRule', 'open'],
      ['cert-manager.io/v1', 'Certificate', 'open-http-tls-tls'],
    ] as const) {
      await waitForObject(
        server,
        objectIn(namespace, apiVersion, kind, name),
        'made',
        undefined,
        WITHIN_MILLIS,
      );
    }
    assert.ok(performance.now() - since < WITHIN_MILLIS);
    const waiting = await waitForObject(
      server,
      tracker,
      'told',
      (found) => told(found, 'ExposureReady') === 'False RouteNotAccepted',
      WITHIN_MILLIS,
    );
    assert.match(
      sentence(waiting, 'ExposureReady'),
      /has not been taken up by any gateway: see that the Gateway edge of its parentRefs exists/,
    );

    const routes = [
      objectIn(namespace, 'gateway.networking.k8s.io/v1', 'HTTPRoute', 'open'),
      objectIn(namespace, 'gateway.networking.k8s.io/v1', 'UDPRoute', 'open-udp-main'),
    ];
    const accept = async (status: string) => {
      const told = { status, reason: 'NotAllowedByListeners', message: 'no listener allows it' };
      const condition = { type: 'Accepted', ...told, lastTransitionTime: '2026-11-22T12:00:00Z' };
      const parent = { parentRef: { name: 'edge' }, controllerName: 'example.com/gateway' };
      for (const route of routes) {
        const taken = { ...route, status: { parents: [{ ...parent, conditions: [condition] }] } };
        await server.admin.apply(taken, { subresource: 'status', manager: 'gateway' });
      }
    };
    await accept('False');
    await waitForObject(
      server,
      tracker,
      'refused',
      (found) => /edge: no listener allows it/.test(sentence(found, 'ExposureReady')),
      WITHIN_MILLIS,
    );
    await accept('True');
    await waitForObject(
      server,
      tracker,
      'accepted',
      (found) => told(found, 'ExposureReady') === 'True Exposed',
      WITHIN_MILLIS,
    );
    // The server shows a UDPRoute in two versions, which are one object.
    const deleted = server.requestsOf(OPERATOR_USER).filter(({ verb }) => verb === 'delete');
    assert.deepEqual(deleted, []);
    const certificate = await server.admin.get(
      objectIn(namespace, 'cert-manager.io/v1', 'Certificate', 'open-http-tls-tls'),
    );
    assert.deepEqual(at(certificate, 'spec.dnsNames'), ['a.example']);
    await command.stop();
  },
);

test(
  'cert-manager may come, issue a certificate, go and come back',
  needs('apiserver', 'definitions'),
  async (context) => {
    const server = await startApiServer();
    context.after(() => server.close());
    await server.admin.install([trackerDefinitionObject()]);
    const namespace = await makeNamespace(server);
    const command = await startGranted(context, server);
    const tls = { certManager: { issuerRef: { name: 'ca' }, dnsNames: ['a.example'] } };
    const tracker = trackerObject('open', { http: [{ name: 'tls', port: 7443, tls }] }, namespace);
    await server.admin.apply(tracker);
    const sees = (state: string, message = /./) =>
      waitForObject(
        server,
        tracker,
        state,
        (found) =>
          told(found, 'CertificatesReady') === state && message.test(sentence(found, 'CertificatesReady')),
        WITHIN_MILLIS,
      );
    await sees('False APIMissing', /which this cluster does not have/);
    const definitions = readDefinitions().filter(({ metadata }) => metadata.name.endsWith('cert-manager.io'));
    await server.admin.install(definitions);
    await sees('False IssuerNotReady', /The Issuer ca of cert-manager.*does not exist/);
    const { cert, key } = selfSigned('a.example');
    const data = Object.fromEntries(
      Object.entries({ 'tls.crt': cert, 'tls.key': key }).map(([name, text]) => [
        name,
        Buffer.from(text).toString('base64'),
      ]),
    );
    const secret = objectIn(namespace, 'v1', 'Secret', 'open-http-tls-tls');
    await server.admin.apply({ ...secret, type: 'kubernetes.io/tls', data });
    await sees('True CertificatesValid');
    for (const definition of definitions) await server.admin.delete(definition);
    await sees('False APIMissing');
    await server.admin.install(definitions);
    await sees('True CertificatesValid');
    const certificate = objectIn(namespace, 'cert-manager.io/v1', 'Certificate', 'open-http-tls-tls');
    await waitForObject(server, certificate, 'made again', undefined, WITHIN_MILLIS);
    await command.stop();
  },
);
