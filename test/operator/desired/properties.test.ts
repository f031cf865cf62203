/**
 * What holds for the objects of every tracker, whatever it asks for.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TorrustTracker } from '../../../operator/crd/tracker.ts';
import { readTracker } from '../../../operator/crd/tracker.ts';
import { desiredObjects } from '../../../operator/desired/desired.ts';
import { referenceKey, referenceTo } from '../../../operator/desired/kubernetes-object.ts';
import { EVERYTHING, observe, PLAIN, settle } from '../environments.ts';
import { trackerFrom } from '../examples.ts';

const listener = fc.record(
  {
    name: fc.stringMatching(/^[a-z]{1,6}$/),
    port: fc.integer({ min: 2000, max: 60000 }),
    servicePort: fc.integer({ min: 1, max: 1000 }),
  },
  { requiredKeys: ['name', 'port'] },
);
const httpListener = fc
  .tuple(listener, fc.subarray(['10.0.0.0/8', '192.168.0.0/16', 'fd00::/8']), fc.option(fc.constant('s')))
  .map(([base, trustedProxies, secretName]) => ({
    ...base,
    trustedProxies,
    ...(secretName === null ? {} : { tls: { secretName } }),
  }));

function listOf<T extends { readonly name: string; readonly port: number; readonly servicePort?: number }>(
  element: fc.Arbitrary<T>,
): fc.Arbitrary<T[]> {
  return fc
    .uniqueArray(element, { maxLength: 5, selector: ({ name }) => name })
    .map((entries) =>
      entries.filter(({ port }, index) => index === entries.findIndex((each) => each.port === port)),
    );
}

const spec = fc.record(
  {
    mode: fc.constantFrom('Public', 'Listed', 'Private', 'PrivateListed'),
    topology: fc.constantFrom('Single', 'HostNode'),
    udp: listOf(listener),
    http: listOf(httpListener),
    hibernate: fc.boolean(),
    swarm: fc.record({
      memory: fc.constantFrom('auto', '64Mi', '2Gi'),
      snapshot: fc.record({ enabled: fc.boolean() }),
    }),
    database: fc.constantFrom(
      undefined,
      { sqlite: { size: '2Gi' } },
      { sqlite: { retain: false } },
      { mysql: { host: 'h', database: 'd', credentialsSecretRef: { name: 'db' }, tls: {} } },
    ),
    exposure: fc.record({
      type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer'),
      combined: fc.boolean(),
      gateway: fc.constantFrom(undefined, { parentRefs: [{ name: 'edge' }] }),
    }),
    externalIP: fc.constantFrom(undefined, '203.0.113.1', '2001:db8::1'),
    api: fc.record({ expose: fc.boolean() }),
    networkPolicy: fc.record({ enabled: fc.boolean() }),
    monitoring: fc.record({
      serviceMonitor: fc.record({ enabled: fc.boolean() }),
      rules: fc.record({ enabled: fc.boolean() }),
      dashboards: fc.record({ enabled: fc.boolean() }),
    }),
    config: fc.constantFrom(undefined, { udp_tracker_server: { connection_id_validation: 'lenient' } }),
  },
  { requiredKeys: [] },
);

/** Trackers that the API server would accept. */
const trackers: fc.Arbitrary<TorrustTracker> = spec
  .map((asked) => ({
    apiVersion: 'tracker.torrust.com/v1alpha1',
    kind: 'TorrustTracker',
    metadata: { name: 'any' },
    spec: Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)),
  }))
  .filter((resource) => readTracker(resource).kind === 'tracker')
  .map(trackerFrom);

const environments = fc.constantFrom(EVERYTHING, PLAIN, { ...PLAIN, operatorNamespace: undefined });

test('every object is labelled, and owned but for volumes and generated Secrets', () => {
  fc.assert(
    fc.property(trackers, environments, (tracker, environment) => {
      for (const object of settle(tracker, environment).objects) {
        const { labels, ownerReferences, name } = object.metadata;
        assert.equal(labels['app.kubernetes.io/instance'], 'any');
        assert.equal(labels['app.kubernetes.io/managed-by'], 'torrust-operator');
        assert.equal(labels['tracker.torrust.com/instance-uid'], tracker.metadata.uid);
        const isKept =
          object.kind === 'PersistentVolumeClaim' && tracker.spec.database?.sqlite?.retain !== false;
        const owners = object.kind === 'Secret' || isKept ? undefined : [tracker.metadata.uid];
        assert.deepEqual(
          ownerReferences?.map(({ uid }) => uid),
          owners,
          `${object.kind} ${name}`,
        );
      }
    }),
  );
});

test('no two objects have one name, and only those of the tracker are named after it', () => {
  fc.assert(
    fc.property(trackers, environments, (tracker, environment) => {
      const { objects } = settle(tracker, environment);
      assert.equal(new Set(objects.map((object) => referenceKey(referenceTo(object)))).size, objects.length);
      for (const { metadata } of objects) assert.match(metadata.name, /^any(-|$)/);
    }),
  );
});

test('what was applied is what is wanted: a second look changes nothing and orders nothing', () => {
  fc.assert(
    fc.property(trackers, environments, (tracker, environment) => {
      const settled = settle(tracker, environment);
      const again = desiredObjects(tracker, environment, observe(settled));
      assert.deepEqual(again.objects, settled.objects);
      assert.deepEqual(again.orders, []);
    }),
  );
});

test('the order of lists makes no difference', () => {
  fc.assert(
    fc.property(trackers, environments, (tracker, environment) => {
      const { udp, http } = tracker.spec;
      const reversed = {
        ...tracker,
        spec: { ...tracker.spec, udp: udp.toReversed(), http: http.toReversed() },
      };
      assert.deepEqual(settle(reversed, environment).objects, settle(tracker, environment).objects);
    }),
  );
});

test('every configuration is one that the tracker takes', () => {
  fc.assert(
    fc.property(trackers, environments, (tracker, environment) => {
      const { problems, configHash } = settle(tracker, environment);
      assert.deepEqual(
        problems.filter(({ condition, reason }) => condition === 'ConfigValid' && reason !== 'SecretMissing'),
        [],
      );
      assert.match(configHash ?? '', /^[0-9a-f]{16}$/);
    }),
  );
});

test('no secret leaves its Secret', () => {
  fc.assert(
    fc.property(trackers, environments, (tracker, environment) => {
      const others = settle(tracker, environment).objects.filter(({ kind }) => kind !== 'Secret');
      assert.doesNotMatch(JSON.stringify(others), /token-of-the-test|00112233445566778899aabbccddeeff/);
    }),
  );
});
