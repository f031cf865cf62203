/**
 * The tracker's canonical configuration, made of its resource: what ends in the ConfigMap. It is judged by the tracker's own
 * schema before anything is applied, so that a mistake in `spec.config` never reaches a pod.
 *
 * Only what the resource says is written, without the tracker's defaults: another version of the operator with other
 * defaults in its schema then makes the same file, and no pod restarts for it. Secrets are named by their files.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'smol-toml';
import { ConfigError, formatPath, type ConfigProblem } from '../../tracker/config/errors.ts';
import { isSecret, schemaAt } from '../../tracker/config/schema-tree.ts';
import { configShape, schemaVersion } from '../../tracker/config/schema.ts';
import { validateConfig } from '../../tracker/config/validation.ts';
import type { Problem } from '../crd/conditions.ts';
import { HEALTH_PORT, METRICS_PORT } from '../crd/listeners.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import type { Environment } from './environment.ts';
import { applyMergePatch, isJsonObject, type JsonObject } from './merge-patch.ts';
import {
  API_TOKENS_FOLDER,
  certificateFolder,
  CONNECTION_KEYS_FILE,
  DATABASE_AUTHORITY_FILE,
  DATABASE_PASSWORD_FILE,
  DATABASE_USER_FILE,
} from './secret-uses.ts';

/** Where the ConfigMap is mounted, and the file in it. */
export const CONFIG_FOLDER = '/etc/torrust/tracker';
export const CONFIG_FILE = 'tracker.toml';
/** Where the tracker keeps its data. */
export const DATA_FOLDER = '/var/lib/torrust/tracker';

/** Public lists of trackers refuse less, and clients are asked to keep it. */
const MAX_DEFAULT_MIN_INTERVAL_SECONDS = 300;
const MIN_DEFAULT_PEER_TIMEOUT_SECONDS = 900;
/** How many announces a peer may miss before it is dropped. */
const DEFAULT_TIMEOUT_INTERVALS = 3;

/** What became of rendering a configuration. */
export type RenderedConfiguration =
  | {
      readonly kind: 'valid';
      /** Plain values under the names of the file. */
      readonly tree: JsonObject;
      readonly toml: string;
      /** The hash of the text. */
      readonly hash: string;
    }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/** Renders the configuration of a tracker, with `spec.config` laid over it, and judges it. */
export function renderConfiguration(
  tracker: TorrustTracker,
  environment: Environment,
): RenderedConfiguration {
  const rendered = configurationTree(tracker, environment);
  const patch = tracker.spec.config ?? {};
  const tree = applyMergePatch(rendered, patch);
  const problems = [...findSecrets(patch), ...findConflicts(rendered, tree), ...findMistakes(tree)];
  if (problems.length > 0 || !isJsonObject(tree)) return { kind: 'invalid', problems };
  const toml = stringify(tree);
  return { kind: 'valid', tree, toml, hash: createHash('sha256').update(toml).digest('hex').slice(0, 16) };
}

/** What the operator renders, before `spec.config`. */
function configurationTree(tracker: TorrustTracker, environment: Environment): JsonObject {
  const { spec } = tracker;
  const { intervalSeconds, minIntervalSeconds, maxPeers } = spec.announce;
  return {
    metadata: { schema_version: schemaVersion },
    logging: { trace_filter: spec.logging.level, trace_style: 'json' },
    core: {
      listed: spec.mode === 'Listed' || spec.mode === 'PrivateListed',
      private: spec.mode === 'Private' || spec.mode === 'PrivateListed',
      inactive_peer_cleanup_interval: spec.policy.cleanupIntervalSeconds,
      announce_policy: {
        interval: intervalSeconds,
        interval_min: minIntervalSeconds ?? Math.min(intervalSeconds, MAX_DEFAULT_MIN_INTERVAL_SECONDS),
        max_peers_per_announce: maxPeers,
      },
      tracker_policy: {
        max_peer_timeout:
          spec.policy.maxPeerTimeoutSeconds ??
          Math.max(MIN_DEFAULT_PEER_TIMEOUT_SECONDS, DEFAULT_TIMEOUT_INTERVALS * intervalSeconds),
        persistent_torrent_completed_stat: spec.policy.persistentCompleted,
        remove_peerless_torrents: spec.policy.removePeerlessTorrents,
      },
      database: databaseTable(tracker),
    },
    ...listenerTables(tracker, environment),
    http_api: {
      bind_address: internalAddress(tracker, environment, spec.api.port),
      ...(spec.api.tls === undefined ? {} : { tls_config: tlsTable({ kind: 'api' }) }),
      access_tokens_dir: API_TOKENS_FOLDER,
    },
    health_check_api: { bind_address: internalAddress(tracker, environment, HEALTH_PORT) },
    ...(spec.udp.length === 0
      ? {}
      : { udp_tracker_server: { connection_id_keys_file: CONNECTION_KEYS_FILE } }),
    swarm: { memory: spec.swarm.memory, ...snapshotTable(tracker) },
    ...tableUnlessEmpty(
      'source_guard',
      environment.clusterRanges.length === 0 ? {} : { cluster_ranges: environment.clusterRanges.toSorted() },
    ),
    metrics: { bind_address: internalAddress(tracker, environment, METRICS_PORT) },
  };
}

