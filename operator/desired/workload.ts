/**
 * What runs the pods: a StatefulSet where there is a volume, else a Deployment; a DaemonSet on the nodes' own network.
 *
 * The pod template is kept as it was last rendered, in an annotation, and rendered anew only for a reason of the
 * tracker's: its generation, what needs a restart, or its image. So a newer operator, whose templates differ, mends
 * drift to the template of old and replaces no pod, until the tracker changes or its user asks for the newer defaults.
 */
import { createHash } from 'node:crypto';
import type { Problem } from '../crd/conditions.ts';
import { isHibernating, type TorrustTracker } from '../crd/tracker.ts';
import type { Environment, ObservedWorkload, WorkloadKind } from './environment.ts';
import { ANNOTATIONS, namesOf, ownedMetadata, selectorOf } from './identity.ts';
import type { KubernetesObject, PodTemplate } from './kubernetes-object.ts';
import { overridePodTemplate } from './pod-overrides.ts';
import { renderPodTemplate } from './pod-template.ts';
import { storageOf } from './volumes.ts';

/** Pods are replaced one by one; a Deployment starts the next before it stops the former. */
const REVISION_HISTORY = 5;

/** A workload, or why it is left as it is. */
export type WantedWorkload =
  | { readonly kind: 'workload'; readonly object: KubernetesObject; readonly image: string }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

/** The kind of a tracker's workload. */
export function workloadKind(tracker: TorrustTracker): WorkloadKind {
  if (tracker.spec.topology === 'HostNode') return 'DaemonSet';
  return storageOf(tracker) === undefined ? 'Deployment' : 'StatefulSet';
}

/** Builds the workload. `hash` is that of everything that needs a restart. */
export function wantedWorkload(
  tracker: TorrustTracker,
  environment: Environment,
  observed: ObservedWorkload | undefined,
  hash: string,
): WantedWorkload {
  const kind = workloadKind(tracker);
  const renderedFor = reasonToRender(tracker, hash);
  const isRecorded = observed?.kind === kind && observed.renderedFor === renderedFor;
  const recorded = isRecorded ? observed.recordedTemplate : undefined;
  if (recorded !== undefined) return finish(tracker, kind, renderedFor, recorded);
  const overridden = overridePodTemplate(tracker, renderPodTemplate(tracker, environment, hash));
  if (overridden.kind === 'refused') return overridden;
  return finish(tracker, kind, renderedFor, overridden.template);
}

/** What a rendering stands for: as long as this text stays, so does the template. */
function reasonToRender({ spec, metadata }: TorrustTracker, hash: string): string {
  const facts = [
    metadata.generation,
    hash,
    spec.image,
    metadata.annotations[ANNOTATIONS.acceptDefaults] ?? '',
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

function finish(
  tracker: TorrustTracker,
  kind: WorkloadKind,
  renderedFor: string,
  template: PodTemplate,
): WantedWorkload {
  const names = namesOf(tracker);
  const annotations = {
    [ANNOTATIONS.renderedFor]: renderedFor,
    [ANNOTATIONS.podTemplate]: JSON.stringify(template),
  };
  const object = {
    apiVersion: 'apps/v1',
    kind,
    metadata: ownedMetadata(tracker, names.workload, { annotations }),
    spec: {
      selector: { matchLabels: selectorOf(tracker) },
      revisionHistoryLimit: REVISION_HISTORY,
      ...strategyOf(tracker, kind),
      template: kind === 'DaemonSet' && isHibernating(tracker) ? onNoNode(template) : template,
    },
  };
  const [container] = template.spec.containers;
  return { kind: 'workload', object, image: container?.image ?? '' };
}

function strategyOf(tracker: TorrustTracker, kind: WorkloadKind): Record<string, unknown> {
  const replicas = isHibernating(tracker) ? 0 : 1;
  switch (kind) {
    case 'Deployment':
      return {
        replicas,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      };
    case 'StatefulSet':
      return {
        replicas,
        serviceName: namesOf(tracker).internalService,
        // In order, a pod that never becomes ready would never be replaced by one that is mended.
        podManagementPolicy: 'Parallel',
        updateStrategy: { type: 'RollingUpdate' },
      };
    case 'DaemonSet':
      // Two pods of a node would want the same ports.
      return { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } } };
  }
}

/** A DaemonSet has no number of replicas: one that hibernates chooses no node. */
function onNoNode(template: PodTemplate): PodTemplate {
  const nodeSelector = { ...asTexts(template.spec['nodeSelector']), 'tracker.torrust.com/hibernate': 'true' };
  return { ...template, spec: { ...template.spec, nodeSelector } };
}

function asTexts(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
