/**
 * What is asked of a tracker to see that it works: every listener of every ready pod, at the addresses that it binds, and
 * once more by the Services that lead to it; of a pod that is not ready what its health check says, since it may know what
 * it waits for. A pure function of the resource, its pods and its Services.
 */
import { isIP } from 'node:net';
import { HEALTH_PORT } from '../crd/listeners.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { httpServiceName, udpServiceName } from '../desired/services.ts';

/** A pod that runs. */
export interface RunningPod {
  readonly name: string;
  /** Its IP addresses, one for each family. */
  readonly addresses: readonly string[];
  /** The main address of its node, as far as it is known. */
  readonly hostAddress?: string | undefined;
  /** Whether it takes traffic; of one that does not, no listener is asked. */
  readonly isReady: boolean;
}

/** Where a Service is inside the cluster. */
export interface ServiceAddress {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** One question. */
export type Target = {
  /** For sentences: `UDP main of pod public-0`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
} & (
  | { readonly kind: 'udp' }
  | {
      readonly kind: 'http';
      readonly secure: boolean;
      /** Whether the listener wants to hear from a proxy for whom it asks. */
      readonly isBehindProxy: boolean;
    }
  | { readonly kind: 'api'; readonly secure: boolean }
);

/** The questions to one pod; when its health check does not answer, there is no way to it. */
export interface PodPlan {
  readonly pod: string;
  readonly isReady: boolean;
  readonly health: readonly { readonly host: string; readonly port: number }[];
  readonly targets: readonly Target[];
}

/** Everything that is asked of a tracker. */
export interface ProbePlan {
  /** What an announce is refused with when all is well; undefined where it has to be answered. */
  readonly expectedRefusal: RegExp | undefined;
  readonly pods: readonly PodPlan[];
  /** Asked when a ready pod was reached. */
  readonly services: readonly Target[];
  /** Whether pods are asked where their announces came from. */
  readonly asksSources: boolean;
}

const NO_KEY = /authentication/i;
const NOT_LISTED = /not whitelisted/i;

/**
 * Plans a probe. `services` are the Services of the tracker with an address of their own; `families` are those that
 * listeners bind. `asksSources`: whether anybody wants to know where announces came from.
 */
export function planProbe(
  tracker: TorrustTracker,
  pods: readonly RunningPod[],
  services: readonly ServiceAddress[],
  families: readonly (4 | 6)[],
  asksSources: boolean,
): ProbePlan {
  const { mode, topology } = tracker.spec;
  return {
    // Nobody gives the operator a key, and the info hash of probes is on no whitelist.
    expectedRefusal: mode === 'Public' ? undefined : mode === 'Listed' ? NOT_LISTED : NO_KEY,
    pods: pods.map((pod) => planPod(tracker, pod, families)),
    services: topology === 'HostNode' ? [] : services.flatMap((service) => serviceTargets(tracker, service)),
    asksSources,
  };
}

/**
 * Each is asked where it was bound. On the network of a node that is, for all that is not a listener, the main address of
 * the node alone, however many addresses it has.
 */
function planPod(
  tracker: TorrustTracker,
  { name, addresses, hostAddress, isReady }: RunningPod,
  families: readonly number[],
): PodPlan {
  const bound = addresses.filter((address) => families.includes(isIP(address)));
  const isOnHost = tracker.spec.topology === 'HostNode' && hostAddress !== undefined;
  const internal = isOnHost ? [hostAddress] : bound;
  const api = (host: string) => apiTarget(tracker, name, host);
  return {
    pod: name,
    isReady,
    health: internal.map((host) => ({ host, port: HEALTH_PORT })),
    targets: isReady
      ? [...bound.flatMap((host) => listenerTargets(tracker, name, host)), ...internal.map(api)]
      : [],
  };
}

function listenerTargets({ spec }: TorrustTracker, pod: string, host: string): Target[] {
  const of = (what: string) => `${what} of pod ${pod} at ${host}`;
  return [
    ...spec.udp.map(({ name, port }) => ({ kind: 'udp', name: of(`UDP ${name}`), host, port }) as const),
    ...spec.http.map((listener) => httpTarget(of(`HTTP ${listener.name}`), host, listener.port, listener)),
  ];
}

function apiTarget({ spec: { api } }: TorrustTracker, pod: string, host: string): Target {
  const name = `the REST API of pod ${pod} at ${host}`;
  return { kind: 'api', name, host, port: api.port, secure: api.tls !== undefined };
}

function serviceTargets(tracker: TorrustTracker, { name, addresses }: ServiceAddress): Target[] {
  const { udp, http } = tracker.spec;
  const by = (what: string, host: string) => `${what} by Service ${name} at ${host}`;
  return addresses.flatMap((host): Target[] => [
    ...(name !== udpServiceName(tracker)
      ? []
      : udp.map((listener) => {
          const port = listener.servicePort ?? listener.port;
          return { kind: 'udp', name: by(`UDP ${listener.name}`, host), host, port } as const;
        })),
    ...(name !== httpServiceName(tracker)
      ? []
      : http.map((listener) =>
          httpTarget(
            by(`HTTP ${listener.name}`, host),
            host,
            listener.servicePort ?? listener.port,
            listener,
          ),
        )),
  ]);
}

function httpTarget(
  name: string,
  host: string,
  port: number,
  { tls, trustedProxies }: TorrustTracker['spec']['http'][number],
): Target {
  const isBehindProxy = trustedProxies.length > 0;
  return { kind: 'http', name, host, port, secure: tls !== undefined, isBehindProxy };
}
