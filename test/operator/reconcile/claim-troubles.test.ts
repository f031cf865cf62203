/** What is said of the volume of a tracker: that nobody provides it, that it is lost, that it does not grow. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { claimTroubles, isGrowing } from '../../../operator/reconcile/claim-troubles.ts';

const EARLY = '2026-11-22T12:00:00Z';
const LATE = '2026-11-22T12:05:00Z';
const NOW = new Date('2026-11-22T12:05:03Z');

interface ClaimParts {
  readonly status: object;
  readonly size?: string;
  readonly storageClassName?: string;
  readonly createdAt?: string;
}

function claim({ status, size = '2Gi', createdAt = EARLY, ...spec }: ClaimParts): object {
  return {
    metadata: { name: 'sample-data', creationTimestamp: createdAt },
    spec: { ...spec, resources: { requests: { storage: size } } },
    status,
  };
}

function event(reason: string, message: string): object {
  const involvedObject = { kind: 'PersistentVolumeClaim', name: 'sample-data' };
  return { kind: 'Event', reason, message, lastTimestamp: LATE, involvedObject };
}

const bound = { phase: 'Bound', capacity: { storage: '1Gi' } };
const condition = (type: string, lastTransitionTime: string, message = '') => ({
  conditions: [{ type, status: 'True', message, lastTransitionTime }],
});

describe('A sentence tells of', () => {
  const cases: Record<string, { claim: object; events?: object[]; told: RegExp }> = {
    'a StorageClass that is missing': {
      claim: claim({ status: { phase: 'Pending' }, storageClassName: 'x' }),
      events: [event('ProvisioningFailed', 'storageclass.storage.k8s.io "x" not found')],
      told: /^storageclass\.storage\.k8s\.io "x" not found: make the StorageClass x; a claim keeps its class/,
    },
    'a provisioner that fails': {
      claim: claim({ status: { phase: 'Pending' }, storageClassName: 'x' }),
      events: [event('ProvisioningFailed', 'rpc error: out of space.')],
      told: /^rpc error: out of space: see the StorageClass x and its provisioner/,
    },
    'a cluster without a default StorageClass, which no warning tells': {
      claim: claim({ status: { phase: 'Pending' } }),
      told: /no StorageClass, and the cluster has no default one: mark a StorageClass as the default/,
    },
    'a volume that is lost': {
      claim: claim({ status: { phase: 'Lost' } }),
      told: /restore it/,
    },
    'a volume whose growth failed, by an event': {
      claim: claim({ status: bound }),
      events: [event('VolumeResizeFailed', 'resize volume "pv" failed: quota of the account')],
      told: /^the volume was to grow to 2Gi and still has 1Gi \(resize volume "pv" failed: quota of the account\): see the limits/,
    },
    'a volume whose growth failed, by a condition': {
      claim: claim({ status: { ...bound, ...condition('ControllerResizeError', LATE, 'no room left') } }),
      told: /still has 1Gi \(no room left\)/,
    },
    'a volume that can never have that size': {
      claim: claim({
        status: { ...bound, allocatedResourceStatuses: { storage: 'ControllerResizeInfeasible' } },
      }),
      told: /still has 1Gi \(ControllerResizeInfeasible\)/,
    },
    'a file system that grows with the next pod alone': {
      claim: claim({ status: { ...bound, ...condition('FileSystemResizePending', EARLY) } }),
      told: /Delete the tracker's pod at a quiet time\.$/,
    },
  };
  for (const [title, { claim: object, events = [], told }] of Object.entries(cases)) {
    test(title, () => {
      const [trouble] = claimTroubles(object, events, NOW);
      assert.ok(trouble);
      assert.equal(`${trouble.reason} ${trouble.about}`, 'StorageFailed PersistentVolumeClaim sample-data');
      assert.match(trouble.message, told);
    });
  }
});

describe('Nothing is said of', () => {
  const cases: Record<string, { claim: object | undefined; events?: object[]; grows?: true }> = {
    'a tracker without a volume': { claim: undefined },
    'a claim that waits for its pod': {
      claim: claim({ status: { phase: 'Pending' }, storageClassName: 'x' }),
    },
    'a claim that was made just now': { claim: claim({ status: {}, createdAt: LATE }) },
    'a volume that has its size, though it once had not': {
      claim: claim({ status: { ...bound, capacity: { storage: '2Gi' } } }),
      events: [event('VolumeResizeFailed', 'of yesterday')],
    },
    'a volume that is growing': { claim: claim({ status: bound }), grows: true },
    'a file system that is about to grow': {
      claim: claim({ status: { ...bound, ...condition('FileSystemResizePending', LATE) } }),
      grows: true,
    },
  };
  for (const [title, { claim: object, events = [], grows = false }] of Object.entries(cases)) {
    test(title, () => {
      assert.deepEqual(claimTroubles(object, events, NOW), []);
      assert.equal(isGrowing(object), grows);
    });
  }
});
