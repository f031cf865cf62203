/**
 * A storage class that is missing and comes later, with the real controller of volumes: the tracker tells it by name, and heals
 * without a restart of anything.
 */
import { test } from 'node:test';
import { startControllers } from '../../apiserver/controllers.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { at } from '../environments.ts';
import { makeNamespace, objectIn, sentence, startOperator, told, waitForObject } from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

test(
  'a storage class that is missing is named, and one that comes heals',
  needs('apiserver', 'controllers'),
  async (context) => {
    const { admin } = server();
    startControllers(
      context,
      server(),
      ['persistentvolume-binder-controller'],
      ['--pvclaimbinder-sync-period=1s'],
    );
    const namespace = await makeNamespace(server());
    await startOperator(context, server(), { namespaces: [namespace] });
    const tracker = trackerObject(
      'public',
      { database: { sqlite: { storageClassName: 'fast' } } },
      namespace,
    );
    await admin.apply(tracker);
    await waitForObject(
      server(),
      tracker,
      'told',
      (found) =>
        told(found, 'Degraded') === 'True StorageFailed' &&
        /public-data: .*"fast" not found: make the StorageClass fast/.test(sentence(found, 'Degraded')),
      60_000,
    );
    await admin.apply({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'fast' },
      provisioner: 'kubernetes.io/no-provisioner',
    });
    const volume = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'disk-1' } };
    await admin.apply({
      ...volume,
      spec: {
        storageClassName: 'fast',
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: '/nowhere' },
        persistentVolumeReclaimPolicy: 'Retain',
      },
    });
    context.after(() => admin.delete(volume));
    await waitForObject(
      server(),
      objectIn(namespace, 'v1', 'PersistentVolumeClaim', 'public-data'),
      'bound',
      (found) => at(found, 'status.phase') === 'Bound',
      60_000,
    );
    await waitForObject(server(), tracker, 'healed', (found) => told(found, 'Degraded') === 'False Settled');
  },
);
