/**
 * The two drivers as one table, so that every test of behaviour runs on both. Each test gets an empty database, opens
 * it as often as it likes, and may look into it past the tracker, as other programs do.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { TestContext } from 'node:test';
import knex, { type Knex } from 'knex';
import { openDatabase, type Database, type DatabaseHooks } from '../../tracker/db/client.ts';
import type { DatabaseOptions, DatabaseTiming } from '../../tracker/db/model.ts';
import { startMariadb, type MariadbServer } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';

/** An empty database of one driver. */
export interface Site {
  readonly options: DatabaseOptions;
  /** A direct way in. */
  readonly direct: Knex;
  /** Opens the database as a tracker does; closed when the test ends. */
  open(hooks?: DatabaseHooks, timing?: DatabaseTiming): Promise<Database>;
  /** Fills the database from a file of fixtures. */
  load(fixture: string): Promise<void>;
}

/** A driver, and how to get a database of it for a test. */
interface DriverUnderTest {
  readonly kind: DatabaseOptions['kind'];
  /** Options for node:test: skips where the driver's server is missing. */
  readonly needed: { skip?: string };
  createSite(context: TestContext): Promise<Site>;
}

let mariadb: Promise<MariadbServer> | undefined;

/** The server that the tests of one file share; stopped after its last test. */
export function sharedMariadb(): Promise<MariadbServer> {
  mariadb ??= startMariadb();
  return mariadb;
}

after(async () => {
  await (await mariadb)?.close();
});

/** A folder that goes when the test ends. */
export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-db-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A database at a place of the caller's choice. */
export function siteAt(context: TestContext, options: DatabaseOptions): Site {
  const direct = directAccess(options);
  context.after(() => direct.destroy());
  return {
    options,
    direct,
    async open(hooks, timing) {
      const database = await openDatabase(options, hooks, timing);
      context.after(() => database.close());
      return database;
    },
    async load(fixture) {
      const file = new URL(`./fixtures/${options.kind}/${fixture}.sql`, import.meta.url);
      for (const statement of readFileSync(file, 'utf8').split(/;\s*$/m)) {
        if (statement.trim() !== '') await direct.raw(statement);
      }
    },
  };
}

export const drivers: readonly DriverUnderTest[] = [
  {
    kind: 'sqlite3',
    needed: {},
    createSite: (context) =>
      Promise.resolve(
        siteAt(context, { kind: 'sqlite3', path: join(temporaryFolder(context), 'tracker.db') }),
      ),
  },
  {
    kind: 'mysql',
    needed: needs('mariadb'),
    createSite: async (context) => siteAt(context, await (await sharedMariadb()).createDatabase()),
  },
];

function directAccess(options: DatabaseOptions): Knex {
  if (options.kind === 'sqlite3') {
    return knex({ client: 'better-sqlite3', connection: { filename: options.path }, useNullAsDefault: true });
  }
  const { host, port, user = '', password = '', database } = options;
  return knex({ client: 'mysql2', connection: { host, port, user, password, database }, pool: { min: 0 } });
}
