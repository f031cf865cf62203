/**
 * Services, routes, policies, monitoring, and what becomes of objects of other owners.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sortBelongings } from '../../../operator/desired/belongings.ts';
import { desiredObjects } from '../../../operator/desired/desired.ts';
import { oneVersionEach, OPTIONAL_APIS, type OptionalApi } from '../../../operator/desired/environment.ts';
import { labelsOf, selectorText } from '../../../operator/desired/identity.ts';
import type { KubernetesObject } from '../../../operator/desired/kubernetes-object.ts';
import { at, EVERYTHING, find, observe, PLAIN, settle } from '../environments.ts';
import { trackerOf } from '../examples.ts';

const trusting = { name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] };

function objectsOf(spec: unknown, environment = EVERYTHING): readonly KubernetesObject[] {
  return settle(trackerOf(spec), environment).objects;
}

test('the selector of the scale subresource is that of the workload', () => {
  const labels = at(find(objectsOf({}), 'StatefulSet', 'sample'), 'spec.selector.matchLabels');
  const text = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${String(value)}`);
  assert.equal(selectorText(trackerOf({})), text.join(','));
});

describe('Services', () => {
  test('of a load balancer keep the client’s address', () => {
    const service = find(objectsOf({ exposure: { type: 'LoadBalancer' } }), 'Service', 'sample-udp');
    assert.equal(at(service, 'spec.externalTrafficPolicy'), 'Local');
  });
  test('may be one for both protocols', () => {
    const objects = objectsOf({ exposure: { combined: true } });
    const names = objects.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
    assert.deepEqual(names, ['sample', 'sample-api']);
    const ports = at(find(objects, 'Service', 'sample'), 'spec.ports');
    assert.deepEqual(Array.isArray(ports) && ports.map((port) => at(port, 'protocol')), ['UDP', 'TCP']);
  });
  test('are none for a protocol without listeners', () => {
    const names = objectsOf({ udp: [] }).filter(({ kind }) => kind === 'Service');
    assert.deepEqual(
      names.map(({ metadata }) => metadata.name),
      ['sample-http', 'sample-api'],
    );
  });
  test('show the API to the public when asked to', () => {
    const ports = (spec: object) =>
      JSON.stringify(at(find(objectsOf(spec), 'Service', 'sample-http'), 'spec.ports'));
    assert.doesNotMatch(ports({}), /1212/);
    assert.match(ports({ api: { expose: true } }), /1212/);
  });
});

describe('a network policy', () => {
  const rules = (spec: object, environment = EVERYTHING) =>
    JSON.stringify(at(find(objectsOf(spec, environment), 'NetworkPolicy', 'sample'), 'spec.ingress'));
  test('admits everyone to the listeners', () => {
    const [first] = JSON.parse(rules({})) as { from?: unknown; ports: unknown }[];
    assert.equal(first?.from, undefined);
    assert.deepEqual(first?.ports, [
      { port: 6969, protocol: 'UDP' },
      { port: 7070, protocol: 'TCP' },
    ]);
  });
  test('admits to the API those that are named, and the operator', () => {
    const apiFrom = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'admin' } } }];
    const text = rules({ networkPolicy: { apiFrom } });
    assert.match(text, /"admin"/);
    assert.match(text, /"torrust-system"/);
    assert.doesNotMatch(text, /"podSelector":\{\}/);
  });
  test('admits nobody to the health check when the operator is outside', () => {
    const outside = { ...PLAIN, operatorNamespace: undefined };
    assert.doesNotMatch(rules({}, outside), /1313/);
  });
  test('is not made where it has no effect, or where it is not wanted', () => {
    for (const spec of [{ topology: 'HostNode' }, { networkPolicy: { enabled: false } }]) {
      assert.ok(objectsOf(spec).every(({ kind }) => kind !== 'NetworkPolicy'));
    }
  });
});

describe('routes', () => {
  const gateway = { parentRefs: [{ name: 'edge' }], hostnames: ['tracker.example'] };
  const udpRoutes = [{ listener: 'main', parentRefs: [{ name: 'edge', sectionName: 'udp' }] }];
  test('lead to the listener that may stand behind a proxy, by the port of its Service', () => {
    const http = [
      { name: 'direct', port: 7071 },
      { ...trusting, servicePort: 80 },
    ];
    const route = find(objectsOf({ http, exposure: { gateway } }), 'HTTPRoute', 'sample');
    assert.deepEqual(at(route, 'spec.rules'), [{ backendRefs: [{ name: 'sample-http', port: 80 }] }]);
  });
  test('carry UDP where that was acknowledged', () => {
    const exposure = { acknowledgeSourceNAT: true, gateway: { udpRoutes } };
    const route = find(objectsOf({ exposure }), 'UDPRoute', 'sample-udp-main');
    assert.deepEqual(at(route, 'spec.rules'), [{ backendRefs: [{ name: 'sample-udp', port: 6969 }] }]);
  });
  test('are told where the Gateway API is missing, and made when it is there', () => {
    const tracker = trackerOf({
      http: [trusting],
      exposure: { acknowledgeSourceNAT: true, gateway: { ...gateway, udpRoutes } },
    });
    const { problems, objects } = settle(tracker, PLAIN);
    assert.deepEqual(
      problems.map(({ condition, reason }) => `${condition} ${reason}`),
      ['ExposureReady APIMissing', 'ExposureReady APIMissing'],
    );
    assert.ok(objects.every(({ kind }) => !kind.endsWith('Route')));
    assert.deepEqual(settle(tracker, EVERYTHING).problems, []);
  });
  test('are written in the best version that the cluster serves', () => {
    const tracker = trackerOf({
      http: [trusting],
      exposure: { acknowledgeSourceNAT: true, gateway: { ...gateway, udpRoutes } },
    });
    const group = 'gateway.networking.k8s.io';
    const old = [`${group}/v1alpha2/UDPRoute`, `${group}/v1beta1/HTTPRoute`] as const;
    const cases: Record<string, { served: readonly OptionalApi[]; versions: readonly string[] }> = {
      'of old CRDs': { served: old, versions: ['v1alpha2', 'v1beta1'] },
      'of new ones, which serve the old versions too': { served: OPTIONAL_APIS, versions: ['v1', 'v1'] },
    };
    for (const [title, { served, versions }] of Object.entries(cases)) {
      const { objects } = settle(tracker, { ...PLAIN, apis: oneVersionEach(new Set(served)) });
      const made = ['UDPRoute', 'HTTPRoute'].map((kind) => objects.filter((object) => object.kind === kind));
      const found = made.map((ofKind) => ofKind.map(({ apiVersion }) => apiVersion));
      assert.deepEqual(
        found,
        versions.map((version) => [`${group}/${version}`]),
        title,
      );
    }
  });
  test('may be an Ingress', () => {
    const ingress = { host: 'tracker.example', className: 'plain', tlsSecretName: 'pair' };
    const made = find(objectsOf({ http: [trusting], exposure: { ingress } }), 'Ingress', 'sample');
    assert.equal(at(made, 'spec.rules.0.http.paths.0.backend.service.name'), 'sample-http');
    assert.deepEqual(at(made, 'spec.tls'), [{ hosts: ['tracker.example'], secretName: 'pair' }]);
  });
});

test('cert-manager is asked only where it is', () => {
  const tls = { certManager: { issuerRef: { name: 'ca' }, dnsNames: ['tracker.example'] } };
  const tracker = trackerOf({ api: { tls } });
  assert.equal(
    at(find(settle(tracker, EVERYTHING).objects, 'Certificate', 'sample-api-tls'), 'spec.issuerRef.kind'),
    'Issuer',
  );
  const { problems } = settle(tracker, PLAIN);
  // Nobody is said to be at it.
  assert.deepEqual(
    problems.map(({ reason }) => reason),
    ['APIMissing'],
  );
});

test('monitoring objects are made where their APIs are, and nobody is told where not', () => {
  const monitoring = {
    serviceMonitor: { enabled: true },
    rules: { enabled: true },
    dashboards: { enabled: true },
  };
  const kinds = (environment: typeof PLAIN) =>
    settle(trackerOf({ monitoring }), environment)
      .objects.filter(
        ({ metadata: { name }, kind }) => kind.match(/Monitor|Rule/) || name.endsWith('dashboards'),
      )
      .map(({ kind }) => kind);
  assert.deepEqual(kinds(EVERYTHING), ['ServiceMonitor', 'PrometheusRule', 'ConfigMap']);
  assert.deepEqual(kinds(PLAIN), ['ConfigMap']);
  assert.deepEqual(settle(trackerOf({ monitoring }), PLAIN).problems, []);
});

describe('objects that are there', () => {
  const tracker = trackerOf({});
  const desired = desiredObjects(tracker, PLAIN, observe(settle(tracker, PLAIN)));
  const present = (kind: string, name: string, ownerUids: string[], labels: Record<string, string> = {}) => ({
    apiVersion:
      kind === 'Service' || kind === 'PersistentVolumeClaim' || kind === 'Secret' ? 'v1' : 'apps/v1',
    kind,
    name,
    uid: `uid of ${name}`,
    ownerUids,
    labels,
  });
  const ours = [tracker.metadata.uid];
  const left = labelsOf(trackerOf({}, { uid: 'an earlier tracker' }));

  test('and belong to somebody else are neither written nor deleted, and told', () => {
    const { apply, prune, problems } = sortBelongings(tracker, desired, [
      present('Service', 'sample-udp', ['somebody else']),
      present('Service', 'sample-http', []),
    ]);
    assert.ok(apply.every(({ kind, metadata: { name } }) => kind !== 'Service' || name === 'sample-api'));
    assert.deepEqual(prune, []);
    assert.deepEqual(
      problems.map(({ reason, message }) => `${reason}: ${message}`),
      [
        "NameCollision: The Service sample-udp is there already and is not this tracker's: delete it or rename the tracker. It is not touched.",
        "NameCollision: The Service sample-http is there already and is not this tracker's: delete it or rename the tracker. It is not touched.",
      ],
    );
  });
  test('and were left by an earlier tracker of the name are taken up, if they are data', () => {
    const { problems } = sortBelongings(tracker, desired, [
      present('PersistentVolumeClaim', 'sample-data', [], left),
      present('Secret', 'sample-api-token', [], left),
      present('Service', 'sample-udp', [], left),
    ]);
    assert.deepEqual(
      problems.map(({ message }) => message.split(' ')[2]),
      ['sample-udp'],
    );
  });
  test('and are no longer wanted go, but for volumes and Secrets', () => {
    const { prune } = sortBelongings(tracker, desired, [
      present('Service', 'sample-old', ours),
      present('Deployment', 'sample', ours),
      present('StatefulSet', 'sample', ours),
      present('PersistentVolumeClaim', 'sample-old', ours),
      present('Secret', 'sample-old', ours),
      present('Service', 'another', ['somebody else']),
    ]);
    assert.deepEqual(
      prune.map(({ kind, name }) => `${kind} ${name}`),
      ['Service sample-old', 'Deployment sample'],
    );
  });
  test('and are kept for a mistake in the resource stay', () => {
    const mistaken = desiredObjects(
      trackerOf({ config: { nonsense: 1 } }),
      PLAIN,
      observe(settle(tracker, PLAIN)),
    );
    assert.deepEqual(sortBelongings(tracker, mistaken, [present('StatefulSet', 'sample', ours)]).prune, []);
  });
});
