/**
 * Where the operator itself is: what its pod is told by the cluster, or, outside of one, by the kubeconfig.
 * https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
 */
import { isIP } from 'node:net';
import { listAt } from './json-path.ts';
import { resourceOf } from './kube/api-resource.ts';
import type { KubeClient } from './kube/client.ts';
import type { Connection } from './kube/connection.ts';

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
 * The address families of pods, that of their main address first: those of the operator's own pod (`POD_IPS`), else those of
 * a node's ranges, else IPv4.
 */
export async function podFamilies(client: KubeClient, signal: AbortSignal): Promise<(4 | 6)[]> {
  const own = familiesOf((process.env['POD_IPS'] ?? '').split(','));
  if (own.length > 0) return own;
  try {
    const { items } = await client.list(resourceOf({ apiVersion: 'v1', kind: 'Node' }), {}, { signal });
    const ranges = items
      .flatMap((node) => listAt(node, 'spec', 'podCIDRs'))
      .map((range) => String(range).split('/')[0]);
    const found = familiesOf(ranges);
    return found.length > 0 ? found : [4];
  } catch {
    // Whoever may not look at nodes runs in a cluster, as a rule, and most clusters have IPv4.
    return [4];
  }
}

function familiesOf(addresses: readonly (string | undefined)[]): (4 | 6)[] {
  const families = addresses
    .map((address) => isIP(address ?? ''))
    .filter((family) => family === 4 || family === 6);
  return [...new Set(families)];
}
