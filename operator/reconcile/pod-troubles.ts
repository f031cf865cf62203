/**
 * Why pods of a tracker do not run, out of what the cluster says: the states of pods and of the volume claim, and events
 * for what only events tell, such as a workload that is not allowed to make its pods.
 */
import type { PodTrouble } from '../status.ts';
import { conditionOf, listAt, numberAt, textAt, valueAt } from '../json-path.ts';
import { claimTroubles } from './claim-troubles.ts';
import { latest, timeOf } from './event-times.ts';
import { lastWords } from './last-words.ts';
import { adviceOn } from './refusals.ts';

/** Raw objects of one tracker. */
export interface PodSurroundings {
  readonly pods: readonly unknown[];
  readonly claim: unknown;
  /** About the workload, its ReplicaSets, the pods and the claim; in no order. */
  readonly events: readonly unknown[];
  readonly now: Date;
}

/** A volume is often bound, or a node made, in a moment: nobody is to be alarmed by a pod that waits so long for it. */
const SCHEDULING_MILLIS = 5_000;
const IMAGE_REASONS: readonly string[] = [
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
];
const IMAGE_ADVICE =
  'see spec.image, and spec.image.pullSecrets for a registry that asks who one is; it is tried again by itself';
const START_REASONS: readonly string[] = [
  'CrashLoopBackOff',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
];
const VOLUME_EVENTS: readonly string[] = ['FailedMount', 'FailedAttachVolume', 'FailedMapVolume'];
/** Controllers try again to make a pod at least this often. */
const RETRY_MILLIS = 20 * 60_000;
/** A pod that restarted this often and is not ready has more than a slow start. */
const MANY_RESTARTS = 2;

/** Everything that keeps pods from running, the worst first. Empty when nothing is known. */
export function findTroubles({ pods, claim, events, now }: PodSurroundings): PodTrouble[] {
  const living = pods.filter((pod) => textAt(pod, 'metadata', 'deletionTimestamp') === undefined);
  return [
    ...refusedPods(living, events, now),
    ...claimTroubles(claim, events, now),
    ...living.flatMap((pod) => podTrouble(pod, events, now)),
  ];
}

function podTrouble(pod: unknown, events: readonly unknown[], now: Date): PodTrouble[] {
  const name = textAt(pod, 'metadata', 'name') ?? '';
  const say = (reason: PodTrouble['reason'], message: string): PodTrouble[] => {
    return [{ about: `Pod ${name}`, reason, message }];
  };
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (textAt(scheduled, 'status') === 'False') {
    const since = Date.parse(textAt(scheduled, 'lastTransitionTime') ?? '');
    if (now.getTime() - since < SCHEDULING_MILLIS) return [];
    const what = textAt(scheduled, 'message') ?? 'no node takes it';
    return say('Unschedulable', `${what} (see spec.nodeSelector, tolerations, affinity and resources).`);
  }
  for (const status of ['initContainerStatuses', 'containerStatuses'].flatMap((list) =>
    listAt(pod, 'status', list),
  )) {
    const reason = textAt(status, 'state', 'waiting', 'reason') ?? '';
    const message = textAt(status, 'state', 'waiting', 'message') ?? '';
    if (IMAGE_REASONS.includes(reason)) {
      const image = textAt(status, 'image') ?? 'the image';
      return say('ImagePullFailed', `${image} can not be had (${reason}: ${message}): ${IMAGE_ADVICE}.`);
    }
    if (START_REASONS.includes(reason)) return say('PodFailing', describeFailure(status, reason, message));
    if ((numberAt(status, 'restartCount') ?? 0) >= MANY_RESTARTS && valueAt(status, 'ready') === false) {
      return say('PodFailing', describeFailure(status, 'not ready', ''));
    }
  }
  if (textAt(pod, 'status', 'phase') === 'Failed') {
    return say(
      'PodFailing',
      textAt(pod, 'status', 'message') ?? textAt(pod, 'status', 'reason') ?? 'it failed',
    );
  }
  const isWaiting = listAt(pod, 'status', 'containerStatuses').some(
    (status) => textAt(status, 'state', 'waiting', 'reason') === 'ContainerCreating',
  );
  const said = isWaiting ? textAt(latest(events, VOLUME_EVENTS, name), 'message') : undefined;
  return said === undefined
    ? []
    : say('StorageFailed', `${said.replace(/\.$/, '')}: ${adviceOnVolume(said)}.`);
}

/** What to do about a volume that does not come to its pod. */
function adviceOnVolume(said: string): string {
  if (/multi-attach|already (used|exclusively attached)/i.test(said)) {
    return 'it is let go when the pod on the other node has ended; if that node is gone for good, delete its Node object';
  }
  return /secret|configmap/i.test(said)
    ? 'see that the Secrets that the resource names are there with all their keys; it is tried again by itself'
    : 'see the driver of the StorageClass on that node; it is tried again by itself';
}

/** How the container ended, and what it said last. */
function describeFailure(status: unknown, reason: string, message: string): string {
  const ended = valueAt(status, 'lastState', 'terminated') ?? valueAt(status, 'state', 'terminated');
  const code = numberAt(ended, 'exitCode');
  const how =
    code === undefined
      ? ''
      : `; it last ended with ${textAt(ended, 'reason') ?? 'an error'}, exit code ${code}`;
  const words = lastWords(textAt(ended, 'message') ?? '');
  const said = words === '' ? '' : `, and said: ${words}`;
  const hint =
    textAt(ended, 'reason') === 'OOMKilled'
      ? 'raise spec.resources.limits.memory or lower spec.swarm.memory'
      : 'look at its log';
  return `${reason}${message === '' ? '' : `: ${message}`}${how}${said}${said === '' ? ':' : ';'} ${hint}.`;
}

/** A workload that may not make its pods says so in events alone. What was refused before the newest pod was made is past. */
function refusedPods(living: readonly unknown[], events: readonly unknown[], now: Date): PodTrouble[] {
  const event = latest(events, ['FailedCreate']);
  if (event === undefined) return [];
  const made = living.map((pod) => textAt(pod, 'metadata', 'creationTimestamp') ?? timeOf(event)).toSorted();
  if ((made.at(-1) ?? '') >= timeOf(event)) return [];
  // With no pod at all, whatever was said last is why; beside others, it may be long that somebody gave in.
  if (living.length > 0 && now.getTime() - Date.parse(timeOf(event)) > RETRY_MILLIS) return [];
  const kind = textAt(event, 'involvedObject', 'kind') ?? '';
  const name = textAt(event, 'involvedObject', 'name') ?? '';
  const said = (textAt(event, 'message') ?? '').replace(/\.$/, '');
  return [{ about: `${kind} ${name}`, reason: 'PodRefused', message: `${said}. ${adviceOn(said, 'Pod')}` }];
}