/** Whether the tracker's schema has a table: what it lacks is left out, since a tracker refuses keys that it does not know. */
export function trackerKnows(...path: readonly string[]): boolean {
  return schemaAt(configShape, path) !== undefined;
}

function databaseTable({ spec }: TorrustTracker): JsonObject {
  const mysql = spec.database?.mysql;
  if (mysql === undefined) return { driver: 'sqlite3', path: `${DATA_FOLDER}/database/sqlite3.db` };
  const authority = mysql.tls?.caSecretRef === undefined ? {} : { ca_file: DATABASE_AUTHORITY_FILE };
  return {
    driver: 'mysql',
    host: mysql.host,
    port: mysql.port,
    user_file: DATABASE_USER_FILE,
    password_file: DATABASE_PASSWORD_FILE,
    database: mysql.database,
    ...(mysql.tls === undefined ? {} : { tls: authority }),
  };
}

/** The listeners by name, each once for every address family: one socket for both would lose the clients of one. */
function listenerTables({ spec }: TorrustTracker, { ipFamilies }: Environment): JsonObject {
  const families = ipFamilies.toSorted((one, other) => one - other);
  const common = (
    listener: { readonly publicURL?: string | undefined; readonly port: number },
    family: 4 | 6,
  ) => ({
    bind_address: `${family === 4 ? '0.0.0.0' : '[::]'}:${listener.port}`,
    ...(listener.publicURL === undefined ? {} : { public_url: listener.publicURL }),
  });
  const network = (family: 4 | 6) => {
    const isOfFamily = spec.externalIP?.includes(':') === (family === 6);
    return spec.externalIP !== undefined && isOfFamily ? { external_ip: spec.externalIP } : {};
  };
  const byName = (one: { readonly name: string }, other: { readonly name: string }) =>
    one.name < other.name ? -1 : 1;
  const udp = spec.udp.toSorted(byName).flatMap((listener) =>
    families.map((family) => ({
      ...common(listener, family),
      ...tableUnlessEmpty('network', network(family)),
    })),
  );
  const http = spec.http.toSorted(byName).flatMap((listener) =>
    families.map((family) => {
      const proxies =
        listener.trustedProxies.length === 0
          ? {}
          : { on_reverse_proxy: true, trusted_proxies: listener.trustedProxies };
      return {
        ...common(listener, family),
        ...(listener.tls === undefined
          ? {}
          : { tls_config: tlsTable({ kind: 'http', listener: listener.name }) }),
        ...tableUnlessEmpty('network', { ...network(family), ...proxies }),
      };
    }),
  );
  return {
    ...(udp.length > 0 ? { udp_trackers: udp } : {}),
    ...(http.length > 0 ? { http_trackers: http } : {}),
  };
}

function tableUnlessEmpty(name: string, table: JsonObject): JsonObject {
  return Object.keys(table).length === 0 ? {} : { [name]: table };
}

function tlsTable(target: Parameters<typeof certificateFolder>[0]): JsonObject {
  const folder = certificateFolder(target);
  return { ssl_cert_path: `${folder}/tls.crt`, ssl_key_path: `${folder}/tls.key` };
}

