/**
 * Ways to the listeners through gateways: HTTPRoute and UDPRoute of the Gateway API, or an Ingress. The schema has
 * already refused a route to a listener without trusted proxies, and a UDPRoute that nobody acknowledged.
 * https://gateway-api.sigs.k8s.io/
 */
import type { Problem } from '../crd/conditions.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import type { Environment, OptionalApi } from './environment.ts';
import { namesOf, ownedMetadata } from './identity.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { httpServiceName, udpServiceName } from './services.ts';

/** The versions of a kind that the operator can write. */
const HTTP_ROUTE: readonly OptionalApi[] = [
  'gateway.networking.k8s.io/v1/HTTPRoute',
  'gateway.networking.k8s.io/v1beta1/HTTPRoute',
];
const UDP_ROUTE: readonly OptionalApi[] = [
  'gateway.networking.k8s.io/v1/UDPRoute',
  'gateway.networking.k8s.io/v1alpha2/UDPRoute',
];

/** Objects of optional APIs, and what can't be had because an API is missing. */
export interface OptionalObjects {
  readonly objects: readonly KubernetesObject[];
  readonly problems: readonly Problem[];
}

/** The routes of a tracker. */
export function routes(tracker: TorrustTracker, { apis }: Environment): OptionalObjects {
  const { gateway } = tracker.spec.exposure;
  const objects = ingress(tracker);
  const problems: Problem[] = [];
  const add = (
    versions: readonly OptionalApi[],
    field: string,
    build: (apiVersion: string) => KubernetesObject,
  ) => {
    const api = versions.find((version) => apis.has(version));
    if (api === undefined) problems.push(missingApi(versions, field));
    else objects.push(build(api.slice(0, api.lastIndexOf('/'))));
  };
  if (gateway !== undefined && gateway.parentRefs.length > 0) {
    add(HTTP_ROUTE, 'spec.exposure.gateway', (apiVersion) => httpRoute(tracker, apiVersion));
  }
  const udpRoutes = (gateway?.udpRoutes ?? []).toSorted((one, other) =>
    one.listener < other.listener ? -1 : 1,
  );
  for (const route of udpRoutes) {
    add(UDP_ROUTE, `spec.exposure.gateway.udpRoutes[${route.listener}]`, (apiVersion) =>
      udpRoute(tracker, apiVersion, route),
    );
  }
  return { objects, problems };
}

function missingApi(versions: readonly OptionalApi[], field: string): Problem {
  return {
    condition: 'ExposureReady',
    reason: 'APIMissing',
    message: `${field} needs ${versions.join(' or ')} of the Gateway API, which this cluster does not have: install its CRDs and a gateway; the route is made when they are there.`,
  };
}

/** The HTTP listener that a route leads to. */
function targetListener({ spec }: TorrustTracker, name: string | undefined) {
  return spec.http
    .filter(({ tls, trustedProxies }) => tls === undefined && trustedProxies.length > 0)
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .find((listener) => name === undefined || listener.name === name);
}

function servicePortOf(
  listener: { readonly port: number; readonly servicePort?: number | undefined } | undefined,
) {
  return listener?.servicePort ?? listener?.port;
}

function httpRoute(tracker: TorrustTracker, apiVersion: string): KubernetesObject {
  const { parentRefs = [], hostnames = [], listener } = tracker.spec.exposure.gateway ?? {};
  return {
    apiVersion,
    kind: 'HTTPRoute',
    metadata: ownedMetadata(tracker, namesOf(tracker).httpRoute),
    spec: {
      parentRefs,
      ...(hostnames.length === 0 ? {} : { hostnames }),
      rules: [
        {
          backendRefs: [
            { name: httpServiceName(tracker), port: servicePortOf(targetListener(tracker, listener)) },
          ],
        },
      ],
    },
  };
}

function udpRoute(
  tracker: TorrustTracker,
  apiVersion: string,
  { listener, parentRefs }: { readonly listener: string; readonly parentRefs: readonly object[] },
): KubernetesObject {
  const target = tracker.spec.udp.find(({ name }) => name === listener);
  return {
    apiVersion,
    kind: 'UDPRoute',
    metadata: ownedMetadata(tracker, namesOf(tracker).udpRoute(listener)),
    spec: {
      parentRefs,
      rules: [{ backendRefs: [{ name: udpServiceName(tracker), port: servicePortOf(target) }] }],
    },
  };
}

function ingress(tracker: TorrustTracker): KubernetesObject[] {
  const { ingress: given } = tracker.spec.exposure;
  if (given === undefined) return [];
  const { className, host, tlsSecretName, annotations, listener } = given;
  const service = {
    name: httpServiceName(tracker),
    port: { number: servicePortOf(targetListener(tracker, listener)) },
  };
  return [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: ownedMetadata(tracker, namesOf(tracker).ingress, { annotations }),
      spec: {
        ...(className === undefined ? {} : { ingressClassName: className }),
        ...(tlsSecretName === undefined ? {} : { tls: [{ hosts: [host], secretName: tlsSecretName }] }),
        rules: [{ host, http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service } }] } }],
      },
    },
  ];
}
