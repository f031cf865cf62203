/**
 * The rules between keys, and what deserves a warning.
 *
 * Every rule names the parts of the configuration that it reads. A rule is only asked when those parts are sound in
 * themselves, so that one wrong value gives one error and all other rules are still heard.
 */
import { normalize } from 'node:path';
import * as z from 'zod';
import { isWildcard, parseSocketAddress } from './address.ts';
import { isMysqlUrl, matchMysqlUrl } from './mysql-url.ts';
import { defaultSqlitePath } from './default-sqlite-path.ts';
import { configShape, type DatabaseConfig, type TrackerConfig } from './schema.ts';
import { MAX_BURST_SECONDS } from './tables/limits.ts';

/** The way to a value: names of tables and keys, positions in lists. */
export type ConfigPath = readonly (string | number)[];

/** Takes one broken rule: the key to look at, and a sentence that says what is wrong and what to do. */
type Report = (path: ConfigPath, sentence: string) => void;

interface Rule {
  /** The ways to everything that the rule reads. */
  readonly reads: readonly ConfigPath[];
  check(config: TrackerConfig, report: Report): void;
}

/** What Torrust says about a useless table; scripts look for it. */
const privateModeSentence =
  'Private mode section in configuration can only be included when the tracker is running in private mode.';

const commonRules: readonly Rule[] = [
  {
    reads: [
      ['core', 'private'],
      ['core', 'private_mode'],
    ],
    check({ core }, report) {
      if (core.private_mode && !core.private) report(['core', 'private_mode'], privateModeSentence);
    },
  },
  {
    reads: [
      ['core', 'listed'],
      ['core', 'private'],
      ['core', 'tracker_policy'],
    ],
    check: checkDatabaseIsThere,
  },
  {
    reads: [['core', 'database']],
    check({ core }, report) {
      if (!core.database) return;
      checkTwins(core.database, report);
      if (core.database.driver === 'sqlite3') checkSqlite(core.database, report);
      else checkMysql(core.database, report);
    },
  },
  {
    reads: [
      ['core', 'database'],
      ['swarm', 'snapshot'],
    ],
    check({ core: { database }, swarm: { snapshot } }, report) {
      if (database?.driver !== 'sqlite3' || snapshot.path === undefined) return;
      if (normalize(database.path ?? defaultSqlitePath) === normalize(snapshot.path)) {
        report(
          ['swarm', 'snapshot', 'path'],
          'is the file of the database; give the snapshot one of its own',
        );
      }
    },
  },
  {
    reads: [['http_api']],
    check({ http_api: api }, report) {
      if (api?.access_tokens_dir !== undefined && Object.keys(api.access_tokens).length > 0) {
        report(['http_api', 'access_tokens_dir'], 'give either access_tokens or access_tokens_dir, not both');
      }
    },
  },
  {
    reads: [['udp_trackers']],
    check(config, report) {
      checkListeners(
        'UDP',
        config.udp_trackers.map((tracker, index) => [['udp_trackers', index], tracker.bind_address]),
        report,
      );
    },
  },
  {
    reads: [['http_trackers'], ['http_api'], ['health_check_api'], ['metrics']],
    check(config, report) {
      const listeners: [ConfigPath, string][] = config.http_trackers.map((tracker, index) => [
        ['http_trackers', index],
        tracker.bind_address,
      ]);
      if (config.http_api) listeners.push([['http_api'], config.http_api.bind_address]);
      listeners.push([['health_check_api'], config.health_check_api.bind_address]);
      listeners.push([['metrics'], config.metrics.bind_address]);
      checkListeners('TCP', listeners, report);
    },
  },
  { reads: [['limits']], check: checkBursts },
];

/** Only in the canonical layout: Torrust 2.0.0 has a wildcard as its default, and a translated file keeps it. */
const wildcardRule: Rule = {
  reads: [['udp_trackers'], ['http_trackers']],
  check(config, report) {
    for (const name of ['udp_trackers', 'http_trackers'] as const) {
      for (const [index, { network }] of config[name].entries()) {
        if (network.external_ip === undefined || !isWildcard(network.external_ip)) continue;
        report(
          [name, index, 'network', 'external_ip'],
          `${network.external_ip} stands for every address and cannot be the address of a client; leave the key out to keep loopback addresses`,
        );
      }
    }
  },
};

