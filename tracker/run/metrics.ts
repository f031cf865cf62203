/** The metrics of a running tracker: what they are read from, who records them, and their listener. */
import { X509Certificate } from 'node:crypto';
import type { Access } from '../access.ts';
import type { BanKeeper } from '../api/ban-keeper.ts';
import { type ApiServer, openApiServer } from '../api/server.ts';
import { parseSocketAddress, type SocketAddress } from '../config/address.ts';
import type { TrackerConfig } from '../config/schema.ts';
import type { Database } from '../db/client.ts';
import { formatSocketAddress } from '../listen-error.ts';
import { type CounterRows, countersOf } from '../swarm/counters.ts';
import type { Store } from '../swarm/store.ts';
import type { Logger } from '../telemetry/log.ts';
import { createMetricsApp, METRICS_PATH } from '../telemetry/metrics-app.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type {
  CertificateReading,
  ConfigReadings,
  Readings,
  SnapshotReadings,
  SpanReadings,
} from '../telemetry/readings.ts';
import { readVersion } from '../telemetry/version.ts';
import type { CompletedSync } from './completed-sync.ts';
import type { Inputs } from './inputs.ts';
import type { ReloadOutcome } from './reload.ts';

const VERSION = readVersion();

/** What the metrics are read from. */
export interface MetricsParts {
  readonly store: Store;
  readonly counters: CounterRows;
  readonly access: Access;
  readonly bans: Pick<BanKeeper, 'size'>;
  readonly database: Database | null;
  readonly completedSync: CompletedSync | null;
  readonly inputs: Pick<Inputs, 'trackerCertificates' | 'apiCertificate'>;
  readonly reloads: ReloadRecord;
  readonly snapshots: () => SnapshotReadings;
  readonly spans: () => Promise<SpanReadings>;
  readonly networkThreads: () => number;
  readonly isReady: () => boolean;
}

/** Opens the listener of `/metrics`, and says where it is. Throws `ListenError`. */
export async function openMetrics(
  config: TrackerConfig['metrics'],
  metrics: Metrics,
  parts: MetricsParts,
  logger: Logger,
): Promise<{ readonly server: ApiServer; readonly address: SocketAddress }> {
  const app = createMetricsApp(
    metrics,
    async () => readMetrics(parts, await parts.spans()),
    (error) => logger.error({ err: error }, 'Metrics'),
  );
  const bindAddress = parseSocketAddress(config.bind_address);
  const server = await openApiServer({ name: 'The metrics', app, bindAddress });
  const address = { ...bindAddress, port: server.address.port };
  logger.info(`METRICS: Started on: http://${formatSocketAddress(address)}${METRICS_PATH}`);
  return { server, address };
}

/** Remembers how reloads ended. A start counts as one that succeeded. */
export class ReloadRecord {
  readonly #metrics: Metrics;
  #readings: ConfigReadings = {
    isLastReloadSuccessful: true,
    lastSuccessSeconds: Date.now() / 1000,
    needsRestart: false,
  };

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  get readings(): ConfigReadings {
    return this.#readings;
  }

  note(outcome: ReloadOutcome, needsRestart: boolean): void {
    this.#metrics.count('configReloads', { outcome });
    const isSuccess = outcome !== 'refused';
    this.#readings = {
      isLastReloadSuccessful: isSuccess,
      lastSuccessSeconds: isSuccess ? Date.now() / 1000 : this.#readings.lastSuccessSeconds,
      needsRestart,
    };
  }
}

/**
 * Reads everything that a scrape shows but for `spans`, which are asked for before. Takes no lock, and time that does not
 * depend on how much the store holds.
 */
export function readMetrics(parts: Omit<MetricsParts, 'spans'>, spans: SpanReadings): Readings {
  const { store, counters, access, bans, database, completedSync, inputs, reloads } = parts;
  const tally = counters.total();
  return {
    tally,
    counters: countersOf(tally),
    swarms: { ...store.totals(), limitBytes: store.memoryBytes },
    completed: {
      persisted: completedSync?.totalCompleted ?? 0,
      torrentsWaiting: completedSync?.torrentsWaiting ?? 0,
    },
    snapshots: parts.snapshots(),
    spans,
    access: { whitelistedTorrents: access.whitelistSize, keys: access.keysSize },
    bannedAddresses: bans.size,
    database: database && { isUp: database.state().kind === 'up', callsWaiting: database.callsWaiting() },
    config: reloads.readings,
    certificates: readCertificates(inputs),
    networkThreads: counters.cpuSeconds(parts.networkThreads()),
    isReady: parts.isReady(),
    version: VERSION,
  };
}

function readCertificates({
  trackerCertificates,
  apiCertificate,
}: MetricsParts['inputs']): CertificateReading[] {
  const all = [
    ...trackerCertificates.map((pair, index) => ({ service: `http_trackers[${index}]`, pair })),
    { service: 'http_api', pair: apiCertificate },
  ];
  return all.flatMap(({ service, pair }) => {
    if (pair === null) return [];
    // Of a chain, the first is the certificate of the service itself.
    const { validToDate } = new X509Certificate(pair.certificate);
    return [{ service, expirySeconds: validToDate.getTime() / 1000 }];
  });
}
