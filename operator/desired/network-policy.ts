/**
 * Who may connect to the pods: everyone to the listeners, few to the rest. What the pods may connect to is left open: a
 * database, a collector and the resolver are wherever they are. Nodes always reach their pods, so probes need no rule.
 */
import { HEALTH_PORT, METRICS_PORT } from '../crd/listeners.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import type { Environment } from './environment.ts';
import { namesOf, OPERATOR_NAME, ownedMetadata, selectorOf } from './identity.ts';
import type { KubernetesObject } from './kubernetes-object.ts';

/** The policy of a tracker. A pod on the network of its node has none: policies do not apply there. */
export function networkPolicy(
  tracker: TorrustTracker,
  { operatorNamespace }: Environment,
): KubernetesObject[] {
  const { networkPolicy: given, topology, api } = tracker.spec;
  if (!given.enabled || topology === 'HostNode') return [];
  const fromOperator = operatorNamespace === undefined ? [] : [operatorPeer(operatorNamespace)];
  const fromNamespace = [{ podSelector: {} }];
  const fromCluster = [{ namespaceSelector: {} }];
  const apiPeers = [...(given.apiFrom ?? fromNamespace), ...fromOperator];
  const metricsPeers = [...(given.metricsFrom ?? fromCluster), ...fromOperator];
  return [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: ownedMetadata(tracker, namesOf(tracker).networkPolicy),
      spec: {
        podSelector: { matchLabels: selectorOf(tracker) },
        policyTypes: ['Ingress'],
        ingress: [
          { ports: publicPorts(tracker) },
          ...rule(api.expose ? [] : apiPeers, [api.port]),
          ...rule(fromOperator, [HEALTH_PORT]),
          ...rule(metricsPeers, [METRICS_PORT]),
        ],
      },
    },
  ];
}

/** Without peers a rule would admit everyone, so it is left out. */
function rule(from: readonly object[], ports: readonly number[]): object[] {
  if (from.length === 0) return [];
  return [{ from, ports: ports.map((port) => ({ port, protocol: 'TCP' })) }];
}

function publicPorts({ spec }: TorrustTracker): object[] {
  const tcp = [...spec.http.map(({ port }) => port), ...(spec.api.expose ? [spec.api.port] : [])];
  const ascending = (one: number, other: number) => one - other;
  return [
    ...spec.udp
      .map(({ port }) => port)
      .toSorted(ascending)
      .map((port) => ({ port, protocol: 'UDP' })),
    ...tcp.toSorted(ascending).map((port) => ({ port, protocol: 'TCP' })),
  ];
}

function operatorPeer(namespace: string): object {
  return {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': OPERATOR_NAME } },
  };
}
