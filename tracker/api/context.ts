/** What the REST API needs of the tracker around it. */
import type { DatabaseDriver } from '../db/model.ts';
import type { Policy } from '../policy.ts';
import type { CounterRows } from '../swarm/counters.ts';
import type { Store } from '../swarm/store.ts';
import type { BanKeeper } from './ban-keeper.ts';
import type { KeyKeeper } from './key-keeper.ts';
import type { WhitelistKeeper } from './whitelist-keeper.ts';

export interface ApiContext {
  readonly store: Store;
  readonly counters: CounterRows;
  readonly policy: Policy;
  readonly keys: KeyKeeper;
  readonly whitelist: WhitelistKeeper;
  readonly bans: BanKeeper;
  /** The driver that error texts name; without a database none does. */
  readonly databaseDriver: DatabaseDriver;
  /** The tokens that are valid at this moment. */
  tokens(): Iterable<string>;
  /** Figures that the statistics show and that are neither in the store nor in the counters. */
  figures(): ServiceFigures;
  /** What each tracker has counted so far, in the order of the configuration. */
  listeners(): readonly ListenerTally[];
  /** Follows each request; absent: nobody does. */
  readonly observe?: RequestObserver;
}

/** Does `work`, which answers a request, and takes note of it: of the path, with parameters instead of values, and the status. */
export type RequestObserver = (
  request: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  },
  work: () => Promise<{ readonly status: number; readonly route: string | null }>,
) => Promise<void>;

/** A listener of a tracker, and the sum of the rows that threads count its requests in. */
export interface ListenerTally {
  readonly protocol: 'udp' | 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
  readonly tally: Float64Array;
}

export interface ServiceFigures {
  /** Downloads completed since the start. */
  readonly completedInSession: number;
  /** Downloads completed over all time, as the database knew last; 0 without one. */
  readonly completedPersisted: number;
  /** IP addresses that are banned for wrong connection ids at this moment. */
  readonly bannedIps: number;
  /** Torrents and peers that the start brought back from a snapshot. */
  readonly restoredTorrents: number;
  readonly restoredPeers: number;
}
