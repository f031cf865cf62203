/**
 * The tracker's volumes: configuration, secrets and data; and the claim that outlives the tracker.
 */
import { DEFAULT_STORAGE_SIZE } from '../crd/storage.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { CONFIG_FOLDER, DATA_FOLDER } from './configuration.ts';
import type { Observed } from './environment.ts';
import { keptMetadata, namesOf, ownedMetadata } from './identity.ts';
import type { KubernetesObject, Volume, VolumeMount } from './kubernetes-object.ts';
import { readQuantity } from './quantity.ts';
import { secretMount, secretUses, secretVolume } from './secret-uses.ts';

/** Room for temporary files beside a root file system that can't be written. */
const TEMPORARY_SIZE = '64Mi';

/** What is kept on a volume of the tracker's own. */
interface Storage {
  readonly size: string;
  readonly storageClassName: string | undefined;
  readonly retain: boolean;
}

/** The storage that a tracker asks for; undefined when it keeps nothing, or nothing that outlives its pod. */
export function storageOf({ spec }: TorrustTracker): Storage | undefined {
  if (spec.topology === 'HostNode') return undefined;
  if (spec.database?.mysql === undefined) {
    const { size, storageClassName, retain } = spec.database?.sqlite ?? {};
    return { size: size ?? DEFAULT_STORAGE_SIZE, storageClassName, retain: retain ?? true };
  }
  const { enabled, size, storageClassName } = spec.swarm.snapshot;
  return enabled ? { size, storageClassName, retain: true } : undefined;
}

/** The volume claim. A claim that is there keeps its class, and its size where that is larger: neither can be taken back. */
export function volumeClaim(tracker: TorrustTracker, { claim }: Observed): KubernetesObject[] {
  const storage = storageOf(tracker);
  if (storage === undefined) return [];
  const name = namesOf(tracker).claim;
  const isLarger = claim !== undefined && sizeBytes(claim.size) > sizeBytes(storage.size);
  const storageClassName = claim === undefined ? storage.storageClassName : claim.storageClassName;
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: storage.retain ? keptMetadata(tracker, name) : ownedMetadata(tracker, name),
      spec: {
        accessModes: ['ReadWriteOnce'],
        ...(storageClassName === undefined ? {} : { storageClassName }),
        resources: { requests: { storage: isLarger ? claim.size : storage.size } },
      },
    },
  ];
}

/** A size in bytes; 0 for what is none. */
function sizeBytes(text: string): number {
  return readQuantity(text) ?? 0;
}

/** The volumes of a pod. */
export function podVolumes(tracker: TorrustTracker): Volume[] {
  const names = namesOf(tracker);
  return [
    { name: 'config', configMap: { name: names.config } },
    storageOf(tracker) === undefined
      ? { name: 'data', emptyDir: {} }
      : { name: 'data', persistentVolumeClaim: { claimName: names.claim } },
    { name: 'tmp', emptyDir: { sizeLimit: TEMPORARY_SIZE } },
    ...secretUses(tracker).map(secretVolume),
  ];
}

/** Where the tracker's container sees them. */
export function volumeMounts(tracker: TorrustTracker): VolumeMount[] {
  return [
    { name: 'config', mountPath: CONFIG_FOLDER, readOnly: true },
    { name: 'data', mountPath: DATA_FOLDER },
    { name: 'tmp', mountPath: '/tmp' },
    ...secretUses(tracker).map(secretMount),
  ];
}
