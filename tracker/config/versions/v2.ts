/**
 * Torrust's schema 2.0.0 (alpha.12 to v3.0.0, and the additions of its last months), translated into the canonical one.
 *
 * Its defaults hold for such a file: `external_ip` is `0.0.0.0` there, so clients with a loopback address are stored as that.
 */
import { defaultSqlitePath } from '../default-sqlite-path.ts';
import * as z from 'zod';
import {
  bool,
  ipAddress,
  maxUint32,
  oneOf,
  seconds,
  secondsOrDuration,
  socketAddress,
  text,
  tokens,
  wholeNumber,
} from '../fields.ts';
import { schemaVersion, type TrackerConfigInput } from '../schema.ts';
import { translateDatabase } from './database-path.ts';
import type { Layout } from './layout.ts';
import { fromOneSecond } from './zero-seconds.ts';

const tslConfig = z
  .strictObject({
    ssl_cert_path: text('the path of a PEM file'),
    ssl_key_path: text('the path of a PEM file'),
  })
  .optional();

const layoutSchema = z.strictObject({
  metadata: z
    .strictObject({
      app: oneOf('torrust-tracker').default('torrust-tracker'),
      purpose: oneOf('configuration').default('configuration'),
      schema_version: oneOf('2.0.0'),
    })
    // An empty table does not satisfy the input type on purpose: the schema then reports what is missing.
    .prefault({} as never),
  logging: z
    .strictObject({ threshold: oneOf('off', 'error', 'warn', 'info', 'debug', 'trace') })
    .prefault({} as never),
  core: z
    .strictObject({
      listed: bool(),
      private: bool(),
      tracker_usage_statistics: bool().default(true),
      inactive_peer_cleanup_interval: seconds(0).default(600),
      private_mode: z.strictObject({ check_keys_expiration: bool().default(true) }).optional(),
      announce_policy: z
        .strictObject({ interval: seconds(0).default(120), interval_min: seconds(0).default(120) })
        .prefault({}),
      database: z
        .strictObject({
          driver: oneOf('sqlite3', 'mysql').default('sqlite3'),
          path: text('the path of a file, or a URL mysql://USER:PASSWORD@HOST:PORT/DATABASE').default(
            defaultSqlitePath,
          ),
        })
        .prefault({}),
      net: z
        .strictObject({
          external_ip: ipAddress().default('0.0.0.0'),
          on_reverse_proxy: bool().default(false),
        })
        .prefault({}),
      tracker_policy: z
        .strictObject({
          max_peer_timeout: seconds(0).default(900),
          persistent_torrent_completed_stat: bool().default(false),
          remove_peerless_torrents: bool().default(true),
        })
        .prefault({}),
    })
    .prefault({} as never),
  udp_trackers: z
    .array(
      z.strictObject({
        bind_address: socketAddress().default('0.0.0.0:6969'),
        cookie_lifetime: secondsOrDuration(1, 86400).optional(),
        tracker_usage_statistics: bool().optional(),
        ipv6_v6only: bool().optional(),
        max_connection_id_errors_per_ip: wholeNumber(0, maxUint32).optional(),
      }),
    )
    .default([]),
  http_trackers: z
    .array(
      z.strictObject({
        bind_address: socketAddress().default('0.0.0.0:7070'),
        tsl_config: tslConfig,
        tracker_usage_statistics: bool().optional(),
        ipv6_v6only: bool().optional(),
      }),
    )
    .default([]),
  http_api: z
    .strictObject({
      bind_address: socketAddress().default('127.0.0.1:1212'),
      tsl_config: tslConfig,
      access_tokens: tokens().default({}),
    })
    .optional(),
  health_check_api: z.strictObject({ bind_address: socketAddress().default('127.0.0.1:1313') }).prefault({}),
});

/** Schema 2.0.0. */
export const layoutV2: Layout<typeof layoutSchema> = {
  name: 'schema 2.0.0',
  schema: layoutSchema,
  mandatory: ['metadata.schema_version', 'logging.threshold', 'core.private', 'core.listed'],
  standIn: {
    metadata: { schema_version: '2.0.0' },
    logging: { threshold: 'info' },
    core: { private: false, listed: false },
  },
  renames: [
    [
      ['logging', 'threshold'],
      ['logging', 'trace_filter'],
    ],
    [
      ['core', 'net'],
      ['udp_trackers', '*', 'network'],
    ],
    [
      ['core', 'net'],
      ['http_trackers', '*', 'network'],
    ],
    [
      ['http_trackers', '*', 'tsl_config'],
      ['http_trackers', '*', 'tls_config'],
    ],
    [
      ['http_api', 'tsl_config'],
      ['http_api', 'tls_config'],
    ],
    ...['host', 'port', 'user', 'password', 'database'].map(
      (name) =>
        [
          ['core', 'database', 'path'],
          ['core', 'database', name],
        ] as const,
    ),
  ],
  translate,
};

function translate({
  logging,
  core,
  udp_trackers: udpTrackers,
  http_trackers: httpTrackers,
  http_api: api,
  health_check_api: health,
}: z.output<typeof layoutSchema>) {
  const { net, database: oldDatabase, announce_policy: policy, ...keptCore } = core;
  const database = translateDatabase(oldDatabase.driver, oldDatabase.path);
  const warnings = [...database.warnings];
  if (core.private && udpTrackers.length > 0) warnings.push(privateUdpWarning);

  const errorLimits = udpTrackers.flatMap((tracker) => tracker.max_connection_id_errors_per_ip ?? []);
  if (new Set(errorLimits).size > 1) {
    warnings.push(
      `udp_trackers: max_connection_id_errors_per_ip is one number for all UDP trackers now; ${Math.max(...errorLimits)} is taken`,
    );
  }
  const config: TrackerConfigInput = {
    metadata: { schema_version: schemaVersion },
    logging: { trace_filter: logging.threshold },
    core: {
      ...keptCore,
      announce_policy: {
        interval: fromOneSecond('core.announce_policy.interval', policy.interval, warnings),
        interval_min: fromOneSecond('core.announce_policy.interval_min', policy.interval_min, warnings),
      },
      tracker_policy: {
        ...keptCore.tracker_policy,
        max_peer_timeout: fromOneSecond(
          'core.tracker_policy.max_peer_timeout',
          keptCore.tracker_policy.max_peer_timeout,
          warnings,
        ),
      },
      database: database.table,
    },
    udp_trackers: udpTrackers.map((tracker) => ({
      bind_address: tracker.bind_address,
      cookie_lifetime: tracker.cookie_lifetime,
      tracker_usage_statistics: tracker.tracker_usage_statistics,
      network: { external_ip: net.external_ip, ipv6_v6only: tracker.ipv6_v6only },
    })),
    http_trackers: httpTrackers.map(({ ipv6_v6only, tsl_config, ...tracker }) => ({
      ...tracker,
      tls_config: tsl_config,
      network: { ...net, ipv6_v6only },
    })),
    health_check_api: health,
  };
  if (api) {
    const { tsl_config, ...keptApi } = api;
    config.http_api = { ...keptApi, tls_config: tsl_config };
  }
  if (errorLimits.length > 0) {
    config.udp_tracker_server = { max_connection_id_errors_per_ip: Math.max(...errorLimits) };
  }
  return { config, warnings };
}

/** Said where an older Torrust would not have started its UDP trackers. */
export const privateUdpWarning =
  'UDP trackers are started in private mode too: clients send their key in the URL (BEP 41); Torrust did not start them';
