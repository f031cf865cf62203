/**
 * The tracker, composed: configuration, shared memory, database, network threads, APIs, housekeeping; and its end in the
 * reverse order. The only place that knows all parts. What a command line makes of it is `cli/run.ts`.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Access } from './access.ts';
import { createHealthApp, type RegisteredService } from './api/health-app.ts';
import { KeyKeeper } from './api/key-keeper.ts';
import { createRestApp } from './api/rest-app.ts';
import { openApiServer } from './api/server.ts';
import { WhitelistKeeper } from './api/whitelist-keeper.ts';
import { CompletedSync } from './completed-sync.ts';
import { parseSocketAddress, type SocketAddress } from './config/address.ts';
import { parseByteSize } from './config/byte-size.ts';
import type { TrackerConfig } from './config/schema.ts';
import { readSecrets } from './config/secrets.ts';
import { ConnectionKeys } from './connection-keys.ts';
import { databaseOptions } from './database-options.ts';
import { type Database, openDatabase } from './db/client.ts';
import { DatabaseError } from './db/error.ts';
import { driverOf } from './db/model.ts';
import { Housekeeper } from './housekeeper.ts';
import { listenerSetups, readConnectionKeys, readTlsPair } from './listener-setups.ts';
import { automaticSwarmBytes } from './memory-limit.ts';
import { formatSocketAddress, ListenError } from './listen-error.ts';
import type { ListenerSetup } from './net/listener.ts';
import { maxThreads, NetworkThreads, supportedThreads } from './network-threads.ts';
import { Policy } from './policy.ts';
import { StartError } from './start-error.ts';
import { CounterRows } from './swarm/counters.ts';
import { Store } from './swarm/store.ts';
import type { Logger } from './telemetry/log.ts';

/** The time that requests which have come are given to be answered when the tracker stops. */
const STOP_GRACE_MILLIS = 10_000;
/** How often a database that is away is asked again, when the tracker can't start without it. */
const RETRY_MILLIS = 1_000;

/** A service of a running tracker. */
export interface RunningService extends RegisteredService {
  readonly address: SocketAddress;
}

/** A running tracker. */
export interface RunningTracker {
  /** What listens: trackers in the order of the configuration, then the REST API; the health check is apart. */
  readonly services: readonly RunningService[];
  readonly health: SocketAddress;
  readonly workers: number;
  readonly swarmBytes: number;
  /** Stops in order, and resolves when nothing is left. Can be called once. */
  stop(): Promise<void>;
}

/**
 * Starts the tracker. `onFailure` is called when it can't go on: a thread died. Throws `StartError` or `ConfigError`,
 * whose message is one line for the user, after all that had been started is stopped.
 */
export async function startTracker(
  config: TrackerConfig,
  logger: Logger,
  onFailure: (error: Error) => void,
): Promise<RunningTracker> {
  const starting = new Starting();
  try {
    return await startParts(config, logger, onFailure, starting);
  } catch (error) {
    await starting.undo();
    if (error instanceof ListenError) throw new StartError(error.message, { cause: error });
    if (error instanceof DatabaseError) {
      throw new StartError(error.message, { cause: error, isUsage: error.code === 'unopenable' });
    }
    throw error;
  }
}

/** What was started, to be stopped in the reverse order. */
class Starting {
  readonly #undos: (() => Promise<void>)[] = [];

  add(undo: () => Promise<void>): void {
    this.#undos.push(undo);
  }

