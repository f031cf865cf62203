/**
 * The values that cross the border of the database: what the tracker stores, how a database is named, and how it fares.
 * Plain data only, because all of it travels between threads by structured clone.
 */

/** A key of private mode as the `keys` table holds it. */
export interface StoredKey {
  /** 32 ASCII letters and digits; a secret. */
  readonly key: string;
  /** The last second (unix time) in which the key is valid; null means for ever. */
  readonly validUntilSeconds: number | null;
}

/** Certificates in PEM for a connection to MySQL; an empty object asks for TLS under the system's authorities. */
export interface MysqlTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Where an SQLite database lies; a relative path is taken from the working directory. */
export interface SqliteOptions {
  readonly kind: 'sqlite3';
  readonly path: string;
}

/** A database on a MySQL or MariaDB server; the database itself must exist there. */
export interface MysqlOptions {
  readonly kind: 'mysql';
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
  readonly database: string;
  readonly tls?: MysqlTls;
}

export type DatabaseOptions = SqliteOptions | MysqlOptions;

/** What of a MySQL connection may change while the tracker runs; what is left out stays as it is. */
export type MysqlCredentials = Partial<Pick<MysqlOptions, 'user' | 'password' | 'tls'>>;

/** How a key looks: the 32 ASCII letters and digits that Torrust makes and takes. */
export const keyPattern = /^[A-Za-z0-9]{32}$/;
/** How an info hash is written here. */
export const infoHashPattern = /^[0-9a-f]{40}$/;

/** The drivers by the names that Torrust's messages give them. */
export type DatabaseDriver = 'Sqlite3' | 'MySQL';

/** Whether the database answers. `sinceMillis` is unix time; `message` is one line without secrets. */
export type DatabaseState =
  { readonly kind: 'up' } | { readonly kind: 'down'; readonly sinceMillis: number; readonly message: string };

/** The tables of which rows can be malformed and are then left out when they are loaded. */
export type LoadedTable = 'keys' | 'whitelist';

/** How patient the database is. */
export interface DatabaseTiming {
  /** A call that has no answer by then rejects with `unavailable`. */
  readonly callDeadlineMillis: number;
  /** The same for a change of keys or the whitelist, for which somebody waits. */
  readonly changeDeadlineMillis: number;
  /** The same for the calls that read a whole table. */
  readonly loadDeadlineMillis: number;
  /** The first and the longest pause between two tries to reach a database that is away. */
  readonly retryMinMillis: number;
  readonly retryMaxMillis: number;
  /** A server that nobody has asked for so long is asked whether it is there. */
  readonly heartbeatMillis: number;
}

export const defaultTiming: DatabaseTiming = {
  callDeadlineMillis: 10_000,
  changeDeadlineMillis: 4_000,
  loadDeadlineMillis: 60_000,
  retryMinMillis: 500,
  retryMaxMillis: 30_000,
  heartbeatMillis: 10_000,
};

/** The driver's name for options of a kind. */
export function driverOf(kind: DatabaseOptions['kind']): DatabaseDriver {
  return kind === 'sqlite3' ? 'Sqlite3' : 'MySQL';
}
