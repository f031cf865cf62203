/**
 * What this process wrote a moment ago, until the watches bring it back: a reconcile that comes between both must not take
 * the state of before for the present one.
 */
import { keyOf, type KubeObject, type ObjectName } from '../kube/kube-object.ts';

/** A watch is hardly ever later than this; what was written longer ago and was never seen is gone again. */
const MAX_AGE_MILLIS = 10_000;

interface Write {
  readonly object: KubeObject;
  readonly atMillis: number;
}

/** The answers to writes, by kind and name. */
export class OwnWrites {
  readonly #writes = new Map<string, Write>();

  /** Remembers the answer to a write. */
  add(object: KubeObject): void {
    this.#writes.set(writeKey(object, object.metadata), { object, atMillis: performance.now() });
  }

  /** Whether what a watch shows is what was written, and nothing since. Then the watch has caught up, and it is forgotten. */
  isEcho({ apiVersion, kind, metadata }: KubeObject): boolean {
    const key = writeKey({ apiVersion, kind }, metadata);
    const written = this.#writes.get(key)?.object.metadata.resourceVersion;
    if (written === undefined || written !== metadata.resourceVersion) return false;
    this.#writes.delete(key);
    return true;
  }

  /** Forgets an object, as when it was deleted. */
  forget(kind: Pick<KubeObject, 'apiVersion' | 'kind'>, name: ObjectName): void {
    this.#writes.delete(writeKey(kind, name));
  }

  /** The newer one of what a watch has seen and what was written. */
  newest(
    kind: Pick<KubeObject, 'apiVersion' | 'kind'>,
    name: ObjectName,
    seen: KubeObject | undefined,
  ): KubeObject | undefined {
    const key = writeKey(kind, name);
    const write = this.#writes.get(key);
    if (write === undefined) return seen;
    const { object, atMillis } = write;
    const isCurrent =
      performance.now() - atMillis < MAX_AGE_MILLIS &&
      (seen === undefined || versionOf(object) > versionOf(seen));
    if (isCurrent) return object;
    this.#writes.delete(key);
    return seen;
  }
}

function writeKey({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>, name: ObjectName): string {
  return `${apiVersion}/${kind}/${keyOf(name)}`;
}

/** Resource versions of one kind are numbers in the order of writes (KEP-5504). */
function versionOf({ metadata: { resourceVersion = '' } }: KubeObject): bigint {
  return /^\d+$/.test(resourceVersion) ? BigInt(resourceVersion) : 0n;
}
