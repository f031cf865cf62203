/**
 * Clusters for the tests of what a tracker wants: with every optional API or with none, and key material that is the same
 * in every run.
 */
import type {
  Environment,
  Observed,
  ObservedSecret,
  WorkloadKind,
} from '../../operator/desired/environment.ts';
import { NOTHING_OBSERVED } from '../../operator/desired/environment.ts';
import { desiredObjects, type Desired } from '../../operator/desired/desired.ts';
import type { Material, Materials, SecretOrder } from '../../operator/desired/generated-secrets.ts';
import { ANNOTATIONS } from '../../operator/desired/identity.ts';
import type { KubernetesObject, PodTemplate } from '../../operator/desired/kubernetes-object.ts';
import type { TorrustTracker } from '../../operator/crd/tracker.ts';

/** A cluster with every API that the operator can use. */
export const EVERYTHING: Environment = {
  defaultImage: 'ghcr.io/torrust/tracker-kubernetes:0.1.0',
  operatorNamespace: 'torrust-system',
  apis: new Set([
    'cert-manager.io/v1/Certificate',
    'gateway.networking.k8s.io/v1/HTTPRoute',
    'gateway.networking.k8s.io/v1/UDPRoute',
    'monitoring.coreos.com/v1/ServiceMonitor',
    'monitoring.coreos.com/v1/PrometheusRule',
  ]),
  ipFamilies: [4, 6],
  clusterRanges: ['192.168.77.2/32', '10.244.1.0/24'],
  nodes: ['node-1', 'node-2'],
  dashboards: new Map([['tracker.json', '{"title":"Tracker"}\n']]),
  now: new Date('2026-11-22T12:00:00Z'),
};

/** A cluster with the APIs that every cluster has, and IPv4 alone. */
export const PLAIN: Environment = { ...EVERYTHING, apis: new Set(), ipFamilies: [4] };

/** The material that stands in for an order in tests: no key of it works anywhere. */
export function fakeMaterials(orders: readonly SecretOrder[]): Materials {
  return new Map(orders.map((order) => [order.name, fakeMaterial(order)]));
}

function fakeMaterial(order: SecretOrder): Material {
  switch (order.kind) {
    case 'token':
      return { kind: 'token', token: 'token-of-the-test' };
    case 'connection_key':
      return { kind: 'connection_key', id: 'first', hex: '00112233445566778899aabbccddeeff' };
    case 'authority':
    case 'certificate':
      return {
        kind: 'pair',
        certificate: `(certificate of ${order.name})\n`,
        key: `(key of ${order.name})\n`,
      };
  }
}

/** What a tracker wants once its orders are fulfilled. */
export function settle(
  tracker: TorrustTracker,
  environment: Environment,
  observed: Observed = NOTHING_OBSERVED,
): Desired {
  const { orders } = desiredObjects(tracker, environment, observed);
  return desiredObjects(tracker, environment, observed, fakeMaterials(orders));
}

/** What is there once everything that a tracker wants was applied. */
export function observe({ objects }: Pick<Desired, 'objects'>): Observed {
  const secrets = objects.filter(({ kind }) => kind === 'Secret');
  const claim = objects.find(({ kind }) => kind === 'PersistentVolumeClaim');
  const workload = objects.find(({ apiVersion }) => apiVersion === 'apps/v1');
  const annotations = workload?.metadata.annotations ?? {};
  return {
    secrets: new Map(secrets.map((secret) => [secret.metadata.name, asObserved(secret)])),
    claim:
      claim === undefined
        ? undefined
        : {
            size: String(at(claim, 'spec.resources.requests.storage')),
            storageClassName: asText(at(claim, 'spec.storageClassName')),
          },
    workload:
      workload === undefined
        ? undefined
        : {
            kind: asWorkloadKind(workload.kind),
            renderedFor: annotations[ANNOTATIONS.renderedFor],
            // Written by the code under test as the text of a template.
            recordedTemplate: JSON.parse(annotations[ANNOTATIONS.podTemplate] ?? '') as PodTemplate,
          },
  };
}

function asWorkloadKind(kind: string): WorkloadKind {
  if (kind === 'Deployment' || kind === 'StatefulSet' || kind === 'DaemonSet') return kind;
  throw new Error(`${kind} is no workload`);
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function asObserved(secret: KubernetesObject): ObservedSecret {
  const data = Object.entries(at(secret, 'data') ?? {}).map(([key, encoded]): [string, string] => [
    key,
    Buffer.from(String(encoded), 'base64').toString(),
  ]);
  return { data: new Map(data), annotations: secret.metadata.annotations ?? {} };
}

/** A Secret as it is there. */
export function secretOf(
  data: Record<string, string>,
  annotations: Record<string, string> = {},
): ObservedSecret {
  return { data: new Map(Object.entries(data)), annotations };
}

/** Secrets as they are there, by name. */
export function withSecrets(secrets: Record<string, ObservedSecret>): Observed {
  return { ...NOTHING_OBSERVED, secrets: new Map(Object.entries(secrets)) };
}

/** The only object of a kind and a name. Throws when there is none. */
export function find(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${found.length} of ${kind} ${name}`);
  return only;
}

/** The value at a path of plain values, such as `spec.template.spec.containers.0.image`. */
export function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((tree, name) => {
    if (typeof tree !== 'object' || tree === null) return undefined;
    // Checked just above: an object may be asked for any of its names.
    return (tree as Record<string, unknown>)[name];
  }, value);
}
