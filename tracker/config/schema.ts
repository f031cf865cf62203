/**
 * The canonical configuration: Torrust's schema 3.0.0 and our own additions.
 *
 * The runtime type keeps the key names of the file, so that there is one name for one thing. This module is free of
 * I/O: the operator imports it to check and render configurations. What concerns several keys is in `rules.ts`.
 */
import { defaultSqlitePath } from './default-sqlite-path.ts';
import * as z from 'zod';
import {
  autoOrByteSize,
  autoOrNumber,
  bool,
  cidr,
  ipAddress,
  key,
  maxUint32,
  oneOf,
  publicUrl,
  seconds,
  secondsOrDuration,
  secretText,
  section,
  socketAddress,
  text,
  tokens,
  wholeNumber,
} from './fields.ts';
import { metrics } from './tables/metrics.ts';
import { telemetry } from './tables/telemetry.ts';
import { bans } from './tables/bans.ts';
import { limits } from './tables/limits.ts';
import { proxyProtocol } from './tables/proxy-protocol.ts';
import { sourceGuard } from './tables/source-guard.ts';
import { snapshot } from './tables/snapshot.ts';

/** The version of the canonical layout. */
export const schemaVersion = '3.0.0';

/**
 * A table with mandatory keys that may itself be left out: it is then read as an empty one, so that the error names
 * the missing keys and not only the table.
 */
function mandatorySection<S extends z.ZodObject>(object: S) {
  // An empty table does not satisfy the input type on purpose: the schema then reports what is missing.
  return object.prefault({} as never);
}

const metadata = z.strictObject({
  app: key(oneOf('torrust-tracker').default('torrust-tracker'), {
    description: 'The application that the file belongs to.',
    reload: 'restart',
  }),
  purpose: key(oneOf('configuration').default('configuration'), {
    description: 'What the file is for.',
    reload: 'restart',
  }),
  schema_version: key(oneOf(schemaVersion), {
    description: 'The layout of the file. Files of `2.0.0` and of the flat layout before it are translated.',
    reload: 'restart',
  }),
});

const logging = z.strictObject({
  trace_filter: key(oneOf('off', 'error', 'warn', 'info', 'debug', 'trace'), {
    description: 'The least important level that is logged.',
    reload: 'live',
  }),
  trace_style: key(oneOf('full', 'pretty', 'compact', 'json').optional(), {
    description: 'The form of a log line.',
    reload: 'live',
    absent: '`full` on a terminal, else `json`',
  }),
});

const announcePolicy = z.strictObject({
  interval: key(seconds(1).default(120), {
    description:
      'How long a client is asked to wait between two announces. Public lists of trackers refuse less than 300; a generated file says 300.',
    reload: 'live',
  }),
  interval_min: key(seconds(1).default(120), {
    description: 'How long a client has to wait at least (HTTP only).',
    reload: 'live',
  }),
  max_peers_per_announce: key(wholeNumber(1, 1000).default(74), {
    description: 'The most peers that one reply holds. A client may ask for fewer, never for more.',
    reload: 'live',
  }),
});

const trackerPolicy = z.strictObject({
  max_peer_timeout: key(seconds(1).default(900), {
    description: 'A peer that has not announced for this long is dropped. Keep it above `interval`.',
    reload: 'live',
  }),
  persistent_torrent_completed_stat: key(bool().default(false), {
    description: 'Keeps the number of completed downloads of each torrent in the database.',
    reload: 'live',
  }),
  remove_peerless_torrents: key(bool().default(true), {
    description: 'Forgets torrents that have no peers.',
    reload: 'live',
  }),
});

const databaseTls = z.strictObject({
  ca_file: key(text('the path of a PEM file').optional(), {
    description: "The authorities that may have signed the server's certificate.",
    reload: 'live',
    absent: "the system's",
  }),
  cert_file: key(text('the path of a PEM file').optional(), {
    description: 'The certificate that the tracker shows to the server.',
    reload: 'live',
    absent: 'none',
  }),
  key_file: key(text('the path of a PEM file').optional(), {
    description: 'The key that belongs to `cert_file`.',
    reload: 'live',
    absent: 'none',
  }),
});

const database = z.strictObject({
  driver: key(oneOf('sqlite3', 'mysql').default('sqlite3'), {
    description: 'The kind of database.',
    reload: 'restart',
  }),
  path: key(text('the path of a file, or a URL mysql://USER:PASSWORD@HOST:PORT/DATABASE').optional(), {
    description:
      'The file of SQLite, relative to the working directory. For MySQL, a URL instead of the keys below.',
    reload: 'restart',
    absent: `\`${JSON.stringify(defaultSqlitePath)}\` for SQLite`,
  }),
  host: key(text('a host name or an IP address').optional(), {
    description: 'The MySQL server.',
    reload: 'restart',
    absent: 'none',
  }),
  port: key(wholeNumber(1, 65535).optional(), {
    description: 'The port of the MySQL server.',
    reload: 'restart',
    absent: '`3306`',
  }),
  user: key(text('the name of a user').optional(), {
    description: 'The user of the MySQL server.',
    reload: 'restart',
    absent: 'none',
  }),
  user_file: key(text('the path of a file').optional(), {
    description: 'A file that holds the user, instead of `user`. Its content is read again when it changes.',
    reload: 'restart',
    absent: 'none',
  }),
  password: key(secretText().optional(), {
    description: "The user's password. New connections use a changed one.",
    reload: 'live',
    absent: 'none',
  }),
  password_file: key(text('the path of a file').optional(), {
    description: 'A file that holds the password, instead of `password`. It is read again when it changes.',
    reload: 'live',
    absent: 'none',
  }),
  database: key(text('the name of a database').optional(), {
    description: 'The MySQL database. It has to exist; the tracker creates its tables in it.',
    reload: 'restart',
    absent: 'none',
  }),
  tls: section(databaseTls.optional(), 'Encrypts the connection to MySQL. Absent: no encryption.'),
});

