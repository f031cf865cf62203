/**
 * The objects of one kind as they were last seen, by namespace and name, and by what else they are looked for.
 */
import { keyOf, type KubeObject, type ObjectName } from './kube-object.ts';

/** The texts under which an object is found. */
export type IndexBy = (object: KubeObject) => readonly string[];

/** What became of an object. */
export type Change =
  /** `previous` is undefined for a new one, and the same as `object` when nothing changed but it is time to look again. */
  | { readonly kind: 'set'; readonly object: KubeObject; readonly previous: KubeObject | undefined }
  /** `object` is the last that was seen of it. */
  | { readonly kind: 'deleted'; readonly object: KubeObject };

/** The reading side of a cache. Objects in it are shared and must not be changed. */
export interface ObjectLister {
  readonly size: number;
  get(name: ObjectName): KubeObject | undefined;
  /** All, or those of a namespace. */
  list(namespace?: string): KubeObject[];
  /** Those that the index finds under a text. The index is one of those that the cache was made with. */
  find(index: string, text: string): KubeObject[];
}

/** A cache. */
export class ObjectCache implements ObjectLister {
  readonly #objects = new Map<string, KubeObject>();
  readonly #indexes: ReadonlyMap<string, { by: IndexBy; keys: Map<string, Set<string>> }>;

  constructor(indexes: Readonly<Record<string, IndexBy>> = {}) {
    this.#indexes = new Map(Object.entries(indexes).map(([name, by]) => [name, { by, keys: new Map() }]));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(name: ObjectName): KubeObject | undefined {
    return this.#objects.get(keyOf(name));
  }

  list(namespace?: string): KubeObject[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
  }

  find(index: string, text: string): KubeObject[] {
    const keys = this.#indexes.get(index)?.keys;
    if (keys === undefined) throw new Error(`the cache has no index ${index}`);
    return [...(keys.get(text) ?? [])].flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** Takes an object in; undefined when that is not news: it has the resource version that is there. */
  set(object: KubeObject): Change | undefined {
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    const { resourceVersion, uid } = object.metadata;
    const isKnown =
      previous !== undefined &&
      resourceVersion !== undefined &&
      previous.metadata.resourceVersion === resourceVersion &&
      previous.metadata.uid === uid;
    if (isKnown) return undefined;
    this.#store(key, previous, object);
    return { kind: 'set', object, previous };
  }

  /** Takes an object out; undefined when it was not in. */
  delete(object: KubeObject): Change | undefined {
    const key = keyOf(object.metadata);
    const previous = this.#objects.get(key);
    if (previous === undefined) return undefined;
    this.#store(key, previous, undefined);
    return { kind: 'deleted', object };
  }

  /** Makes a namespace, or all of them, equal to a list; returns what changed by that. */
  replace(objects: readonly KubeObject[], namespace: string | undefined): Change[] {
    const listed = new Set(objects.map(({ metadata }) => keyOf(metadata)));
    const gone = this.list(namespace).filter(({ metadata }) => !listed.has(keyOf(metadata)));
    const changes = [
      ...gone.map((object) => this.delete(object)),
      ...objects.map((object) => this.set(object)),
    ];
    return changes.filter((change) => change !== undefined);
  }

  #store(key: string, previous: KubeObject | undefined, next: KubeObject | undefined): void {
    if (next === undefined) this.#objects.delete(key);
    else this.#objects.set(key, next);
    for (const { by, keys } of this.#indexes.values()) {
      for (const text of previous === undefined ? [] : by(previous)) {
        const under = keys.get(text);
        under?.delete(key);
        if (under?.size === 0) keys.delete(text);
      }
      for (const text of next === undefined ? [] : by(next)) {
        const under = keys.get(text);
        if (under === undefined) keys.set(text, new Set([key]));
        else under.add(key);
      }
    }
  }
}
