import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConditionType } from '../../operator/crd/conditions.ts';
import { trackerStatus as statusSchema, type TrackerStatus } from '../../operator/crd/tracker-status.ts';
import type { TorrustTracker } from '../../operator/crd/tracker.ts';
import { type StatusFacts, trackerStatus } from '../../operator/status.ts';
import { findWays } from '../../operator/ways.ts';
import { trackerOf } from './examples.ts';

const NOW = new Date('2026-11-22T12:00:00.123Z');
const LATER = new Date('2026-11-22T13:00:00Z');

/** A tracker that works. */
const WORKING: StatusFacts = {
  problems: [],
  workload: { wanted: 1, present: 1, ready: 1, updated: 1, isObserved: true },
  troubles: [],
  ways: [
    {
      protocol: 'UDP',
      listener: 'main',
      address: '192.0.2.1',
      port: 6969,
      url: 'udp://192.0.2.1:6969/announce',
    },
  ],
  addressWarning: undefined,
  emptyNodes: [],
  database: { isUp: true, message: '' },
  certificates: [],
  certificatesNeeded: 0,
  probe: { outcome: 'Succeeded', message: 'UDP main answered.' },
  sources: undefined,
  isDatabaseEphemeral: false,
  configHash: '0123456789abcdef',
  image: 'image:1',
  operatorVersion: '0.1.0',
  selector: 'app.kubernetes.io/instance=sample',
  now: NOW,
};

const TRACKER = trackerOf({});

function statusOf(change: Partial<StatusFacts>, tracker: TorrustTracker = TRACKER): TrackerStatus {
  return trackerStatus(tracker, { ...WORKING, ...change });
}

function told(status: TrackerStatus, type: ConditionType): string {
  const condition = status.conditions?.find((each) => each.type === type);
  return condition === undefined ? 'absent' : `${condition.status} ${condition.reason}`;
}

test('a tracker that works is ready, and says where', () => {
  const status = statusOf({});
  assert.equal(told(status, 'Ready'), 'True Serving');
  assert.equal(told(status, 'Progressing'), 'False Settled');
  assert.equal(told(status, 'Degraded'), 'False Settled');
  assert.deepEqual(status.announceURLs, ['udp://192.0.2.1:6969/announce']);
  assert.equal(status.replicas, 1);
  assert.equal(status.observedGeneration, 1);
  statusSchema.parse(status);
});

