/**
 * Writes the objects of a tracker by server-side apply, and only those that are not as they should be.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import { createHash } from 'node:crypto';
import type { Problem } from '../crd/conditions.ts';
import { MANAGER } from '../desired/identity.ts';
import type { KubernetesObject } from '../desired/kubernetes-object.ts';
import { resourceOf } from '../kube/api-resource.ts';
import type { KubeClient } from '../kube/client.ts';
import { ApiError } from '../kube/kube-error.ts';
import type { KubeLog } from '../kube/kube-log.ts';
import { keyOf, type KubeObject } from '../kube/kube-object.ts';
import { textAt } from '../json-path.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { isAsApplied } from './field-ownership.ts';
import { adviceOn } from './refusals.ts';

/** What became of one object. */
export type Applied =
  /** It is as it should be; `isWritten` when it was not before. */
  | { readonly kind: 'applied'; readonly object: KubeObject; readonly isWritten: boolean }
  /** The API server refuses it as it is: nothing that trying again would mend. */
  | { readonly kind: 'refused'; readonly problem: Problem };

/** Statuses of HTTP that say something about the object and not about the moment. */
const REFUSALS: readonly number[] = [400, 403, 404, 405, 413, 422];
/** What the server says of a volume that is to grow and may not, and of one that nobody has provided yet. */
const NO_GROWTH = /(resize|expand|expansion)/i;
const NOT_BOUND = /immutable after creation except resources/;

/** Applies objects, and remembers of each what the server made of it. */
export class Applier {
  readonly #client: KubeClient;
  readonly #cache: ClusterCache;
  readonly #log: KubeLog;
  readonly #isDry: boolean;
  /**
   * Objects whose record of fields never agrees with what was applied, such as an empty value that the server drops: what
   * was wanted and what came of it. As long as both stay, applying again changes nothing.
   */
  readonly #settled = new Map<string, string>();

  /** A dry one asks the server to judge and to store nothing. */
  constructor(client: KubeClient, cache: ClusterCache, log: KubeLog, isDry: boolean) {
    this.#client = client;
    this.#cache = cache;
    this.#log = log;
    this.#isDry = isDry;
  }

  /**
   * Applies an object unless it is as it should be. `present` is the object of that name, which is known to be ours.
   * Rejects when the server can't be asked, or when somebody else changed the object meanwhile.
   */
  async apply(
    wanted: KubernetesObject,
    present: KubeObject | undefined,
    signal: AbortSignal,
  ): Promise<Applied> {
    const key = `${wanted.apiVersion}/${wanted.kind}/${keyOf(wanted.metadata)}`;
    if (present !== undefined) {
      const isSettled =
        isAsApplied(wanted, present, MANAGER) || this.#settled.get(key) === fingerprint(wanted, present);
      if (isSettled) return { kind: 'applied', object: present, isWritten: false };
    }
    try {
      // Of what is ours every field is taken back. What was not there has nobody else's fields, unless somebody has just
      // made it: that is a conflict, and the next look finds whose it is.
      const force = present !== undefined;
      const options = { fieldManager: MANAGER, force, dryRun: this.#isDry, signal };
      const object = await this.#client.apply(withPreconditions(wanted, present), options);
      const { kind, metadata } = wanted;
      this.#log.info(
        { kind, namespace: metadata.namespace, name: metadata.name, dryRun: this.#isDry },
        present === undefined ? 'made' : 'changed',
      );
      if (isAsApplied(wanted, object, MANAGER)) this.#settled.delete(key);
      else this.#settled.set(key, fingerprint(wanted, object));
      if (!this.#isDry) this.#cache.remember(object);
      return { kind: 'applied', object, isWritten: true };
    } catch (error) {
      if (!(error instanceof ApiError) || !REFUSALS.includes(error.status)) throw error;
      return { kind: 'refused', problem: refusal(wanted, error) };
    }
  }

  /** Deletes an object if it is still the same; a dry one only says so. */
  async remove(object: KubeObject, signal: AbortSignal): Promise<void> {
    const { kind, metadata } = object;
    const { name, namespace, uid } = metadata;
    await this.#client.delete(resourceOf(object), { namespace, name }, { uid, dryRun: this.#isDry, signal });
    this.#log.info({ kind, namespace, name, dryRun: this.#isDry }, 'deleted');
  }
}

/**
 * The object that is changed has to be the one that was looked at; a Secret even in the state in which it was looked at,
 * since its new content was made of that.
 */
function withPreconditions(wanted: KubernetesObject, present: KubeObject | undefined): KubeObject {
  const { uid, resourceVersion } = present?.metadata ?? {};
  return {
    ...wanted,
    metadata: {
      ...wanted.metadata,
      ...(uid !== undefined && { uid }),
      ...(wanted.kind === 'Secret' && resourceVersion !== undefined && { resourceVersion }),
    },
  };
}

/** One text for what is wanted and what is there, without what changes by itself. */
function fingerprint(wanted: KubernetesObject, present: KubeObject): string {
  const { status: _status, metadata, ...rest } = present;
  const { resourceVersion: _version, managedFields: _fields, generation: _generation, ...others } = metadata;
  return createHash('sha256')
    .update(JSON.stringify([wanted, rest, others]))
    .digest('base64');
}

function refusal(wanted: KubernetesObject, error: ApiError): Problem {
  const { kind, metadata } = wanted;
  const said = detailOf(error);
  const advice = kind === 'PersistentVolumeClaim' ? adviceOnGrowth(said, wanted) : undefined;
  if (advice !== undefined) {
    return {
      condition: 'Degraded',
      reason: 'StorageFailed',
      message: `The volume ${metadata.name} can not be made larger: ${said}. ${advice}`,
    };
  }
  const sentences = [
    `The API server refuses the ${kind} ${metadata.name}: ${said}.`,
    adviceOn(said, kind),
    'Everything else is kept up.',
  ];
  return {
    condition: 'Degraded',
    reason: 'ApplyFailed',
    message: sentences.filter((sentence) => sentence !== '').join(' '),
  };
}

/** What to do about a volume that is to grow and may not; undefined when something else is refused. */
function adviceOnGrowth(said: string, claim: KubernetesObject): string | undefined {
  if (NOT_BOUND.test(said)) {
    return 'A volume grows when it is bound: it is tried again until then; see why its pod does not start.';
  }
  if (!NO_GROWTH.test(said)) return undefined;
  const className = textAt(claim, 'spec', 'storageClassName') ?? '';
  const named = className === '' ? 'its StorageClass' : `the StorageClass ${className}`;
  return `If the driver of ${named} can grow volumes, set allowVolumeExpansion: true there, and this one grows by itself; if it can not, make a tracker of another name with the new size and move the data. The tracker runs on with the volume that it has.`;
}

/** The server's own sentence, without its full stop. */
function detailOf({ message, reason }: ApiError): string {
  const mark = `${reason}: `;
  const at = message.indexOf(mark);
  return (at < 0 ? message : message.slice(at + mark.length)).replace(/\.$/, '');
}
