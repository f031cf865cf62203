/**
 * Objects as the API server sends and takes them: raw JSON. Nothing is turned into classes or dates, and no unknown field
 * is dropped, so that what is read can be compared with what was written.
 */

/** The metadata that this room reads. */
export interface KubeMetadata {
  readonly name: string;
  /** Absent on objects of the whole cluster. */
  readonly namespace?: string;
  readonly uid?: string;
  /** Opaque, but for being equal or not. */
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** Any object of Kubernetes. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubeMetadata;
  readonly [field: string]: unknown;
}

/** What `create` takes beside objects with a name: reviews have none, and other names are made by the server. */
export interface NewKubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/** Where an object is; `namespace` is absent for objects of the whole cluster. */
export interface ObjectName {
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** One text for a place: `namespace/name`, or `name` alone. The keys of caches and queues. */
export function keyOf({ namespace, name }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The place that a key stands for. */
export function nameOfKey(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Whether a value of JSON is an object with fields. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value of JSON has what every object of a list or a watch has. */
export function isKubeObject(value: unknown): value is KubeObject {
  return (
    isRecord(value) &&
    typeof value['kind'] === 'string' &&
    typeof value['apiVersion'] === 'string' &&
    isRecord(value['metadata']) &&
    typeof value['metadata']['name'] === 'string'
  );
}
