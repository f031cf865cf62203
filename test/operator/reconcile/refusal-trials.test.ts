/**
 * What the admission of a real API server refuses: each ends in a condition that says what to do, and heals when its cause
 * goes away.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { messageOf, type NamedObject } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { objectIn, playPod, waitForObject } from './running-operator.ts';
import { enterScene, type Scene } from './scene.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

/** A StorageClass that may, or may not, make volumes larger. */
function storageClass(name: string, allowVolumeExpansion: boolean): NamedObject {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: 'example.com/disk',
    allowVolumeExpansion,
  };
}

/** Plays the controller of volumes: the claim has a volume of a size. */
async function bind({ namespace }: Scene, size: string): Promise<NamedObject> {
  const claim = objectIn(namespace, 'v1', 'PersistentVolumeClaim', 'public-data');
  await waitForObject(server(), claim, 'made');
  const status = { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: size } };
  await server().admin.apply({ ...claim, status }, { subresource: 'status', manager: 'volumes' });
  return claim;
}

/** Makes a quota, with the use of it that its controller would count. */
async function setQuota({ namespace, apply }: Scene, resource: string): Promise<NamedObject> {
  const quota = objectIn(namespace, 'v1', 'ResourceQuota', 'small');
  const hard = { [resource]: '0' };
  await apply({ ...quota, spec: { hard } });
  await server().admin.apply(
    { ...quota, status: { hard, used: { [resource]: '0' } } },
    { subresource: 'status', manager: 'quota' },
  );
  return quota;
}

/** What the server says when the pod of the tracker's workload is to be made; undefined when it makes it. */
async function tryPod({ namespace }: Scene, workload: NamedObject): Promise<string | undefined> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'public-0', namespace },
    spec: at(workload, 'spec.template.spec'),
  };
  const { status, body } = await server().admin.tryApply(pod, { dryRun: true });
  return status < 300 ? undefined : messageOf(body);
}

/** Plays the controller of the workload, which tries to make its pod and is refused: only an event tells so. */
async function beRefused(scene: Scene, kind: string, expected: RegExp): Promise<NamedObject> {
  const { namespace, apply } = scene;
  const workload = await waitForObject(server(), objectIn(namespace, 'apps/v1', kind, 'public'), 'made');
  const said = await waitFor('a refusal', async () => {
    const message = await tryPod(scene, workload);
    return message !== undefined && expected.test(message) ? message : undefined;
  });
  const now = new Date().toISOString();
  await apply({
    ...objectIn(namespace, 'v1', 'Event', 'public.1'),
    type: 'Warning',
    reason: 'FailedCreate',
    message: `create Pod public-0 in ${kind} public failed error: ${said}`,
    involvedObject: { kind, name: 'public', namespace, uid: at(workload, 'metadata.uid') },
    firstTimestamp: now,
    lastTimestamp: now,
  });
  return workload;
}

