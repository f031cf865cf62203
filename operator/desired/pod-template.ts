/**
 * The pod of a tracker: one container without privileges, everything that changes mounted as files, and probes that
 * ask the health check. It fits Pod Security's level "restricted", but for the host's network with topology HostNode.
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
import { parseByteSize } from '../../tracker/config/byte-size.ts';
import { HEALTH_PORT, METRICS_PORT } from '../crd/listeners.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { CONFIG_FILE, CONFIG_FOLDER } from './configuration.ts';
import type { Environment } from './environment.ts';
import { ANNOTATIONS, labelsOf, namesOf, selectorOf } from './identity.ts';
import type { Container, EnvironmentVariable, PodTemplate } from './kubernetes-object.ts';
import { podVolumes, volumeMounts } from './volumes.ts';

/** The name of the tracker's container. */
export const CONTAINER_NAME = 'tracker';
/** The user of the image, which is that of Torrust's own image: its volumes open unchanged. */
const USER_ID = 1000;
/** Enough for the endpoints to go, the requests to be answered, and the swarms to be written. */
const GRACE_SECONDS = 60;
/** How long a pod that is to end goes on serving, until nobody sends it anything. */
const DRAIN_SECONDS = 10;
/** The tracker beside its swarms. */
const BASE_MEMORY_BYTES = 256 * 2 ** 20;
const DEFAULT_MEMORY_LIMIT_BYTES = 512 * 2 ** 20;
/** How a variable sets one value of the configuration. */
const OVERRIDE = 'TORRUST_TRACKER_CONFIG_OVERRIDE_';

