/**
 * Where the operator itself is, and what the cluster around it is like: what its pod is told, or, outside of one, what the
 * kubeconfig and the nodes say.
 * https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
 */
import { isIP } from 'node:net';
import { listAt, textAt, textsAt } from './json-path.ts';
import { resourceOf } from './kube/api-resource.ts';
import type { KubeClient } from './kube/client.ts';
import { type Clock, pause, SYSTEM_CLOCK } from './kube/clock.ts';
import type { Connection } from './kube/connection.ts';
import { isApiError, REASON } from './kube/kube-error.ts';
import type { KubeLog } from './kube/kube-log.ts';
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

/** What is read of a node. */
interface NodeFacts {
  readonly name: string;
  readonly podRanges: readonly string[];
  /** As ranges of one. */
  readonly addresses: readonly string[];
}

/** What was found; undefined where it was refused. */
interface Findings {
  readonly nodes: readonly NodeFacts[] | undefined;
  readonly serviceRanges: readonly string[] | undefined;
}

/**
 * How long a refusal is doubted at first: an API server that has just started refuses everything until it has read its
 * roles, and who believed it would write every configuration without ranges.
 */
const DOUBT_MILLIS = 30_000;
const RETRY_MILLIS = 1_000;

/**
 * The network of the cluster, looked at from time to time. Families are those of the operator's own pod (`POD_IPS`), else
 * those of the nodes' ranges, else IPv4. An operator that may not look at nodes knows no ranges; those of Services are told
 * since Kubernetes 1.33.
 */
export class NetworkView {
  readonly #client: KubeClient;
  readonly #log: KubeLog;
  readonly #clock: Clock;
  #seen: Findings | undefined;

  constructor(client: KubeClient, log: KubeLog, clock: Clock = SYSTEM_CLOCK) {
    this.#client = client;
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Looks. At first a refusal has to last for half a minute; where one comes later, what was seen last holds. Rejects with
   * whatever else the API server says.
   */
  async look(signal: AbortSignal): Promise<ClusterNetwork> {
    const found = this.#seen === undefined ? await this.#lookFirst(signal) : await this.#find(signal);
    this.#seen = {
      nodes: found.nodes ?? this.#seen?.nodes,
      serviceRanges: found.serviceRanges ?? this.#seen?.serviceRanges,
    };
    return describeNetwork(this.#seen);
  }

  async #lookFirst(signal: AbortSignal): Promise<Findings> {
    const endMillis = this.#clock.monotonicMillis() + DOUBT_MILLIS;
    let found = await this.#find(signal);
    if (isWhole(found)) return found;
    this.#log.warn(
      { forSeconds: DOUBT_MILLIS / 1000 },
      'the API server refuses a look at nodes or ranges of Services: asking again, in case it has just started',
    );
    while (!isWhole(found) && this.#clock.monotonicMillis() < endMillis) {
      await pause(this.#clock, RETRY_MILLIS, signal);
      signal.throwIfAborted();
      found = await this.#find(signal);
    }
    return found;
  }

  async #find(signal: AbortSignal): Promise<Findings> {
    const list = (kind: Parameters<typeof resourceOf>[0]) => listUnlessRefused(this.#client, kind, signal);
    const [nodes, services] = await Promise.all([
      list({ apiVersion: 'v1', kind: 'Node' }),
      list({ apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR' }),
    ]);
    return {
      nodes: nodes?.map(readNode),
      serviceRanges: services?.flatMap((service) => textsAt(service, 'spec', 'cidrs')),
    };
  }
}

function isWhole({ nodes, serviceRanges }: Findings): boolean {
  return nodes !== undefined && serviceRanges !== undefined;
}

function describeNetwork({ nodes = [], serviceRanges = [] }: Findings): ClusterNetwork {
  const podRanges = nodes.flatMap((node) => node.podRanges);
  const own = familiesOf((process.env['POD_IPS'] ?? '').split(','));
  const found = own.length > 0 ? own : familiesOf(podRanges.map((range) => range.split('/')[0] ?? ''));
  const isTold = nodes.length > 0 && nodes.length <= MAX_NODES;
  const ranges = isTold
    ? [...nodes.flatMap(({ addresses }) => addresses), ...podRanges, ...serviceRanges]
    : [];
  return {
    ipFamilies: found.length > 0 ? found : [4],
    ranges: [...new Set(ranges)].toSorted(),
    nodes: nodes.map(({ name }) => name).toSorted(),
  };
}

function readNode(node: KubeObject): NodeFacts {
  return {
    name: node.metadata.name,
    podRanges: textsAt(node, 'spec', 'podCIDRs'),
    addresses: listAt(node, 'status', 'addresses').flatMap((entry) => {
      const address = textAt(entry, 'address') ?? '';
      const family = isIP(address);
      return family === 0 ? [] : [`${address}/${family === 4 ? 32 : 128}`];
    }),
  };
}

/** Nothing of a kind that the cluster does not have; undefined where the API server refuses. */
async function listUnlessRefused(
  client: KubeClient,
  kind: Parameters<typeof resourceOf>[0],
  signal: AbortSignal,
): Promise<readonly KubeObject[] | undefined> {
  try {
    return (await client.list(resourceOf(kind), {}, { signal })).items;
  } catch (error) {
    if (isApiError(error, REASON.notFound)) return [];
    if (isApiError(error, REASON.forbidden)) return undefined;
    throw error;
  }
}

function familiesOf(addresses: readonly string[]): (4 | 6)[] {
  const families = addresses.map((address) => isIP(address)).filter((family) => family === 4 || family === 6);
  return [...new Set(families)];
}
