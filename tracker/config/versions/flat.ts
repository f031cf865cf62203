/**
 * The flat layout of Torrust before schema 2.0.0 (up to alpha.11, and the development versions until mid 2024), translated
 * into the canonical one. Its last era gave every key a default; that is what holds here for all of them.
 */
import { defaultSqlitePath } from '../default-sqlite-path.ts';
import * as z from 'zod';
import { bool, ipAddress, kind, oneOf, seconds, socketAddress, text, tokens } from '../fields.ts';
import { schemaVersion, type TrackerConfigInput } from '../schema.ts';
import { translateDatabase } from './database-path.ts';
import type { Layout, Translated } from './layout.ts';
import type { Rename } from './renames.ts';
import { privateUdpWarning } from './v2.ts';
import { fromOneSecond } from './zero-seconds.ts';

const modes = {
  public: { private: false, listed: false },
  listed: { private: false, listed: true },
  private: { private: true, listed: false },
  private_listed: { private: true, listed: true },
} as const;

const drivers = { Sqlite3: 'sqlite3', MySQL: 'mysql' } as const;

/** Levels are read in any case. */
const logLevel = kind(
  z.preprocess(
    (value) => (typeof value === 'string' ? value.toLowerCase() : value),
    z.enum(['off', 'error', 'warn', 'info', 'debug', 'trace']),
  ),
  '"off", "error", "warn", "info", "debug", "trace"',
);

const tlsKeys = {
  ssl_enabled: bool().default(false),
  ssl_cert_path: kind(z.string(), 'the path of a PEM file').default(''),
  ssl_key_path: kind(z.string(), 'the path of a PEM file').default(''),
};

interface TlsKeys {
  readonly ssl_enabled: boolean;
  readonly ssl_cert_path: string;
  readonly ssl_key_path: string;
}

const layoutSchema = z.strictObject({
  log_level: logLevel.default('info'),
  mode: oneOf('public', 'listed', 'private', 'private_listed').default('public'),
  db_driver: oneOf('Sqlite3', 'MySQL').default('Sqlite3'),
  db_path: text('the path of a file, or a URL mysql://USER:PASSWORD@HOST:PORT/DATABASE').default(
    defaultSqlitePath,
  ),
  announce_interval: seconds(0).default(120),
  min_announce_interval: seconds(0).default(120),
  on_reverse_proxy: bool().default(false),
  external_ip: kind(z.string(), 'an IPv4 or IPv6 address').optional(),
  tracker_usage_statistics: bool().default(true),
  persistent_torrent_completed_stat: bool().default(false),
  max_peer_timeout: seconds(0).default(900),
  inactive_peer_cleanup_interval: seconds(0).default(600),
  remove_peerless_torrents: bool().default(true),
  udp_trackers: z
    .array(
      z.strictObject({
        enabled: bool().default(false),
        bind_address: socketAddress().default('0.0.0.0:6969'),
      }),
    )
    .default([]),
  http_trackers: z
    .array(
      z
        .strictObject({
          enabled: bool().default(false),
          bind_address: socketAddress().default('0.0.0.0:7070'),
          ...tlsKeys,
        })
        .superRefine(checkTls),
    )
    .default([]),
  http_api: z
    .strictObject({
      enabled: bool().default(true),
      bind_address: socketAddress().default('127.0.0.1:1212'),
      ...tlsKeys,
      access_tokens: tokens().default({ admin: 'MyAccessToken' }),
    })
    .superRefine(checkTls)
    .prefault({}),
  health_check_api: z.strictObject({ bind_address: socketAddress().default('127.0.0.1:1313') }).prefault({}),
});