/** A rule that a configuration breaks. */
export interface BrokenRule {
  /** The key to look at. */
  readonly path: ConfigPath;
  /** What is wrong and what to do. */
  readonly sentence: string;
}

/** The canonical configuration with all its rules: what a file of schema 3.0.0 has to satisfy. */
export const trackerConfigSchema = configShape.check(
  z.superRefine<TrackerConfig>(
    (config, context) => {
      const unsound = context.issues
        .filter((issue) => issue.code !== 'unrecognized_keys')
        .map((issue) => issue.path ?? []);
      for (const { path, sentence } of findBrokenRules(config, unsound, [...commonRules, wildcardRule])) {
        context.addIssue({ code: 'custom', path: [...path], message: sentence, continue: true });
      }
    },
    { when: () => true },
  ),
);

/**
 * The rules that a translated configuration breaks; `external_ip` may be a wildcard there. Rules that read one of
 * the `unsound` paths are not asked.
 */
export function findBrokenTranslation(
  config: TrackerConfig,
  unsound: readonly (readonly PropertyKey[])[],
): BrokenRule[] {
  return findBrokenRules(config, unsound, commonRules);
}

/** What is allowed and yet probably not meant: one sentence for each. */
export function warnAbout(config: TrackerConfig): string[] {
  const { announce_policy: announce, tracker_policy: policy, database } = config.core;
  const warnings: string[] = [];
  if (policy.max_peer_timeout <= announce.interval) {
    warnings.push(
      `core.tracker_policy.max_peer_timeout (${policy.max_peer_timeout} s) is not above core.announce_policy.interval (${announce.interval} s): peers are dropped before they announce again`,
    );
  }
  if (announce.interval_min > announce.interval) {
    warnings.push(
      `core.announce_policy.interval_min (${announce.interval_min} s) is above core.announce_policy.interval (${announce.interval} s): clients are asked to announce earlier than they may`,
    );
  }
  if (config.udp_tracker_server.connection_id_validation === 'disabled' && config.udp_trackers.length > 0) {
    warnings.push(
      'udp_tracker_server.connection_id_validation is "disabled": the tracker can be used to flood others with its replies',
    );
  }
  for (const [index, { network }] of config.http_trackers.entries()) {
    if (network.trusted_proxies.length === 0 || network.on_reverse_proxy) continue;
    warnings.push(
      `http_trackers[${index}].network.trusted_proxies has no effect while on_reverse_proxy is false`,
    );
  }
  if (database?.path !== undefined && matchMysqlUrl(database.path)?.hasParameters) {
    warnings.push('core.database.path: what follows the ? of the URL is not used');
  }
  if (Object.values(config.http_api?.access_tokens ?? {}).includes('MyAccessToken')) {
    warnings.push(
      'http_api.access_tokens holds the token of the published examples, which everyone knows: choose one of your own',
    );
  }
  return warnings;
}

function findBrokenRules(
  config: TrackerConfig,
  unsound: readonly (readonly PropertyKey[])[],
  rules: readonly Rule[],
): BrokenRule[] {
  const broken: BrokenRule[] = [];
  for (const rule of rules) {
    if (rule.reads.some((read) => unsound.some((path) => overlap(read, path)))) continue;
    rule.check(config, (path, sentence) => broken.push({ path, sentence }));
  }
  return broken;
}

/** True when one path leads through the other. */
function overlap(one: readonly PropertyKey[], other: readonly PropertyKey[]): boolean {
  const length = Math.min(one.length, other.length);
  return one.slice(0, length).every((name, index) => name === other[index]);
}

function checkBursts({ limits }: TrackerConfig, report: Report): void {
  for (const name of ['per_ip', 'per_network', 'overall'] as const) {
    const { requests_per_second: rate, burst } = limits[name];
    if (rate === 0 || burst === undefined || burst <= MAX_BURST_SECONDS * rate) continue;
    report(
      ['limits', name, 'burst'],
      `is more than ${MAX_BURST_SECONDS} seconds' worth of requests_per_second (${MAX_BURST_SECONDS * rate})`,
    );
  }
}

