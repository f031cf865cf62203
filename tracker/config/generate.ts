/**
 * The default configuration: written when a tracker starts where there is none, so that its user has a file to read and
 * change. It holds a random API token and is therefore readable by its owner only.
 */
import { defaultSqlitePath } from './default-sqlite-path.ts';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError, invalidConfig } from './errors.ts';
import { schemaVersion } from './schema.ts';

/** What became of the attempt to write the file. */
export type WriteResult =
  | { readonly kind: 'written' }
  /** Someone else wrote it in the meantime; theirs is kept. */
  | { readonly kind: 'exists' }
  /** The folder does not take files; `code` is the system's reason. */
  | { readonly kind: 'read_only'; readonly code: string };

/**
 * Variables that name the driver of a database for which there is no configuration yet, as Torrust's container has them:
 * the newer name, which is an override as well, and that of the flat era.
 */
const driverVariables = [
  'TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER',
  'TORRUST_TRACKER_DATABASE_DRIVER',
];

/** The database of a default configuration. */
export type GeneratedDriver = 'sqlite3' | 'mysql';

/** Where the tracker of a default configuration runs: on the machine of its user, or in a container of ours. */
export const CONFIG_PLACES = ['local', 'container'] as const;
export type ConfigPlace = (typeof CONFIG_PLACES)[number];

/** What differs from place to place. A container's own loopback is reached by nobody; its folders are Torrust's. */
const places: Readonly<Record<ConfigPlace, { sqlitePath: string; tlsFolder: string; host: string }>> = {
  local: { sqlitePath: defaultSqlitePath, tlsFolder: './storage/tracker/lib/tls', host: '127.0.0.1' },
  container: {
    sqlitePath: '/var/lib/torrust/tracker/database/sqlite3.db',
    tlsFolder: '/var/lib/torrust/tracker/tls',
    host: '0.0.0.0',
  },
};

/** The tables by driver; the values for MySQL are those of Torrust's container and of its `compose.yaml`. */
const databaseTexts: Readonly<Record<GeneratedDriver, (sqlitePath: string) => string>> = {
  sqlite3: (sqlitePath) => `[core.database]
# "sqlite3" or "mysql". For MySQL: host, port, user, password (or password_file) and database instead of path.
driver = "sqlite3"
path = ${JSON.stringify(sqlitePath)}
`,
  mysql: () => `[core.database]
# "sqlite3" or "mysql". For SQLite: path instead of the others.
driver = "mysql"
host = "mysql"
port = 3306
user = "db_user"
# Or password_file, the path of a file that holds it.
password = "db_user_secret_password"
database = "torrust_tracker"
`,
};

const readOnlyCodes = ['EROFS', 'EACCES', 'EPERM'];
const apiTokenBytes = 32;

/** A new API token: 43 characters that need no escaping anywhere. */
export function createApiToken(): string {
  return randomBytes(apiTokenBytes).toString('base64url');
}

/** The driver that the environment asks for, in any case; SQLite when it asks for none. Throws a `ConfigError`. */
export function generatedDriver(env: Readonly<Record<string, string | undefined>>): GeneratedDriver {
  for (const variable of driverVariables) {
    const text = env[variable] ?? '';
    const driver = text.toLowerCase();
    if (driver === 'sqlite3' || driver === 'mysql') return driver;
    if (text === '') continue;
    throw invalidConfig([
      {
        origin: variable,
        path: 'core.database.driver',
        says: `is ${JSON.stringify(text)}`,
        allowed: '"sqlite3", "mysql"',
      },
    ]);
  }
  return 'sqlite3';
}

/**
 * The text of the default configuration. `apiToken` is the token of the label `admin`; without one the REST API stays
 * closed and there is no database, which is the form that runs without a disk.
 */
export function defaultConfigText(
  apiToken?: string,
  driver: GeneratedDriver = 'sqlite3',
  place: ConfigPlace = 'local',
): string {
  const { sqlitePath, tlsFolder, host } = places[place];
  const api = `[http_api]
bind_address = "${host}:1212"

# A label of your choice and its token, for each user of the API. This token was made for you: keep it secret.
[http_api.access_tokens]
admin = "${apiToken}"
`;
  return `# The configuration of the tracker. docs/configuration.md explains every key and its default.
# Every key can be set by a variable too: TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__LISTED=true sets core.listed.

[metadata]
app = "torrust-tracker"
purpose = "configuration"
schema_version = "${schemaVersion}"

[logging]
# off, error, warn, info, debug, trace
trace_filter = "info"

[core]
# true: only torrents of the whitelist are served.
listed = false
# true: only clients that announce with a key are served.
private = false

[core.announce_policy]
# How many seconds clients wait between two announces. Public lists of trackers refuse less than 300.
interval = 300
interval_min = 300

[core.tracker_policy]
# A peer that has been silent for this many seconds is dropped. Keep it above the interval.
max_peer_timeout = 900
# true: completed downloads are counted in the database and survive a restart.
persistent_torrent_completed_stat = false

${apiToken === undefined ? '' : `${databaseTexts[driver](sqlitePath)}\n`}# One table for each UDP tracker.
[[udp_trackers]]
bind_address = "0.0.0.0:6969"

# IPv6 as well: remove the marks of the next two lines.
# [[udp_trackers]]
# bind_address = "[::]:6969"

# One table for each HTTP tracker.
[[http_trackers]]
bind_address = "0.0.0.0:7070"

# [[http_trackers]]
# bind_address = "[::]:7070"

# HTTPS: a certificate and its key, below the tracker that they belong to. They are read again when they change.
# [http_trackers.tls_config]
# ssl_cert_path = "${tlsFolder}/localhost.crt"
# ssl_key_path = "${tlsFolder}/localhost.key"

${apiToken === undefined ? '' : `${api}\n`}[health_check_api]
bind_address = "127.0.0.1:1313"
${place === 'container' ? `\n[metrics]\nbind_address = "${host}:1314"\n` : ''}`;
}

/**
 * Writes a default configuration with a new token to `path`, all of it or nothing, with mode 0600. A file that is
 * there already is never replaced. Throws a `ConfigError` with code `file_unwritable` for what a read-only folder does not explain.
 */
export function writeDefaultConfig(
  path: string,
  driver: GeneratedDriver = 'sqlite3',
  place: ConfigPlace = 'local',
): WriteResult {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return publish(defaultConfigText(createApiToken(), driver, place), path);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    if (readOnlyCodes.includes(code)) return { kind: 'read_only', code };
    throw new ConfigError(
      'file_unwritable',
      `The default configuration cannot be written to ${path}: ${code || String(cause)}.`,
      { cause },
    );
  }
}

/**
 * Writes a file beside its place and moves it there whole. A link never replaces a file, unlike a rename; filesystems
 * without links get the rename.
 */
function publish(text: string, path: string): WriteResult {
  const temporaryPath = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = openSync(temporaryPath, 'wx', 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
    linkSync(temporaryPath, path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') return { kind: 'exists' };
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'ENOSYS') throw error;
    renameSync(temporaryPath, path);
  } finally {
    closeSync(file);
    rmSync(temporaryPath, { force: true });
  }
  return { kind: 'written' };
}
