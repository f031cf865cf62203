/** Which changes of a configuration are taken over live, and which wait for a restart. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareConfigs } from '../../tracker/config/comparison.ts';
import { namedFiles } from '../../tracker/config/named-files.ts';
import type { TrackerConfig } from '../../tracker/config/schema.ts';
import { listKeys } from '../../tracker/config/schema-tree.ts';
import { valueAt } from '../../tracker/config/toml.ts';
import { validate } from '../config/sample.ts';

type Values = Readonly<Record<string, unknown>>;

const MYSQL = {
  'core.database.driver': 'mysql',
  'core.database.host': 'db',
  'core.database.user': 'me',
  'core.database.database': 'torrust',
};
const TWO_UDP = { 'udp_trackers.0.bind_address': '0.0.0.0:1', 'udp_trackers.1.bind_address': '0.0.0.0:2' };
const TLS = { ssl_cert_path: 'a.crt', ssl_key_path: 'a.key' };
const HTTPS = { 'http_trackers.0.bind_address': '0.0.0.0:1', 'http_trackers.0.tls_config': TLS };

const CASES: Record<
  string,
  { from: Values; to: Values; live?: readonly string[]; restart?: readonly string[] }
> = {
  nothing: { from: TWO_UDP, to: TWO_UDP },
  'a default that is written out': { from: {}, to: { 'core.announce_policy.interval': 120 } },
  'a policy': {
    from: {},
    to: { 'core.announce_policy.interval': 300 },
    live: ['core.announce_policy.interval'],
  },
  'the number of threads': { from: {}, to: { 'network.workers': 3 }, restart: ['network.workers'] },
  'both at once': {
    from: {},
    to: { 'network.workers': 3, 'logging.trace_filter': 'debug' },
    live: ['logging.trace_filter'],
    restart: ['network.workers'],
  },
  'a setting of a listener': {
    from: TWO_UDP,
    to: { ...TWO_UDP, 'udp_trackers.1.cookie_lifetime': 60 },
    live: ['udp_trackers[1].cookie_lifetime'],
  },
  'a list in a listener': {
    from: { 'http_trackers.0.network.on_reverse_proxy': true },
    to: {
      'http_trackers.0.network.on_reverse_proxy': true,
      'http_trackers.0.network.trusted_proxies': ['10.0.0.0/8'],
    },
    live: ['http_trackers[0].network.trusted_proxies'],
  },
  'the address of a listener, with all else of it': {
    from: TWO_UDP,
    to: {
      ...TWO_UDP,
      'udp_trackers.1.bind_address': '0.0.0.0:3',
      'udp_trackers.1.cookie_lifetime': 60,
    },
    restart: ['udp_trackers[1].bind_address', 'udp_trackers[1].cookie_lifetime'],
  },
  'a listener that is new': {
    from: { 'udp_trackers.0.bind_address': '0.0.0.0:2' },
    to: { ...TWO_UDP, 'udp_trackers.1.cookie_lifetime': 60 },
    live: ['udp_trackers[1].cookie_lifetime'],
    restart: ['udp_trackers[0]'],
  },
  'a listener that is gone': {
    from: TWO_UDP,
    to: { 'udp_trackers.0.bind_address': '0.0.0.0:2' },
    restart: ['udp_trackers[0]'],
  },
  'the order of listeners': {
    from: TWO_UDP,
    to: { 'udp_trackers.0.bind_address': '0.0.0.0:2', 'udp_trackers.1.bind_address': '0.0.0.0:1' },
  },
  'HTTPS instead of HTTP': {
    from: { 'http_trackers.0.bind_address': '0.0.0.0:1' },
    to: HTTPS,
    restart: ['http_trackers[0].tls_config'],
  },
  'the path of a certificate': {
    from: HTTPS,
    to: { ...HTTPS, 'http_trackers.0.tls_config': { ...TLS, ssl_key_path: 'b.key' } },
    restart: ['http_trackers[0].tls_config.ssl_key_path'],
  },
  'the REST API, which was not there': {
    from: {},
    to: { 'http_api.access_tokens': { admin: 'secret' } },
    restart: ['http_api'],
  },
  'tokens, which are not shown': {
    from: { 'http_api.access_tokens': { admin: 'secret' } },
    to: { 'http_api.access_tokens': { admin: 'changed' } },
    live: ['http_api.access_tokens'],
  },
  'the private mode with its table': {
    from: { 'core.database.driver': 'sqlite3' },
    to: {
      'core.database.driver': 'sqlite3',
      'core.private': true,
      'core.private_mode.check_keys_expiration': false,
    },
    live: ['core.private', 'core.private_mode'],
  },
  'a mode that needs a database, together with that': {
    from: {},
    to: { 'core.listed': true, 'core.database.driver': 'sqlite3', 'core.announce_policy.interval': 9 },
    restart: ['core.listed', 'core.announce_policy.interval', 'core.database'],
  },
  'a password': {
    from: { ...MYSQL, 'core.database.password': 'old' },
    to: { ...MYSQL, 'core.database.password': 'new' },
    live: ['core.database.password'],
  },
  'a user with the password': {
    from: { ...MYSQL, 'core.database.password': 'old' },
    to: { ...MYSQL, 'core.database.user': 'you', 'core.database.password': 'new' },
    restart: ['core.database.user', 'core.database.password'],
  },
  'encryption of the database': {
    from: MYSQL,
    to: { ...MYSQL, 'core.database.tls': {} },
    restart: ['core.database.tls'],
  },
};

describe('A changed configuration:', () => {
  for (const [title, { from, to, live = [], restart = [] }] of Object.entries(CASES)) {
    test(title, () => {
      const current = validate(from);
      const comparison = compareConfigs(current, validate(to));
      assert.deepEqual(comparison.live.toSorted(), live.toSorted());
      assert.deepEqual(comparison.restart.toSorted(), restart.toSorted());
      if (live.length === 0) assert.deepEqual(comparison.adopted, current);
      // What was taken over is no change any more; what waits is named again.
      const again = compareConfigs(comparison.adopted, validate(to));
      assert.deepEqual(again.live, []);
      assert.deepEqual(again.restart.toSorted(), restart.toSorted());
    });
  }

  test('every key is live or not as the schema says', () => {
    const alternatives: Values = {
      'core.announce_policy.interval': 7,
      'core.announce_policy.interval_min': 7,
      'core.announce_policy.max_peers_per_announce': 7,
      'core.inactive_peer_cleanup_interval': 7,
      'core.tracker_policy.max_peer_timeout': 7,
      'core.tracker_policy.remove_peerless_torrents': false,
      'core.tracker_usage_statistics': false,
      'health_check_api.bind_address': '127.0.0.1:7',
      'logging.trace_filter': 'trace',
      'logging.trace_style': 'pretty',
      'network.receive_buffer_bytes': 7000,
      'network.sockets': 'portable',
      'network.workers': 7,
      'swarm.memory': '7MiB',
      'udp_tracker_server.connection_id_keys_file': 'keys',
      'udp_tracker_server.connection_id_validation': 'lenient',
      'udp_tracker_server.ip_bans_reset_interval_in_secs': 7000,
      'udp_tracker_server.max_connection_id_errors_per_ip': 7,
    };
    for (const [path, value] of Object.entries(alternatives)) {
      const { live, restart, adopted } = compareConfigs(validate({}), validate({ [path]: value }));
      const reload = listKeys().find((key) => key.path.join('.') === path)?.reload;
      assert.deepEqual({ live, restart }, byReload(reload, path));
      assert.equal(at(adopted, path) === value, reload === 'live', path);
    }
  });

  test('a listener keeps its place, with the settings that its address has now', () => {
    const { adopted } = compareConfigs(
      validate({ ...TWO_UDP, 'udp_trackers.1.cookie_lifetime': 7 }),
      validate({
        'udp_trackers.0.bind_address': '0.0.0.0:3',
        'udp_trackers.1.bind_address': '0.0.0.0:2',
        'udp_trackers.1.cookie_lifetime': 8,
        'udp_trackers.2.bind_address': '0.0.0.0:1',
        'udp_trackers.2.cookie_lifetime': 9,
      }),
    );
    assert.deepEqual(
      adopted.udp_trackers.map((tracker) => [tracker.bind_address, tracker.cookie_lifetime]),
      [
        ['0.0.0.0:1', 9],
        ['0.0.0.0:2', 8],
      ],
    );
  });
});

test('every key that names a file is among the files that are read again', () => {
  const values: Record<string, unknown> = { ...MYSQL };
  delete values['core.database.user'];
  const keys = listKeys()
    .map(({ path }) => path.join('.').replaceAll('[]', '.0'))
    .filter((path) => /_(file|dir|path)$/.test(path));
  for (const key of keys) values[key] = `file of ${key}`;
  assert.ok(keys.length >= 11, String(keys));
  assert.deepEqual(namedFiles(validate(values)).toSorted(), keys.map((key) => `file of ${key}`).toSorted());
});

function byReload(reload: 'live' | 'restart' | undefined, path: string) {
  return { live: reload === 'live' ? [path] : [], restart: reload === 'restart' ? [path] : [] };
}

function at(config: TrackerConfig, path: string): unknown {
  return valueAt(structuredClone(config), path.split('.'));
}
