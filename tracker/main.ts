/**
 * The tracker, composed: configuration, shared memory, database, network threads, APIs, housekeeping, reload; and its
 * end in the reverse order. The only place that knows all parts. What a command line makes of it is
 * `cli/run-command.ts`.
 */
import { Access } from './access.ts';
import { createHealthApp } from './api/health-app.ts';
import { KeyKeeper } from './api/key-keeper.ts';
import type { RequestObserver } from './api/context.ts';
import { createRestApp } from './api/rest-app.ts';
import { type ApiServer, openApiServer } from './api/server.ts';
import { WhitelistKeeper } from './api/whitelist-keeper.ts';
import { CompletedSync } from './run/completed-sync.ts';
import { parseSocketAddress, type SocketAddress } from './config/address.ts';
import { parseByteSize } from './config/byte-size.ts';
import type { LoadedConfig } from './config/load.ts';
import { namedFiles } from './config/named-files.ts';
import type { TrackerConfig } from './config/schema.ts';
import { ConnectionKeys } from './connection-keys.ts';
import { databaseTrouble, openLoggedDatabase, untilAborted, whenAvailable } from './run/database-start.ts';
import type { Database } from './db/client.ts';
import { DatabaseError } from './db/error.ts';
import { driverOf } from './db/model.ts';
import { FileWatch } from './run/file-watch.ts';
import type { BanKeeper } from './api/ban-keeper.ts';
import { GateKeeper } from './run/gate-keeper.ts';
import { gateSettings } from './run/gate-settings.ts';
import { Housekeeper } from './run/housekeeper.ts';
import { enlargePages } from './run/page-enlargement.ts';
import { type Inputs, liveInputs, readInputs } from './run/inputs.ts';
import { formatSocketAddress, ListenError } from './listen-error.ts';
import { listenerSetups } from './run/listener-setups.ts';
import { automaticSwarmBytes } from './run/memory-limit.ts';
import { openMetrics, ReloadRecord } from './run/metrics.ts';
import { maxThreads, NetworkThreads, supportedThreads } from './run/network-threads.ts';
import { usableProcessors } from './run/processor-limit.ts';
import type { RequestTraceSettings } from './net/request-traces.ts';
import { Policy } from './policy.ts';
import { Reload } from './run/reload.ts';
import {
  announceCertificate,
  announceMissing,
  announceService,
  announceSockets,
  apiService,
  publicUrls,
  type RunningService,
  tallyListeners,
  trackerService,
} from './run/services.ts';
import { choosesNativeSockets } from './run/socket-choice.ts';
import { SnapshotKeeper } from './run/snapshot-keeper.ts';
import { StartError } from './start-error.ts';
import { CounterRows } from './swarm/counters.ts';
import { Store } from './swarm/store.ts';
import type { Log, Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { Tracing } from './telemetry/tracing.ts';
import { apiObserver, databaseHooks, followRequests, healthObserver, openTracing } from './run/tracing.ts';
import { UndoStack } from './run/undo-stack.ts';

export type { RunningService } from './run/services.ts';

/** The time of a whole stop, which its parts share: less than who stops trackers waits for (`cli/run-command.ts`). */
const STOP_MILLIS = 22_000;
/** The time that requests which have come are given to be answered when the tracker stops. */
const STOP_GRACE_MILLIS = 5_000;
/** The longest that the last downloads and the end of the database take; the last snapshot may take all but what it leaves. */
const LAST_DOWNLOADS_MILLIS = 10_000;
const DATABASE_END_MILLIS = 5_000;
/** What a part leaves, of a time that is nearly over, to what is stopped behind it. */
const LEFT_BY_SNAPSHOT_MILLIS = 5_000;
const LEFT_BY_DOWNLOADS_MILLIS = 2_000;

export interface StartOptions {
  readonly loaded: LoadedConfig;
  readonly log: Log;
  /** Ends a start that is under way, which then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Reads the configuration anew, for a reload. Throws `ConfigError`. */
  load(): LoadedConfig;
  /** Called when the tracker can't go on: a thread died. */
  onFailure(error: Error): void;
}

/** A running tracker. */
export interface RunningTracker {
  /** What listens: trackers in the order of the configuration, then the REST API; the health check is apart. */
  readonly services: readonly RunningService[];
  readonly health: SocketAddress;
  readonly metrics: SocketAddress;
  readonly workers: number;
  readonly swarmBytes: number;
  /** Takes over what changed in the configuration and its files, and says in the log what came of it. */
  reload(): Promise<void>;
  /** Stops in order, and resolves when nothing is left. Can be called once. */
  stop(): Promise<void>;
}

/** What the health check and the metrics, which are there first, find out later. */
interface Whereabouts {
  database: Database | null;
  snapshots: SnapshotKeeper | null;
  networkThreads: number;
}

/** The memory that all threads share, and what keeps its content. */
interface Core {
  readonly store: Store;
  readonly access: Access;
  readonly policy: Policy;
  readonly counters: CounterRows;
  readonly connectionKeys: ConnectionKeys;
  readonly gate: GateKeeper;
  readonly bans: BanKeeper;
  readonly database: Database | null;
  readonly keys: KeyKeeper;
  readonly whitelist: WhitelistKeeper;
  readonly completedSync: CompletedSync | null;
  /** Follows the requests of the REST API; absent: nobody does. */
  readonly observe?: RequestObserver;
  /** How network threads choose requests for traces; undefined: nothing is traced. */
  readonly traces: RequestTraceSettings | undefined;
}

/**
 * Starts the tracker. Throws `StartError` or `ConfigError`, whose message is for the user, after all that had been
 * started is stopped.
 */
export async function startTracker(options: StartOptions): Promise<RunningTracker> {
  const started = new UndoStack();
  try {
    return await startParts(options, started);
  } catch (error) {
    await started.undo(options.log.logger, STOP_MILLIS);
    if (error instanceof ListenError) throw new StartError(error.message, { cause: error });
    if (error instanceof DatabaseError) {
      throw new StartError(error.message, { cause: error, isUsage: error.code === 'unopenable' });
    }
    throw error;
  }
}

async function startParts(options: StartOptions, started: UndoStack): Promise<RunningTracker> {
  const { loaded, signal } = options;
  const { config } = loaded;
  const { logger } = options.log;
  const inputs = readInputs(config);
  const services: RunningService[] = [];
  const obstacles = new Set(['the tracker is starting']);
  const whereabouts: Whereabouts = { database: null, snapshots: null, networkThreads: 0 };
  const metrics = new Metrics();
  const reloads = new ReloadRecord(metrics);
  const tracing = await openTracing(config, options.log);
  // First, and so ended last: what ends has its traces.
  if (tracing !== null) started.add(() => tracing.stop());
  const health = await startHealth(config, logger, services, obstacles, whereabouts, tracing, started);

  const workers = supportedThreads(workerCount(config));
  const hooks = databaseHooks(metrics, tracing);
  const requests = followRequests(config, tracing, maxThreads(workers));
  started.add(() => requests.stop());
  const core: Core = {
    ...(await startCore(options, inputs, workers, whereabouts, hooks, started)),
    ...(tracing !== null && { observe: apiObserver(tracing) }),
    traces: requests.settings,
  };
  const snapshots = new SnapshotKeeper({ ...core, ...options, logger }, config.swarm.snapshot);
  whereabouts.snapshots = snapshots;
  // Before the network threads, and so ended after them: what they do last is seen as well.
  const exposed = await openMetrics(
    config.metrics,
    metrics,
    {
      ...core,
      inputs,
      reloads,
      snapshots: () => snapshots.figures,
      spans: requests.spans,
      networkThreads: () => whereabouts.networkThreads,
      isReady: () => obstacles.size === 0,
    },
    logger,
  );
  started.add(() => exposed.server.close(0));
  // The last snapshot is written when the network threads have ended.
  started.add((millisLeft) => snapshots.stop(share(millisLeft, STOP_MILLIS, LEFT_BY_SNAPSHOT_MILLIS)));
  const threads = await startThreads(config, inputs, core, workers, options, started);
  snapshots.begin();
  whereabouts.networkThreads = threads.network.size;
  services.push(...threads.services);
  const api =
    config.http_api &&
    (await startApi(config.http_api, inputs, core, snapshots, threads.services, logger, started));
  if (api !== undefined) services.push(api.service);
  signal.throwIfAborted();

  const housekeeper = new Housekeeper(core.store, core.policy, config.core.inactive_peer_cleanup_interval);
  started.add(() => housekeeper.stop());
  started.add(await enlargePages(core.store));
  const reload = new Reload(loaded, {
    ...core,
    ...liveInputs(config, inputs, { ...core, api: api?.server ?? null }),
    logger,
    load: options.load,
    configureLog: ({ trace_filter, trace_style }) =>
      options.log.configure({ filter: trace_filter, style: trace_style }),
    around: (work) => (tracing === null ? work() : tracing.within('reload', work)),
    onEnd: (outcome, needsRestart) => reloads.note(outcome, needsRestart),
    apply: (changed) => {
      core.store.limits.configure(core.policy);
      const setups = listenerSetups(changed, inputs.trackerCertificates);
      threads.network.update(
        setups.map(({ live }) => live),
        gateSettings(changed),
      );
      core.gate.update(changed);
      housekeeper.setInterval(changed.core.inactive_peer_cleanup_interval);
      snapshots.update(changed.swarm.snapshot);
    },
  });
  const watch = watchFiles(loaded, reload, logger);
  started.add(() => {
    watch.close();
    reload.close();
  });

  announceMissing(logger, config);
  logger.info(`HEALTH CHECK API: Started on: http://${formatSocketAddress(health)}`);
  obstacles.clear();
  return {
    services,
    health,
    metrics: exposed.address,
    workers,
    swarmBytes: core.store.memoryBytes,
    reload: () => reload.run(true),
    stop: async () => {
      obstacles.add('the tracker is stopping');
      await started.undo(logger, STOP_MILLIS);
    },
  };
}

/** The health check comes first and goes last, so that it can tell of a start that waits and of a slow end. */
async function startHealth(
  config: TrackerConfig,
  logger: Logger,
  services: readonly RunningService[],
  obstacles: ReadonlySet<string>,
  whereabouts: Whereabouts,
  tracing: Tracing | null,
  started: UndoStack,
): Promise<SocketAddress> {
  const app = createHealthApp({
    services: () => services,
    readiness: () => ({ ready: obstacles.size === 0, reasons: [...obstacles] }),
    databaseTrouble: () => whereabouts.database && databaseTrouble(whereabouts.database),
    snapshotTrouble: () => whereabouts.snapshots?.trouble ?? null,
    ...(tracing !== null && healthObserver(tracing)),
  });
  app.on('fault', (error: unknown) => logger.error({ err: error }, 'Health check'));
  const bindAddress = parseSocketAddress(config.health_check_api.bind_address);
  const server = await openApiServer({ name: 'The health check', app, bindAddress });
  started.add(() => server.close(0));
  return { ...bindAddress, port: server.address.port };
}

/** Shared memory and the database, with all in place that decides who is let in. */
async function startCore(
  { loaded: { config }, log: { logger }, signal, onFailure }: StartOptions,
  inputs: Inputs,
  workers: number,
  whereabouts: Whereabouts,
  hooks: ReturnType<typeof databaseHooks>,
  started: UndoStack,
): Promise<Omit<Core, 'observe' | 'traces'>> {
  const { memory } = config.swarm;
  const store = Store.create(memory === 'auto' ? automaticSwarmBytes() : parseByteSize(memory));
  const access = Access.create();
  const policy = Policy.create(config);
  store.limits.configure(policy);
  const connectionKeys = ConnectionKeys.create();
  if (inputs.connectionKeys !== null) connectionKeys.set(inputs.connectionKeys);
  const listeners = config.udp_trackers.length + config.http_trackers.length;
  const counters = CounterRows.create(maxThreads(workers), listeners);
  const gate = await GateKeeper.open(config, counters, logger);
  started.add(() => gate.stop());

  const opening =
    inputs.database && openLoggedDatabase(inputs.database, logger, { onCrash: onFailure, ...hooks });
  if (opening !== null) {
    started.add(async (millisLeft) => {
      const opened = await opening.catch(() => null);
      await opened?.close(share(millisLeft, DATABASE_END_MILLIS));
    });
  }
  const database = opening && (await untilAborted(opening, signal));
  whereabouts.database = database;
  const keys = new KeyKeeper(access, database);
  const whitelist = new WhitelistKeeper(access, database);
  let completedSync: CompletedSync | null = null;
  if (database !== null) {
    if (policy.isPrivate) await whenAvailable(database, config, logger, signal, () => keys.reload());
    if (policy.isListed) await whenAvailable(database, config, logger, signal, () => whitelist.reload());
    const sync = new CompletedSync(store, database, policy, {
      onError: (error) => logger.error({ err: error }, 'Completed counters'),
      onLoss: (downloads) =>
        logger.error(`The end came before the database: ${downloads} completed downloads may not be in it`),
    });
    // Before the network threads, and so ended after them: what they count last is written as well.
    started.add((millisLeft) =>
      sync.stop(share(millisLeft, LAST_DOWNLOADS_MILLIS, LEFT_BY_DOWNLOADS_MILLIS)),
    );
    completedSync = sync;
  }
  return {
    store,
    access,
    policy,
    counters,
    connectionKeys,
    gate,
    bans: gate.bans,
    database,
    keys,
    whitelist,
    completedSync,
  };
}

async function startThreads(
  config: TrackerConfig,
  inputs: Inputs,
  core: Core,
  workers: number,
  { log: { logger }, onFailure }: StartOptions,
  started: UndoStack,
): Promise<{ readonly network: NetworkThreads; readonly services: readonly RunningService[] }> {
  const setups = listenerSetups(config, inputs.trackerCertificates);
  const isNative = await choosesNativeSockets(config, logger);
  const memories = {
    store: core.store.memory,
    access: core.access.memory,
    policy: core.policy.buffer,
    counters: core.counters.buffer,
    connectionKeys: core.connectionKeys.buffer,
    traces: core.traces,
    gate: core.gate.memory,
  };
  const network = await NetworkThreads.start(
    workers,
    isNative,
    setups,
    memories,
    gateSettings(config),
    onFailure,
  );
  started.add((millisLeft) => network.stop(share(millisLeft, STOP_GRACE_MILLIS)));
  const { listeners } = network;
  if (setups.length > 0) announceSockets(logger, { isNative, threads: workers }, setups, listeners);
  for (const { tls_config } of config.http_trackers) announceCertificate(logger, tls_config);
  const urls = publicUrls(config);
  const services = listeners.map(({ address }, index) => trackerService(setups[index], address, urls[index]));
  for (const service of services) announceService(logger, service);
  return { network, services };
}

async function startApi(
  api: NonNullable<TrackerConfig['http_api']>,
  inputs: Inputs,
  core: Core,
  snapshots: SnapshotKeeper,
  trackers: readonly RunningService[],
  logger: Logger,
  started: UndoStack,
): Promise<{ readonly server: ApiServer; readonly service: RunningService }> {
  const app = createRestApp({
    ...core,
    databaseDriver: driverOf(inputs.database?.kind ?? 'sqlite3'),
    tokens: () => inputs.apiTokens.values(),
    figures: () => ({
      completedInSession: core.counters.sums().completed_downloads,
      completedPersisted: core.completedSync?.totalCompleted ?? 0,
      bannedIps: core.bans.size,
      restoredTorrents: snapshots.figures.restoredTorrents,
      restoredPeers: snapshots.figures.restoredPeers,
    }),
    listeners: () => tallyListeners(trackers, core.counters),
  });
  app.on('fault', (error: unknown) => logger.error({ err: error }, 'REST API'));
  app.on('trouble', (text: string) => logger.warn(`REST API: ${text}`));
  const pair = inputs.apiCertificate;
  const bindAddress = parseSocketAddress(api.bind_address);
  const tls = pair === null ? undefined : { cert: pair.certificate, key: pair.key };
  const server = await openApiServer({ name: 'The REST API', app, bindAddress, tls });
  started.add((millisLeft) => server.close(share(millisLeft, STOP_GRACE_MILLIS)));
  const address = { ...bindAddress, port: server.address.port };
  announceCertificate(logger, api.tls_config);
  const service = apiService(address, pair !== null, api.public_url ?? null);
  announceService(logger, service);
  return { server, service };
}

/** Reloads when the configuration or a file that it names changes. */
function watchFiles({ source }: LoadedConfig, reload: Reload, logger: Logger): FileWatch {
  const own = source.kind === 'file' || source.kind === 'generated' ? [source.path] : [];
  const paths = () => [...own, ...namedFiles(reload.config)];
  const watch = new FileWatch(paths(), {
    onChange: async () => {
      await reload.run(false);
      watch.watch(paths());
    },
    onTrouble: (message) => logger.warn(message),
  });
  return watch;
}

/** What one part of a stop may take of the time that is left. */
function share(millisLeft: number, mostMillis: number, leavesMillis = 0): number {
  return Math.max(0, Math.min(mostMillis, millisLeft - leavesMillis));
}

function workerCount(config: TrackerConfig): number {
  const { workers } = config.network;
  return workers === 'auto' ? usableProcessors() : workers;
}
