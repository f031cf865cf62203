/** When an apply may be left out: by objects as the API server stores them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isAsApplied } from '../../../operator/reconcile/field-ownership.ts';

const MANAGER = 'torrust-operator';

const WANTED = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'sample-udp',
    namespace: 'default',
    labels: { 'app.kubernetes.io/name': 'torrust-tracker' },
    ownerReferences: [{ apiVersion: 't/v1', kind: 'T', name: 'sample', uid: 'u1', controller: true }],
  },
  spec: {
    type: 'ClusterIP',
    selector: { app: 'x' },
    ports: [
      { name: 'udp-main', protocol: 'UDP', port: 6969, targetPort: 6969 },
      { name: 'udp-alt', protocol: 'UDP', port: 1337, targetPort: 1337 },
    ],
    limits: { cpu: '1000m', memory: '1024Mi' },
    externalIPs: ['192.0.2.1', '192.0.2.2'],
  },
};

/** What the server records of an apply of `WANTED`. */
const FIELDS = {
  'f:metadata': {
    'f:labels': { 'f:app.kubernetes.io/name': {} },
    'f:ownerReferences': {
      'k:{"uid":"u1"}': {
        '.': {},
        'f:apiVersion': {},
        'f:kind': {},
        'f:name': {},
        'f:uid': {},
        'f:controller': {},
      },
    },
  },
  'f:spec': {
    'f:type': {},
    'f:selector': {},
    'f:ports': {
      'k:{"port":6969,"protocol":"UDP"}': {
        '.': {},
        'f:name': {},
        'f:protocol': {},
        'f:port': {},
        'f:targetPort': {},
      },
      'k:{"port":1337,"protocol":"UDP"}': {
        '.': {},
        'f:name': {},
        'f:protocol': {},
        'f:port': {},
        'f:targetPort': {},
      },
    },
    'f:limits': { 'f:cpu': {}, 'f:memory': {} },
    'f:externalIPs': { 'v:"192.0.2.1"': {}, 'v:"192.0.2.2"': {} },
  },
};

function present(
  change: (object: typeof WANTED) => object = (object) => object,
  fieldsV1: object = FIELDS,
): object {
  const changed = change(structuredClone(WANTED)) as typeof WANTED;
  const entry = { manager: MANAGER, operation: 'Apply', fieldsType: 'FieldsV1', fieldsV1 };
  const others = [
    {
      manager: 'kube-controller-manager',
      operation: 'Update',
      subresource: 'status',
      fieldsV1: { 'f:status': {} },
    },
    { manager: MANAGER, operation: 'Update', fieldsV1: { 'f:spec': { 'f:old': {} } } },
  ];
  return {
    ...changed,
    metadata: {
      ...changed.metadata,
      uid: 'o1',
      resourceVersion: '7',
      annotations: { 'someone/else': 'x' },
      managedFields: [...others, entry],
    },
    status: { loadBalancer: {} },
  };
}

test('an object that is as it was applied is left alone, whatever others added', () => {
  assert.ok(isAsApplied(WANTED, present(), MANAGER));
  const withOthers = present((object) => ({
    ...object,
    spec: {
      ...object.spec,
      clusterIP: '10.0.0.1',
      ports: object.spec.ports.map((port) => ({ ...port, nodePort: 30001 })).toReversed(),
    },
  }));
  assert.ok(isAsApplied(WANTED, withOthers, MANAGER));
});

test('amounts are compared by what they mean', () => {
  const rewritten = present((object) => ({
    ...object,
    spec: { ...object.spec, limits: { cpu: '1', memory: '1Gi' } },
  }));
  assert.ok(isAsApplied(WANTED, rewritten, MANAGER));
});

describe('an object is applied again', () => {
  const spec = (change: object) => (object: typeof WANTED) => ({
    ...object,
    spec: { ...object.spec, ...change },
  });
  const cases: Record<string, { wanted?: object; present: object }> = {
    'when a value was changed': { present: present(spec({ type: 'NodePort' })) },
    'when a field was removed': {
      present: present(spec({ type: undefined })),
    },
    'when an entry of a list was changed': {
      present: present((object) => {
        const [first, ...rest] = object.spec.ports;
        return { ...object, spec: { ...object.spec, ports: [{ ...first, targetPort: 1 }, ...rest] } };
      }),
    },
    'when an entry of a list was removed': { present: present(spec({ ports: WANTED.spec.ports.slice(1) })) },
    'when an entry of a set was removed': { present: present(spec({ externalIPs: ['192.0.2.1'] })) },
    'when a table that is ours as a whole got more': {
      present: present(spec({ selector: { app: 'x', more: 'y' } })),
    },
    'when an amount was changed': { present: present(spec({ limits: { cpu: '2', memory: '1Gi' } })) },
    'when a label was changed': {
      present: present((object) => ({
        ...object,
        metadata: { ...object.metadata, labels: { 'app.kubernetes.io/name': 'other' } },
      })),
    },
    'when another took a field over': {
      present: present(undefined, { ...FIELDS, 'f:spec': { ...FIELDS['f:spec'], 'f:type': undefined } }),
    },
    'when a field is wanted that was not': {
      wanted: { ...WANTED, spec: { ...WANTED.spec, ipFamilyPolicy: 'SingleStack' } },
      present: present(),
    },
    'when a field is no longer wanted, though the rest is there': {
      wanted: { ...WANTED, spec: { ...WANTED.spec, ports: WANTED.spec.ports.slice(1) } },
      present: present(),
    },
    'when a label is no longer wanted': {
      wanted: { ...WANTED, metadata: { ...WANTED.metadata, labels: {} } },
      present: present(),
    },
    'when it was never applied': {
      present: { ...WANTED, metadata: { ...WANTED.metadata, managedFields: [] } },
    },
  };
  for (const [title, { wanted = WANTED, present: there }] of Object.entries(cases)) {
    test(title, () => assert.equal(isAsApplied(wanted, JSON.parse(JSON.stringify(there)), MANAGER), false));
  }
});