const cases: Record<string, (scene: Scene) => Promise<void>> = {
  'a volume that may not grow, until its class allows it': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const storageClassName = `fixed-${namespace}`;
    const fixed = storageClass(storageClassName, false);
    await apply(fixed);
    await apply(tracker({ database: { sqlite: { size: '1Gi', storageClassName } } }));
    const claim = await bind(scene, '1Gi');
    await apply(tracker({ database: { sqlite: { size: '2Gi', storageClassName } } }));
    await sees(
      'Degraded',
      'True StorageFailed',
      new RegExp(
        `public-data can not be made larger: .*set allowVolumeExpansion: true there.*another name with the new size`,
      ),
    );
    await apply({ ...fixed, allowVolumeExpansion: true });
    await sees('Degraded', 'False Settled');
    await waitForObject(server(), claim, 'larger', (found) => {
      return at(found, 'spec.resources.requests.storage') === '2Gi';
    });
  },
  'a volume that is to grow before it is there': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const storageClassName = `slow-${namespace}`;
    await apply(storageClass(storageClassName, true));
    await apply(tracker({ database: { sqlite: { size: '1Gi', storageClassName } } }));
    await waitForObject(server(), objectIn(namespace, 'v1', 'PersistentVolumeClaim', 'public-data'), 'made');
    await apply(tracker({ database: { sqlite: { size: '2Gi', storageClassName } } }));
    await sees('Degraded', 'True StorageFailed', /A volume grows when it is bound/);
    await bind(scene, '1Gi');
    await sees('Degraded', 'False Settled');
  },
  'a volume that does not grow after all': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const storageClassName = `full-${namespace}`;
    await apply(storageClass(storageClassName, true));
    await apply(tracker({ database: { sqlite: { size: '1Gi', storageClassName } } }));
    const claim = await bind(scene, '1Gi');
    await apply(tracker({ database: { sqlite: { size: '2Gi', storageClassName } } }));
    await waitForObject(server(), claim, 'asked for', (found) => {
      return at(found, 'spec.resources.requests.storage') === '2Gi';
    });
    const failed = {
      type: 'ControllerResizeError',
      status: 'True',
      message: 'the disk is full',
      lastTransitionTime: new Date().toISOString(),
    };
    const status = { phase: 'Bound', capacity: { storage: '1Gi' }, conditions: [failed] };
    await server().admin.apply({ ...claim, status }, { subresource: 'status', manager: 'volumes' });
    await sees('Degraded', 'True StorageFailed', /to grow to 2Gi and still has 1Gi \(the disk is full\)/);
    await bind(scene, '2Gi');
    await sees('Degraded', 'False Settled');
  },
  'a volume of a class that does not exist': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const storageClassName = `none-of-${namespace}`;
    await apply(tracker({ database: { sqlite: { storageClassName } } }));
    const claim = objectIn(namespace, 'v1', 'PersistentVolumeClaim', 'public-data');
    await waitForObject(server(), claim, 'made');
    const now = new Date().toISOString();
    // As the controller of volumes says it.
    await apply({
      ...objectIn(namespace, 'v1', 'Event', 'public-data.1'),
      type: 'Warning',
      reason: 'ProvisioningFailed',
      message: `storageclass.storage.k8s.io "${storageClassName}" not found`,
      involvedObject: { kind: 'PersistentVolumeClaim', name: 'public-data', namespace },
      firstTimestamp: now,
      lastTimestamp: now,
    });
    await sees('Degraded', 'True StorageFailed', new RegExp(`make the StorageClass ${storageClassName};`));
    await sees('Ready', 'False StorageFailed');
    await apply(storageClass(storageClassName, true));
    await bind(scene, '1Gi');
    await sees('Degraded', 'False Settled');
  },
  'a quota of volumes that is used up': async (scene) => {
    const { apply, tracker, sees } = scene;
    const quota = await setQuota(scene, 'persistentvolumeclaims');
    await apply(tracker({}));
    await sees(
      'Degraded',
      'True ApplyFailed',
      /refuses the PersistentVolumeClaim public-data: .*exceeded quota: small.* Raise the ResourceQuota/,
    );
    await server().admin.delete(quota);
    await sees('Degraded', 'False Settled');
  },
  'a quota of pods that is used up': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const quota = await setQuota(scene, 'pods');
    await apply(tracker({}));
    const workload = await beRefused(scene, 'StatefulSet', /exceeded quota/);
    await sees('Degraded', 'True PodRefused', /exceeded quota: small.* Raise the ResourceQuota/);
    await sees('Ready', 'False PodRefused');
    await server().admin.delete(quota);
    await waitFor('a pod', async () => (await tryPod(scene, workload)) === undefined);
    await playPod(server(), namespace, 'public', { phase: 'Running' });
    await sees('Degraded', 'False Settled');
  },
  'a namespace whose Pod Security forbids the network of the node': async (scene) => {
    const { apply, tracker, sees, namespace } = scene;
    const label = 'pod-security.kubernetes.io/enforce';
    const labelled = (level: string): NamedObject => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { [label]: level } },
    });
    await apply(labelled('restricted'));
    await apply(tracker({ topology: 'HostNode' }));
    const workload = await beRefused(scene, 'DaemonSet', /violates PodSecurity/);
    await sees('Degraded', 'True PodRefused', /violates PodSecurity .*enforce=privileged/);
    await apply(labelled('privileged'));
    await waitFor('a pod', async () => (await tryPod(scene, workload)) === undefined);
    await playPod(server(), namespace, 'public', { phase: 'Running' });
    await sees('Degraded', 'False Settled');
  },
};

describe('It is told, and heals, that the cluster refuses', () => {
  for (const [title, play] of Object.entries(cases)) {
    test(title, needs('apiserver'), async (context) => {
      const scene = await enterScene(context, server());
      await play(scene);
      assert.deepEqual(scene.operator.complaints, []);
    });
  }
});

test(
  'a pod as the operator makes it by itself is one that restricted namespaces take',
  needs('apiserver'),
  async (context) => {
    const scene = await enterScene(context, server());
    const { apply, tracker, namespace } = scene;
    await apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    });
    await apply(tracker({}));
    const workload = await waitForObject(
      server(),
      objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'),
      'made',
    );
    await waitFor('a pod', async () => (await tryPod(scene, workload)) === undefined);
  },
);
