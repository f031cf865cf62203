/**
 * What the operator may do in a cluster: every verb that it uses, and no other. The roles of the chart, `torrust-operator
 * check` and the tests all read this table. Nothing in it reaches every object of a kind that the operator does not write.
 */
import { GROUP, PLURAL } from './crd/tracker.ts';

/** A verb of a role. */
export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** Verbs on the resources of one API group. */
export interface Permission {
  /** Empty for the core. */
  readonly group: string;
  /** Plural names; a subresource behind a slash. */
  readonly resources: readonly string[];
  readonly verbs: readonly Verb[];
  /**
   * `watched`: in the namespaces whose trackers are run, or everywhere. `own`: in the operator's namespace. `cluster`: of
   * the whole cluster, without which less is known and everything still works.
   */
  readonly scope: 'watched' | 'own' | 'cluster';
  /** The API may be missing. */
  readonly isOptional?: true;
  /** What it is for, as the end of a sentence. */
  readonly why: string;
}

/** A server-side apply is a patch, and a create where the object is not there yet. */
const WRITE = ['get', 'list', 'watch', 'create', 'patch', 'delete'] as const;
/** What holds data is never deleted, and a tracker always wants its account. */
const KEEP = ['get', 'list', 'watch', 'create', 'patch'] as const;

/** Everything that the operator may do. */
export const PERMISSIONS: readonly Permission[] = [
  { group: GROUP, resources: [PLURAL], verbs: ['list', 'watch'], scope: 'watched', why: 'to see trackers' },
  {
    group: GROUP,
    resources: [`${PLURAL}/status`],
    verbs: ['patch'],
    scope: 'watched',
    why: 'to tell how they are',
  },
  {
    group: '',
    resources: ['configmaps', 'services'],
    verbs: WRITE,
    scope: 'watched',
    why: 'to run trackers',
  },
  {
    group: '',
    resources: ['secrets', 'persistentvolumeclaims', 'serviceaccounts'],
    verbs: KEEP,
    scope: 'watched',
    why: 'for tokens, keys, certificates, data and the account of the pods',
  },
  {
    group: '',
    resources: ['pods'],
    verbs: ['list', 'watch'],
    scope: 'watched',
    why: 'to see how trackers run',
  },
  {
    group: '',
    resources: ['events'],
    verbs: ['list'],
    scope: 'watched',
    why: 'to learn why a pod does not start',
  },
  {
    group: 'apps',
    resources: ['deployments', 'statefulsets', 'daemonsets'],
    verbs: WRITE,
    scope: 'watched',
    why: 'to run trackers',
  },
  {
    group: 'policy',
    resources: ['poddisruptionbudgets'],
    verbs: WRITE,
    scope: 'watched',
    why: 'to keep a drain of nodes orderly',
  },
  {
    group: 'networking.k8s.io',
    resources: ['networkpolicies', 'ingresses'],
    verbs: WRITE,
    scope: 'watched',
    why: 'to guard trackers and to lead to them',
  },
  {
    group: 'gateway.networking.k8s.io',
    resources: ['httproutes', 'udproutes'],
    verbs: WRITE,
    scope: 'watched',
    isOptional: true,
    why: 'for spec.exposure.gateway',
  },
  {
    group: 'monitoring.coreos.com',
    resources: ['servicemonitors', 'prometheusrules'],
    verbs: WRITE,
    scope: 'watched',
    isOptional: true,
    why: 'for spec.monitoring',
  },
  {
    group: 'cert-manager.io',
    resources: ['certificates'],
    verbs: WRITE,
    scope: 'watched',
    isOptional: true,
    why: 'for certificates by cert-manager',
  },
  {
    group: 'cert-manager.io',
    resources: ['issuers'],
    verbs: ['get'],
    scope: 'watched',
    isOptional: true,
    why: 'to tell why a certificate does not come',
  },
  {
    group: 'events.k8s.io',
    resources: ['events'],
    verbs: ['create', 'patch'],
    scope: 'watched',
    why: 'to tell what happened',
  },
  {
    group: '',
    resources: ['nodes'],
    verbs: ['get', 'list'],
    scope: 'cluster',
    why: 'for the addresses that clients reach, and to tell clients from the cluster',
  },
  {
    group: 'networking.k8s.io',
    resources: ['ingressclasses', 'servicecidrs'],
    verbs: ['list'],
    scope: 'cluster',
    why: 'to tell of a missing class, and to tell clients from the cluster',
  },
  {
    group: 'cert-manager.io',
    resources: ['clusterissuers'],
    verbs: ['get'],
    scope: 'cluster',
    isOptional: true,
    why: 'to tell why a certificate does not come',
  },
  {
    group: 'coordination.k8s.io',
    resources: ['leases'],
    verbs: ['get', 'create', 'update'],
    scope: 'own',
    why: 'so that one of several operators works',
  },
];
