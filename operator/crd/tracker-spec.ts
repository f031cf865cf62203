/**
 * What a `TorrustTracker` asks for. Every field has a default, so that a resource without a spec is a working public
 * tracker.
 */
import * as z from 'zod';
import { exposure, monitoring, networkPolicy, telemetry } from './exposure.ts';
import {
  flag,
  ipAddress,
  listOf,
  objectName,
  oneOf,
  passedOn,
  text,
  textLike,
  textMap,
  wholeNumber,
  withRules,
} from './fields.ts';
import {
  affinity,
  podMetadata,
  resourceRequirements,
  secretReference,
  toleration,
  topologySpreadConstraint,
} from './kubernetes-fields.ts';
import { api, HEALTH_PORT, httpListener, MAX_LISTENERS, METRICS_PORT, udpListener } from './listeners.ts';
import { database, swarm } from './storage.ts';

/** The announce interval unless the resource says another; public lists refuse less than five minutes. */
const DEFAULT_INTERVAL_SECONDS = 300;
const DEFAULT_UDP_PORT = 6969;
const DEFAULT_HTTP_PORT = 7070;

/** When a node fetches an image. */
export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

const image = z.strictObject({
  repository: text(255).optional().describe("The image without tag; left out: the operator's default."),
  tag: textLike(/^[A-Za-z0-9_][-.A-Za-z0-9_]*$/, 128)
    .optional()
    .describe('The tag.'),
  digest: textLike(/^sha256:[0-9a-f]{64}$/, 71)
    .optional()
    .describe('The digest, which wins over the tag.'),
  pullPolicy: oneOf(...PULL_POLICIES)
    .optional()
    .describe("As in a container; left out: the operator's default."),
  pullSecrets: listOf(secretReference(), 8).default([]).describe('Secrets for the registry.'),
});

const announce = withRules(
  z.strictObject({
    intervalSeconds: wholeNumber(10, 86400)
      .default(DEFAULT_INTERVAL_SECONDS)
      .describe('How long a client is asked to wait between two announces.'),
    minIntervalSeconds: wholeNumber(1, 86400)
      .optional()
      .describe('How long it has to wait at least; left out: intervalSeconds, at most 300.'),
    maxPeers: wholeNumber(1, 1000).default(74).describe('The most peers that a reply holds.'),
  }),
  [
    {
      cel: '!has(self.minIntervalSeconds) || self.minIntervalSeconds <= self.intervalSeconds',
      message:
        'minIntervalSeconds is above intervalSeconds, so clients would be asked to announce earlier than they may: lower minIntervalSeconds or raise intervalSeconds',
      holds: ({ minIntervalSeconds: min, intervalSeconds }) => min === undefined || min <= intervalSeconds,
    },
  ],
);

const policy = z.strictObject({
  maxPeerTimeoutSeconds: wholeNumber(10, 604800)
    .optional()
    .describe('A silent peer is dropped after this; left out: three announce intervals, at least 900.'),
  cleanupIntervalSeconds: wholeNumber(0, 86400)
    .default(600)
    .describe('The longest time that one round of dropping silent peers takes; 0 drops none.'),
  persistentCompleted: flag(false).describe('Keeps the number of completed downloads in the database.'),
  removePeerlessTorrents: flag(true).describe('Forgets torrents without peers.'),
});

