/**
 * What is known of the cluster without asking it: trackers, everything that belongs to them, their pods, and of Secrets of
 * users that they are there. Says whose tracker is to be looked at when something of it changes.
 *
 * Of Secrets that are not the operator's no content is kept: whoever needs one asks for it by name.
 */
import { API_VERSION, KIND } from '../crd/tracker.ts';
import { OPTIONAL_APIS } from '../desired/environment.ts';
import { MANAGER } from '../desired/identity.ts';
import { listAt, textAt } from '../json-path.ts';
import { resourceOf } from '../kube/api-resource.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeLog } from '../kube/kube-log.ts';
import { keyOf, type KubeObject, type ObjectName } from '../kube/kube-object.ts';
import type { ReflectorMetrics } from '../kube/metrics.ts';
import type { Change } from '../kube/object-cache.ts';
import { type Reflector, startReflector } from '../kube/reflector.ts';
import { OwnWrites } from './own-writes.ts';

/** A kind, as objects name it. */
type KindName = Pick<KubeObject, 'apiVersion' | 'kind'>;

/** What a cache is made with. */
export interface ClusterCacheOptions {
  readonly client: KubeClient;
  /** Absent: all of the cluster. */
  readonly namespaces: readonly string[] | undefined;
  readonly metrics: ReflectorMetrics;
  readonly log: KubeLog;
  /** The optional APIs that are used, each kind in one version; what others show is the same once more. */
  readonly apis: () => ReadonlySet<string>;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called with the key of a tracker that is to be looked at. */
  readonly onTracker: (key: string) => void;
}

const TRACKER: KindName = { apiVersion: API_VERSION, kind: KIND };
const POD: KindName = { apiVersion: 'v1', kind: 'Pod' };
const SECRET: KindName = { apiVersion: 'v1', kind: 'Secret' };
/** Kinds that every cluster has and that are the operator's own, by their labels. */
const OWNED: readonly KindName[] = [
  { apiVersion: 'v1', kind: 'ConfigMap' },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'v1', kind: 'ServiceAccount' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
];
/** Kinds that a cluster may lack. */
const OPTIONAL: readonly KindName[] = OPTIONAL_APIS.map((api) => {
  const at = api.lastIndexOf('/');
  return { apiVersion: api.slice(0, at), kind: api.slice(at + 1) };
});

const MANAGED_BY = 'app.kubernetes.io/managed-by';
const INSTANCE = 'app.kubernetes.io/instance';
/** Releases of Helm are large, many, and nobody's password. */
const NO_HELM_RELEASES = 'type!=helm.sh/release.v1';
const RESYNC_SECONDS = 6 * 3600;
const BY_OWNER = 'owner';
const BY_INSTANCE = 'instance';

/** The cache. */
export class ClusterCache {
  readonly #options: ClusterCacheOptions;
  readonly #reflectors: ReadonlyMap<string, Reflector>;
  readonly #writes = new OwnWrites();
  /** The trackers that read a Secret: its key -> their keys. */
  readonly #readers = new Map<string, Set<string>>();
  /** The Secrets that a tracker reads, the other way round. */
  readonly #readSecrets = new Map<string, readonly string[]>();

