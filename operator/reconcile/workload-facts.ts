/**
 * How far a Deployment, a StatefulSet or a DaemonSet is, in the words that all three share.
 */
import type { WorkloadFacts } from '../status.ts';
import { numberAt } from '../json-path.ts';

/** Reads a workload as the API server shows it. */
export function readWorkload(object: {
  readonly kind: string;
  readonly [field: string]: unknown;
}): WorkloadFacts {
  const status = (name: string) => numberAt(object, 'status', name) ?? 0;
  const isObserved = status('observedGeneration') >= (numberAt(object, 'metadata', 'generation') ?? 1);
  if (object.kind === 'DaemonSet') {
    return {
      wanted: status('desiredNumberScheduled'),
      present: status('currentNumberScheduled'),
      ready: status('numberReady'),
      updated: status('updatedNumberScheduled'),
      isObserved,
    };
  }
  return {
    wanted: numberAt(object, 'spec', 'replicas') ?? 1,
    present: status('replicas'),
    ready: status('readyReplicas'),
    updated: status('updatedReplicas'),
    isObserved,
  };
}
