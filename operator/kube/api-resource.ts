/**
 * The kinds that the operator talks about, and their paths at the API server. The plural of a kind is nothing that can be
 * derived, so it stands here.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
 */
import assert from 'node:assert';

/** A kind at a version, as the API server serves it. */
export interface ApiResource {
  /** `v1`, or `group/version`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** The name in paths and in roles. */
  readonly plural: string;
  readonly isNamespaced: boolean;
}

/** What a path leads to. */
export interface ApiPlace {
  /** Absent: every namespace, or a kind of the whole cluster. */
  readonly namespace?: string | undefined;
  /** Absent: the collection. */
  readonly name?: string | undefined;
  readonly subresource?: 'status' | 'scale' | undefined;
}

/** Kind -> plural, by apiVersion. */
const NAMESPACED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: {
    ConfigMap: 'configmaps',
    Event: 'events',
    PersistentVolumeClaim: 'persistentvolumeclaims',
    Pod: 'pods',
    Secret: 'secrets',
    Service: 'services',
    ServiceAccount: 'serviceaccounts',
  },
  'apps/v1': { DaemonSet: 'daemonsets', Deployment: 'deployments', StatefulSet: 'statefulsets' },
  'cert-manager.io/v1': { Certificate: 'certificates', Issuer: 'issuers' },
  'coordination.k8s.io/v1': { Lease: 'leases' },
  'discovery.k8s.io/v1': { EndpointSlice: 'endpointslices' },
  'events.k8s.io/v1': { Event: 'events' },
  'gateway.networking.k8s.io/v1': { Gateway: 'gateways', HTTPRoute: 'httproutes', UDPRoute: 'udproutes' },
  'gateway.networking.k8s.io/v1alpha2': { UDPRoute: 'udproutes' },
  'gateway.networking.k8s.io/v1beta1': { HTTPRoute: 'httproutes' },
  'grafana.integreatly.org/v1beta1': { GrafanaDashboard: 'grafanadashboards' },
  'monitoring.coreos.com/v1': { PrometheusRule: 'prometheusrules', ServiceMonitor: 'servicemonitors' },
  'networking.k8s.io/v1': { Ingress: 'ingresses', NetworkPolicy: 'networkpolicies' },
  'policy/v1': { PodDisruptionBudget: 'poddisruptionbudgets' },
  'tracker.torrust.com/v1alpha1': { TorrustTracker: 'torrusttrackers' },
};
const OF_THE_CLUSTER: typeof NAMESPACED = {
  v1: { Namespace: 'namespaces', Node: 'nodes' },
  'apiextensions.k8s.io/v1': { CustomResourceDefinition: 'customresourcedefinitions' },
  'authorization.k8s.io/v1': { SelfSubjectAccessReview: 'selfsubjectaccessreviews' },
  'cert-manager.io/v1': { ClusterIssuer: 'clusterissuers' },
  'networking.k8s.io/v1': { IngressClass: 'ingressclasses', ServiceCIDR: 'servicecidrs' },
  'scheduling.k8s.io/v1': { PriorityClass: 'priorityclasses' },
  'storage.k8s.io/v1': { StorageClass: 'storageclasses' },
};

/** How a kind is served. A kind that is not in the tables above is a mistake of the caller. */
export function resourceOf({ apiVersion, kind }: Pick<ApiResource, 'apiVersion' | 'kind'>): ApiResource {
  const namespaced = NAMESPACED[apiVersion]?.[kind];
  const plural = namespaced ?? OF_THE_CLUSTER[apiVersion]?.[kind];
  assert(plural !== undefined, `the kind ${apiVersion}/${kind} is not in the table of api-resource.ts`);
  return { apiVersion, kind, plural, isNamespaced: namespaced !== undefined };
}

/** The path of a collection, an object or a part of it, with a leading slash. */
export function pathOf(resource: ApiResource, { namespace, name, subresource }: ApiPlace): string {
  const segments = [
    ...(namespace !== undefined && resource.isNamespaced ? ['namespaces', namespace] : []),
    resource.plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return `${groupPathOf(resource.apiVersion)}/${segments.map(encodeURIComponent).join('/')}`;
}

/** The path at which a group's version lists its kinds: `/api/v1`, `/apis/apps/v1`. */
export function groupPathOf(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
