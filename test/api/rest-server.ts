/** A REST API as tests use it: the real one on a real port, with a real store, snapshot and SQLite database. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Access } from '../../tracker/access.ts';
import type { ApiContext, ServiceFigures } from '../../tracker/api/context.ts';
import { AddressBans } from '../../tracker/address-bans.ts';
import { AddressRanges } from '../../tracker/address-ranges.ts';
import { BanKeeper, type BanStore } from '../../tracker/api/ban-keeper.ts';
import { KeyKeeper } from '../../tracker/api/key-keeper.ts';
import { createRestApp } from '../../tracker/api/rest-app.ts';
import { openApiServer } from '../../tracker/api/server.ts';
import { WhitelistKeeper } from '../../tracker/api/whitelist-keeper.ts';
import { configShape } from '../../tracker/config/schema.ts';
import { openDatabase, type Database } from '../../tracker/db/client.ts';
import { Policy } from '../../tracker/policy.ts';
import { CounterRows } from '../../tracker/swarm/counters.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { type Answer, ask, type Asking } from './asking.ts';

export const TOKEN = 'MyAccessToken';

export interface RestServer {
  readonly api: ApiContext;
  readonly store: Store;
  readonly access: Access;
  readonly counters: CounterRows;
  /** The tokens that are valid; may be changed. */
  readonly tokens: string[];
  readonly database: Database | null;
  /** Faults in the code behind the API. */
  readonly faults: unknown[];
  readonly port: number;
  /** Asks with a valid token. */
  ask(method: string, path: string, asking?: Asking): Promise<Answer>;
  /** Asks as the path says. */
  askBare(method: string, path: string, asking?: Asking): Promise<Answer>;
}

export interface RestServerOptions {
  /** Instead of an SQLite database; null: none. */
  readonly database?: Database | null;
  readonly handlerLimitMillis?: number;
  readonly figures?: ServiceFigures;
  readonly persistCompleted?: boolean;
  /** Where bans are saved; absent: nowhere. */
  readonly banStore?: BanStore;
}

const NO_FIGURES: ServiceFigures = {
  completedInSession: 0,
  completedPersisted: 0,
  bannedIps: 0,
  restoredTorrents: 0,
  restoredPeers: 0,
};

/** Opens an SQLite database in a folder of its own; both go when the test ends. */
export async function openTestDatabase(context: TestContext): Promise<Database> {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-api-'));
  const database = await openDatabase({ kind: 'sqlite3', path: join(folder, 'tracker.db') });
  context.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return database;
}

export async function openRestServer(
  context: TestContext,
  options: RestServerOptions = {},
): Promise<RestServer> {
  const database = options.database === undefined ? await openTestDatabase(context) : options.database;
  const store = Store.create(2 ** 24, 4);
  const access = Access.create();
  const counters = CounterRows.create(2, 3);
  const tokens = ['first', TOKEN];
  const config = configShape.parse({
    metadata: { schema_version: '3.0.0' },
    logging: { trace_filter: 'off' },
    core: {
      listed: false,
      private: false,
      tracker_policy: { persistent_torrent_completed_stat: options.persistCompleted ?? false },
    },
  });
  const bans = new BanKeeper(AddressBans.create(), new AddressRanges([]), options.banStore ?? null);
  context.after(() => bans.stop().catch(() => undefined));
  const api: ApiContext = {
    store,
    counters,
    policy: Policy.create(config),
    keys: new KeyKeeper(access, database),
    whitelist: new WhitelistKeeper(access, database),
    bans,
    databaseDriver: 'Sqlite3',
    tokens: () => tokens,
    figures: () => options.figures ?? NO_FIGURES,
    listeners: () => [
      { protocol: 'udp', host: '0.0.0.0', port: 6969, family: 4, tally: counters.totalOf(0) },
      { protocol: 'udp', host: '::', port: 6970, family: 6, tally: counters.totalOf(1) },
      { protocol: 'https', host: '192.0.2.1', port: 443, family: 4, tally: counters.totalOf(2) },
    ],
  };
  const app = createRestApp(api, options.handlerLimitMillis);
  const faults: unknown[] = [];
  app.on('fault', (error: unknown) => faults.push(error));
  const server = await openApiServer({ name: 'The test', app, bindAddress: { host: '127.0.0.1', port: 0 } });
  context.after(() => server.close(0));
  const { port } = server.address;
  const withToken = (path: string): string => `${path}${path.includes('?') ? '&' : '?'}token=${TOKEN}`;
  return {
    api,
    store,
    access,
    counters,
    tokens,
    database,
    faults,
    port,
    ask: (method, path, asking) => ask(port, method, withToken(path), asking),
    askBare: (method, path, asking) => ask(port, method, path, asking),
  };
}