/** Which keys went to which place. */
const renames: readonly Rename[] = [
  [['log_level'], ['logging', 'trace_filter']],
  [['mode'], ['core', 'private']],
  [['mode'], ['core', 'listed']],
  [['db_driver'], ['core', 'database', 'driver']],
  [['db_path'], ['core', 'database', 'path']],
  [['db_path'], ['core', 'database', 'host']],
  [['db_path'], ['core', 'database', 'port']],
  [['db_path'], ['core', 'database', 'user']],
  [['db_path'], ['core', 'database', 'password']],
  [['db_path'], ['core', 'database', 'database']],
  [['announce_interval'], ['core', 'announce_policy', 'interval']],
  [['min_announce_interval'], ['core', 'announce_policy', 'interval_min']],
  [['max_peer_timeout'], ['core', 'tracker_policy', 'max_peer_timeout']],
  [['persistent_torrent_completed_stat'], ['core', 'tracker_policy', 'persistent_torrent_completed_stat']],
  [['remove_peerless_torrents'], ['core', 'tracker_policy', 'remove_peerless_torrents']],
  [['tracker_usage_statistics'], ['core', 'tracker_usage_statistics']],
  [['inactive_peer_cleanup_interval'], ['core', 'inactive_peer_cleanup_interval']],
  [['on_reverse_proxy'], ['http_trackers', '*', 'network', 'on_reverse_proxy']],
  [['external_ip'], ['udp_trackers', '*', 'network', 'external_ip']],
  [['external_ip'], ['http_trackers', '*', 'network', 'external_ip']],
];

/** The flat layout. */
export const layoutFlat: Layout<typeof layoutSchema> = {
  name: 'the flat layout',
  schema: layoutSchema,
  mandatory: [],
  standIn: {},
  renames,
  translate,
};

function translate(flat: z.output<typeof layoutSchema>): Translated {
  const database = translateDatabase(drivers[flat.db_driver], flat.db_path);
  const warnings = [...database.warnings];
  let externalIp = flat.external_ip;
  if (externalIp !== undefined && !ipAddress().safeParse(externalIp).success) {
    if (externalIp !== '')
      warnings.push(`external_ip ${JSON.stringify(externalIp)} is no IP address and counts as not set`);
    externalIp = undefined;
  }
  const mode = modes[flat.mode];
  const udp = enabled(flat.udp_trackers);
  const http = enabled(flat.http_trackers);
  if (mode.private && udp.length > 0) warnings.push(privateUdpWarning);

  const config: TrackerConfigInput = {
    metadata: { schema_version: schemaVersion },
    logging: { trace_filter: flat.log_level },
    core: {
      ...mode,
      inactive_peer_cleanup_interval: flat.inactive_peer_cleanup_interval,
      tracker_usage_statistics: flat.tracker_usage_statistics,
      announce_policy: {
        interval: fromOneSecond('announce_interval', flat.announce_interval, warnings),
        interval_min: fromOneSecond('min_announce_interval', flat.min_announce_interval, warnings),
      },
      tracker_policy: {
        max_peer_timeout: fromOneSecond('max_peer_timeout', flat.max_peer_timeout, warnings),
        persistent_torrent_completed_stat: flat.persistent_torrent_completed_stat,
        remove_peerless_torrents: flat.remove_peerless_torrents,
      },
      database: database.table,
    },
    udp_trackers: udp.map(({ table }) => ({
      bind_address: table.bind_address,
      network: { external_ip: externalIp },
    })),
    http_trackers: http.map(({ table }) => ({
      bind_address: table.bind_address,
      tls_config: translateTls(table),
      network: { external_ip: externalIp, on_reverse_proxy: flat.on_reverse_proxy },
    })),
    health_check_api: flat.health_check_api,
  };
  if (flat.http_api.enabled) {
    const { bind_address, access_tokens } = flat.http_api;
    config.http_api = { bind_address, access_tokens, tls_config: translateTls(flat.http_api) };
  }
  return {
    config,
    warnings,
    positions: { udp_trackers: udp.map(({ index }) => index), http_trackers: http.map(({ index }) => index) },
  };
}

/** The entries that are switched on, with their places in the file. */
function enabled<T extends { readonly enabled: boolean }>(
  tables: readonly T[],
): { table: T; index: number }[] {
  return tables.map((table, index) => ({ table, index })).filter(({ table }) => table.enabled);
}

function translateTls({ ssl_enabled, ssl_cert_path, ssl_key_path }: TlsKeys) {
  return ssl_enabled ? { ssl_cert_path, ssl_key_path } : undefined;
}

function checkTls(table: TlsKeys & { readonly enabled: boolean }, context: z.RefinementCtx): void {
  if (!table.enabled || !table.ssl_enabled) return;
  for (const name of ['ssl_cert_path', 'ssl_key_path'] as const) {
    if (table[name] !== '') continue;
    context.addIssue({
      code: 'custom',
      path: [name],
      message: 'ssl_enabled = true needs the path of a PEM file here',
    });
  }
}
