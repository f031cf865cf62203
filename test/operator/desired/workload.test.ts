import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TorrustTracker } from '../../../operator/crd/tracker.ts';
import { desiredObjects } from '../../../operator/desired/desired.ts';
import type { Environment, Observed } from '../../../operator/desired/environment.ts';
import { ANNOTATIONS } from '../../../operator/desired/identity.ts';
import { at, EVERYTHING, observe, PLAIN, secretOf, settle } from '../environments.ts';
import { trackerOf } from '../examples.ts';

const mysql = { mysql: { host: 'h', database: 'd', credentialsSecretRef: { name: 'db' } } };

function workloadOf(tracker: TorrustTracker, environment: Environment = PLAIN, observed?: Observed) {
  const { objects, problems } = settle(tracker, environment, observed);
  return { workload: objects.find(({ apiVersion }) => apiVersion === 'apps/v1'), problems };
}

function hashOf(spec: object, observed?: Observed): unknown {
  const { workload } = workloadOf(trackerOf(spec), PLAIN, observed);
  const annotations = Object.entries(at(workload, 'spec.template.metadata.annotations') ?? {});
  return annotations.find(([name]) => name === ANNOTATIONS.restartHash)?.[1];
}

describe('is run by', () => {
  const cases: Record<string, { spec: object; kind: string }> = {
    'a StatefulSet for SQLite': { spec: {}, kind: 'StatefulSet' },
    'a StatefulSet for snapshots': {
      spec: { database: mysql, swarm: { snapshot: { enabled: true } } },
      kind: 'StatefulSet',
    },
    'a Deployment where nothing is kept': { spec: { database: mysql }, kind: 'Deployment' },
    'a DaemonSet on nodes': { spec: { topology: 'HostNode' }, kind: 'DaemonSet' },
  };
  for (const [title, { spec, kind }] of Object.entries(cases)) {
    test(title, () => assert.equal(workloadOf(trackerOf(spec)).workload?.kind, kind));
  }
});

describe('pods', () => {
  const base = hashOf({ database: mysql });
  const live: Record<string, object> = {
    'another interval': { announce: { intervalSeconds: 600 } },
    'another mode': { mode: 'Listed' },
    'another level of logs': { logging: { level: 'debug' } },
    'another public URL': { udp: [{ name: 'main', port: 6969, publicURL: 'udp://a.example:6969' }] },
    'another port of the Service': { udp: [{ name: 'main', port: 6969, servicePort: 1 }] },
  };
  for (const [title, spec] of Object.entries(live)) {
    test(`take over ${title} live`, () => assert.equal(hashOf({ database: mysql, ...spec }), base));
  }
  const restarting: Record<string, object> = {
    'another port': { udp: [{ name: 'main', port: 6970 }] },
    'a listener more': {
      http: [
        { name: 'main', port: 7070 },
        { name: 'more', port: 7071 },
      ],
    },
    'more memory': { swarm: { memory: '1Gi' } },
    'another server of the database': { database: { mysql: { ...mysql.mysql, host: 'other' } } },
  };
  for (const [title, spec] of Object.entries(restarting)) {
    test(`restart for ${title}`, () => assert.notEqual(hashOf({ database: mysql, ...spec }), base));
  }
  test('restart for another user of the database, not for another password', () => {
    const hashWith = (username: string, password: string) =>
      hashOf(
        { database: mysql },
        {
          secrets: new Map([['db', secretOf({ username, password })]]),
          claim: undefined,
          workload: undefined,
        },
      );
    assert.equal(hashWith('a', '1'), hashWith('a', '2'));
    assert.notEqual(hashWith('a', '1'), hashWith('b', '1'));
  });
});

test('an image is fetched as the resource says, else as the operator says', () => {
  const environment = { ...PLAIN, defaultPullPolicy: 'Never' } as const;
  const policyOf = (spec: object) => {
    const { workload } = workloadOf(trackerOf(spec), environment);
    return at(workload, 'spec.template.spec.containers.0.imagePullPolicy');
  };
  assert.equal(policyOf({}), 'Never');
  assert.equal(policyOf({ image: { pullPolicy: 'Always' } }), 'Always');
});

