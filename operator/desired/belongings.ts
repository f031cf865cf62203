/**
 * What is there beside what is wanted: objects of others under a name that the tracker needs, which are never taken over;
 * and the tracker's own objects that it no longer wants, which go. Volumes and Secrets never do.
 */
import type { Problem } from '../crd/conditions.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import type { Desired } from './desired.ts';
import { isOurs, type Ownership } from './identity.ts';
import {
  type KubernetesObject,
  type ObjectReference,
  referenceKey,
  referenceTo,
} from './kubernetes-object.ts';

/** An object that is there. */
export interface PresentObject extends ObjectReference, Ownership {
  readonly uid: string;
}

/** What is to be done with the objects of a tracker. */
export interface Belongings {
  /** To be applied: what is wanted, but for names that are taken. */
  readonly apply: readonly KubernetesObject[];
  /** To be deleted, if they still have this uid. */
  readonly prune: readonly PresentObject[];
  /** One for each name that is taken. */
  readonly problems: readonly Problem[];
}

/** Kinds that are never deleted: they hold what can't be made again. */
const KEPT_KINDS: readonly string[] = ['PersistentVolumeClaim', 'Secret'];

/** Sorts out what is wanted and what is there; `present` holds the tracker's own objects and those of the names wanted. */
export function sortBelongings(
  tracker: TorrustTracker,
  desired: Pick<Desired, 'objects' | 'kept'>,
  present: readonly PresentObject[],
): Belongings {
  const presentByKey = new Map(present.map((object) => [referenceKey(object), object]));
  const isTaken = (wanted: KubernetesObject) => {
    const there = presentByKey.get(referenceKey(referenceTo(wanted)));
    return there !== undefined && !isOurs(tracker, wanted, there);
  };
  const staying = new Set([...desired.objects.map(referenceTo), ...desired.kept].map(referenceKey));
  return {
    apply: desired.objects.filter((wanted) => !isTaken(wanted)),
    prune: present.filter(
      (object) =>
        object.ownerUids.includes(tracker.metadata.uid) &&
        !KEPT_KINDS.includes(object.kind) &&
        !staying.has(referenceKey(object)),
    ),
    problems: desired.objects.filter(isTaken).map(({ kind, metadata: { name } }) => ({
      condition: 'Degraded',
      reason: 'NameCollision',
      message: `The ${kind} ${name} is there already and is not this tracker's: delete it or rename the tracker. It is not touched.`,
    })),
  };
}
