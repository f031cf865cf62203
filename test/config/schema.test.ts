import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { listKeys, listSections } from '../../tracker/config/schema-tree.ts';
import { valueAt } from '../../tracker/config/toml.ts';
import { configError, gateDefaults, validate } from './sample.ts';

interface Cases {
  readonly accepts: readonly unknown[];
  readonly refuses: readonly unknown[];
  /** Values of other keys that this one needs around it. */
  readonly beside?: Readonly<Record<string, unknown>>;
  /** What an accepted value is read as, where it is not itself. */
  readonly readAs?: ReadonlyMap<unknown, unknown>;
}

const bool: Cases = { accepts: [true, false], refuses: ['true', 1, [], {}] };
const socketAddress: Cases = {
  accepts: ['0.0.0.0:6969', '[::]:6969', '127.0.0.1:0', '[2001:db8::1]:65535'],
  refuses: [
    '6969',
    ':6969',
    'localhost:6969',
    '0.0.0.0',
    '0.0.0.0:65536',
    '::1:80',
    '[::1]',
    '[1.2.3.4]:5',
    '256.0.0.1:1',
    6969,
    '',
  ],
};
const ranges: Cases = {
  accepts: [[], ['10.0.0.0/8'], ['192.0.2.1/32', '2001:db8::/32', '0.0.0.0/0']],
  refuses: [['10.0.0.0'], ['10.0.0.0/33'], ['2001:db8::/129'], ['proxy/8'], '10.0.0.0/8', [10]],
};
const burst: Cases = { accepts: [1, 600], refuses: [0, -1, 1.5, '10'] };
const maxStored: Cases = { accepts: [0, 1, 4294967295], refuses: [-1, 0.5, 4294967296, '10'] };
const clientRate: Cases = { accepts: [0, 1, 50_000], refuses: [-1, 0.5, 50_001, '10'] };
const path: Cases = { accepts: ['./a/b.pem', '/a'], refuses: ['', 1, ['/a']] };
const duration: Cases = {
  accepts: [1, 120, 4294967295],
  refuses: [0, -1, 1.5, 4294967296, '120', Number.NaN],
};
const durationFromZero: Cases = { accepts: [0, 600], refuses: [-1, 0.5, '0'] };
const ip: Cases = {
  accepts: ['203.0.113.10', '2001:db8::1'],
  refuses: ['0.0.0.0', '::', '0:0::0', '203.0.113.10:80', 'example.com', 'fe80::1%eth0', '', 7],
};
const httpUrl: Cases = {
  accepts: ['http://tracker.example.com', 'https://tracker.example.com:443/announce'],
  refuses: [
    'udp://tracker.example.com',
    'tracker.example.com',
    'https://user:pass@tracker.example.com',
    'https://',
    1,
  ],
};
const mysql = {
  'core.database.driver': 'mysql',
  'core.database.host': 'db',
  'core.database.user': 'tracker',
  'core.database.database': 'torrust',
};
const tls = { cert: './cert.pem', key: './key.pem' };