describe('a newer operator', () => {
  const tracker = trackerOf({});
  const observed = observe(settle(tracker, PLAIN));
  const newer = { ...PLAIN, defaultImage: 'ghcr.io/torrust/tracker-kubernetes:0.2.0' };
  const imageOf = (changed: TorrustTracker) =>
    at(workloadOf(changed, newer, observed).workload, 'spec.template.spec.containers.0.image');

  test('replaces no pod', () => assert.equal(imageOf(tracker), PLAIN.defaultImage));
  test('takes its own image when the tracker changes', () => {
    const changed = { ...tracker, metadata: { ...tracker.metadata, generation: 2 } };
    assert.equal(imageOf(changed), newer.defaultImage);
  });
  test('takes its own image when the user accepts it', () => {
    const annotations = { 'tracker.torrust.com/accept-defaults': '0.2.0' };
    assert.equal(imageOf({ ...tracker, metadata: { ...tracker.metadata, annotations } }), newer.defaultImage);
  });
  test('renders anew what was not recorded', () => {
    const lost = { ...observed, workload: undefined };
    const { workload } = workloadOf(tracker, newer, lost);
    assert.equal(at(workload, 'spec.template.spec.containers.0.image'), newer.defaultImage);
  });
});

describe('the image', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const cases: Record<string, { image: object; name: string }> = {
    'is the default': { image: {}, name: 'ghcr.io/torrust/tracker-kubernetes:0.1.0' },
    'takes a tag': { image: { tag: '1.0' }, name: 'ghcr.io/torrust/tracker-kubernetes:1.0' },
    'takes a digest': { image: { digest }, name: `ghcr.io/torrust/tracker-kubernetes@${digest}` },
    'is somebody else’s': {
      image: { repository: 'localhost:5000/a/b', tag: '1' },
      name: 'localhost:5000/a/b:1',
    },
  };
  for (const [title, { image, name }] of Object.entries(cases)) {
    test(title, () => {
      const { workload } = workloadOf(trackerOf({ image }));
      assert.equal(at(workload, 'spec.template.spec.containers.0.image'), name);
    });
  }
});

test('hibernation leaves no pod, and alarms nobody', () => {
  const environment = EVERYTHING;
  const rules = { monitoring: { rules: { enabled: true } } };
  for (const spec of [{ hibernate: true }, { replicas: 0 }]) {
    const { objects } = settle(trackerOf({ ...spec, ...rules }), environment);
    assert.equal(
      at(
        objects.find(({ kind }) => kind === 'StatefulSet'),
        'spec.replicas',
      ),
      0,
    );
    assert.ok(objects.every(({ kind }) => kind !== 'PrometheusRule'));
    assert.ok(objects.some(({ kind }) => kind === 'PersistentVolumeClaim'));
  }
  const { workload } = workloadOf(trackerOf({ topology: 'HostNode', hibernate: true }));
  assert.deepEqual(at(workload, 'spec.template.spec.nodeSelector'), {
    'tracker.torrust.com/hibernate': 'true',
  });
});

