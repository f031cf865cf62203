/**
 * What raw pods of a tracker tell of who serves it.
 */
import { conditionOf, listAt, textAt } from '../json-path.ts';
import type { KubeObject } from '../kube/kube-object.ts';
import type { RunningPod } from '../probe/plan.ts';

/** Whether a pod takes traffic; one that is about to end may still. */
export function isReady(pod: KubeObject): boolean {
  return textAt(conditionOf(pod, 'Ready'), 'status') === 'True';
}

/** The pods that run and stay, by name. */
export function runningPods(pods: readonly KubeObject[]): RunningPod[] {
  return pods
    .filter(
      (pod) =>
        textAt(pod, 'status', 'phase') === 'Running' &&
        textAt(pod, 'metadata', 'deletionTimestamp') === undefined,
    )
    .map((pod) => ({
      name: pod.metadata.name,
      addresses: listAt(pod, 'status', 'podIPs').flatMap((entry) => textAt(entry, 'ip') ?? []),
      hostAddress: textAt(pod, 'status', 'hostIP'),
      isReady: isReady(pod),
    }))
    .filter(({ addresses }) => addresses.length > 0)
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** The nodes that have no ready pod; none while there is no ready pod at all. */
export function nodesWithout(nodes: readonly string[], pods: readonly KubeObject[]): string[] {
  const serving = pods.filter(isReady).map((pod) => textAt(pod, 'spec', 'nodeName'));
  return serving.length === 0 ? [] : nodes.filter((node) => !serving.includes(node));
}