/** Every key of the schema, by its path with 0 for a place in a list. */
const keys: Readonly<Record<string, Cases>> = {
  'metadata.app': { accepts: ['torrust-tracker'], refuses: ['torrust-index', '', 1] },
  'metadata.purpose': { accepts: ['configuration'], refuses: ['other'] },
  'metadata.schema_version': { accepts: ['3.0.0'], refuses: ['2.0.0', '3', 3] },
  'logging.trace_filter': {
    accepts: ['off', 'error', 'warn', 'info', 'debug', 'trace'],
    refuses: ['Info', 'warning', '', 0, true],
  },
  'logging.trace_style': { accepts: ['full', 'pretty', 'compact', 'json'], refuses: ['JSON', 'text', 1] },
  'core.listed': { ...bool, beside: { 'core.database': {} } },
  'core.private': { ...bool, beside: { 'core.database': {} } },
  'core.private_mode.check_keys_expiration': {
    ...bool,
    beside: { 'core.private': true, 'core.database': {} },
  },
  'core.inactive_peer_cleanup_interval': durationFromZero,
  'core.tracker_usage_statistics': bool,
  'core.announce_policy.interval': duration,
  'core.announce_policy.interval_min': duration,
  'core.announce_policy.max_peers_per_announce': {
    accepts: [1, 74, 1000],
    refuses: [0, -1, 1001, 1.5, '74'],
  },
  'core.tracker_policy.max_peer_timeout': duration,
  'core.tracker_policy.persistent_torrent_completed_stat': { ...bool, beside: { 'core.database': {} } },
  'core.tracker_policy.remove_peerless_torrents': bool,
  'core.database.driver': { accepts: ['sqlite3'], refuses: ['Sqlite3', 'postgresql', ''] },
  'core.database.path': {
    accepts: ['./sqlite3.db', '/data/tracker.db'],
    refuses: ['', 1, 'mysql://u:p@h/d'],
  },
  'core.database.host': { accepts: ['db', '127.0.0.1'], refuses: ['', 1], beside: mysql },
  'core.database.port': { accepts: [1, 3306, 65535], refuses: [0, 65536, '3306'], beside: mysql },
  'core.database.user': { accepts: ['tracker'], refuses: ['', 1], beside: mysql },
  'core.database.user_file': {
    ...path,
    beside: {
      'core.database.driver': 'mysql',
      'core.database.host': 'db',
      'core.database.database': 'torrust',
    },
  },
  'core.database.password': { accepts: ['a b c#'], refuses: ['', 12345], beside: mysql },
  'core.database.password_file': { ...path, beside: mysql },
  'core.database.database': { accepts: ['torrust'], refuses: ['', 1], beside: mysql },
  'core.database.tls.ca_file': { ...path, beside: mysql },
  'core.database.tls.cert_file': { ...path, beside: { ...mysql, 'core.database.tls.key_file': './key.pem' } },
  'core.database.tls.key_file': {
    ...path,
    beside: { ...mysql, 'core.database.tls.cert_file': './cert.pem' },
  },
  'udp_trackers.0.bind_address': socketAddress,
  'udp_trackers.0.network.external_ip': ip,
  'udp_trackers.0.network.ipv6_v6only': bool,
  'udp_trackers.0.cookie_lifetime': {
    accepts: [1, 120, 86400, { secs: 90 }, { secs: 90, nanos: 5 }],
    refuses: [0, 86401, 1.5, '120', { secs: 0 }, { secs: 1, millis: 2 }],
    readAs: new Map(),
  },
  'udp_trackers.0.public_url': {
    accepts: ['udp://tracker.example.com:6969', 'udp://tracker.example.com:6969/announce'],
    refuses: ['https://tracker.example.com', 'tracker.example.com:6969', ''],
  },
  'udp_trackers.0.tracker_usage_statistics': bool,
  'http_trackers.0.bind_address': socketAddress,
  'http_trackers.0.tls_config.ssl_cert_path': {
    ...path,
    beside: { 'http_trackers.0.tls_config.ssl_key_path': tls.key },
  },
  'http_trackers.0.tls_config.ssl_key_path': {
    ...path,
    beside: { 'http_trackers.0.tls_config.ssl_cert_path': tls.cert },
  },
  'http_trackers.0.network.external_ip': ip,
  'http_trackers.0.network.on_reverse_proxy': bool,
  'http_trackers.0.network.trusted_proxies': ranges,
  'http_trackers.0.network.ipv6_v6only': bool,
  'http_trackers.0.use_ip_from_query_string': bool,
  'http_trackers.0.external_ip_in_reply': bool,
  'http_trackers.0.public_url': httpUrl,
  'http_trackers.0.tracker_usage_statistics': bool,
  'http_api.bind_address': socketAddress,
  'http_api.tls_config.ssl_cert_path': { ...path, beside: { 'http_api.tls_config.ssl_key_path': tls.key } },
  'http_api.tls_config.ssl_key_path': { ...path, beside: { 'http_api.tls_config.ssl_cert_path': tls.cert } },
  'http_api.public_url': httpUrl,
  'http_api.access_tokens': {
    accepts: [
      {},
      { admin: 'secret' },
      { admin: 'a', 'ci bot': 'b+/=' },
      { admin: 'two words' },
      { constructor: 'c' },
    ],
    refuses: [
      { admin: '' },
      { admin: 12345 },
      { admin: ' a' },
      { admin: 'a ' },
      { '': 'x' },
      ['secret'],
      'secret',
    ],
  },
  'http_api.access_tokens_dir': path,
  'health_check_api.bind_address': socketAddress,
  'metrics.bind_address': socketAddress,
  'telemetry.otlp_endpoint': httpUrl,
  'telemetry.service_name': { accepts: ['tracker'], refuses: ['', 1] },
  'telemetry.sample_ratio': { accepts: [0, 0.01, 1], refuses: [-0.1, 1.1, '0.5'] },
  'telemetry.udp_every': { accepts: [0, 1, 10_000], refuses: [-1, 1.5, '1'] },
  'udp_tracker_server.connection_id_validation': {
    accepts: ['strict', 'lenient', 'disabled'],
    refuses: ['off', true],
  },
  'udp_tracker_server.connection_id_keys_file': path,
  'udp_tracker_server.max_connection_id_errors_per_ip': { accepts: [0, 10], refuses: [-1, 1.5, '10'] },
  'udp_tracker_server.ip_bans_reset_interval_in_secs': {
    accepts: [3600, 86400],
    refuses: [3599, 0, '86400'],
  },
  'network.workers': { accepts: ['auto', 1, 1024], refuses: [0, 1025, 'two', 1.5] },
  'network.sockets': { accepts: ['auto', 'native', 'portable'], refuses: ['epoll', true] },
  'network.receive_buffer_bytes': { accepts: [4096, 8388608], refuses: [0, 2147483648, '8MiB'] },
  'swarm.memory': {
    accepts: ['auto', '512MiB', '1GiB', '2GB', '512Mi', '1.5GiB', '1048576B'],
    refuses: ['512', 536870912, '1MB', '0GiB', 'lots', '', '-1GiB'],
  },
  'swarm.snapshot.path': path,
  'swarm.snapshot.interval': { accepts: [1, 300, 4294967295], refuses: [0, -1, 1.5, '5m'] },
  'limits.dry_run': bool,
  'limits.exempt_private': bool,
  'limits.exempt': ranges,
  'limits.max_swarms': maxStored,
  'limits.max_peers_per_swarm': maxStored,
  'limits.max_connections_per_ip': { accepts: [0, 1, 65_535], refuses: [-1, 65_536, 1.5, '1'] },
  'limits.max_peers_per_ip': maxStored,
  'limits.per_ip.requests_per_second': clientRate,
  'limits.per_ip.burst': burst,
  'limits.per_network.requests_per_second': clientRate,
  'limits.per_network.burst': burst,
  'limits.overall.requests_per_second': { accepts: [0, 10_000_000], refuses: [-1, 10_000_001, '10'] },
  'limits.overall.burst': burst,
  'bans.path': path,
  'bans.exempt': ranges,
  'proxy_protocol.trusted_proxies': ranges,
  'proxy_protocol.http': bool,
  'proxy_protocol.udp': bool,
  'source_guard.policy': { accepts: ['accept', 'flag', 'refuse'], refuses: ['Flag', 'deny', '', true] },
  'source_guard.cluster_ranges': ranges,
  'source_guard.exempt': ranges,
};