function snapshotTable({ spec }: TorrustTracker): JsonObject {
  const { enabled, intervalSeconds } = spec.swarm.snapshot;
  if (!enabled || !trackerKnows('swarm', 'snapshot')) return {};
  return { snapshot: { path: `${DATA_FOLDER}/swarm.snapshot`, interval: intervalSeconds } };
}

/**
 * Where the API, the health check and the metrics listen. On the network of a node that is its loopback, which a variable
 * of the pod replaces by the node's own address: a configuration for all nodes can't name it.
 */
function internalAddress({ spec }: TorrustTracker, { ipFamilies }: Environment, port: number): string {
  if (spec.topology === 'HostNode') return `127.0.0.1:${port}`;
  return ipFamilies.includes(6) ? `[::]:${port}` : `0.0.0.0:${port}`;
}

/** What the operator needs to work, and the field that stands for it. */
const guarded: readonly {
  readonly path: readonly string[];
  readonly field: string;
  readonly entries?: true;
}[] = [
  { path: ['metadata'], field: 'nothing else: the layout is the operator’s' },
  { path: ['udp_trackers'], field: 'spec.udp', entries: true },
  { path: ['http_trackers'], field: 'spec.http', entries: true },
  { path: ['http_api'], field: 'spec.api' },
  { path: ['health_check_api'], field: 'nothing else: the probes of the pod need it' },
  { path: ['metrics'], field: 'nothing else: the Service of the metrics needs it' },
  { path: ['core', 'database'], field: 'spec.database' },
  { path: ['udp_tracker_server', 'connection_id_keys_file'], field: 'spec.connectionId' },
  { path: ['swarm', 'snapshot', 'path'], field: 'spec.swarm.snapshot' },
];

/** Of a listener, only where and how it listens is guarded: a patch may set the rest, with the whole list. */
function whereItListens(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((entry: unknown) =>
    isJsonObject(entry) ? { bind_address: entry['bind_address'], tls_config: entry['tls_config'] } : entry,
  );
}

function findConflicts(rendered: unknown, patched: unknown): Problem[] {
  return guarded.flatMap(({ path, field, entries }): Problem[] => {
    const [before, after] = [at(rendered, path), at(patched, path)];
    const isSame =
      entries === true
        ? isDeepStrictEqual(whereItListens(before), whereItListens(after))
        : isDeepStrictEqual(before, after);
    if (isSame) return [];
    const instead = field.startsWith('spec.')
      ? `say it in ${field} instead`
      : `leave it out, since it is for ${field}`;
    return [
      {
        condition: 'ConfigValid',
        reason: 'ConfigConflict',
        message: `spec.config.${path.join('.')} changes what the operator renders: ${instead}.`,
      },
    ];
  });
}

function findSecrets(patch: unknown): Problem[] {
  return leaves(patch, []).flatMap(({ path, value }): Problem[] => {
    if (value === null || !isSecret(configShape, path)) return [];
    return [
      {
        condition: 'ConfigValid',
        reason: 'SecretInConfig',
        message: `spec.config.${formatPath(path)} is a secret, which would end in a ConfigMap: put it into a Secret and name that in spec.api or spec.database.`,
      },
    ];
  });
}

function findMistakes(tree: unknown): Problem[] {
  try {
    validateConfig(tree, () => 'spec.config');
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => ({
      condition: 'ConfigValid',
      reason: 'InvalidConfig',
      message: `spec.config: ${describe(problem)}.`,
    }));
  }
}

function describe({ path, says, allowed, hint }: ConfigProblem): string {
  return [
    `${path} ${says}`,
    ...(allowed === undefined ? [] : [`allowed: ${allowed}`]),
    ...(hint ? [hint] : []),
  ].join('; ');
}

/** Every value of a tree that is no table, with the way to it. Lists are walked as well. */
export function leaves(
  value: unknown,
  path: readonly (string | number)[],
): { readonly path: readonly (string | number)[]; readonly value: unknown }[] {
  if (Array.isArray(value)) return value.flatMap((entry, index) => leaves(entry, [...path, index]));
  if (isJsonObject(value))
    return Object.entries(value).flatMap(([name, entry]) => leaves(entry, [...path, name]));
  return [{ path, value }];
}

function at(tree: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isJsonObject(value) ? value[name] : undefined), tree);
}