  constructor(options: ClusterCacheOptions) {
    this.#options = options;
    const ours = `${MANAGED_BY}=${MANAGER}`;
    const start = (
      kind: KindName,
      more: Partial<Parameters<typeof startReflector>[0]>,
    ): [string, Reflector] => {
      const { client, namespaces, metrics, log, signal } = options;
      const resource = resourceOf(kind);
      const common = { client, resource, namespaces, metrics, log, signal, trim: trimManagers };
      const reflector = startReflector({ ...common, indexes: { [BY_OWNER]: ownersOf }, ...more });
      reflector.subscribe((change) => this.#onChange(change));
      return [nameOf(kind), reflector];
    };
    this.#reflectors = new Map([
      start(TRACKER, { resyncSeconds: RESYNC_SECONDS }),
      start(POD, {
        labelSelector: 'app.kubernetes.io/name=torrust-tracker',
        indexes: { [BY_INSTANCE]: instanceOf },
        trim: trimPod,
      }),
      start(SECRET, { fieldSelector: NO_HELM_RELEASES, trim: trimSecret }),
      ...OWNED.map((kind) => start(kind, { labelSelector: ours })),
      ...OPTIONAL.map((kind) => start(kind, { labelSelector: ours, isOptional: true })),
    ]);
  }

  /** Resolves when everything was listed once. */
  async synced(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map(({ synced }) => synced));
  }

  /** Resolves when every watch has ended. */
  async ended(): Promise<void> {
    await Promise.all([...this.#reflectors.values()].map(({ ended }) => ended));
  }

  /** What hinders watching at the moment, as sentences. */
  problems(): string[] {
    return [...this.#reflectors.values()].flatMap((reflector) => reflector.problem() ?? []);
  }

  /** A tracker. */
  tracker(name: ObjectName): KubeObject | undefined {
    return this.find(TRACKER, name);
  }

  /** All trackers. */
  trackers(): KubeObject[] {
    return this.#of(TRACKER).objects.list();
  }

  /** An object of a kind that is watched; of Secrets that are not the operator's without their content. */
  find(kind: KindName, name: ObjectName): KubeObject | undefined {
    return this.#writes.newest(kind, name, this.#of(kind).objects.get(name));
  }

  /** Everything that a tracker owns. */
  ownedBy(uid: string): KubeObject[] {
    const apis = this.#options.apis();
    const kinds = [SECRET, ...OWNED, ...OPTIONAL.filter((kind) => apis.has(nameOf(kind)))];
    return kinds.flatMap((kind) => this.#of(kind).objects.find(BY_OWNER, uid));
  }

  /** The pods of a tracker. */
  podsOf(name: ObjectName): KubeObject[] {
    return this.#of(POD).objects.find(BY_INSTANCE, keyOf(name));
  }

  /** Remembers what the API server answered to a write. */
  remember(object: KubeObject): void {
    this.#writes.add(object);
    // The watch may have been faster than the answer.
    this.find(object, object.metadata);
  }

  /** Says which Secrets a tracker reads, so that it is looked at when one of them changes. */
  setSecrets(key: string, secrets: readonly ObjectName[]): void {
    const before = this.#readSecrets.get(key) ?? [];
    const after = secrets.map(keyOf);
    for (const secret of before) {
      const readers = this.#readers.get(secret);
      readers?.delete(key);
      if (readers?.size === 0) this.#readers.delete(secret);
    }
    for (const secret of after) {
      const readers = this.#readers.get(secret) ?? new Set();
      this.#readers.set(secret, readers.add(key));
    }
    if (after.length === 0) this.#readSecrets.delete(key);
    else this.#readSecrets.set(key, after);
  }

  #of(kind: KindName): Reflector {
    const reflector = this.#reflectors.get(nameOf(kind));
    if (reflector === undefined) throw new Error(`nobody watches ${nameOf(kind)}`);
    return reflector;
  }

  #onChange(change: Change): void {
    const { object } = change;
    if (change.kind === 'deleted') this.#writes.forget(object, object.metadata);
    // Who wrote it knows it already; of a Secret, other parts of the tracker are made than those that it was made of.
    else if (this.#writes.isEcho(object) && object.kind !== 'Secret') return;
    for (const key of this.#trackersOf(change)) this.#options.onTracker(key);
  }

  #trackersOf(change: Change): readonly string[] {
    const { object } = change;
    const { namespace } = object.metadata;
    if (object.kind === KIND) {
      const isNews = change.kind === 'deleted' || isMoreThanStatus(object, change.previous);
      return isNews ? [keyOf(object.metadata)] : [];
    }
    const readers = object.kind === 'Secret' ? [...(this.#readers.get(keyOf(object.metadata)) ?? [])] : [];
    const owners = listAt(object, 'metadata', 'ownerReferences').flatMap((owner) => {
      const name = textAt(owner, 'name');
      return textAt(owner, 'kind') === KIND && name !== undefined ? [keyOf({ namespace, name })] : [];
    });
    const isKept = object.kind === 'Pod' || object.metadata.labels?.[MANAGED_BY] === MANAGER;
    return [...new Set([...readers, ...owners, ...(isKept ? instanceOf(object) : [])])];
  }
}

function nameOf({ apiVersion, kind }: KindName): string {
  return `${apiVersion}/${kind}`;
}

function ownersOf(object: KubeObject): string[] {
  return listAt(object, 'metadata', 'ownerReferences').flatMap((owner) => textAt(owner, 'uid') ?? []);
}

/** The key of the tracker that an object is labelled with. */
function instanceOf({ metadata: { namespace, labels } }: KubeObject): string[] {
  const name = labels?.[INSTANCE];
  return name === undefined ? [] : [keyOf({ namespace, name })];
}

/** Whether a tracker changed in more than its status, or is to be looked at again without a change. */
function isMoreThanStatus(object: KubeObject, previous: KubeObject | undefined): boolean {
  if (previous === undefined || previous === object) return true;
  const essence = ({ metadata }: KubeObject) =>
    JSON.stringify([
      metadata.uid,
      metadata['generation'],
      metadata['deletionTimestamp'],
      metadata.labels,
      metadata.annotations,
    ]);
  return essence(object) !== essence(previous);
}

/** Of the record of fields only the operator's own part is looked at. */
function trimManagers(object: KubeObject): KubeObject {
  const managedFields = listAt(object, 'metadata', 'managedFields').filter(
    (entry) => textAt(entry, 'manager') === MANAGER,
  );
  return { ...object, metadata: { ...object.metadata, managedFields } };
}

function trimSecret(object: KubeObject): KubeObject {
  if (object.metadata.labels?.[MANAGED_BY] === MANAGER) return trimManagers(object);
  const { apiVersion, kind, metadata } = object;
  const { name, namespace, uid, resourceVersion, labels, ownerReferences } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(labels !== undefined && { labels }),
      ownerReferences,
    },
  };
}

/** What a pod asks for is in the workload; how it does is here. */
function trimPod(object: KubeObject): KubeObject {
  const { apiVersion, kind, metadata, status } = object;
  const { managedFields: _managedFields, ...rest } = metadata;
  return { apiVersion, kind, metadata: rest, spec: { nodeName: textAt(object, 'spec', 'nodeName') }, status };
}