const core = z.strictObject({
  listed: key(bool(), {
    description: 'Serves only the torrents of the whitelist.',
    reload: 'live',
  }),
  private: key(bool(), {
    description: 'Serves only clients that announce with a key.',
    reload: 'live',
  }),
  private_mode: section(
    z
      .strictObject({
        check_keys_expiration: key(bool().default(true), {
          description: 'Refuses keys that have expired.',
          reload: 'live',
        }),
      })
      .optional(),
    'Only allowed with `core.private = true`.',
  ),
  inactive_peer_cleanup_interval: key(seconds(0).default(600), {
    description: 'The longest time that one round of dropping expired peers takes; 0 drops none.',
    reload: 'live',
  }),
  tracker_usage_statistics: key(bool().default(true), {
    description: 'Counts requests and replies.',
    reload: 'live',
  }),
  announce_policy: announcePolicy.prefault({}),
  tracker_policy: trackerPolicy.prefault({}),
  database: section(
    database.optional(),
    'Where keys, the whitelist and completed downloads are kept. May be left out when the tracker is neither listed nor private and keeps no completed downloads.',
  ),
});

const tlsConfig = z.strictObject({
  ssl_cert_path: key(text('the path of a PEM file'), {
    description: 'The certificate and its chain. The content is read again when the file changes.',
    reload: 'restart',
  }),
  ssl_key_path: key(text('the path of a PEM file'), {
    description: 'The key that belongs to the certificate. The content is read again when the file changes.',
    reload: 'restart',
  }),
});

const tlsSection = section(tlsConfig.optional(), 'Serves HTTPS. Absent: plain HTTP.');

const externalIp = key(ipAddress().optional(), {
  description:
    'The address that stands for clients of this machine: a client with a loopback address is stored under it. `0.0.0.0` and `::` are refused.',
  reload: 'restart',
  absent: 'none, loopback addresses are kept',
});

const ipv6Only = key(bool().default(false), {
  description: 'An IPv6 socket takes no IPv4 clients.',
  reload: 'restart',
});

const udpTracker = z.strictObject({
  bind_address: key(socketAddress().default('0.0.0.0:6969'), {
    description: 'Where the tracker listens for UDP. Port 0 takes any free port.',
    reload: 'restart',
  }),
  network: z.strictObject({ external_ip: externalIp, ipv6_v6only: ipv6Only }).prefault({}),
  cookie_lifetime: key(secondsOrDuration(1, 86400).default(120), {
    description: 'How long a connection id is valid (BEP 15 says two minutes).',
    reload: 'live',
  }),
  public_url: key(publicUrl('udp').optional(), {
    description: 'The address under which clients reach this tracker, for logs and the lists of services.',
    reload: 'live',
    absent: 'none',
  }),
  tracker_usage_statistics: key(bool().default(true), {
    description: 'Counts the requests and replies of this listener.',
    reload: 'live',
  }),
});

const httpTracker = z.strictObject({
  bind_address: key(socketAddress().default('0.0.0.0:7070'), {
    description: 'Where the tracker listens for HTTP. Port 0 takes any free port.',
    reload: 'restart',
  }),
  tls_config: tlsSection,
  network: z
    .strictObject({
      external_ip: externalIp,
      on_reverse_proxy: key(bool().default(false), {
        description: "Takes the client's address from `X-Forwarded-For`. Only for a tracker behind a proxy.",
        reload: 'restart',
      }),
      trusted_proxies: key(z.array(cidr()).default([]), {
        description:
          'The proxies whose `X-Forwarded-For` is believed. The right-most address that is not one of them is the client. Empty: the right-most address is the client.',
        reload: 'live',
      }),
      ipv6_v6only: ipv6Only,
    })
    .prefault({}),
  use_ip_from_query_string: key(bool().default(false), {
    description:
      "Takes the client's address from `ip` in the query, where it is an IP address. Off: `ip` is ignored. On, anyone can register anyone, so only for clients that are trusted.",
    reload: 'live',
  }),
  external_ip_in_reply: key(bool().default(false), {
    description: 'Tells clients their own address (BEP 24).',
    reload: 'live',
  }),
  public_url: key(publicUrl('http', 'https').optional(), {
    description: 'The address under which clients reach this tracker, for logs and the lists of services.',
    reload: 'live',
    absent: 'none',
  }),
  tracker_usage_statistics: key(bool().default(true), {
    description: 'Counts the requests and replies of this listener.',
    reload: 'live',
  }),
});

