/**
 * Why a tracker does not have the volume that it asks for: one that nobody provides, one that is lost, and one that was to
 * grow and has not. The claim tells part of it, events the rest.
 * https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
 */
import { readQuantity } from '../desired/quantity.ts';
import { conditionOf, textAt } from '../json-path.ts';
import type { PodTrouble } from '../status.ts';
import { latest } from './event-times.ts';

const PENDING_EVENTS: readonly string[] = ['ProvisioningFailed', 'FailedBinding'];
const GROWTH_EVENTS: readonly string[] = ['VolumeResizeFailed', 'FileSystemResizeFailed'];
/** Conditions of a claim whose volume could not be made larger. */
const GROWTH_FAILURES: readonly string[] = ['ControllerResizeError', 'NodeResizeError'];
/** A volume that its class provides at once is there in a moment: nobody is to be alarmed by a claim that waits so long. */
const PROVISION_MILLIS = 5_000;
/** Drivers that can grow a file system in use do so within a minute or two; after this the pod has to start anew. */
const FILE_SYSTEM_MILLIS = 180_000;

/** Whether a claim waits for its volume to become as large as it asks for. */
export function isGrowing(claim: unknown): boolean {
  const wanted = readQuantity(textAt(claim, 'spec', 'resources', 'requests', 'storage') ?? '0') ?? 0;
  const has = readQuantity(textAt(claim, 'status', 'capacity', 'storage') ?? '') ?? wanted;
  return textAt(claim, 'status', 'phase') === 'Bound' && has < wanted;
}

/** What keeps a claim from being as it should be, at most one trouble. `claim` is undefined where a tracker has none. */
export function claimTroubles(claim: unknown, events: readonly unknown[], now: Date): PodTrouble[] {
  if (claim === undefined) return [];
  const name = textAt(claim, 'metadata', 'name') ?? '';
  const message = describeTrouble(claim, name, events, now);
  if (message === undefined) return [];
  return [{ about: `PersistentVolumeClaim ${name}`, reason: 'StorageFailed', message }];
}

function describeTrouble(
  claim: unknown,
  name: string,
  events: readonly unknown[],
  now: Date,
): string | undefined {
  switch (textAt(claim, 'status', 'phase')) {
    case 'Lost':
      return 'the volume behind the claim is gone: restore it, or delete the claim to begin anew.';
    case 'Bound':
      return isGrowing(claim) ? describeGrowth(claim, name, events, now) : undefined;
    default:
      return describeWaiting(claim, name, events, now);
  }
}

function describeWaiting(
  claim: unknown,
  name: string,
  events: readonly unknown[],
  now: Date,
): string | undefined {
  const className = textAt(claim, 'spec', 'storageClassName') ?? '';
  const said = textAt(latest(events, PENDING_EVENTS, name), 'message');
  if (said !== undefined) {
    const advice = /not found/.test(said)
      ? `make the StorageClass ${className}; a claim keeps its class, so that another one needs a tracker of another name`
      : `see the StorageClass ${className} and its provisioner, which tries again by itself`;
    return `${said.replace(/\.$/, '')}: ${advice}.`;
  }
  // That there is no class is told by an everyday event, which is not asked for; the claim tells it as well.
  if (className === '' && !isYoung(textAt(claim, 'metadata', 'creationTimestamp'), now)) {
    return 'the claim has no StorageClass, and the cluster has no default one: mark a StorageClass as the default, which the claim then gets by itself, or make a PersistentVolume that fits.';
  }
  return undefined;
}

function isYoung(since: string | undefined, now: Date): boolean {
  return since === undefined || now.getTime() - Date.parse(since) < PROVISION_MILLIS;
}

function describeGrowth(
  claim: unknown,
  name: string,
  events: readonly unknown[],
  now: Date,
): string | undefined {
  const wanted = textAt(claim, 'spec', 'resources', 'requests', 'storage') ?? '';
  const has = textAt(claim, 'status', 'capacity', 'storage') ?? '';
  const sizes = `the volume was to grow to ${wanted} and still has ${has}`;
  const failure = GROWTH_FAILURES.map((type) => conditionOf(claim, type)).find(
    (condition) => textAt(condition, 'status') === 'True',
  );
  const fate = textAt(claim, 'status', 'allocatedResourceStatuses', 'storage') ?? '';
  const event = latest(events, GROWTH_EVENTS, name);
  if (failure !== undefined || event !== undefined || fate.endsWith('Infeasible')) {
    const said = textAt(failure, 'message') ?? textAt(event, 'message') ?? fate;
    return `${sizes} (${said.replace(/\.$/, '')}): see the limits and the health of its storage; it is tried again by itself, and the tracker runs on meanwhile.`;
  }
  const pending = conditionOf(claim, 'FileSystemResizePending');
  const since = Date.parse(textAt(pending, 'lastTransitionTime') ?? '');
  if (textAt(pending, 'status') === 'True' && now.getTime() - since >= FILE_SYSTEM_MILLIS) {
    return `${sizes}: its driver grows a file system only when the pod starts. Delete the tracker's pod at a quiet time.`;
  }
  return undefined;
}