suite('every key of the schema', () => {
  test('has its cases in this table', () => {
    const inSchema = listKeys().map((key) => key.path.join('.').replaceAll('[]', '.0'));
    assert.deepEqual(Object.keys(keys).toSorted(), inSchema.toSorted());
  });

  for (const [keyPath, { accepts, refuses, beside = {}, readAs }] of Object.entries(keys)) {
    test(`${keyPath} takes what is allowed and refuses everything else`, () => {
      const names = keyPath.split('.').map((name) => (name === '0' ? 0 : name));
      for (const value of accepts) {
        const config = validate({ ...beside, [keyPath]: value });
        if (!readAs) assert.deepEqual(valueAt(config, names), value);
      }
      for (const value of refuses) {
        const error = configError(() => validate({ ...beside, [keyPath]: value }));
        const shown = keyPath.replaceAll('.0', '[0]');
        assert.ok(
          error.problems.some((problem) => problem.path.startsWith(shown)),
          `${JSON.stringify(value)}: ${error.message}`,
        );
      }
    });
  }

  test('has a description that is a sentence', () => {
    for (const { path: keyPath, description } of listKeys()) {
      assert.match(description, /^[A-Z].*[.!]$/s, keyPath.join('.'));
    }
    for (const { path: sectionPath, description } of listSections()) {
      if (description !== undefined) assert.match(description, /^[A-Z].*\.$/s, sectionPath.join('.'));
    }
  });
});