  async undo(): Promise<void> {
    for (const undo of this.#undos.splice(0).toReversed()) await undo();
  }
}

async function startParts(
  config: TrackerConfig,
  logger: Logger,
  onFailure: (error: Error) => void,
  starting: Starting,
): Promise<RunningTracker> {
  const secrets = readSecrets(config);
  const setups = listenerSetups(config);
  const workers = supportedThreads(workerCount(config));
  const store = Store.create(
    config.swarm.memory === 'auto' ? automaticSwarmBytes() : parseByteSize(config.swarm.memory),
  );
  const access = Access.create();
  const policy = Policy.create(config);
  const counters = CounterRows.create(maxThreads(workers));
  const connectionKeys = ConnectionKeys.create();
  const keysFile = config.udp_tracker_server.connection_id_keys_file;
  if (keysFile !== undefined) connectionKeys.set(readConnectionKeys(keysFile));

  const services: RunningService[] = [];
  const obstacles = new Set(['the tracker is starting']);
  const healthApp = createHealthApp({
    services: () => services,
    readiness: () => ({ ready: obstacles.size === 0, reasons: [...obstacles] }),
  });
  const healthBind = parseSocketAddress(config.health_check_api.bind_address);
  healthApp.on('fault', (error: unknown) => logger.error({ err: error }, 'Health check'));
  const healthServer = await openApiServer({
    name: 'The health check',
    app: healthApp,
    bindAddress: healthBind,
  });
  starting.add(() => healthServer.close(0));
  const health = { ...healthBind, port: healthServer.address.port };

  const databaseConfig = databaseOptions(config, secrets);
  const database =
    databaseConfig === null ? null : await openWatchedDatabase(databaseConfig, logger, onFailure);
  if (database !== null) starting.add(() => database.close());
  const keys = new KeyKeeper(access, database);
  const whitelist = new WhitelistKeeper(access, database);
  if (policy.isPrivate) await whenAvailable(logger, () => keys.reload());
  if (policy.isListed) await whenAvailable(logger, () => whitelist.reload());

  const isNative = await choosesNativeSockets(config, logger);
  const threads = await NetworkThreads.start(
    workers,
    isNative,
    setups,
    {
      store: store.memory,
      access: access.memory,
      policy: policy.buffer,
      counters: counters.buffer,
      connectionKeys: connectionKeys.buffer,
    },
    onFailure,
  );
  starting.add(() => threads.stop(STOP_GRACE_MILLIS));
  threads.listeners.forEach(({ address, receiveBufferBytes }, index) => {
    const setup = setups[index];
    services.push(trackerService(setup, address));
    announceService(logger, services[services.length - 1], { receiveBufferBytes });
  });

  const completedSync =
    database === null
      ? null
      : new CompletedSync(store, database, policy, (error) =>
          logger.error({ err: error }, 'Completed counters'),
        );
  if (completedSync !== null) starting.add(() => completedSync.stop());

  if (config.http_api !== undefined) {
    const { http_api: api } = config;
    const bind = parseSocketAddress(api.bind_address);
    const app = createRestApp({
      store,
      counters,
      policy,
      keys,
      whitelist,
      databaseDriver: driverOf(databaseConfig?.kind ?? 'sqlite3'),
      tokens: () => secrets.apiTokens.values(),
      figures: () => ({
        completedInSession: counters.sums().completed_downloads,
        completedPersisted: completedSync?.totalCompleted ?? 0,
        bannedIps: 0,
        connectNanos: 0,
        announceNanos: 0,
        scrapeNanos: 0,
      }),
    });
    app.on('fault', (error: unknown) => logger.error({ err: error }, 'REST API'));

    const pair = api.tls_config === undefined ? undefined : readTlsPair(api.tls_config);
    const tls = pair && { cert: pair.certificate, key: pair.key };
    const server = await openApiServer({ name: 'The REST API', app, bindAddress: bind, tls });
    starting.add(() => server.close(STOP_GRACE_MILLIS));
    services.push(apiService({ ...bind, port: server.address.port }, tls !== undefined));
    announceService(logger, services[services.length - 1], {});
  }

  const housekeeper = new Housekeeper(store, policy, config.core.inactive_peer_cleanup_interval);
  starting.add(() => housekeeper.stop());
  logger.info(`HEALTH CHECK API: Started on: http://${formatSocketAddress(health)}`);
  obstacles.clear();
  return {
    services,
    health,
    workers,
    swarmBytes: store.memoryBytes,
    stop: async () => {
      obstacles.add('the tracker is stopping');
      await starting.undo();
    },
  };
}

function workerCount(config: TrackerConfig): number {
  const { workers } = config.network;
  return workers === 'auto' ? availableParallelism() : workers;
}

/** Decides between native and portable sockets, and says so. Throws `StartError` when native ones can't be had. */
async function choosesNativeSockets(config: TrackerConfig, logger: Logger): Promise<boolean> {
  const { sockets } = config.network;
  if (sockets === 'portable') return false;
  const obstacle = await nativeObstacle();
  if (obstacle === null) return true;
  if (sockets === 'native') throw new StartError(obstacle, { isUsage: true });
  logger.info(`Portable sockets are used: ${obstacle}`);
  return false;
}

/** Why native sockets are not to be had here; null when they are. */
async function nativeObstacle(): Promise<string | null> {
  try {
    // Loaded only when it is wanted: the package has no binary for some systems.
    const native = await import('./net/native/listeners.ts');
    return native.nativeObstacle();
  } catch (error) {
    return `native sockets could not be loaded: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function openWatchedDatabase(
  options: NonNullable<ReturnType<typeof databaseOptions>>,
  logger: Logger,
  onFailure: (error: Error) => void,
): Promise<Database> {
  return openDatabase(options, {
    onStateChange: (state) => {
      if (state.kind === 'up') logger.info('The database answers');
      else logger.warn(`The database does not answer: ${state.message}`);
    },
    onSkippedRows: (table, count) =>
      logger.warn(`${count} malformed rows of the table ${table} were left out`),
    onCrash: onFailure,
  });
}

/** Does what needs the database, as soon as it is there. */
async function whenAvailable(logger: Logger, work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== 'unavailable') throw error;
      logger.warn('Waiting for the database, without which nobody can be let in');
      await sleep(RETRY_MILLIS);
    }
  }
}

function trackerService(setup: ListenerSetup, address: SocketAddress): RunningService {
  const binding = formatSocketAddress(address);
  if (setup.kind === 'udp')
    return { kind: 'udp_tracker', address, binding, url: `udp://${binding}`, tls: false };
  const tls = setup.live.tls !== null;
  return { kind: 'http_tracker', address, binding, url: `${tls ? 'https' : 'http'}://${binding}`, tls };
}

function apiService(address: SocketAddress, tls: boolean): RunningService {
  const binding = formatSocketAddress(address);
  return { kind: 'tracker_rest_api', address, binding, url: `${tls ? 'https' : 'http'}://${binding}`, tls };
}

/** The lines that Torrust Tracker writes, which programs that start one look for. */
function announceService(logger: Logger, service: RunningService, facts: object): void {
  switch (service.kind) {
    case 'udp_tracker':
      logger.info(facts, `UDP TRACKER: Started on: ${service.url}`);
      break;
    case 'http_tracker':
      logger.info(`HTTP TRACKER: Started on: ${service.url}`);
      break;
    case 'tracker_rest_api':
      logger.info(`API: Started on ${service.url}`);
      break;
  }
}
