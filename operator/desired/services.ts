/**
 * The Services of a tracker: public ones for its listeners, UDP and TCP apart since many load balancers can't mix them, and
 * one inside the cluster for the REST API, the health check and the metrics.
 */
import { HEALTH_PORT, METRICS_PORT } from '../crd/listeners.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { namesOf, ownedMetadata, selectorOf } from './identity.ts';
import type { KubernetesObject, ServicePort } from './kubernetes-object.ts';

/** The names of the ports of the internal Service. */
export const API_PORT_NAME = 'api';
export const METRICS_PORT_NAME = 'metrics';

/** Marks the internal Service, so that Prometheus finds the metrics once. */
export const INTERNAL_LABELS = { 'tracker.torrust.com/service': 'internal' };

interface Listener {
  readonly name: string;
  readonly port: number;
  readonly servicePort?: number | undefined;
  readonly nodePort?: number | undefined;
}

/** The Services of a tracker. */
export function services(tracker: TorrustTracker): KubernetesObject[] {
  return [...publicServices(tracker), internalService(tracker)];
}

/** The name of the Service that leads to the HTTP listeners. */
export function httpServiceName(tracker: TorrustTracker): string {
  const names = namesOf(tracker);
  return tracker.spec.exposure.combined ? names.combinedService : names.httpService;
}

/** The name of the Service that leads to the UDP listeners. */
export function udpServiceName(tracker: TorrustTracker): string {
  const names = namesOf(tracker);
  return tracker.spec.exposure.combined ? names.combinedService : names.udpService;
}

function publicServices(tracker: TorrustTracker): KubernetesObject[] {
  const { spec } = tracker;
  const udp = servicePorts('UDP', spec.udp);
  const tcp = servicePorts('TCP', spec.http);
  if (spec.api.expose) {
    tcp.push({ name: 'api', protocol: 'TCP', port: spec.api.port, targetPort: spec.api.port });
  }
  if (spec.exposure.combined)
    return [publicService(tracker, namesOf(tracker).combinedService, [...udp, ...tcp])];
  return [
    ...(udp.length === 0 ? [] : [publicService(tracker, udpServiceName(tracker), udp)]),
    ...(tcp.length === 0 ? [] : [publicService(tracker, httpServiceName(tracker), tcp)]),
  ];
}

function servicePorts(protocol: 'UDP' | 'TCP', listeners: readonly Listener[]): ServicePort[] {
  const prefix = protocol === 'UDP' ? 'udp' : 'http';
  return listeners
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .map(({ name, port, servicePort, nodePort }) => ({
      name: `${prefix}-${name}`,
      protocol,
      port: servicePort ?? port,
      targetPort: port,
      ...(nodePort === undefined ? {} : { nodePort }),
    }));
}

function publicService(
  tracker: TorrustTracker,
  name: string,
  ports: readonly ServicePort[],
): KubernetesObject {
  const { type, externalTrafficPolicy, loadBalancerClass, ipFamilyPolicy, annotations } =
    tracker.spec.exposure;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMetadata(tracker, name, { annotations }),
    spec: {
      type,
      selector: selectorOf(tracker),
      ipFamilyPolicy,
      ports,
      // The API server refuses it for a Service that nothing outside can reach.
      ...(type === 'ClusterIP' ? {} : { externalTrafficPolicy }),
      ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
    },
  };
}

function internalService(tracker: TorrustTracker): KubernetesObject {
  const { ipFamilyPolicy } = tracker.spec.exposure;
  const tcp = (name: string, port: number): ServicePort => ({
    name,
    protocol: 'TCP',
    port,
    targetPort: port,
  });
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMetadata(tracker, namesOf(tracker).internalService, { labels: INTERNAL_LABELS }),
    spec: {
      type: 'ClusterIP',
      selector: selectorOf(tracker),
      ipFamilyPolicy,
      ports: [
        tcp(API_PORT_NAME, tracker.spec.api.port),
        tcp('health', HEALTH_PORT),
        tcp(METRICS_PORT_NAME, METRICS_PORT),
      ],
    },
  };
}
