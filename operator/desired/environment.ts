/**
 * What the desired objects depend on beside the resource: the operator's own settings, the cluster's abilities, and what
 * is there already. All of it is plain data, gathered by others.
 */
import type { PullPolicy } from '../crd/tracker-spec.ts';
import type { PodTemplate } from './kubernetes-object.ts';

/** APIs that a cluster may have or not; of the versions of a kind the one that is liked best comes first. */
export const OPTIONAL_APIS = [
  'cert-manager.io/v1/Certificate',
  'gateway.networking.k8s.io/v1/HTTPRoute',
  'gateway.networking.k8s.io/v1beta1/HTTPRoute',
  'gateway.networking.k8s.io/v1/UDPRoute',
  'gateway.networking.k8s.io/v1alpha2/UDPRoute',
  'monitoring.coreos.com/v1/ServiceMonitor',
  'monitoring.coreos.com/v1/PrometheusRule',
] as const;
export type OptionalApi = (typeof OPTIONAL_APIS)[number];

/** Of what a cluster serves, each kind in one version: an object that is seen in two would look like two. */
export function oneVersionEach(served: ReadonlySet<OptionalApi>): Set<OptionalApi> {
  const kinds = new Set<string>();
  const chosen = new Set<OptionalApi>();
  for (const api of OPTIONAL_APIS) {
    const [group, , kind] = api.split('/');
    const name = `${group}/${kind}`;
    if (!served.has(api) || kinds.has(name)) continue;
    kinds.add(name);
    chosen.add(api);
  }
  return chosen;
}

/** The operator and its cluster. */
export interface Environment {
  /** The image of trackers whose resource names none. */
  readonly defaultImage: string;
  /** When a node fetches the image of trackers whose resource does not say; absent: as Kubernetes does by itself. */
  readonly defaultPullPolicy?: PullPolicy | undefined;
  /** Where the operator's pods are; undefined when it runs outside the cluster. */
  readonly operatorNamespace: string | undefined;
  /** Each kind in one version. */
  readonly apis: ReadonlySet<OptionalApi>;
  /** The address families of pods; the first is that of a pod's main address. */
  readonly ipFamilies: readonly (4 | 6)[];
  /** The addresses of nodes and the ranges of pods; empty when they are not known. */
  readonly clusterRanges: readonly string[];
  /** The names of all nodes, sorted; empty when they are not known. */
  readonly nodes: readonly string[];
  /** Dashboards of trackers: the name of a file, and its JSON. */
  readonly dashboards: ReadonlyMap<string, string>;
  readonly now: Date;
}

/** A Secret as it is there. */
export interface ObservedSecret {
  /** Decoded. */
  readonly data: ReadonlyMap<string, string>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The volume claim as it is there. */
export interface ObservedClaim {
  /** The size that it asks for. */
  readonly size: string;
  readonly storageClassName: string | undefined;
}

/** The workload as it is there: what its pods were last rendered as. */
export interface ObservedWorkload {
  readonly kind: WorkloadKind;
  /** The text of the annotation `renderedFor`. */
  readonly renderedFor: string | undefined;
  /** The annotation `podTemplate`, read; undefined when it can't be. */
  readonly recordedTemplate: PodTemplate | undefined;
}

/** What runs the pods. */
export type WorkloadKind = 'Deployment' | 'StatefulSet' | 'DaemonSet';

/** What is there. */
export interface Observed {
  /** By name: those that the resource names and those that were generated. */
  readonly secrets: ReadonlyMap<string, ObservedSecret>;
  readonly claim: ObservedClaim | undefined;
  readonly workload: ObservedWorkload | undefined;
}

/** A cluster in which nothing is there yet. */
export const NOTHING_OBSERVED: Observed = { secrets: new Map(), claim: undefined, workload: undefined };