describe('an override of the pod', () => {
  const override = (spec: object, metadata: object = {}) =>
    workloadOf(trackerOf({ podTemplate: { spec, metadata } }));

  test('is merged by name, and leaves the rest', () => {
    const { workload } = override({
      containers: [
        { name: 'tracker', env: [{ name: 'A', value: 'b' }] },
        { name: 'beside', image: 'x' },
      ],
      terminationGracePeriodSeconds: 90,
    });
    const pod = at(workload, 'spec.template.spec');
    assert.equal(at(pod, 'terminationGracePeriodSeconds'), 90);
    assert.equal(at(pod, 'containers.0.env.1.name'), 'A');
    assert.equal(at(pod, 'containers.0.readinessProbe.httpGet.path'), '/readyz');
    assert.equal(at(pod, 'containers.1.image'), 'x');
  });
  test('never replaces the labels by which pods are found', () => {
    const { workload } = override({}, { labels: { 'app.kubernetes.io/name': 'other', team: 'seeds' } });
    const labels = at(workload, 'spec.template.metadata.labels');
    assert.equal(at(labels, 'team'), 'seeds');
    assert.deepEqual(
      Object.values(labels ?? {}).filter((value) => value === 'other'),
      [],
    );
  });
  const dangers: Record<string, object> = {
    'runs as root (runAsUser: 0)': { securityContext: { runAsUser: 0 } },
    'may run as root (runAsNonRoot: false)': {
      containers: [{ name: 'tracker', securityContext: { runAsNonRoot: false } }],
    },
    'may run as root (securityContext.runAsNonRoot is not true)': { securityContext: null },
    'is privileged': { initContainers: [{ name: 'i', image: 'x', securityContext: { privileged: true } }] },
    'may gain privileges (allowPrivilegeEscalation)': {
      containers: [{ name: 'tracker', securityContext: { allowPrivilegeEscalation: true } }],
    },
    'sets hostPID': { hostPID: true },
    'sets hostNetwork': { hostNetwork: true },
    'mounts a path of its node (hostPath)': {
      volumes: [{ name: 'root', hostPath: { path: '/' } }],
      containers: [{ name: 'tracker', volumeMounts: [{ name: 'root', mountPath: '/node' }] }],
    },
    'takes a port of its node (hostPort)': {
      containers: [{ name: 'beside', image: 'x', ports: [{ containerPort: 1, hostPort: 1 }] }],
    },
    'runs under another account (serviceAccountName)': { serviceAccountName: 'torrust-operator' },
    'runs under another account (serviceAccount)': { serviceAccount: 'torrust-operator' },
    'has capabilities (SYS_ADMIN)': {
      containers: [{ name: 'tracker', securityContext: { capabilities: { add: ['SYS_ADMIN'] } } }],
    },
    'may gain privileges (tracker has lost allowPrivilegeEscalation: false)': {
      containers: [{ name: 'tracker', securityContext: null }],
    },
    'has capabilities (tracker no longer drops ALL)': {
      containers: [{ name: 'tracker', securityContext: { capabilities: { drop: ['NET_RAW'] } } }],
    },
    'is not confined (seccompProfile: Unconfined)': {
      securityContext: { seccompProfile: { type: 'Unconfined' } },
    },
    'is not confined (appArmorProfile: Unconfined)': {
      containers: [{ name: 'tracker', securityContext: { appArmorProfile: { type: 'Unconfined' } } }],
    },
    'is not confined (procMount: Unmasked)': {
      initContainers: [{ name: 'i', image: 'x', securityContext: { procMount: 'Unmasked' } }],
    },
    'is not confined (seLinuxOptions)': { securityContext: { seLinuxOptions: { type: 'spc_t' } } },
    'is a process of its node (hostProcess)': {
      securityContext: { windowsOptions: { hostProcess: true } },
    },
    'leaves the pod without its container': { containers: null },
  };
  test('may add what pods of level restricted may have', () => {
    const { problems } = override({
      volumes: [{ name: 'more', emptyDir: {} }],
      containers: [
        { name: 'beside', image: 'x', securityContext: { capabilities: { add: ['NET_BIND_SERVICE'] } } },
      ],
      securityContext: { seLinuxOptions: { type: 'container_t', level: 's0:c1' } },
    });
    assert.deepEqual(problems, []);
  });
  test('whose annotations take AppArmor away is refused', () => {
    const annotation = { 'container.apparmor.security.beta.kubernetes.io/tracker': 'unconfined' };
    const { problems } = desiredObjects(
      trackerOf({ podTemplate: { metadata: { annotations: annotation } } }, { generation: 2 }),
      PLAIN,
      observe(settle(trackerOf({}), PLAIN)),
    );
    assert.ok(problems.some(({ message }) => message.includes('is not confined (AppArmor)')));
  });
  for (const [what, spec] of Object.entries(dangers)) {
    test(`that makes a pod that ${what} is refused, and the pods stay`, () => {
      const tracker = trackerOf({ podTemplate: { spec } }, { generation: 2 });
      const { objects, kept, problems } = desiredObjects(
        tracker,
        PLAIN,
        observe(settle(trackerOf({}), PLAIN)),
      );
      assert.ok(
        problems.some(({ reason, message }) => reason === 'PodTemplateInvalid' && message.includes(what)),
      );
      assert.ok(objects.every(({ apiVersion }) => apiVersion !== 'apps/v1'));
      assert.deepEqual(
        kept.map(({ name }) => name),
        ['sample'],
      );
    });
  }
});

describe('the volume', () => {
  const observed = (size: string): Observed => ({
    secrets: new Map(),
    claim: { size, storageClassName: 'fast' },
    workload: undefined,
  });
  const sizeOf = (asked: string, present: string) => {
    const { objects } = settle(
      trackerOf({ database: { sqlite: { size: asked } } }),
      PLAIN,
      observed(present),
    );
    return at(
      objects.find(({ kind }) => kind === 'PersistentVolumeClaim'),
      'spec',
    );
  };
  test('grows', () => assert.equal(at(sizeOf('10Gi', '9Gi'), 'resources.requests.storage'), '10Gi'));
  test('never shrinks', () => assert.equal(at(sizeOf('1500M', '2Gi'), 'resources.requests.storage'), '2Gi'));
  test('keeps its class', () => assert.equal(at(sizeOf('1Gi', '1Gi'), 'storageClassName'), 'fast'));
});
