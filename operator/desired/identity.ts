/**
 * Names, labels, selectors and owners of everything that belongs to a tracker: the one place that knows them.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
 */
import { API_VERSION, GROUP, KIND, type TorrustTracker } from '../crd/tracker.ts';
import type { KubernetesObject, ObjectMetadata, OwnerReference } from './kubernetes-object.ts';

/** The value of `app.kubernetes.io/managed-by`, and the field manager of every apply. */
export const MANAGER = 'torrust-operator';
/** The value of `app.kubernetes.io/name` of the operator's own pods. */
export const OPERATOR_NAME = 'torrust-operator';
/** Says which tracker an object was made for: two trackers of one name, one after the other, differ in it. */
const INSTANCE_UID_LABEL = `${GROUP}/instance-uid`;

/** Annotations that the operator writes, and one that it reads. */
export const ANNOTATIONS = {
  /** On pods: the hash of everything that only a restart takes over. */
  restartHash: `${GROUP}/restart-hash`,
  /** On the workload: the pod template as it was last rendered. */
  podTemplate: `${GROUP}/pod-template`,
  /** On the workload: what that rendering stands for. */
  renderedFor: `${GROUP}/rendered-for`,
  /** On the Secret of connection-id keys: where their rotation is. */
  rotationStep: `${GROUP}/rotation-step`,
  /** Since when. */
  rotationStepTime: `${GROUP}/rotation-step-time`,
  /** On a tracker, by the user: any new value renders the pods with the operator's newest defaults. */
  acceptDefaults: `${GROUP}/accept-defaults`,
} as const;

/** The names of everything that a tracker may have. */
export interface Names {
  readonly workload: string;
  readonly serviceAccount: string;
  readonly config: string;
  readonly claim: string;
  readonly disruptionBudget: string;
  readonly networkPolicy: string;
  /** The public Services; `combined` stands for both of the others. */
  readonly udpService: string;
  readonly httpService: string;
  readonly combinedService: string;
  /** The Service of API, health and metrics. */
  readonly internalService: string;
  readonly apiToken: string;
  readonly connectionKeys: string;
  readonly authority: string;
  readonly httpRoute: string;
  readonly ingress: string;
  readonly serviceMonitor: string;
  readonly prometheusRule: string;
  readonly dashboards: string;
  /** By the name of the listener. */
  udpRoute(listener: string): string;
  /** The Secret of a listener's certificate, and the Certificate; `api` is that of the REST API. */
  certificate(target: CertificateTarget): string;
}

/** What a certificate is for: an HTTP listener, or the REST API. */
export type CertificateTarget =
  { readonly kind: 'http'; readonly listener: string } | { readonly kind: 'api' };

/** The names of a tracker's objects. */
export function namesOf({ metadata: { name } }: TorrustTracker): Names {
  return {
    workload: name,
    serviceAccount: name,
    config: `${name}-config`,
    claim: `${name}-data`,
    disruptionBudget: name,
    networkPolicy: name,
    udpService: `${name}-udp`,
    httpService: `${name}-http`,
    combinedService: name,
    internalService: `${name}-api`,
    apiToken: `${name}-api-token`,
    connectionKeys: `${name}-connection-id`,
    authority: `${name}-ca`,
    httpRoute: name,
    ingress: name,
    serviceMonitor: name,
    prometheusRule: name,
    dashboards: `${name}-dashboards`,
    udpRoute: (listener) => `${name}-udp-${listener}`,
    certificate: (target) =>
      target.kind === 'api' ? `${name}-api-tls` : `${name}-http-${target.listener}-tls`,
  };
}

/** The labels that choose a tracker's pods. They never change: a workload's selector can't. */
export function selectorOf({ metadata: { name } }: TorrustTracker): Record<string, string> {
  return { 'app.kubernetes.io/name': 'torrust-tracker', 'app.kubernetes.io/instance': name };
}

/** The selector as one text, for the scale subresource. */
export function selectorText(tracker: TorrustTracker): string {
  return Object.entries(selectorOf(tracker))
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
}

/** The labels of every object of a tracker. */
export function labelsOf(tracker: TorrustTracker): Record<string, string> {
  return {
    ...selectorOf(tracker),
    'app.kubernetes.io/component': 'tracker',
    'app.kubernetes.io/part-of': 'torrust',
    'app.kubernetes.io/managed-by': MANAGER,
    [INSTANCE_UID_LABEL]: tracker.metadata.uid,
  };
}

/** The tracker as the owner of an object: the cluster deletes the object with it. */
export function ownerReference({ metadata: { name, uid } }: TorrustTracker): OwnerReference {
  // Without `blockOwnerDeletion`, for which some clusters want a permission on finalizers that nothing else needs.
  return { apiVersion: API_VERSION, kind: KIND, name, uid, controller: true };
}

/** The metadata of an object that goes with its tracker. */
export function ownedMetadata(
  tracker: TorrustTracker,
  name: string,
  more: { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> } = {},
): ObjectMetadata {
  return { ...keptMetadata(tracker, name, more), ownerReferences: [ownerReference(tracker)] };
}

/** The metadata of an object that outlives its tracker: a volume, or a Secret that was generated. */
export function keptMetadata(
  tracker: TorrustTracker,
  name: string,
  more: { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> } = {},
): ObjectMetadata {
  const annotations = more.annotations ?? {};
  return {
    name,
    namespace: tracker.metadata.namespace,
    // Labels of the user's own never replace those by which objects are found.
    labels: { ...more.labels, ...labelsOf(tracker) },
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
}

/** An object as the cluster shows it, in the parts that say whose it is. */
export interface Ownership {
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerUids: readonly string[];
}

/** Whether a tracker may write an object that is there: it owns it, or it takes up what an earlier one of its name left. */
export function isOurs(
  tracker: TorrustTracker,
  wanted: KubernetesObject,
  { labels, ownerUids }: Ownership,
): boolean {
  if (ownerUids.includes(tracker.metadata.uid)) return true;
  if (ownerUids.length > 0) return false;
  const outlives = wanted.kind === 'PersistentVolumeClaim' || wanted.kind === 'Secret';
  return (
    outlives &&
    labels['app.kubernetes.io/managed-by'] === MANAGER &&
    labels['app.kubernetes.io/instance'] === tracker.metadata.name
  );
}
