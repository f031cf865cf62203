/** From the configuration to what the database is opened with, with secrets and certificates read. */
import { readAuthorities, readTlsPair } from './certificate-files.ts';
import { resolveDatabase } from '../config/database-options.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { readDatabaseLogin } from '../config/secrets.ts';
import type { DatabaseOptions, MysqlCredentials, MysqlTls } from '../db/model.ts';

/** As errors about certificates name it. */
const USER = 'The database connection';

/**
 * Reads the options of the database that a configuration names; null when it names none. Throws `ConfigError` for a
 * secret, and `StartError` for a certificate, that can't be read.
 */
export function databaseOptions(config: TrackerConfig): DatabaseOptions | null {
  const resolved = resolveDatabase(config, readDatabaseLogin(config));
  if (resolved === undefined) return null;
  if (resolved.kind === 'sqlite3') return resolved;
  const { kind, host, port, database, user, password, tls } = resolved;
  return {
    kind,
    host,
    port,
    database,
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls: readTls(tls.caFile, tls.certFile, tls.keyFile) }),
  };
}

/** What of the options may change while the database is open; null when nothing of it may. */
export function credentialsOf(options: DatabaseOptions | null): MysqlCredentials | null {
  if (options === null || options.kind === 'sqlite3') return null;
  const { user, password, tls } = options;
  return {
    ...(user !== undefined && { user }),
    // What is left out stays as it was: a password that went away becomes the empty one.
    password: password ?? '',
    ...(tls !== undefined && { tls }),
  };
}

function readTls(ca: string | undefined, cert: string | undefined, key: string | undefined): MysqlTls {
  const authorities = ca !== undefined && { ca: readAuthorities(USER, ca) };
  // The configuration has both or none.
  if (cert === undefined || key === undefined) return { ...authorities };
  const pair = readTlsPair(USER, { ssl_cert_path: cert, ssl_key_path: key });
  return { ...authorities, cert: pair.certificate, key: pair.key };
}
