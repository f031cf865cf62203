/**
 * Volumes: a folder of the machine for each claim, which both nodes reach, as they would reach storage in the network. They
 * are of the kind `local`, to which Kubernetes applies a pod's fsGroup; it does not for a hostPath.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiClient, NamedObject } from '../apiserver/client.ts';
import { listItems } from './api-list.ts';
import { NODES, VOLUMES_FOLDER } from './layout.ts';

const PROVISIONER = 'cluster.torrust.test/folder';
const CLASS = 'standard';

/** Makes the class that claims get which name none. */
export async function installStorageClass(admin: ApiClient): Promise<void> {
  await admin.apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: CLASS, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: PROVISIONER,
    reclaimPolicy: 'Delete',
  });
}

/** Gives each claim that waits a volume, and takes away volumes whose claims are gone. */
export async function provideVolumes(admin: ApiClient): Promise<void> {
  for (const claim of await listItems<Claim>(admin, '/api/v1/persistentvolumeclaims')) {
    const { storageClassName, volumeName } = claim.spec;
    if (storageClassName === CLASS && volumeName === undefined) await provide(admin, claim);
  }
  for (const volume of await listItems<Volume>(admin, '/api/v1/persistentvolumes')) {
    if (volume.spec.storageClassName !== CLASS || volume.status.phase !== 'Released') continue;
    await admin.delete({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: volume.metadata });
    rmSync(join(VOLUMES_FOLDER, volume.metadata.name), { recursive: true, force: true });
  }
}

/** A PersistentVolumeClaim in the parts that matter here. */
interface Claim {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly spec: {
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly accessModes: readonly string[];
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

/** A PersistentVolume in the parts that matter here. */
interface Volume {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly storageClassName?: string };
  readonly status: { readonly phase: string };
}

async function provide(admin: ApiClient, { metadata, spec }: Claim): Promise<void> {
  const claimName = { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid };
  const name = `pvc-${metadata.uid}`;
  const path = join(VOLUMES_FOLDER, name);
  mkdirSync(path, { recursive: true });
  const volume: NamedObject = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      storageClassName: CLASS,
      capacity: { storage: spec.resources.requests.storage },
      accessModes: spec.accessModes,
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claimName },
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onAnyNode()] }] } },
    },
  };
  await admin.apply(volume);
}

function onAnyNode(): object {
  return { key: 'kubernetes.io/hostname', operator: 'In', values: NODES.map(({ name }) => name) };
}