suite('the canonical configuration', () => {
  test('fills in every default of a minimal file', () => {
    assert.deepEqual(validate({ 'udp_trackers.0': {}, 'http_trackers.0': {} }), {
      metadata: { app: 'torrust-tracker', purpose: 'configuration', schema_version: '3.0.0' },
      logging: { trace_filter: 'info' },
      core: {
        listed: false,
        private: false,
        inactive_peer_cleanup_interval: 600,
        tracker_usage_statistics: true,
        announce_policy: { interval: 120, interval_min: 120, max_peers_per_announce: 74 },
        tracker_policy: {
          max_peer_timeout: 900,
          persistent_torrent_completed_stat: false,
          remove_peerless_torrents: true,
        },
      },
      udp_trackers: [
        {
          bind_address: '0.0.0.0:6969',
          network: { ipv6_v6only: false },
          cookie_lifetime: 120,
          tracker_usage_statistics: true,
        },
      ],
      http_trackers: [
        {
          bind_address: '0.0.0.0:7070',
          network: { on_reverse_proxy: false, trusted_proxies: [], ipv6_v6only: false },
          use_ip_from_query_string: false,
          external_ip_in_reply: false,
          tracker_usage_statistics: true,
        },
      ],
      health_check_api: { bind_address: '127.0.0.1:1313' },
      udp_tracker_server: {
        connection_id_validation: 'strict',
        max_connection_id_errors_per_ip: 10,
        ip_bans_reset_interval_in_secs: 86400,
      },
      network: { workers: 'auto', sockets: 'auto', receive_buffer_bytes: 8388608 },
      swarm: { memory: 'auto', snapshot: { interval: 300 } },
      metrics: { bind_address: '127.0.0.1:1314' },
      telemetry: { service_name: 'torrust-tracker', sample_ratio: 1, udp_every: 0 },
      ...gateDefaults,
    });
  });

  test('starts no tracker and no API that its file does not name', () => {
    const config = validate({});
    assert.deepEqual([config.udp_trackers, config.http_trackers, config.http_api], [[], [], undefined]);
  });

  test('reads a connection id lifetime in the form of seconds and nanoseconds', () => {
    const config = validate({ 'udp_trackers.0.cookie_lifetime': { secs: 90, nanos: 7 } });
    assert.equal(config.udp_trackers[0]?.cookie_lifetime, 90);
  });

  test('refuses unknown keys in every table', () => {
    const tables = listSections().map((section) => section.path.join('.').replaceAll('[]', '.0'));
    for (const table of tables) {
      const error = configError(() => validate({ [`${table}.zzz_unknown`]: 1 }));
      const shown = `${table.replaceAll('.0', '[0]')}.zzz_unknown`;
      const problem = error.problems.find((candidate) => candidate.path === shown);
      assert.equal(problem?.says, 'is not a known key', error.message);
    }
  });

  test('names every missing mandatory option, in the order in which Torrust asks for them', () => {
    const error = configError(() => validate({ metadata: {}, logging: undefined, core: undefined }));
    assert.deepEqual(
      error.problems.map((problem) => problem.path),
      ['metadata.schema_version', 'logging.trace_filter', 'core.private', 'core.listed'],
    );
    assert.match(
      error.message,
      /Missing mandatory configuration option\. Option path: metadata\.schema_version/,
    );
  });
});
