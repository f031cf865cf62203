/**
 * Gathers what is there of one tracker: out of the cache where it is watched, by asking where it is not.
 */
import type { TorrustTracker } from '../crd/tracker.ts';
import type { Observed, ObservedSecret } from '../desired/environment.ts';
import { namesOf } from '../desired/identity.ts';
import type { KubernetesObject, ObjectReference } from '../desired/kubernetes-object.ts';
import { readSecrets } from '../desired/secret-uses.ts';
import { workloadKind } from '../desired/workload.ts';
import { listAt, textAt } from '../json-path.ts';
import { resourceOf } from '../kube/api-resource.ts';
import type { KubeClient } from '../kube/client.ts';
import { isApiError, REASON } from '../kube/kube-error.ts';
import { keyOf, type KubeObject } from '../kube/kube-object.ts';
import { Answers } from './answers.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { readClaim, readRendering, readSecret } from './observation.ts';

/** How long the addresses of a node are believed. */
const NODE_MILLIS = 10 * 60_000;
/** Many trackers of a namespace that start together ask for the same warnings. */
const WARNINGS_MILLIS = 2_000;

/** Gathers. */
export class Gathering {
  readonly #client: KubeClient;
  readonly #cache: ClusterCache;
  readonly #nodes = new Answers<readonly string[]>(NODE_MILLIS);
  readonly #warnings = new Answers<readonly KubeObject[]>(WARNINGS_MILLIS);
  /** What was read of Secrets of users, as of a resource version. */
  readonly #contents = new Map<
    string,
    { readonly version: string | undefined; readonly secret: ObservedSecret }
  >();

  constructor(client: KubeClient, cache: ClusterCache) {
    this.#client = client;
    this.#cache = cache;
  }

  /** An object of a name that a tracker wants: whosever it is, and asked for where the cache does not have it. */
  async find(
    { apiVersion, kind, name }: ObjectReference,
    namespace: string,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined> {
    const seen = this.#cache.find({ apiVersion, kind }, { namespace, name });
    return seen ?? this.#client.get(resourceOf({ apiVersion, kind }), { namespace, name }, { signal });
  }

  /** What the desired objects of a tracker depend on. */
  async observe(tracker: TorrustTracker, signal: AbortSignal): Promise<Observed> {
    const { namespace } = tracker.metadata;
    const names = namesOf(tracker);
    const uses = readSecrets(tracker);
    const isSigned = uses.some(({ kind, source }) => kind === 'certificate' && source === 'operator');
    const secretNames = new Set([...uses.map(({ name }) => name), ...(isSigned ? [names.authority] : [])]);
    const secrets = await Promise.all(
      [...secretNames].map(async (name): Promise<[string, ObservedSecret][]> => {
        const secret = await this.#secret(namespace, name, signal);
        return secret === undefined ? [] : [[name, secret]];
      }),
    );
    const claim = this.#cache.find(
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
      { namespace, name: names.claim },
    );
    const workload = this.workload(tracker);
    return {
      secrets: new Map(secrets.flat()),
      claim: claim === undefined ? undefined : readClaim(claim),
      workload: workload === undefined ? undefined : readRendering(workload),
    };
  }

  /** The workload of a tracker, if it is of the kind that it should be. */
  workload(tracker: TorrustTracker): KubeObject | undefined {
    const { namespace } = tracker.metadata;
    const kind = { apiVersion: 'apps/v1', kind: workloadKind(tracker) };
    return this.#cache.find(kind, { namespace, name: namesOf(tracker).workload });
  }

  /** Everything under the names that a tracker wants, and everything that it owns. */
  async present(
    tracker: TorrustTracker,
    wanted: readonly KubernetesObject[],
    signal: AbortSignal,
  ): Promise<KubeObject[]> {
    const { namespace, uid } = tracker.metadata;
    const named = await Promise.all(
      wanted.map(({ apiVersion, kind, metadata: { name } }) =>
        this.find({ apiVersion, kind, name }, namespace, signal),
      ),
    );
    const found = named.filter((object) => object !== undefined);
    const keys = new Set(found.map(placeOf));
    // What an object says of its owner is its author's word: in another namespace it is not believed.
    const owned = this.#cache
      .ownedBy(uid)
      .filter((object) => object.metadata.namespace === namespace && !keys.has(placeOf(object)));
    return [...found, ...owned];
  }

  /** Warnings about objects of these names in a namespace; none when they may not be read. */
  async warnings(
    namespace: string,
    isAbout: (name: string) => boolean,
    signal: AbortSignal,
  ): Promise<KubeObject[]> {
    const events = await this.#warnings.of(namespace, () => this.#listWarnings(namespace, signal));
    return events.filter((event) => isAbout(textAt(event, 'involvedObject', 'name') ?? ''));
  }

  async #listWarnings(namespace: string, signal: AbortSignal): Promise<readonly KubeObject[]> {
    try {
      const resource = resourceOf({ apiVersion: 'v1', kind: 'Event' });
      const selection = { namespace, fieldSelector: 'type=Warning' };
      return (await this.#client.list(resource, selection, { signal })).items;
    } catch (error) {
      if (isApiError(error, REASON.forbidden)) return [];
      throw error;
    }
  }

  /** The addresses of a node for clients outside the cluster, else those inside; none when it may not be read. */
  nodeAddresses(name: string, signal: AbortSignal): Promise<readonly string[]> {
    return this.#nodes.of(name, () => this.#askNode(name, signal));
  }

  async #askNode(name: string, signal: AbortSignal): Promise<readonly string[]> {
    try {
      const node = await this.#client.get(
        resourceOf({ apiVersion: 'v1', kind: 'Node' }),
        { name },
        { signal },
      );
      const addresses = (type: string) =>
        listAt(node, 'status', 'addresses').flatMap((entry) =>
          textAt(entry, 'type') === type ? (textAt(entry, 'address') ?? []) : [],
        );
      const external = addresses('ExternalIP');
      return external.length > 0 ? external : addresses('InternalIP');
    } catch (error) {
      if (isApiError(error, REASON.forbidden)) return [];
      throw error;
    }
  }

  async #secret(namespace: string, name: string, signal: AbortSignal): Promise<ObservedSecret | undefined> {
    const kind = { apiVersion: 'v1', kind: 'Secret' };
    const seen = this.#cache.find(kind, { namespace, name });
    if (seen === undefined) return undefined;
    if (seen['data'] !== undefined) return readSecret(seen);
    const key = keyOf({ namespace, name });
    const version = seen.metadata.resourceVersion;
    const known = this.#contents.get(key);
    if (known !== undefined && known.version === version) return known.secret;
    const object = await this.#client.get(resourceOf(kind), { namespace, name }, { signal });
    if (object === undefined) {
      this.#contents.delete(key);
      return undefined;
    }
    const secret = readSecret(object);
    this.#contents.set(key, { version: object.metadata.resourceVersion, secret });
    return secret;
  }
}

function placeOf({ apiVersion, kind, metadata: { name } }: KubeObject): string {
  return `${apiVersion}/${kind}/${name}`;
}
