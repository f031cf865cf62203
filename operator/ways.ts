/**
 * The ways to a tracker's listeners, as clients see them: addresses of load balancers, of nodes, or the names of Services
 * inside the cluster, and the announce URLs that follow.
 */
import type { TorrustTracker } from './crd/tracker.ts';
import { httpServiceName, udpServiceName } from './desired/services.ts';
import type { Way } from './status.ts';

/** A public Service, as it is there. */
export interface ServiceFacts {
  readonly name: string;
  /** What the load balancer gave: IP addresses or host names. */
  readonly ingress: readonly string[];
  /** The ports on every node, by the names of the ports. */
  readonly nodePorts: ReadonlyMap<string, number>;
}

type Listener = TorrustTracker['spec']['udp'][number] | TorrustTracker['spec']['http'][number];

/**
 * The ways of every listener, UDP first, by name. `nodes` are the addresses of the nodes that have a pod, those for clients
 * outside the cluster where a node has such.
 */
export function findWays(
  tracker: TorrustTracker,
  services: readonly ServiceFacts[],
  nodes: readonly string[],
): Way[] {
  const { udp, http } = tracker.spec;
  const byName = (one: Listener, other: Listener) => (one.name < other.name ? -1 : 1);
  return [
    ...udp.toSorted(byName).flatMap((listener) => {
      return waysTo(tracker, 'UDP', 'udp', listener, services, nodes);
    }),
    ...http.toSorted(byName).flatMap((listener) => {
      return waysTo(tracker, 'TCP', listener.tls === undefined ? 'http' : 'https', listener, services, nodes);
    }),
  ];
}

function waysTo(
  tracker: TorrustTracker,
  protocol: Way['protocol'],
  scheme: string,
  listener: Listener,
  services: readonly ServiceFacts[],
  nodes: readonly string[],
): Way[] {
  const { name, port, servicePort = port, publicURL } = listener;
  const serviceName = protocol === 'UDP' ? udpServiceName(tracker) : httpServiceName(tracker);
  const service = services.find((each) => each.name === serviceName);
  const way = (address: string | undefined, atPort: number): Way => ({
    protocol,
    listener: name,
    address,
    port: atPort,
    url: publicURL ?? (address === undefined ? undefined : announceUrl(scheme, address, atPort)),
  });
  if (tracker.spec.topology === 'HostNode') return nodes.toSorted().map((node) => way(node, port));
  if (service === undefined) return [];
  switch (tracker.spec.exposure.type) {
    case 'ClusterIP':
      return [way(`${serviceName}.${tracker.metadata.namespace}.svc`, servicePort)];
    case 'LoadBalancer':
      return service.ingress.length === 0
        ? [way(undefined, servicePort)]
        : service.ingress.toSorted().map((address) => way(address, servicePort));
    case 'NodePort': {
      const nodePort = service.nodePorts.get(`${protocol === 'UDP' ? 'udp' : 'http'}-${name}`);
      if (nodePort === undefined) return [way(undefined, servicePort)];
      return nodes.toSorted().map((node) => way(node, nodePort));
    }
  }
}

function announceUrl(scheme: string, address: string, port: number): string {
  const host = address.includes(':') ? `[${address}]` : address;
  const isDefaultPort = (scheme === 'http' && port === 80) || (scheme === 'https' && port === 443);
  return `${scheme}://${host}${isDefaultPort ? '' : `:${port}`}/announce`;
}