/** Renders the pods of a tracker, before `spec.podTemplate`. */
export function renderPodTemplate(
  tracker: TorrustTracker,
  environment: Environment,
  hash: string,
): PodTemplate {
  const { spec } = tracker;
  return {
    metadata: {
      labels: { ...selectorOf(tracker), ...podLabels(tracker) },
      annotations: { [ANNOTATIONS.restartHash]: hash },
    },
    spec: {
      serviceAccountName: namesOf(tracker).serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      ...(spec.topology === 'HostNode' ? { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' } : {}),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER_ID,
        runAsGroup: USER_ID,
        fsGroup: USER_ID,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...unlessEmpty('imagePullSecrets', spec.image.pullSecrets),
      ...unlessEmpty('nodeSelector', spec.nodeSelector),
      ...unlessEmpty('tolerations', spec.tolerations),
      ...(spec.affinity === undefined ? {} : unlessEmpty('affinity', spec.affinity)),
      ...unlessEmpty('topologySpreadConstraints', spreadConstraints(tracker)),
      ...(spec.priorityClassName === undefined ? {} : { priorityClassName: spec.priorityClassName }),
      containers: [trackerContainer(tracker, environment)],
      volumes: podVolumes(tracker),
    },
  };
}

/** The labels of the pods; without the tracker's uid, so that a tracker made anew does not replace them. */
function podLabels(tracker: TorrustTracker): Record<string, string> {
  const { 'app.kubernetes.io/component': component = '', 'app.kubernetes.io/part-of': partOf = '' } =
    labelsOf(tracker);
  return { 'app.kubernetes.io/component': component, 'app.kubernetes.io/part-of': partOf };
}

function unlessEmpty(name: string, value: object): Record<string, unknown> {
  return Object.keys(value).length === 0 ? {} : { [name]: value };
}

function spreadConstraints(tracker: TorrustTracker): object[] {
  const { topology, topologySpreadConstraints: given } = tracker.spec;
  const ours = { matchLabels: selectorOf(tracker) };
  if (given !== undefined) {
    return given.map((constraint) => ({ ...constraint, labelSelector: constraint.labelSelector ?? ours }));
  }
  if (topology === 'HostNode') return [];
  return [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: ours,
    },
  ];
}

function trackerContainer(tracker: TorrustTracker, environment: Environment): Container {
  const { spec } = tracker;
  const pullPolicy = spec.image.pullPolicy ?? environment.defaultPullPolicy;
  return {
    name: CONTAINER_NAME,
    image: imageOf(tracker, environment),
    ...(pullPolicy === undefined ? {} : { imagePullPolicy: pullPolicy }),
    env: variables(tracker, environment),
    ports: containerPorts(tracker),
    resources: spec.resources ?? defaultResources(tracker),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    startupProbe: { httpGet: { path: '/livez', port: HEALTH_PORT }, periodSeconds: 2, failureThreshold: 60 },
    livenessProbe: {
      httpGet: { path: '/livez', port: HEALTH_PORT },
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    readinessProbe: { httpGet: { path: '/readyz', port: HEALTH_PORT }, periodSeconds: 5, timeoutSeconds: 3 },
    // What keeps a tracker from starting is the end of its log, and so part of the status of its pod.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    lifecycle: { preStop: { sleep: { seconds: DRAIN_SECONDS } } },
    volumeMounts: volumeMounts(tracker),
  };
}

/** The image of a tracker: what the resource says, the rest from the operator's default. */
export function imageOf({ spec }: TorrustTracker, { defaultImage }: Environment): string {
  const { repository, tag, digest } = spec.image;
  if (repository === undefined && tag === undefined && digest === undefined) return defaultImage;
  const [, defaultRepository = defaultImage] = /^([^@]+?)(?::[^/:@]+)?(?:@.+)?$/.exec(defaultImage) ?? [];
  const name = repository ?? defaultRepository;
  return `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function variables(tracker: TorrustTracker, environment: Environment): EnvironmentVariable[] {
  return [
    { name: 'TORRUST_TRACKER_CONFIG_TOML_PATH', value: `${CONFIG_FOLDER}/${CONFIG_FILE}` },
    ...telemetryVariables(tracker),
    ...(tracker.spec.topology === 'HostNode' ? nodeVariables(tracker, environment) : []),
  ];
}

function telemetryVariables({ spec, metadata: { name, namespace } }: TorrustTracker): EnvironmentVariable[] {
  const { otlp, traceSampleRatio } = spec.telemetry;
  if (otlp === undefined) return [];
  return [
    // The tracker makes attributes of its traces of these.
    field('POD_NAME', 'metadata.name'),
    field('POD_UID', 'metadata.uid'),
    field('NODE_NAME', 'spec.nodeName'),
    { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: otlp.endpoint },
    { name: 'OTEL_SERVICE_NAME', value: name },
    { name: 'OTEL_RESOURCE_ATTRIBUTES', value: `k8s.namespace.name=${namespace}` },
    { name: 'OTEL_TRACES_SAMPLER', value: 'parentbased_traceidratio' },
    { name: 'OTEL_TRACES_SAMPLER_ARG', value: String(traceSampleRatio) },
  ];
}

/**
 * On the network of a node, no NetworkPolicy guards the API, the health check and the metrics: they bind the node's own
 * address alone. Each pod learns it from the cluster; the kubelet's probes ask the same address.
 */
function nodeVariables({ spec }: TorrustTracker, { ipFamilies }: Environment): EnvironmentVariable[] {
  const host = ipFamilies[0] === 6 ? '[$(NODE_ADDRESS)]' : '$(NODE_ADDRESS)';
  // In quotes, so that an address in brackets is not read as a list.
  const bind = (table: string, port: number) => ({
    name: `${OVERRIDE}${table}__BIND_ADDRESS`,
    value: `"${host}:${port}"`,
  });
  return [
    field('NODE_ADDRESS', 'status.hostIP'),
    bind('HTTP_API', spec.api.port),
    bind('HEALTH_CHECK_API', HEALTH_PORT),
    bind('METRICS', METRICS_PORT),
  ];
}

/** A variable that each pod is told by the cluster. */
function field(name: string, fieldPath: string): EnvironmentVariable {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

function containerPorts({ spec }: TorrustTracker): object[] {
  const byPort = (one: { readonly port: number }, other: { readonly port: number }) => one.port - other.port;
  return [
    ...spec.udp.toSorted(byPort).map(({ port }) => ({ containerPort: port, protocol: 'UDP' })),
    ...spec.http.toSorted(byPort).map(({ port }) => ({ containerPort: port, protocol: 'TCP' })),
    { name: 'api', containerPort: spec.api.port, protocol: 'TCP' },
    { name: 'health', containerPort: HEALTH_PORT, protocol: 'TCP' },
    { name: 'metrics', containerPort: METRICS_PORT, protocol: 'TCP' },
  ];
}

/** Without a word about resources: a little CPU, and memory for the swarms that were asked for and the tracker beside them. */
function defaultResources({ spec }: TorrustTracker): object {
  const limitBytes =
    spec.swarm.memory === 'auto'
      ? DEFAULT_MEMORY_LIMIT_BYTES
      : parseByteSize(spec.swarm.memory) + BASE_MEMORY_BYTES;
  return {
    requests: { cpu: '100m', memory: mebibytes(Math.min(limitBytes, BASE_MEMORY_BYTES)) },
    limits: { memory: mebibytes(limitBytes) },
  };
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)}Mi`;
}