describe('Ready and another condition tell', () => {
  const config = { condition: 'ConfigValid', reason: 'InvalidConfig', message: 'x.' } as const;
  const collision = { condition: 'Degraded', reason: 'NameCollision', message: 'x.' } as const;
  const workload = { wanted: 1, present: 1, ready: 0, updated: 1, isObserved: true };
  const cases: Record<
    string,
    { facts: Partial<StatusFacts>; ready: string; type: ConditionType; other: string }
  > = {
    'a mistake in the configuration': {
      facts: { problems: [config] },
      ready: 'False InvalidConfig',
      type: 'ConfigValid',
      other: 'False InvalidConfig',
    },
    'a name that is taken': {
      facts: { problems: [collision] },
      ready: 'False NameCollision',
      type: 'Degraded',
      other: 'True NameCollision',
    },
    'a database that is away': {
      facts: { database: { isUp: false, message: 'connection refused' } },
      ready: 'False DatabaseDown',
      type: 'DatabaseReady',
      other: 'False DatabaseDown',
    },
    'a database that goes with its pod, which is ready all the same': {
      facts: { isDatabaseEphemeral: true },
      ready: 'True Serving',
      type: 'DatabaseReady',
      other: 'True DatabaseEphemeral',
    },
    'a certificate that is not there': {
      facts: { certificatesNeeded: 1 },
      ready: 'False CertificatePending',
      type: 'CertificatesReady',
      other: 'False CertificatePending',
    },
    'a load balancer without an address': {
      facts: {
        ways: [{ protocol: 'UDP', listener: 'main', address: undefined, port: 6969, url: undefined }],
      },
      ready: 'False AddressPending',
      type: 'ExposureReady',
      other: 'False AddressPending',
    },
    'a probe that failed': {
      facts: { probe: { outcome: 'Failed', message: 'UDP main: no answer in time' } },
      ready: 'False ProbeFailed',
      type: 'ProbeSucceeded',
      other: 'False ProbeFailed',
    },
    'a probe that nobody could make, which follows the pods': {
      facts: { probe: { outcome: 'Unreachable', message: 'The operator is outside the cluster.' } },
      ready: 'True Serving',
      type: 'ProbeSucceeded',
      other: 'Unknown Unreachable',
    },
    'a probe that is still to come': {
      facts: { probe: undefined },
      ready: 'False NotReadyYet',
      type: 'ProbeSucceeded',
      other: 'Unknown NotProbed',
    },
    'addresses of clients that are hidden, which is no part of Ready': {
      facts: { sources: { announces: 100, fromCluster: 90 } },
      ready: 'True Serving',
      type: 'SourceIPPreserved',
      other: 'False ClusterAddressesSeen',
    },
    'addresses of clients that are seen': {
      facts: { sources: { announces: 100, fromCluster: 1 } },
      ready: 'True Serving',
      type: 'SourceIPPreserved',
      other: 'True ClientAddressesSeen',
    },
    'that nobody has announced': {
      facts: { sources: { announces: 0, fromCluster: 0 } },
      ready: 'True Serving',
      type: 'SourceIPPreserved',
      other: 'Unknown NoTraffic',
    },
    'an image that can not be pulled': {
      facts: {
        workload,
        probe: undefined,
        troubles: [{ about: 'Pod sample-0', reason: 'ImagePullFailed', message: 'not found' }],
      },
      ready: 'False ImagePullFailed',
      type: 'Degraded',
      other: 'True ImagePullFailed',
    },
    'pods that are starting': {
      facts: { workload, probe: undefined },
      ready: 'False PodsNotReady',
      type: 'Progressing',
      other: 'True RollingOut',
    },
    'that no node is chosen': {
      facts: { workload: { ...workload, wanted: 0, present: 0, updated: 0 }, probe: undefined },
      ready: 'False PodsNotReady',
      type: 'Progressing',
      other: 'False Settled',
    },
    'that nothing is there yet': {
      facts: { workload: undefined, probe: undefined, database: undefined, ways: [] },
      ready: 'False PodsNotReady',
      type: 'Progressing',
      other: 'True RollingOut',
    },
  };
  for (const [title, { facts, ready, type, other }] of Object.entries(cases)) {
    test(title, () => {
      const status = statusOf(facts);
      assert.equal(told(status, 'Ready'), ready);
      assert.equal(told(status, type), other);
      statusSchema.parse(status);
    });
  }
});

test('several problems of one condition are all told', () => {
  const problems = ['One.', 'Two.'].map((message) => {
    return { condition: 'ConfigValid', reason: 'InvalidConfig', message } as const;
  });
  assert.equal(
    statusOf({ problems }).conditions?.find(({ type }) => type === 'ConfigValid')?.message,
    'One. Two.',
  );
});

test('a tracker on very many nodes tells as much as its schema takes', () => {
  const [way] = WORKING.ways;
  assert.ok(way);
  const ways = Array.from({ length: 1000 }, (_, index) => {
    const address = `10.0.${index >> 8}.${index & 255}`;
    return { ...way, address, url: `udp://${address}:6969/announce` };
  });
  const status = statusOf({ ways });
  statusSchema.parse(status);
  assert.equal(status.addresses?.length, 256);
});

test('hibernation is not ready, and says why', () => {
  for (const spec of [{ hibernate: true }, { replicas: 0 }]) {
    const facts = {
      workload: { wanted: 0, present: 0, ready: 0, updated: 0, isObserved: true },
      probe: undefined,
    };
    assert.equal(told(statusOf(facts, trackerOf(spec)), 'Ready'), 'False Hibernating');
  }
});

