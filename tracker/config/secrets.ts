/**
 * Reads the secrets of a configuration: those that stand in it, and those whose files it names. They are read apart from
 * the rest, so that the configuration can be judged, printed and compared without them, and so that a changed file can be
 * read again alone. Nothing here ever prints what it read.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from './errors.ts';
import { token } from './fields.ts';
import { fileFault } from './file-fault.ts';
import { matchMysqlUrl } from './mysql-url.ts';
import type { TrackerConfig } from './schema.ts';

/** Who the tracker is to its database. */
export interface DatabaseLogin {
  /** The user of the MySQL server; undefined for SQLite. */
  readonly databaseUser: string | undefined;
  /** The user's password; undefined when there is none. */
  readonly databasePassword: string | undefined;
}

/** The secrets of a configuration. */
export interface Secrets extends DatabaseLogin {
  /** The tokens of the REST API by their labels; empty: nobody is let in. */
  readonly apiTokens: ReadonlyMap<string, string>;
}

/** Reads every secret. Throws a `ConfigError` with code `secret_unreadable` that names the key and the file. */
export function readSecrets(config: TrackerConfig): Secrets {
  return { apiTokens: readApiTokens(config), ...readDatabaseLogin(config) };
}

/** Reads the user and the password of the database. Throws as `readSecrets`. */
export function readDatabaseLogin({ core: { database } }: TrackerConfig): DatabaseLogin {
  const url = database?.path === undefined ? undefined : matchMysqlUrl(database.path);
  return {
    databaseUser: url?.user ?? database?.user ?? readFile('core.database.user_file', database?.user_file),
    databasePassword:
      url?.password ?? database?.password ?? readFile('core.database.password_file', database?.password_file),
  };
}

/** Reads the tokens of the REST API by their labels. Throws as `readSecrets`. */
export function readApiTokens({ http_api: api }: TrackerConfig): ReadonlyMap<string, string> {
  if (api?.access_tokens_dir === undefined) return new Map(Object.entries(api?.access_tokens ?? {}));
  const folder = api.access_tokens_dir;
  const keyPath = 'http_api.access_tokens_dir';
  const tokens = new Map<string, string>();
  try {
    for (const label of readdirSync(folder).toSorted()) {
      const path = join(folder, label);
      // Kubernetes keeps its bookkeeping beside the files, under names that begin with a dot.
      if (label.startsWith('.') || !statSync(path).isFile()) continue;
      const value = readFile(keyPath, path) ?? '';
      if (!token().safeParse(value).success) {
        throw unreadable(
          keyPath,
          path,
          'a token is a text of printable ASCII characters, without spaces at its ends',
        );
      }
      tokens.set(label, value);
    }
  } catch (error) {
    throw error instanceof ConfigError ? error : unreadable(keyPath, folder, fileFault(error), error);
  }
  return tokens;
}

/** The content of a file without the line end that editors leave; undefined when no file is named. */
function readFile(keyPath: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  let content: string;
  try {
    content = readFileSync(path, 'utf8').replace(/[\r\n]+$/, '');
  } catch (cause) {
    throw unreadable(keyPath, path, fileFault(cause), cause);
  }
  if (content === '') throw unreadable(keyPath, path, 'it is empty');
  return content;
}

function unreadable(keyPath: string, path: string, reason: string, cause?: unknown): ConfigError {
  return new ConfigError(
    'secret_unreadable',
    `${keyPath}: the secret in ${path} cannot be used: ${reason}.`,
    { cause },
  );
}