function checkDatabaseIsThere({ core }: TrackerConfig, report: Report): void {
  if (core.database) return;
  const needs = [
    core.listed ? 'core.listed = true keeps its whitelist' : '',
    core.private ? 'core.private = true keeps its keys' : '',
    core.tracker_policy.persistent_torrent_completed_stat
      ? 'core.tracker_policy.persistent_torrent_completed_stat = true keeps its counters'
      : '',
  ].filter((reason) => reason !== '');
  if (needs.length === 0) return;
  report(['core', 'database'], `a database is needed: ${needs.join(', and ')} there`);
}

function checkTwins(database: DatabaseConfig, report: Report): void {
  if (database.user !== undefined && database.user_file !== undefined) {
    report(['core', 'database', 'user_file'], 'give either user or user_file, not both');
  }
  if (database.password !== undefined && database.password_file !== undefined) {
    report(['core', 'database', 'password_file'], 'give either password or password_file, not both');
  }
  const { tls } = database;
  if (tls !== undefined && (tls.cert_file === undefined) !== (tls.key_file === undefined)) {
    const name = tls.cert_file === undefined ? 'cert_file' : 'key_file';
    report(['core', 'database', 'tls', name], 'cert_file and key_file are given together or not at all');
  }
}

function checkSqlite(database: DatabaseConfig, report: Report): void {
  if (database.path !== undefined && isMysqlUrl(database.path)) {
    report(
      ['core', 'database', 'path'],
      'the driver is "sqlite3", and this is the address of a MySQL server',
    );
  }
  const foreign = (
    ['host', 'port', 'user', 'user_file', 'password', 'password_file', 'database', 'tls'] as const
  ).filter((name) => database[name] !== undefined);
  for (const name of foreign) {
    report(['core', 'database', name], 'is only for the driver "mysql"; the driver is "sqlite3"');
  }
}

function checkMysql(database: DatabaseConfig, report: Report): void {
  const { path } = database;
  if (path === undefined) {
    if (database.host === undefined) report(['core', 'database', 'host'], 'the driver "mysql" needs it');
    if (database.user === undefined && database.user_file === undefined) {
      report(['core', 'database', 'user'], 'the driver "mysql" needs it, or user_file');
    }
    if (database.database === undefined)
      report(['core', 'database', 'database'], 'the driver "mysql" needs it');
    return;
  }
  const url = matchMysqlUrl(path);
  if (url === undefined) {
    report(
      ['core', 'database', 'path'],
      'with the driver "mysql" this is a URL mysql://USER:PASSWORD@HOST:PORT/DATABASE (special characters percent-encoded), or left out in favour of host, user and database',
    );
    return;
  }
  for (const name of ['host', 'port', 'database'] as const) {
    if (database[name] !== undefined) report(['core', 'database', name], 'the URL in path says it already');
  }
  const hasUser = database.user !== undefined || database.user_file !== undefined;
  if (url.user === undefined && !hasUser) {
    report(
      ['core', 'database', 'user'],
      'the driver "mysql" needs it, or user_file; the URL in path names none',
    );
  }
  if (url.user !== undefined && hasUser) {
    const name = database.user === undefined ? 'user_file' : 'user';
    report(['core', 'database', name], 'the URL in path says it already');
  }
  if (
    url.password !== undefined &&
    (database.password !== undefined || database.password_file !== undefined)
  ) {
    const name = database.password === undefined ? 'password_file' : 'password';
    report(['core', 'database', name], 'the URL in path says it already');
  }
}

/** Refuses two listeners of which one takes the packets of the other. Port 0 is a port of its own each time. */
function checkListeners(
  protocol: 'UDP' | 'TCP',
  listeners: readonly (readonly [ConfigPath, string])[],
  report: Report,
): void {
  for (const [index, [path, text]] of listeners.entries()) {
    const address = parseSocketAddress(text);
    for (const [earlierPath, earlierText] of listeners.slice(0, index)) {
      const earlier = parseSocketAddress(earlierText);
      if (address.port === 0 || earlier.port !== address.port || earlier.family !== address.family) continue;
      if (earlier.host !== address.host && !isWildcard(earlier.host) && !isWildcard(address.host)) continue;
      report(
        [...path, 'bind_address'],
        `${nameListener(earlierPath)} listens on ${protocol} ${earlierText} already`,
      );
      break;
    }
  }
}

function nameListener([table, index]: ConfigPath): string {
  return index === undefined ? String(table) : `${table}[${index}]`;
}
