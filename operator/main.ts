/**
 * The operator from its first request to its last: connection, status server, lease, discovery, the controller of trackers.
 * A second one waits until the first has given up its lease. The only place that knows all parts.
 */
import { isDeepStrictEqual } from 'node:util';
import { Registry } from 'prom-client';
import type { PullPolicy } from './crd/tracker-spec.ts';
import { readDashboards } from './dashboards.ts';
import { applyDefinitions } from './definitions.ts';
import { type Environment, oneVersionEach, OPTIONAL_APIS } from './desired/environment.ts';
import { KubeClient } from './kube/client.ts';
import { pause, SYSTEM_CLOCK } from './kube/clock.ts';
import { Connection } from './kube/connection.ts';
import { startDiscovery } from './kube/discovery.ts';
import { EventRecorder } from './kube/event-recorder.ts';
import type { KubeLog } from './kube/kube-log.ts';
import { type Election, leaseNamespace, startElection } from './kube/lease-election.ts';
import { createKubeMetrics, type KubeMetrics } from './kube/metrics.ts';
import { openStatusServer, type StatusServer } from './kube/status-server.ts';
import type { Recorder } from './reconcile/status-writer.ts';
import { type ClusterNetwork, NetworkView, podNamespace } from './surroundings.ts';
import { startTrackerController, type TrackerController } from './tracker-controller.ts';
import { createTrackerMetrics } from './tracker-metrics.ts';
import { readVersion } from './version.ts';

/** How the operator runs. */
export interface OperatorSettings {
  /** Absent: the current context, or the service account of the pod. */
  readonly context?: string | undefined;
  /** Absent: trackers of all namespaces. */
  readonly namespaces?: readonly string[] | undefined;
  /** The image of trackers that name none. */
  readonly defaultImage: string;
  /** When a node fetches the image of trackers that do not say; absent: as Kubernetes does by itself. */
  readonly defaultPullPolicy?: PullPolicy | undefined;
  /** Where metrics and health are served; without a host at every address. */
  readonly bindAddress: { readonly host: string | undefined; readonly port: number };
  readonly electsLeader: boolean;
  /** The API server judges every write and stores none. Takes no lease either. */
  readonly isDry: boolean;
  /** Applies the CustomResourceDefinitions of this version first. */
  readonly appliesDefinitions: boolean;
}

/** What the operator is given to run with. */
export interface OperatorOptions {
  readonly settings: OperatorSettings;
  readonly log: KubeLog;
  /** Ends it, in order. */
  readonly signal: AbortSignal;
  /** The lease was lost: another operator may be at work, so the process has to end at once. */
  readonly onLost: (reason: Error) => void;
}

const LEASE = 'torrust-operator';
/** How often the nodes are looked at. */
const NETWORK_MILLIS = 5 * 60_000;
/** How long events that were noted down may take to be written at the end. */
const EVENTS_GRACE_MILLIS = 2_000;
const SERVER_GRACE_MILLIS = 500;

/** The parts that are started once this process is the one that works. */
interface Parts {
  readonly settings: OperatorSettings;
  readonly log: KubeLog;
  readonly client: KubeClient;
  readonly metrics: KubeMetrics;
  readonly recorder: EventRecorder;
  readonly signal: AbortSignal;
  /** Is told the controller when it has been started. */
  readonly onController: (controller: TrackerController) => void;
}

