/**
 * Kubernetes objects as the operator writes them: plain JSON, in the parts that it knows. The API server judges the rest,
 * strictly, when an object is applied.
 */

/** A reference to the object that another one goes with. */
export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
}

/** The metadata that the operator writes. */
export interface ObjectMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** An object that is wanted. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

/** Names one object of a namespace. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** One text for a kind and a name. The version is left out: one object may be seen in several. */
export function referenceKey({ apiVersion, kind, name }: ObjectReference): string {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return `${group}/${kind}/${name}`;
}

/** The reference to an object. */
export function referenceTo({ apiVersion, kind, metadata: { name } }: KubernetesObject): ObjectReference {
  return { apiVersion, kind, name };
}

/** A variable of a container. */
export interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

/** A volume of a pod; the field beside the name says its kind. */
export interface Volume {
  readonly name: string;
  readonly [kind: string]: unknown;
}

/** Where a container sees a volume. */
export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

/** A container, in the parts that others read. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly [field: string]: unknown;
}

/** A pod template. */
export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly containers: readonly Container[]; readonly [field: string]: unknown };
}

/** A port of a Service. */
export interface ServicePort {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
  readonly targetPort: number;
  readonly nodePort?: number;
}
