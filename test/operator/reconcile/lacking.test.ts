/**
 * Things that a tracker names and the cluster lacks: each is told by its name, and heals when it appears. Against a real
 * API server.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NamedObject } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject } from '../../apiserver/trackers.ts';
import { selfSigned } from '../../api/certificates.ts';
import { needs } from '../../support/parts.ts';
import { at, PLAIN } from '../environments.ts';
import { objectIn, playPod, playWorkload, readyAt, sentence, waitForObject } from './running-operator.ts';
import { enterScene, type Scene } from './scene.ts';

/** A definition of a kind of cert-manager, in the parts that the operator reads and writes. */
function definition(kind: string, plural: string, scope: 'Namespaced' | 'Cluster'): NamedObject {
  const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.cert-manager.io` },
    spec: {
      group: 'cert-manager.io',
      scope,
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec: anything, status: anything } } },
        },
      ],
    },
  };
}

const server = useApiServer(({ admin }) =>
  admin.install([
    trackerDefinitionObject(),
    definition('Certificate', 'certificates', 'Namespaced'),
    definition('Issuer', 'issuers', 'Namespaced'),
    definition('ClusterIssuer', 'clusterissuers', 'Cluster'),
  ]),
);

const WEB = { name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] };

function ingressClass(name: string): NamedObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name },
    spec: { controller: 'example.com/ingress' },
  };
}

function issuer(kind: string, name: string, namespace: string | undefined, isReady: boolean): NamedObject {
  const ready = {
    type: 'Ready',
    status: isReady ? 'True' : 'False',
    message: 'the account is not registered',
  };
  return {
    apiVersion: 'cert-manager.io/v1',
    kind,
    metadata: { name, namespace },
    spec: {},
    status: { conditions: [ready] },
  };
}

const cases: Record<string, (scene: Scene) => Promise<void>> = {
  'the class of an Ingress': async ({ apply, tracker, sees, namespace }) => {
    const className = `class-of-${namespace}`;
    await apply(tracker({ http: [WEB], exposure: { ingress: { className, host: 'a.example' } } }));
    await sees(
      'ExposureReady',
      'False ClassMissing',
      new RegExp(`IngressClass ${className}, which does not`),
    );
    await sees('Ready', 'False ClassMissing');
    await apply(ingressClass(className));
    await sees('ExposureReady', 'True Exposed');
  },
  'a default class for an Ingress, until a controller takes it up': async ({
    apply,
    tracker,
    sees,
    namespace,
  }) => {
    await apply(tracker({ http: [WEB], exposure: { ingress: { host: 'a.example' } } }));
    await sees('ExposureReady', 'False ClassMissing', /no default IngressClass/);
    const ingress = objectIn(namespace, 'networking.k8s.io/v1', 'Ingress', 'public');
    await server().admin.apply(
      { ...ingress, status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } },
      { subresource: 'status', manager: 'controller' },
    );
    await sees('ExposureReady', 'True Exposed');
  },
  'the certificate of an Ingress, half of it, and the right one of a pair': async (scene) => {
    const { apply, tracker, secret, sees, namespace } = scene;
    const className = `tls-of-${namespace}`;
    await apply(ingressClass(className));
    const ingress = { className, host: 'a.example', tlsSecretName: 'web-tls' };
    await apply(tracker({ http: [WEB], exposure: { ingress } }));
    await sees(
      'ExposureReady',
      'False SecretMissing',
      /spec\.exposure\.ingress\.tlsSecretName names the Secret web-tls, .* create it with the keys tls\.crt and tls\.key/,
    );
    const [one, other] = [selfSigned('one'), selfSigned('other')];
    await apply(secret('web-tls', { 'tls.crt': one.cert }));
    await sees('ExposureReady', 'False SecretIncomplete', /web-tls .* lacks tls\.key/);
    await apply(secret('web-tls', { 'tls.crt': one.cert, 'tls.key': other.key }));
    await sees('ExposureReady', 'False SecretInvalid', /does not belong to tls\.crt.* its own key/);
    await apply(secret('web-tls', { 'tls.crt': one.cert, 'tls.key': one.key }));
    await sees('ExposureReady', 'True Exposed');
    const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
    const found = await waitForObject(server(), workload, 'made');
    assert.doesNotMatch(JSON.stringify(found), /web-tls/, 'pods do not read what the Ingress serves');
  },
  'a class of load balancers, with the words of the cluster': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const exposure = { type: 'LoadBalancer', loadBalancerClass: 'example.com/none' };
    await apply(tracker({ http: [], exposure }));
    await sees('ExposureReady', 'False AddressPending', /serves .*loadBalancerClass example\.com\/none/);
    const service = objectIn(namespace, 'v1', 'Service', 'public-udp');
    const now = new Date().toISOString();
    await apply({
      ...objectIn(namespace, 'v1', 'Event', 'public-udp.1'),
      type: 'Warning',
      reason: 'AllocationFailed',
      message: 'no available IPs',
      involvedObject: { kind: 'Service', name: 'public-udp', namespace },
      firstTimestamp: now,
      lastTimestamp: now,
    });
    await sees('ExposureReady', 'False AddressPending', /It says: no available IPs\./);
    await server().admin.apply(
      { ...service, status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } },
      { subresource: 'status', manager: 'cloud' },
    );
    await sees('ExposureReady', 'True Exposed');
  },
  'the issuer of a certificate': async ({ apply, tracker, secret, sees, namespace }) => {
    const issued = { issuerRef: { name: 'ca' }, dnsNames: ['a.example'] };
    await apply(tracker({ http: [{ name: 'web', port: 7443, tls: { certManager: issued } }] }));
    await sees(
      'CertificatesReady',
      'False IssuerNotReady',
      /The Issuer ca .* does not exist in this namespace/,
    );
    await apply(issuer('Issuer', 'ca', namespace, false));
    await sees('CertificatesReady', 'False IssuerNotReady', /not ready \(the account is not registered\)/);
    await apply(issuer('Issuer', 'ca', namespace, true));
    await sees(
      'CertificatesReady',
      'False CertificatePending',
      /has not issued the Secret public-http-web-tls/,
    );
    const pair = selfSigned('a.example');
    await apply(secret('public-http-web-tls', { 'tls.crt': pair.cert, 'tls.key': pair.key }));
    await sees('CertificatesReady', 'True CertificatesValid');
  },
  'an issuer of the whole cluster': async ({ apply, tracker, sees, namespace }) => {
    const name = `ca-${namespace}`;
    const issued = { issuerRef: { name, kind: 'ClusterIssuer' }, dnsNames: ['a.example'] };
    await apply(tracker({ http: [{ name: 'web', port: 7443, tls: { certManager: issued } }] }));
    await sees('CertificatesReady', 'False IssuerNotReady', new RegExp(`ClusterIssuer ${name} .*not exist:`));
    await apply(issuer('ClusterIssuer', name, undefined, true));
    await sees('CertificatesReady', 'False CertificatePending');
  },
};

describe('It is told, and heals, that the cluster lacks', () => {
  for (const [title, play] of Object.entries(cases)) {
    test(title, needs('apiserver'), async (context) => {
      const environment = { apis: new Set(['cert-manager.io/v1/Certificate'] as const) };
      await play(await enterScene(context, server(), { environment }));
    });
  }
});

test(
  'nodes without a pod are named where they drop what clients send',
  needs('apiserver'),
  async (context) => {
    const scene = await enterScene(context, server(), { environment: { nodes: PLAIN.nodes } });
    const { apply, tracker, sees, namespace } = scene;
    await apply(tracker({ http: [], exposure: { type: 'NodePort' } }));
    const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
    await waitForObject(server(), workload, 'made');
    await playWorkload(server(), workload, { isReady: true });
    const ready = { ...readyAt('127.99.0.1'), hostIP: '192.0.2.1' };
    await playPod(server(), namespace, 'public', ready, 'node-1');
    await sees(
      'ExposureReady',
      'True Exposed',
      /Node node-2 without a pod of the tracker drops what comes in/,
    );
    const found = await server().admin.get(tracker({}));
    assert(found !== undefined);
    assert.deepEqual(at(found, 'status.addresses.0.address'), '192.0.2.1');
    assert.doesNotMatch(sentence(found, 'ExposureReady'), /node-1/);
  },
);
