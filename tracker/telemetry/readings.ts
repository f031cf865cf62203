/** What the instruments read at one scrape: plain numbers, taken together, that cost nobody else anything. */
import type { CounterName } from '../swarm/counters.ts';

export interface Readings {
  /** The sum of all rows of the network threads, and the counters of it by their names. */
  readonly tally: Float64Array;
  readonly counters: Readonly<Record<CounterName, number>>;
  readonly swarms: SwarmReadings;
  readonly completed: CompletedReadings;
  readonly snapshots: SnapshotReadings;
  readonly spans: SpanReadings;
  readonly access: { readonly whitelistedTorrents: number; readonly keys: number };
  /** Addresses that are banned at this moment. */
  readonly bannedAddresses: number;
  /** Null: there is none. */
  readonly database: { readonly isUp: boolean; readonly callsWaiting: number } | null;
  readonly config: ConfigReadings;
  readonly certificates: readonly CertificateReading[];
  /** The CPU time of each network thread, in seconds. */
  readonly networkThreads: readonly number[];
  /** Whether the tracker has started and does not stop. */
  readonly isReady: boolean;
  readonly version: string;
}

/** Sums over the swarm store. */
export interface SwarmReadings {
  readonly torrents: number;
  readonly seeders: number;
  readonly leechers: number;
  readonly ipv4Peers: number;
  readonly ipv6Peers: number;
  readonly usedBytes: number;
  readonly limitBytes: number;
  readonly unstoredAnnounces: number;
  readonly evictedTorrents: number;
  readonly evictedPeers: number;
}

/** Completed downloads. */
export interface CompletedReadings {
  /** Over all time, as the database knew last; 0 when they are not kept. */
  readonly persisted: number;
  /** Torrents whose counters wait to be read from or written to the database. */
  readonly torrentsWaiting: number;
}

/** Snapshots of the swarms on disk. */
export interface SnapshotReadings {
  /** When the last one was finished: seconds since 1970; 0: none since the start. */
  readonly writtenAtSeconds: number;
  /** What the last one holds, and how long it took. */
  readonly peers: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Snapshots since the start that were finished, and that failed. */
  readonly writes: number;
  readonly failures: number;
  /** Peers and torrents that the start brought back. */
  readonly restoredPeers: number;
  readonly restoredTorrents: number;
}

/** Spans of traces since the start, and those that wait at this moment; all 0 where nothing is traced. */
export interface SpanReadings {
  /** The collector took them. */
  readonly sent: number;
  /** It did not take them. */
  readonly failed: number;
  /** The queue was full. */
  readonly crowdedOut: number;
  /** Requests that found the ring of their network thread full. */
  readonly unwritten: number;
  readonly waiting: number;
  readonly waitingLimit: number;
}

/** How the configuration in force fares. */
export interface ConfigReadings {
  /** Whether the last reload, or the start, refused nothing. */
  readonly isLastReloadSuccessful: boolean;
  /** When the last such one ended: seconds since 1970. */
  readonly lastSuccessSeconds: number;
  /** Whether changes wait for a restart. */
  readonly needsRestart: boolean;
}

export interface CertificateReading {
  /** The table of the configuration that names it: `http_trackers[0]`, `http_api`. */
  readonly service: string;
  /** Seconds since 1970. */
  readonly expirySeconds: number;
}