const shape = z.strictObject({
  mode: oneOf('Public', 'Listed', 'Private', 'PrivateListed')
    .default('Public')
    .describe(
      'Who is served: everyone; only torrents of the whitelist; only clients with a key; only clients with a key, for torrents of the whitelist.',
    ),
  topology: oneOf('Single', 'HostNode')
    .default('Single')
    .describe(
      'Single: one pod. HostNode: a pod on the network of every chosen node, each with swarms of its own.',
    ),
  replicas: wholeNumber(0, 1000).default(1).describe('0 or 1. 0 is the same as hibernate.'),
  paused: flag(false).describe('True: the operator changes nothing.'),
  hibernate: flag(false).describe('True: no pods; data, Secrets and Services stay.'),
  image: image.prefault({}).describe("The tracker's image."),
  // Replaced as a whole: of a list that is merged by name, a server-side apply would keep the listener of the default
  // beside those that a user names, and an empty list would become the default again.
  udp: listOf(udpListener, MAX_LISTENERS)
    .default([{ name: 'main', port: DEFAULT_UDP_PORT }])
    .describe('UDP listeners; an empty list: none.'),
  http: listOf(httpListener, MAX_LISTENERS)
    .prefault([{ name: 'main', port: DEFAULT_HTTP_PORT }])
    .describe('HTTP and HTTPS listeners; an empty list: none.'),
  api: api.prefault({}).describe('The REST API.'),
  announce: announce.prefault({}).describe('What clients are told.'),
  policy: policy.prefault({}).describe('What becomes of peers and torrents.'),
  swarm: swarm.prefault({}).describe('The swarms in memory and on disk.'),
  database: database
    .optional()
    .describe('Keys, whitelist and counters; left out: SQLite, with HostNode one that is lost with its pod.'),
  connectionId: z
    .strictObject({
      rotationHours: wholeNumber(1, 8760)
        .default(24)
        .describe('How often the key of connection ids is replaced.'),
    })
    .prefault({})
    .describe(
      'Connection ids of UDP (BEP 15). Their keys are shared by all pods and rotate without an error.',
    ),
  externalIP: ipAddress()
    .optional()
    .describe("The address that stands for clients of the tracker's own machine."),
  exposure: exposure.prefault({}).describe('How clients reach the tracker.'),
  networkPolicy: networkPolicy.prefault({}).describe('Who may connect to what inside the cluster.'),
  monitoring: monitoring.prefault({}).describe('Objects for Prometheus and Grafana.'),
  telemetry: telemetry.prefault({}).describe('Telemetry that the tracker sends.'),
  logging: z
    .strictObject({
      level: oneOf('off', 'error', 'warn', 'info', 'debug', 'trace')
        .default('info')
        .describe('The least important level that is logged.'),
    })
    .prefault({})
    .describe('Logs, written as JSON.'),
  resources: resourceRequirements()
    .optional()
    .describe('CPU and memory of the container; left out: made to fit swarm.memory.'),
  nodeSelector: textMap(63).default({}).describe('Nodes that may run the tracker.'),
  tolerations: listOf(toleration(), 32).default([]).describe('Taints that the pods tolerate.'),
  affinity: affinity().optional().describe('Affinity of the pods, as in a pod.'),
  topologySpreadConstraints: listOf(topologySpreadConstraint(), 8)
    .optional()
    .describe('How pods are spread; left out: over nodes as far as possible; an empty list: not at all.'),
  priorityClassName: objectName().optional().describe('The PriorityClass of the pods.'),
  podTemplate: z
    .strictObject({
      metadata: podMetadata().optional().describe('Labels and annotations of the pods.'),
      spec: passedOn()
        .optional()
        .describe(
          'Fields of the pod that win over those of the operator. Containers, volumes and the like are merged by name.',
        ),
    })
    .optional()
    .describe('Overrides of the pods.'),
  config: passedOn()
    .optional()
    .describe(
      "A JSON merge patch (RFC 7396) over the tracker's configuration. Listeners, the REST API, health, metrics, the database and secrets can't be changed by it.",
    ),
});

type Shape = z.output<typeof shape>;

function servicePorts(
  listeners: readonly { readonly port: number; readonly servicePort?: number | undefined }[],
) {
  return listeners.map(({ port, servicePort }) => servicePort ?? port);
}

function areDistinct(values: readonly (number | string)[]): boolean {
  return new Set(values).size === values.length;
}

/** Whether a route finds an HTTP listener that may stand behind a proxy. */
function leadsSomewhere({ http }: Shape, listener: string | undefined): boolean {
  return http.some(
    ({ name, tls, trustedProxies }) =>
      tls === undefined && trustedProxies.length > 0 && (listener === undefined || listener === name),
  );
}

const routeMessage =
  "leads to a plain HTTP listener with trustedProxies, and there is none: it hides the clients' addresses, so name the proxies' addresses in trustedProxies of the listener";

