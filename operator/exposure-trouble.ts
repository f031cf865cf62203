/**
 * Sentences about the way to a tracker: what it still waits for and what to do about that, and which nodes nobody should
 * send to.
 * https://kubernetes.io/docs/reference/networking/virtual-ips/#external-traffic-policy
 */
import type { TorrustTracker } from './crd/tracker.ts';

/** More names of nodes make no sentence better. */
const MAX_NODES = 10;

/** About listeners without an address. `listeners` is their list for people, `said` what the cluster warned of, if anything. */
export function describeWaiting(
  { spec: { exposure } }: TorrustTracker,
  listeners: string,
  said: string | undefined,
): string {
  const { type, loadBalancerClass } = exposure;
  if (type !== 'LoadBalancer') return `No address yet for ${listeners}: the cluster gives it.`;
  const warned = said === undefined ? '' : ` It says: ${said.replace(/\.$/, '')}.`;
  if (loadBalancerClass !== undefined) {
    return `No address yet for ${listeners}: the controller that serves spec.exposure.loadBalancerClass ${loadBalancerClass} gives it.${warned} See that it is installed and that the class is spelled right; to change the class, set the type to ClusterIP first.`;
  }
  return `No address yet for ${listeners}: the cluster's load balancer gives it.${warned} A cluster without one needs a controller for Services of type LoadBalancer, or type NodePort, or topology HostNode.`;
}

/**
 * About a tracker that is reached. `emptyNodes` are the nodes without a pod that takes traffic: with the policy Local they
 * drop what is sent to them.
 */
export function describeExposed(
  { spec: { exposure } }: TorrustTracker,
  emptyNodes: readonly string[],
): string {
  const exposed = 'Every listener has an address.';
  if (emptyNodes.length === 0) return exposed;
  const named = emptyNodes.slice(0, MAX_NODES).join(', ');
  const more = emptyNodes.length - MAX_NODES;
  const nodes = `${emptyNodes.length === 1 ? 'Node' : 'Nodes'} ${named}${more > 0 ? ` and ${more} more` : ''}`;
  const advice =
    exposure.type === 'NodePort'
      ? 'send clients to the other nodes'
      : 'the load balancer has to check the health of nodes and leave them out';
  return `${exposed} ${nodes} without a pod of the tracker drop${emptyNodes.length === 1 ? 's' : ''} what comes in (externalTrafficPolicy Local): ${advice}.`;
}

/** Whether nodes without a pod drop what clients send to them. */
export function isLocal({ spec: { topology, exposure } }: TorrustTracker): boolean {
  return (
    topology !== 'HostNode' && exposure.type !== 'ClusterIP' && exposure.externalTrafficPolicy === 'Local'
  );
}
