/** From the configuration to what the database is opened with, with secrets and certificates read. */
import { readFileSync } from 'node:fs';
import { resolveDatabase } from './config/database-options.ts';
import type { TrackerConfig } from './config/schema.ts';
import type { Secrets } from './config/secrets.ts';
import type { DatabaseOptions, MysqlTls } from './db/model.ts';
import { StartError } from './start-error.ts';

/** The options of the database that a configuration names; null when it names none. Throws `StartError`. */
export function databaseOptions(config: TrackerConfig, secrets: Secrets): DatabaseOptions | null {
  const resolved = resolveDatabase(config, secrets);
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

function readTls(ca: string | undefined, cert: string | undefined, key: string | undefined): MysqlTls {
  return {
    ...(ca !== undefined && { ca: readPemFile(ca) }),
    ...(cert !== undefined && { cert: readPemFile(cert) }),
    ...(key !== undefined && { key: readPemFile(key) }),
  };
}

/** Reads a PEM file. Throws `StartError`. */
export function readPemFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`The certificate file ${path} can't be read: ${reason}`, { cause, isUsage: true });
  }
}