/** Runs the operator until the signal is aborted. Rejects when it can't begin. */
export async function runOperator({ settings, log, signal, onLost }: OperatorOptions): Promise<void> {
  const registry = new Registry();
  const metrics = createKubeMetrics(registry);
  const connection = Connection.load(settings.context);
  let server: StatusServer | undefined;
  let election: Election | undefined;
  let recorder: EventRecorder | undefined;
  let controller: TrackerController | undefined;
  let isSynced = false;
  createTrackerMetrics(registry, readVersion(), () => (isSynced ? controller?.trackers() : undefined));
  try {
    const inSync = { name: 'trackers', problem: () => notSynced(controller, isSynced) };
    const alive = { name: 'ping', problem: () => undefined };
    server = await openStatusServer({
      ...settings.bindAddress,
      registry,
      alive: [alive],
      ready: [alive, inSync],
    });
    const candidate = new KubeClient(connection, metrics.client, () => true, 'lease');
    log.info(
      { version: readVersion(), server: connection.server.href, port: server.port },
      'torrust-operator',
    );
    election =
      settings.electsLeader && !settings.isDry
        ? elect(candidate, connection, metrics, log, onLost)
        : undefined;
    const holds = election === undefined ? () => true : election.holds.bind(election);
    const client = new KubeClient(connection, metrics.client, holds);
    const identity = election?.identity ?? 'torrust-operator';
    recorder = new EventRecorder({ client, identity, metrics: metrics.events, log });
    if (election !== undefined && !(await isElected(election, signal))) return;
    await work({
      settings,
      log,
      client,
      metrics,
      recorder,
      signal,
      onController: (started) => {
        controller = started;
        started.synced.then(
          () => (isSynced = true),
          () => undefined,
        );
      },
    });
  } catch (error) {
    // Whatever was under way when the end came is cut.
    if (!signal.aborted) throw error;
  } finally {
    await recorder?.close(EVENTS_GRACE_MILLIS);
    await election?.close();
    await server?.close(SERVER_GRACE_MILLIS);
    await connection.close();
  }
}

/** What is wrong while this process should be at work; one that waits for its turn is as it should be. */
function notSynced(controller: TrackerController | undefined, isSynced: boolean): string | undefined {
  if (controller === undefined || isSynced) return undefined;
  return controller.problems()[0] ?? 'not everything has been listed yet';
}

function elect(
  client: KubeClient,
  { namespace }: Connection,
  metrics: KubeMetrics,
  log: KubeLog,
  onLost: (reason: Error) => void,
): Election {
  const where = leaseNamespace(process.env, namespace);
  return startElection({ client, namespace: where, name: LEASE, metrics: metrics.leader, log, onLost });
}

/** Waits for the lease; false when the end comes first. */
async function isElected(election: Election, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const end = () => resolve(false);
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  try {
    return await Promise.race([election.acquired.then(() => true), promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** Runs the controller until the end. */
async function work({
  settings,
  log,
  client,
  metrics,
  recorder,
  signal,
  onController,
}: Parts): Promise<void> {
  const { defaultImage, defaultPullPolicy, isDry, namespaces } = settings;
  if (settings.appliesDefinitions) await applyDefinitions(client, log, isDry, signal);
  const view = new NetworkView(client, log);
  let network = await view.look(signal);
  const { ipFamilies: families } = network;
  const dashboards = readDashboards();
  const discovery = startDiscovery({ client, apis: OPTIONAL_APIS, log, signal });
  const environment = (): Environment => ({
    defaultImage,
    defaultPullPolicy,
    operatorNamespace: podNamespace(),
    apis: oneVersionEach(discovery.apis()),
    // Families stay as they were at the start: another would replace every pod.
    ipFamilies: families,
    clusterRanges: network.ranges,
    nodes: network.nodes,
    dashboards,
    now: new Date(),
  });
  try {
    // Routes that nobody can make yet would be told as a problem.
    await discovery.synced;
    const controller = startTrackerController({
      client,
      metrics,
      log,
      recorder: recorderOf(recorder),
      namespaces,
      environment,
      operatorVersion: readVersion(),
      isDry,
      signal,
    });
    onController(controller);
    discovery.subscribe(() => controller.reconcileAll());
    const watching = watchNetwork(view, log, signal, (changed) => {
      if (isDeepStrictEqual(changed, network)) return;
      network = changed;
      controller.reconcileAll();
    });
    await Promise.all([controller.ended, watching]);
  } finally {
    await discovery.ended;
  }
}

/** Looks at the network from time to time, since nodes come and go; until the end. */
async function watchNetwork(
  view: NetworkView,
  log: KubeLog,
  signal: AbortSignal,
  onLook: (network: ClusterNetwork) => void,
): Promise<void> {
  while (!signal.aborted) {
    await pause(SYSTEM_CLOCK, NETWORK_MILLIS, signal);
    if (signal.aborted) return;
    try {
      onLook(await view.look(signal));
    } catch (error) {
      // What was seen last holds until something else is seen.
      if (!signal.aborted) log.warn({ err: error }, 'the nodes of the cluster are looked for again');
    }
  }
}

function recorderOf(events: EventRecorder): Recorder {
  return {
    record: (regarding, { type, reason, message }) =>
      events.record({ regarding, type, reason, action: 'Reconcile', note: message }),
  };
}
