/**
 * Where the operator itself is, and what the cluster around it is like: what its pod is told, or, outside of one, what the
 * kubeconfig and the nodes say.
 * https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
 */
import { isIP } from 'node:net';
import { listAt, textAt, textsAt } from './json-path.ts';
import { resourceOf } from './kube/api-resource.ts';
import type { KubeClient } from './kube/client.ts';
import type { Connection } from './kube/connection.ts';
import { isApiError, REASON } from './kube/kube-error.ts';
import type { KubeObject } from './kube/kube-object.ts';

/** With more nodes than these, their addresses make a list that no tracker should compare with. */
const MAX_NODES = 250;

/** What nodes, and the ranges of Services, tell of a cluster. */
export interface ClusterNetwork {
  /** The address families of pods, that of their main address first. */
  readonly ipFamilies: readonly (4 | 6)[];
  /** The addresses of nodes and the ranges of pods and Services, sorted; empty when they are not known. */
  readonly ranges: readonly string[];
  /** The names of the nodes, sorted; empty when they are not known. */
  readonly nodes: readonly string[];
}

/** The namespace of the operator: that of its pod, of the context, or `default`. */
export function ownNamespace({ namespace }: Pick<Connection, 'namespace'>): string {
  return podNamespace() ?? namespace ?? 'default';
}

/** The namespace of the operator's pod; undefined outside a cluster. */
export function podNamespace(): string | undefined {
  const given = process.env['POD_NAMESPACE'];
  return given === undefined || given === '' ? undefined : given;
}

/**
 * Looks at the network of the cluster. Families are those of the operator's own pod (`POD_IPS`), else those of the nodes'
 * ranges, else IPv4. An operator that may not look at nodes knows no ranges; those of Services are told since Kubernetes
 * 1.33.
 */
export async function lookAtNetwork(client: KubeClient, signal: AbortSignal): Promise<ClusterNetwork> {
  const [nodes, services] = await Promise.all([
    listIfPossible(client, { apiVersion: 'v1', kind: 'Node' }, signal),
    listIfPossible(client, { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR' }, signal),
  ]);
  const podRanges = nodes.flatMap((node) => textsAt(node, 'spec', 'podCIDRs'));
  const own = familiesOf((process.env['POD_IPS'] ?? '').split(','));
  const found = own.length > 0 ? own : familiesOf(podRanges.map((range) => range.split('/')[0] ?? ''));
  const addresses = nodes.flatMap((node) =>
    listAt(node, 'status', 'addresses').flatMap((entry) => {
      const address = textAt(entry, 'address') ?? '';
      const family = isIP(address);
      return family === 0 ? [] : [`${address}/${family === 4 ? 32 : 128}`];
    }),
  );
  const serviceRanges = services.flatMap((service) => textsAt(service, 'spec', 'cidrs'));
  const isTold = nodes.length > 0 && nodes.length <= MAX_NODES;
  const ranges = isTold ? [...addresses, ...podRanges, ...serviceRanges] : [];
  return {
    ipFamilies: found.length > 0 ? found : [4],
    ranges: [...new Set(ranges)].toSorted(),
    nodes: nodes.map(({ metadata: { name } }) => name).toSorted(),
  };
}

async function listIfPossible(
  client: KubeClient,
  kind: Parameters<typeof resourceOf>[0],
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(resourceOf(kind), {}, { signal })).items;
  } catch (error) {
    if (isApiError(error, REASON.forbidden) || isApiError(error, REASON.notFound)) return [];
    throw error;
  }
}

function familiesOf(addresses: readonly string[]): (4 | 6)[] {
  const families = addresses.map((address) => isIP(address)).filter((family) => family === 4 || family === 6);
  return [...new Set(families)];
}