/** `spec` of a `TorrustTracker`. */
export const trackerSpec = withRules(shape, [
  {
    cel: 'size(self.udp) + size(self.http) > 0',
    message: 'udp and http are both empty, so there is nothing to serve: give at least one listener',
    holds: ({ udp, http }) => udp.length + http.length > 0,
  },
  {
    cel: "self.topology != 'HostNode' || !has(self.database) || !has(self.database.sqlite)",
    message:
      'topology HostNode runs a pod on every chosen node, and they can not share one sqlite volume: use database.mysql, or leave database out for an ephemeral one in each pod',
    holds: ({ topology, database: given }) => topology !== 'HostNode' || given?.sqlite === undefined,
  },
  {
    cel: "self.topology == 'HostNode' || self.replicas <= 1",
    message:
      'replicas is 0 or 1: several pods would not share their swarms yet; use topology HostNode for one tracker on each of several nodes',
    holds: ({ topology, replicas }) => topology === 'HostNode' || replicas <= 1,
  },
  {
    cel: "self.topology != 'HostNode' || self.replicas == 1",
    message: 'replicas has no meaning with topology HostNode: leave it out, and choose nodes by nodeSelector',
    holds: ({ topology, replicas }) => topology !== 'HostNode' || replicas === 1,
  },
  {
    cel: '!has(self.policy.maxPeerTimeoutSeconds) || self.policy.maxPeerTimeoutSeconds > self.announce.intervalSeconds',
    message:
      'policy.maxPeerTimeoutSeconds is not above announce.intervalSeconds, so peers would be dropped before they announce again: raise it or leave it out',
    holds: ({ policy: { maxPeerTimeoutSeconds: timeout }, announce: { intervalSeconds } }) =>
      timeout === undefined || timeout > intervalSeconds,
  },
  {
    cel: 'self.udp.all(a, self.udp.exists_one(b, a.name == b.name)) && self.http.all(a, self.http.exists_one(b, a.name == b.name))',
    message: 'two listeners in udp, or two in http, have the same name: give each a name of its own',
    holds: ({ udp, http }) => [udp, http].every((list) => areDistinct(list.map(({ name }) => name))),
  },
  {
    cel: 'self.udp.all(a, self.udp.exists_one(b, a.port == b.port))',
    message: 'two listeners in udp have the same port: give each a port of its own',
    holds: ({ udp }) => areDistinct(udp.map(({ port }) => port)),
  },
  {
    cel: 'self.http.all(a, self.http.exists_one(b, a.port == b.port) && a.port != self.api.port)',
    message:
      'two listeners in http, or one of them and the api, have the same port: give each a port of its own',
    holds: ({ http, api: { port } }) => areDistinct([port, ...http.map((listener) => listener.port)]),
  },
  {
    cel: `!(self.api.port in [${HEALTH_PORT}, ${METRICS_PORT}]) && self.http.all(a, !(a.port in [${HEALTH_PORT}, ${METRICS_PORT}]))`,
    message: `the ports ${HEALTH_PORT} and ${METRICS_PORT} are taken by the health check and the metrics: choose another port`,
    holds: ({ http, api: { port } }) =>
      ![port, ...http.map((listener) => listener.port)].some((taken) =>
        [HEALTH_PORT, METRICS_PORT].includes(taken),
      ),
  },
  {
    cel: 'self.udp.all(a, self.udp.exists_one(b, (has(a.servicePort) ? a.servicePort : a.port) == (has(b.servicePort) ? b.servicePort : b.port)))',
    message: 'two listeners in udp have the same port in the Service: give each a servicePort of its own',
    holds: ({ udp }) => areDistinct(servicePorts(udp)),
  },
  {
    cel: 'self.http.all(a, self.http.exists_one(b, (has(a.servicePort) ? a.servicePort : a.port) == (has(b.servicePort) ? b.servicePort : b.port)) && (!self.api.expose || (has(a.servicePort) ? a.servicePort : a.port) != self.api.port))',
    message:
      'two listeners in http, or one of them and the exposed api, have the same port in the Service: give each a servicePort of its own',
    holds: ({ http, api: { port, expose } }) =>
      areDistinct([...servicePorts(http), ...(expose ? [port] : [])]),
  },
  {
    cel: "self.exposure.type != 'ClusterIP' || (self.udp.all(a, !has(a.nodePort)) && self.http.all(a, !has(a.nodePort)))",
    message: 'nodePort needs exposure.type NodePort or LoadBalancer',
    holds: ({ exposure: { type }, udp, http }) =>
      type !== 'ClusterIP' || [...udp, ...http].every(({ nodePort }) => nodePort === undefined),
  },
  {
    cel: '!has(self.exposure.gateway) || size(self.exposure.gateway.parentRefs) == 0 || self.http.exists(a, !has(a.tls) && has(a.trustedProxies) && size(a.trustedProxies) > 0 && (!has(self.exposure.gateway.listener) || self.exposure.gateway.listener == a.name))',
    message: `exposure.gateway ${routeMessage}`,
    holds: (spec) =>
      spec.exposure.gateway === undefined ||
      spec.exposure.gateway.parentRefs.length === 0 ||
      leadsSomewhere(spec, spec.exposure.gateway.listener),
  },
  {
    cel: '!has(self.exposure.gateway) || self.exposure.gateway.udpRoutes.all(r, self.udp.exists(a, a.name == r.listener))',
    message: 'exposure.gateway.udpRoutes names a listener that is not in udp',
    holds: ({ exposure: { gateway }, udp }) =>
      gateway === undefined ||
      gateway.udpRoutes.every(({ listener }) => udp.some(({ name }) => name === listener)),
  },
  {
    cel: '!has(self.exposure.ingress) || self.http.exists(a, !has(a.tls) && has(a.trustedProxies) && size(a.trustedProxies) > 0 && (!has(self.exposure.ingress.listener) || self.exposure.ingress.listener == a.name))',
    message: `exposure.ingress ${routeMessage}`,
    holds: (spec) =>
      spec.exposure.ingress === undefined || leadsSomewhere(spec, spec.exposure.ingress.listener),
  },
]);
