/**
 * The database of a configuration, with defaults, URL and secrets resolved into one form.
 */
import { defaultSqlitePath } from './default-sqlite-path.ts';
import assert from 'node:assert/strict';
import { defaultMysqlPort, matchMysqlUrl } from './mysql-url.ts';
import type { TrackerConfig } from './schema.ts';
import type { DatabaseLogin } from './secrets.ts';

/** How to reach the database. */
export type ResolvedDatabase =
  | { readonly kind: 'sqlite3'; readonly path: string }
  | {
      readonly kind: 'mysql';
      readonly host: string;
      readonly port: number;
      readonly user: string | undefined;
      readonly password: string | undefined;
      readonly database: string;
      /** Paths of PEM files; undefined: no encryption. */
      readonly tls:
        | {
            readonly caFile: string | undefined;
            readonly certFile: string | undefined;
            readonly keyFile: string | undefined;
          }
        | undefined;
    };

/** The database that a configuration names; undefined when it names none. */
export function resolveDatabase(
  { core: { database } }: TrackerConfig,
  login: DatabaseLogin,
): ResolvedDatabase | undefined {
  if (database === undefined) return undefined;
  if (database.driver === 'sqlite3') return { kind: 'sqlite3', path: database.path ?? defaultSqlitePath };
  const url = database.path === undefined ? undefined : matchMysqlUrl(database.path);
  const host = url?.host ?? database.host;
  const name = url?.database ?? database.database;
  assert.ok(
    host !== undefined && name !== undefined,
    'the schema asks for the host and the name of a MySQL database',
  );
  const { tls } = database;
  return {
    kind: 'mysql',
    host,
    port: url?.port ?? database.port ?? defaultMysqlPort,
    user: login.databaseUser,
    password: login.databasePassword,
    database: name,
    tls: tls && { caFile: tls.ca_file, certFile: tls.cert_file, keyFile: tls.key_file },
  };
}