describe('while nothing changes', () => {
  const first = statusOf({});
  const settled = { ...TRACKER, status: first };
  test('the status is the one that was there', () => {
    assert.equal(trackerStatus(settled, { ...WORKING, now: LATER }), first);
  });
  test('another message changes no time', () => {
    const status = trackerStatus(settled, {
      ...WORKING,
      probe: { outcome: 'Succeeded', message: 'UDP and HTTP answered.' },
      now: LATER,
    });
    assert.equal(status.probe?.message, 'UDP and HTTP answered.');
    assert.equal(status.probe?.time, '2026-11-22T12:00:00Z');
    assert.ok(
      status.conditions?.every(({ lastTransitionTime }) => lastTransitionTime === '2026-11-22T12:00:00Z'),
    );
  });
  test('another outcome changes the times of what it changes', () => {
    const status = trackerStatus(settled, {
      ...WORKING,
      probe: { outcome: 'Failed', message: 'x' },
      now: LATER,
    });
    const changed = status.conditions?.filter(
      ({ lastTransitionTime }) => lastTransitionTime === '2026-11-22T13:00:00Z',
    );
    assert.deepEqual(
      changed?.map(({ type }) => type),
      ['Ready', 'ProbeSucceeded'],
    );
    assert.equal(status.probe?.time, '2026-11-22T13:00:00Z');
  });
});

test('a pause changes nothing but itself', () => {
  const status = statusOf({});
  const paused = { ...trackerOf({ paused: true }, { generation: 2 }), status };
  const after = trackerStatus(paused, { ...WORKING, problems: [], workload: undefined, now: LATER });
  assert.equal(told(after, 'Paused'), 'True PausedByUser');
  assert.deepEqual(
    after.conditions?.filter(({ type }) => type !== 'Paused'),
    status.conditions,
  );
  assert.equal(after.observedGeneration, 1);
  const resumed = trackerStatus({ ...trackerOf({}, { generation: 3 }), status: after }, WORKING);
  assert.equal(told(resumed, 'Paused'), 'absent');
});

describe('clients reach', () => {
  const ports = new Map([
    ['udp-main', 30001],
    ['http-main', 30002],
  ]);
  const services = ['sample-udp', 'sample-http'].map((name) => ({
    name,
    ingress: ['2001:db8::1', 'lb.example'],
    nodePorts: ports,
  }));
  const urls = (spec: unknown, facts = services) =>
    findWays(trackerOf(spec), facts, ['192.0.2.7', '192.0.2.6']).map(({ url }) => url);
  const cases: Record<string, { spec: unknown; expected: string[] }> = {
    'a Service by its name': {
      spec: {},
      expected: [
        'udp://sample-udp.default.svc:6969/announce',
        'http://sample-http.default.svc:7070/announce',
      ],
    },
    'a load balancer by each of its addresses': {
      spec: { exposure: { type: 'LoadBalancer' }, http: [] },
      expected: ['udp://[2001:db8::1]:6969/announce', 'udp://lb.example:6969/announce'],
    },
    'a port of each node': {
      spec: { exposure: { type: 'NodePort' }, udp: [] },
      expected: ['http://192.0.2.6:30002/announce', 'http://192.0.2.7:30002/announce'],
    },
    'the nodes themselves': {
      spec: { topology: 'HostNode', http: [] },
      expected: ['udp://192.0.2.6:6969/announce', 'udp://192.0.2.7:6969/announce'],
    },
    'HTTPS at its usual port': {
      spec: { udp: [], http: [{ name: 'web', port: 7443, servicePort: 443, tls: { secretName: 's' } }] },
      expected: ['https://sample-http.default.svc/announce'],
    },
    'the URL that the user gave': {
      spec: {
        http: [],
        udp: [{ name: 'main', port: 6969, publicURL: 'udp://tracker.example:6969/announce' }],
      },
      expected: ['udp://tracker.example:6969/announce'],
    },
  };
  for (const [title, { spec, expected }] of Object.entries(cases)) {
    test(title, () => assert.deepEqual(urls(spec), expected));
  }
  test('nobody while the load balancer has no address', () => {
    const waiting = services.map((service) => ({ ...service, ingress: [] }));
    assert.deepEqual(urls({ exposure: { type: 'LoadBalancer' }, http: [] }, waiting), [undefined]);
  });
});
