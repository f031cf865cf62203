/** What the cluster says of pods that do not run, as sentences for their user. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findTroubles } from '../../../operator/reconcile/pod-troubles.ts';
import { readWorkload } from '../../../operator/reconcile/workload-facts.ts';

function pod(status: object): object {
  return { kind: 'Pod', metadata: { name: 'sample-0' }, status };
}

function waiting(reason: string, message = '', more: object = {}): object {
  return pod({ containerStatuses: [{ image: 'image:1', state: { waiting: { reason, message } }, ...more }] });
}

function event(reason: string, kind: string, name: string, message: string, lastTimestamp: string): object {
  return { kind: 'Event', reason, message, lastTimestamp, involvedObject: { kind, name } };
}

const EARLY = '2026-11-22T12:00:00Z';
const LATE = '2026-11-22T12:05:00Z';
const NOW = new Date('2026-11-22T12:05:03Z');

const unscheduled = { type: 'PodScheduled', status: 'False', message: '0/2 nodes are available' };

describe('A sentence tells of', () => {
  const cases: Record<
    string,
    { pods?: object[]; claim?: object; events?: object[]; about: string; told: RegExp }
  > = {
    'a pod that no node takes': {
      pods: [pod({ conditions: [{ ...unscheduled, lastTransitionTime: EARLY }] })],
      about: 'Unschedulable Pod sample-0',
      told: /^0\/2 nodes are available \(see spec.nodeSelector/,
    },
    'an image that can not be pulled': {
      pods: [waiting('ImagePullBackOff', 'Back-off pulling image')],
      about: 'ImagePullFailed Pod sample-0',
      told: /^image:1 can not be had \(ImagePullBackOff: Back-off pulling image\): see spec.image, and spec\.image\.pullSecrets /,
    },
    'a container that ends again and again': {
      pods: [
        waiting('CrashLoopBackOff', '', { lastState: { terminated: { reason: 'Error', exitCode: 2 } } }),
      ],
      about: 'PodFailing Pod sample-0',
      told: /last ended with Error, exit code 2: look at its log\.$/,
    },
    'a container that says why it ends': {
      pods: [
        waiting('CrashLoopBackOff', '', {
          lastState: {
            terminated: {
              reason: 'Error',
              exitCode: 2,
              message:
                '{"level":"info","msg":"Configuration read"}\nerror: the port is in use; name another.\n',
            },
          },
        }),
      ],
      about: 'PodFailing Pod sample-0',
      told: /exit code 2, and said: the port is in use; name another; look at its log\.$/,
    },
    'a container that needs more memory': {
      pods: [
        waiting('CrashLoopBackOff', '', {
          lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } },
        }),
      ],
      about: 'PodFailing Pod sample-0',
      told: /raise spec.resources.limits.memory/,
    },
    'a container that may not start': {
      pods: [waiting('CreateContainerConfigError', 'container has runAsNonRoot')],
      about: 'PodFailing Pod sample-0',
      told: /^CreateContainerConfigError: container has runAsNonRoot/,
    },
    'a pod that was ended': {
      pods: [pod({ phase: 'Failed', reason: 'Evicted', message: 'The node was low on memory.' })],
      about: 'PodFailing Pod sample-0',
      told: /low on memory/,
    },
    'a volume that is not mounted, by the last event': {
      pods: [waiting('ContainerCreating')],
      events: [
        event('FailedMount', 'Pod', 'sample-0', 'the first', EARLY),
        event('FailedMount', 'Pod', 'sample-0', 'the last', LATE),
        event('FailedMount', 'Pod', 'another', 'of another', LATE),
      ],
      about: 'StorageFailed Pod sample-0',
      told: /^the last: see the driver of the StorageClass on that node/,
    },
    'a volume that another node still has': {
      pods: [waiting('ContainerCreating')],
      events: [event('FailedAttachVolume', 'Pod', 'sample-0', 'Multi-Attach error for volume "pv"', LATE)],
      about: 'StorageFailed Pod sample-0',
      told: /: it is let go when the pod on the other node has ended/,
    },
    'a Secret that lacks a key': {
      pods: [waiting('ContainerCreating')],
      events: [
        event(
          'FailedMount',
          'Pod',
          'sample-0',
          'MountVolume.SetUp failed for volume "database" : references non-existent secret key: password',
          LATE,
        ),
      ],
      about: 'StorageFailed Pod sample-0',
      told: /: see that the Secrets that the resource names are there with all their keys/,
    },
    'a workload that may not make its pods': {
      events: [
        event('FailedCreate', 'StatefulSet', 'sample', 'no PriorityClass with name trackers was found', LATE),
      ],
      about: 'PodRefused StatefulSet sample',
      told: /no PriorityClass with name trackers was found\. Create the PriorityClass, or correct spec\.priorityClassName\.$/,
    },
    'a workload that may not make its next pod': {
      pods: [{ ...pod({ phase: 'Running' }), metadata: { name: 'sample-0', creationTimestamp: EARLY } }],
      events: [event('FailedCreate', 'ReplicaSet', 'sample-5d4', 'exceeded quota: small', LATE)],
      about: 'PodRefused ReplicaSet sample-5d4',
      told: /^exceeded quota: small\. Raise the ResourceQuota/,
    },
  };
  for (const [title, { pods = [], claim, events = [], about, told }] of Object.entries(cases)) {
    test(title, () => {
      const [trouble] = findTroubles({ pods, claim, events, now: NOW });
      assert.ok(trouble);
      assert.equal(`${trouble.reason} ${trouble.about}`, about);
      assert.match(trouble.message, told);
    });
  }
});

describe('Nothing is said of', () => {
  const cases: Record<string, { pods?: object[]; claim?: object; events?: object[] }> = {
    'a pod that has waited for a node for a moment': {
      pods: [pod({ conditions: [{ ...unscheduled, lastTransitionTime: LATE }] })],
    },
    'a pod that starts': { pods: [waiting('ContainerCreating')] },
    'a pod that goes': {
      pods: [{ ...waiting('ImagePullBackOff'), metadata: { name: 'sample-0', deletionTimestamp: LATE } }],
    },
    'what was refused once, when the pod is there': {
      pods: [pod({ phase: 'Running' })],
      events: [event('FailedCreate', 'StatefulSet', 'sample', 'refused', EARLY)],
    },
    'what was refused long ago, beside pods that are there': {
      pods: [
        {
          ...pod({ phase: 'Running' }),
          metadata: { name: 'sample-0', creationTimestamp: '2026-11-22T11:00:00Z' },
        },
      ],
      events: [event('FailedCreate', 'StatefulSet', 'sample', 'refused', '2026-11-22T11:30:00Z')],
    },
    'what was refused before the newest pod was made': {
      pods: [{ ...pod({ phase: 'Running' }), metadata: { name: 'sample-0', creationTimestamp: LATE } }],
      events: [event('FailedCreate', 'StatefulSet', 'sample', 'refused', EARLY)],
    },
  };
  for (const [title, { pods = [], claim, events = [] }] of Object.entries(cases)) {
    test(title, () => assert.deepEqual(findTroubles({ pods, claim, events, now: NOW }), []));
  }
});

describe('A workload tells how far it is:', () => {
  const metadata = { generation: 3 };
  const settled = { wanted: 1, present: 1, ready: 1, updated: 1, isObserved: true };
  const cases: Record<string, { object: { kind: string; [field: string]: unknown }; facts: object }> = {
    'a StatefulSet that is done': {
      object: {
        kind: 'StatefulSet',
        metadata,
        spec: { replicas: 1 },
        status: { observedGeneration: 3, replicas: 1, readyReplicas: 1, updatedReplicas: 1 },
      },
      facts: settled,
    },
    'a Deployment that nobody has looked at': {
      object: { kind: 'Deployment', metadata, spec: { replicas: 1 } },
      facts: { wanted: 1, present: 0, ready: 0, updated: 0, isObserved: false },
    },
    'a DaemonSet that is done': {
      object: {
        kind: 'DaemonSet',
        metadata,
        status: {
          observedGeneration: 3,
          desiredNumberScheduled: 1,
          currentNumberScheduled: 1,
          numberReady: 1,
          updatedNumberScheduled: 1,
        },
      },
      facts: settled,
    },
  };
  for (const [title, { object, facts }] of Object.entries(cases)) {
    test(title, () => assert.deepEqual(readWorkload(object), facts));
  }
});