const httpApi = z.strictObject({
  bind_address: key(socketAddress().default('127.0.0.1:1212'), {
    description: 'Where the REST API listens.',
    reload: 'restart',
  }),
  tls_config: tlsSection,
  public_url: key(publicUrl('http', 'https').optional(), {
    description: 'The address under which users reach the API, for logs and the lists of services.',
    reload: 'restart',
    absent: 'none',
  }),
  access_tokens: key(tokens().default({}), {
    description:
      'Who may use the API: a label of your choice and a token for each. Empty: every request is refused.',
    reload: 'live',
  }),
  access_tokens_dir: key(text('the path of a directory').optional(), {
    description:
      'A directory with one file for each token, instead of `access_tokens`: its name is the label. It is read again when it changes.',
    reload: 'live',
    absent: 'none',
  }),
});

const udpTrackerServer = z.strictObject({
  connection_id_validation: key(oneOf('strict', 'lenient', 'disabled').default('strict'), {
    description:
      'How connection ids are checked. `lenient` accepts authentic ids that are up to 30 minutes old; `disabled` checks nothing and lets anyone use the tracker to flood others.',
    reload: 'live',
  }),
  connection_id_keys_file: key(text('the path of a file').optional(), {
    description:
      'A secret file with the keys of connection ids, one `ID:HEX` a line, the signing one marked by `*`. With it, ids outlive a restart and are shared by trackers.',
    reload: 'live',
    absent: 'none, a random key for each start',
  }),
  max_connection_id_errors_per_ip: key(wholeNumber(0, maxUint32).default(10), {
    description: 'An address with more wrong connection ids than this is ignored.',
    reload: 'live',
  }),
  ip_bans_reset_interval_in_secs: key(seconds(3600).default(86400), {
    description: 'How often all addresses are forgiven.',
    reload: 'live',
  }),
});

const network = z.strictObject({
  workers: key(autoOrNumber(1, 1024).default('auto'), {
    description:
      'The number of network threads. `auto` takes one for each whole CPU that the process may use, by the system and by the quota of its container.',
    reload: 'restart',
  }),
  sockets: key(oneOf('auto', 'native', 'portable').default('auto'), {
    description:
      'How packets are moved. `native` calls Linux directly, `portable` uses only Node, `auto` takes the first that works.',
    reload: 'restart',
  }),
  receive_buffer_bytes: key(wholeNumber(4096, 2147483647).default(8388608), {
    description:
      'The receive buffer asked for each UDP socket. What the kernel granted is reported at the start.',
    reload: 'restart',
  }),
});

const swarm = z.strictObject({
  memory: key(autoOrByteSize(2 ** 20, '1MiB').default('auto'), {
    description:
      'The most memory that peers and torrents take. `auto` is half of what the container may use, else half of the machine. It is taken as it fills.',
    reload: 'restart',
  }),
  snapshot,
});

/** The tables and keys alone, without the rules between them: for walks over the schema. */
export const configShape = z.strictObject({
  metadata: mandatorySection(metadata),
  logging: mandatorySection(logging),
  core: mandatorySection(core),
  udp_trackers: section(
    z.array(udpTracker).default([]),
    'One table for each UDP tracker. Absent: none is started.',
  ),
  http_trackers: section(
    z.array(httpTracker).default([]),
    'One table for each HTTP tracker. Absent: none is started.',
  ),
  http_api: section(httpApi.optional(), 'The REST API. Absent: it is not started.'),
  health_check_api: section(
    z
      .strictObject({
        bind_address: key(socketAddress().default('127.0.0.1:1313'), {
          description: 'Where the health check listens.',
          reload: 'restart',
        }),
      })
      .prefault({}),
    'The health check. It is always started.',
  ),
  udp_tracker_server: section(udpTrackerServer.prefault({}), 'What all UDP trackers share.'),
  network: network.prefault({}),
  swarm: swarm.prefault({}),
  metrics,
  telemetry,
  limits: section(limits.prefault({}), 'How much clients may ask. Without a key of it there is no limit.'),
  bans: section(bans.prefault({}), 'Addresses that are ignored.'),
  proxy_protocol: section(proxyProtocol.prefault({}), 'Load balancers that tell for whom they speak.'),
  source_guard: section(sourceGuard.prefault({}), 'Announces whose address is hardly that of a client.'),
});

/** A configuration as the tracker runs it: every default filled in, under the key names of the file. */
export type TrackerConfig = z.output<typeof configShape>;
/** A configuration as a program may write it: what has a default may be left out. */
export type TrackerConfigInput = z.input<typeof configShape>;
/** The table of the database. */
export type DatabaseConfig = z.output<typeof database>;
/** The table of the database as a program may write it. */
export type DatabaseConfigInput = z.input<typeof database>;
