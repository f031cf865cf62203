import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findGeneration } from '../../tracker/config/versions/generation.ts';
import { parseToml } from '../../tracker/config/toml.ts';
import { configError, fixture, gateDefaults, loadText, minimalToml } from './sample.ts';

const exampleToken = /token of the published examples/;

suite('published configurations', () => {
  test('2.0.0 for development: everything on its usual port, loopback clients stored as 0.0.0.0', () => {
    const { config, generation, warnings } = loadText(fixture('v2-development-sqlite3.toml'));
    assert.equal(generation, '2.0.0');
    assert.equal(config.metadata.schema_version, '3.0.0');
    assert.equal(config.logging.trace_filter, 'info');
    assert.deepEqual(config.core.database, {
      driver: 'sqlite3',
      path: './storage/tracker/lib/database/sqlite3.db',
    });
    assert.deepEqual(
      config.udp_trackers.map((tracker) => [tracker.bind_address, tracker.network.external_ip]),
      [['0.0.0.0:6969', '0.0.0.0']],
    );
    assert.deepEqual(
      config.http_trackers.map((tracker) => [
        tracker.bind_address,
        tracker.network.external_ip,
        tracker.tls_config,
      ]),
      [['0.0.0.0:7070', '0.0.0.0', undefined]],
    );
    assert.equal(config.http_api?.bind_address, '0.0.0.0:1212');
    assert.deepEqual(config.http_api?.access_tokens, { admin: 'MyAccessToken' });
    assert.equal(config.health_check_api.bind_address, '127.0.0.1:1313');
    assert.equal(config.core.announce_policy.interval, 120);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', exampleToken);
  });

  test('2.0.0 in a container with SQLite: no service but the health check', () => {
    const { config, warnings } = loadText(fixture('v2-container-sqlite3.toml'));
    assert.deepEqual([config.udp_trackers, config.http_trackers, config.http_api], [[], [], undefined]);
    assert.equal(config.core.database?.path, '/var/lib/torrust/tracker/database/sqlite3.db');
    assert.deepEqual(warnings, []);
  });

  test('2.0.0 in a container with MySQL: the URL is taken apart', () => {
    const { config } = loadText(fixture('v2-container-mysql.toml'));
    assert.deepEqual(config.core.database, {
      driver: 'mysql',
      host: 'mysql',
      port: 3306,
      user: 'db_user',
      password: 'db_user_secret_password',
      database: 'torrust_tracker',
    });
  });

  test('2.0.0 for end-to-end tests: all open to the outside', () => {
    const { config } = loadText(fixture('v2-e2e-container.toml'));
    assert.equal(config.health_check_api.bind_address, '0.0.0.0:1313');
    assert.equal(config.http_api?.bind_address, '0.0.0.0:1212');
  });

  test('2.0.0 for benchmarks: UDP alone, no statistics', () => {
    const { config } = loadText(fixture('v2-udp-benchmarking.toml'));
    assert.equal(config.logging.trace_filter, 'error');
    assert.equal(config.core.tracker_usage_statistics, false);
    assert.equal(config.core.tracker_policy.remove_peerless_torrents, false);
    assert.deepEqual(
      [config.udp_trackers.length, config.http_trackers.length, config.http_api],
      [1, 0, undefined],
    );
  });

  test('2.0.0 at its smallest', () => {
    const { config } = loadText(fixture('v2-minimal.toml'));
    assert.deepEqual([config.core.listed, config.core.private, config.udp_trackers], [false, false, []]);
  });

  test('2.0.0 with every key', () => {
    const { config, warnings } = loadText(fixture('v2-everything.toml'));
    assert.deepEqual(config, {
      metadata: { app: 'torrust-tracker', purpose: 'configuration', schema_version: '3.0.0' },
      logging: { trace_filter: 'debug' },
      core: {
        listed: true,
        private: true,
        private_mode: { check_keys_expiration: false },
        inactive_peer_cleanup_interval: 61,
        tracker_usage_statistics: false,
        announce_policy: { interval: 241, interval_min: 121, max_peers_per_announce: 74 },
        tracker_policy: {
          max_peer_timeout: 901,
          persistent_torrent_completed_stat: true,
          remove_peerless_torrents: false,
        },
        database: {
          driver: 'mysql',
          host: '2001:db8::1',
          port: 3306,
          user: 'us@er',
          password: 'p#ss',
          database: 'tracker',
        },
      },
      udp_trackers: [
        {
          bind_address: '[::]:6969',
          network: { external_ip: '203.0.113.10', ipv6_v6only: true },
          cookie_lifetime: 90,
          tracker_usage_statistics: true,
        },
      ],
      http_trackers: [
        {
          bind_address: '[::]:7070',
          tls_config: { ssl_cert_path: './cert.pem', ssl_key_path: './key.pem' },
          network: {
            external_ip: '203.0.113.10',
            on_reverse_proxy: true,
            trusted_proxies: [],
            ipv6_v6only: true,
          },
          use_ip_from_query_string: false,
          external_ip_in_reply: false,
          tracker_usage_statistics: true,
        },
      ],
      http_api: {
        bind_address: '[::1]:1212',
        tls_config: { ssl_cert_path: './api-cert.pem', ssl_key_path: './api-key.pem' },
        access_tokens: { admin: 'first-token', ci: 'second-token' },
      },
      health_check_api: { bind_address: '127.0.0.1:1414' },
      udp_tracker_server: {
        connection_id_validation: 'strict',
        max_connection_id_errors_per_ip: 20,
        ip_bans_reset_interval_in_secs: 86400,
      },
      network: { workers: 'auto', sockets: 'auto', receive_buffer_bytes: 8388608 },
      swarm: { memory: 'auto', snapshot: { interval: 300 } },
      metrics: { bind_address: '127.0.0.1:1314' },
      telemetry: { service_name: 'torrust-tracker', sample_ratio: 1, udp_every: 0 },
      ...gateDefaults,
    });
    assert.equal(warnings.length, 2);
    assert.match(warnings.join('\n'), /what follows the \? of the URL is not used/);
    assert.match(warnings.join('\n'), /UDP trackers are started in private mode too/);
  });

  test('flat as the first versions wrote it: only the API is switched on', () => {
    const { config, generation, warnings } = loadText(fixture('flat-generated.toml'));
    assert.equal(generation, 'flat');
    assert.deepEqual([config.udp_trackers, config.http_trackers], [[], []]);
    assert.deepEqual(config.http_api, {
      bind_address: '127.0.0.1:1212',
      access_tokens: { admin: 'MyAccessToken' },
    });
    assert.match(warnings.join('\n'), exampleToken);
  });

  test('flat with every key', () => {
    const { config } = loadText(fixture('flat-everything.toml'));
    assert.deepEqual(config.logging, { trace_filter: 'warn' });
    assert.deepEqual(config.core, {
      listed: true,
      private: true,
      inactive_peer_cleanup_interval: 0,
      tracker_usage_statistics: false,
      announce_policy: { interval: 241, interval_min: 121, max_peers_per_announce: 74 },
      tracker_policy: {
        max_peer_timeout: 901,
        persistent_torrent_completed_stat: true,
        remove_peerless_torrents: false,
      },
      database: {
        driver: 'mysql',
        host: 'db',
        port: 3307,
        user: 'tracker',
        password: 'secret',
        database: 'torrust',
      },
    });
    assert.deepEqual(
      config.udp_trackers.map((tracker) => [tracker.bind_address, tracker.network.external_ip]),
      [['0.0.0.0:6969', '203.0.113.10']],
    );
    assert.deepEqual(config.http_trackers[0]?.tls_config, {
      ssl_cert_path: './cert.pem',
      ssl_key_path: './key.pem',
    });
    assert.equal(config.http_trackers[0]?.network.on_reverse_proxy, true);
    assert.deepEqual(config.http_api?.tls_config, {
      ssl_cert_path: './api-cert.pem',
      ssl_key_path: './api-key.pem',
    });
    assert.equal(config.health_check_api.bind_address, '127.0.0.1:1414');
  });

  test('3.0.0 as a user of Torrust wrote it', () => {
    const { config, generation, warnings } = loadText(fixture('canonical-torrust.toml'));
    assert.equal(generation, '3.0.0');
    assert.equal(config.udp_trackers[0]?.cookie_lifetime, 120);
    assert.equal(config.udp_trackers[0]?.network.external_ip, '203.0.113.10');
    assert.deepEqual(warnings, []);
  });
});

suite('the flat modes', () => {
  const modes = {
    public: [false, false],
    listed: [false, true],
    private: [true, false],
    private_listed: [true, true],
  };
  for (const [mode, expected] of Object.entries(modes)) {
    test(mode, () => {
      const { config } = loadText(`mode = "${mode}"`);
      assert.deepEqual([config.core.private, config.core.listed], expected);
    });
  }
});

suite('the external address of a flat file', () => {
  const cases: Readonly<Record<string, [string, string | undefined]>> = {
    'is kept, a wildcard as well': ['external_ip = "0.0.0.0"', '0.0.0.0'],
    'is unset when absent': ['', undefined],
    'is unset when empty': ['external_ip = ""', undefined],
    'is unset when it is no address': ['external_ip = "my.host"', undefined],
  };
  for (const [what, [line, expected]] of Object.entries(cases)) {
    test(what, () => {
      const { config } = loadText(`mode = "public"\n${line}\n[[udp_trackers]]\nenabled = true\n`);
      assert.equal(config.udp_trackers[0]?.network.external_ip, expected);
    });
  }
});

suite('the generation of a file', () => {
  const cases: Readonly<Record<string, [string, string]>> = {
    'is what schema_version says': ['[metadata]\nschema_version = "2.0.0"', '2.0.0'],
    'is flat with a key that only the flat layout has': ['log_level = "info"', 'flat'],
    'is flat with a switch of a service': ['[[udp_trackers]]\nenabled = true', 'flat'],
    'is 2.0.0 with its threshold': ['[logging]\nthreshold = "info"', '2.0.0'],
    'is 2.0.0 with its core.net': ['[core]\nlisted = true\n[core.net]\non_reverse_proxy = true', '2.0.0'],
    'is 3.0.0 for anything else': ['[udp_tracker_server]', '3.0.0'],
    'is 3.0.0 for nothing': ['', '3.0.0'],
  };
  for (const [what, [text, generation]] of Object.entries(cases)) {
    test(what, () => {
      assert.deepEqual(findGeneration(parseToml(text, 'file')), { kind: 'known', generation });
    });
  }

  test('must be one that is known', () => {
    const error = configError(() => loadText('[metadata]\nschema_version = "4.0.0"'));
    assert.equal(error.code, 'unsupported_version');
    assert.match(error.message, /Unsupported configuration version: 4\.0\.0\./);
  });
});

suite('mistakes in older files', () => {
  interface Mistake {
    readonly text: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly paths: readonly string[];
    readonly says: RegExp;
  }
  const v2 = fixture('v2-minimal.toml');
  const mistakes: Readonly<Record<string, Mistake>> = {
    'missing mandatory options are all named, in Torrust’s order': {
      text: '[metadata]\nschema_version = "2.0.0"',
      paths: ['logging.threshold', 'core.private', 'core.listed'],
      says: /Missing mandatory configuration option\. Option path: logging\.threshold/,
    },
    'a missing schema version is named': {
      text: '[logging]\nthreshold = "info"\n[core]\nlisted = false\nprivate = false',
      paths: ['metadata.schema_version'],
      says: /Option path: metadata\.schema_version/,
    },
    'rules are heard beside wrong values': {
      text: `${v2}[core.private_mode]\n[core.announce_policy]\ninterval = -1\n`,
      paths: ['core.announce_policy.interval', 'core.private_mode:'],
      says: /Private mode section in configuration can only be included/,
    },
    'a rule about a value that is wrong itself is not': {
      text: v2.replace('private = false', 'private = "no"\nprivate_mode = {}'),
      paths: ['core.private'],
      says: /core\.private is "no"/,
    },
    'a TLS table without its files is named as it is spelled there': {
      text: `${v2}[[http_trackers]]\n[http_trackers.tsl_config]\nssl_cert_path = ""\n`,
      paths: ['http_trackers[0].tsl_config.ssl_cert_path', 'http_trackers[0].tsl_config.ssl_key_path'],
      says: /tsl_config\.ssl_key_path is missing/,
    },
    'an external address that is none': {
      text: `${v2}[core.net]\nexternal_ip = "here"\n[[udp_trackers]]\n`,
      paths: ['core.net.external_ip'],
      says: /core\.net\.external_ip is "here"/,
    },
    'a MySQL driver with a file': {
      text: `${v2}[core.database]\ndriver = "mysql"\n`,
      paths: ['core.database.path:'],
      says: /mysql:\/\/USER:PASSWORD@HOST:PORT\/DATABASE/,
    },
    'a flat MySQL URL without a user names db_path': {
      text: 'db_driver = "MySQL"\ndb_path = "mysql://db/torrust"',
      paths: ['db_path:'],
      says: /names none/,
    },
    'a flat mode that does not exist': {
      text: 'mode = "privat"',
      paths: ['mode'],
      says: /allowed: "public", "listed", "private", "private_listed"\n\s+did you mean "private"\?/,
    },
    'two flat listeners on one address, by their places in the file': {
      text: [
        'mode = "public"',
        '[[udp_trackers]]\nenabled = false',
        '[[udp_trackers]]\nenabled = true',
        '[[udp_trackers]]\nenabled = true',
      ].join('\n'),
      paths: ['udp_trackers[2].bind_address:'],
      says: /listens on UDP 0\.0\.0\.0:6969 already/,
    },
    'flat HTTPS without files': {
      text: 'mode = "public"\n[[http_trackers]]\nenabled = true\nssl_enabled = true\nssl_cert_path = "./cert.pem"',
      paths: ['http_trackers[0].ssl_key_path:'],
      says: /ssl_enabled = true needs the path/,
    },
    'a canonical variable with a wrong value over an older file': {
      text: v2,
      env: { TORRUST_TRACKER_CONFIG_OVERRIDE_SWARM__MEMORY: 'lots' },
      paths: ['swarm.memory'],
      says: /TORRUST_TRACKER_CONFIG_OVERRIDE_SWARM__MEMORY: swarm\.memory is "lots"/,
    },
  };
  for (const [what, { text, env = {}, paths, says }] of Object.entries(mistakes)) {
    test(what, () => {
      const error = configError(() => loadText(text, env));
      assert.deepEqual(
        error.problems.map((problem) => problem.path),
        paths,
        error.message,
      );
      assert.match(error.message, says);
    });
  }
});

suite('unknown keys', () => {
  test('are warnings in 2.0.0, with a guess', () => {
    const { warnings } = loadText(
      `${fixture('v2-minimal.toml')}[core.anounce_policy]\ninterval = 5\n[other]\nsecret = "x"\n`,
    );
    assert.deepEqual(warnings, [
      'TORRUST_TRACKER_CONFIG_TOML: core.anounce_policy is not a key of schema 2.0.0 and is ignored; did you mean core.announce_policy?',
      'TORRUST_TRACKER_CONFIG_TOML: other is not a key of schema 2.0.0 and is ignored',
    ]);
  });

  test('are warnings in the flat layout, in lists as well', () => {
    const { warnings } = loadText(
      'mode = "public"\n[[udp_trackers]]\nenable = true\n[http_api]\nenabled = false',
    );
    assert.deepEqual(warnings, [
      'TORRUST_TRACKER_CONFIG_TOML: udp_trackers[0].enable is not a key of the flat layout and is ignored; did you mean udp_trackers[0].enabled?',
    ]);
  });

  test('are errors in 3.0.0', () => {
    const error = configError(() => loadText(`${minimalToml}[core.net]\n`));
    assert.match(
      error.message,
      /core\.net is not a known key\n.*in the network table of each tracker since 3\.0\.0/,
    );
  });
});

suite('variables over older files', () => {
  test('speak the layout of the file', () => {
    const { config } = loadText(fixture('v2-minimal.toml'), {
      TORRUST_TRACKER_CONFIG_OVERRIDE_LOGGING__THRESHOLD: 'trace',
      TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN: 'secret',
    });
    assert.equal(config.logging.trace_filter, 'trace');
    assert.deepEqual(config.http_api, { bind_address: '127.0.0.1:1212', access_tokens: { admin: 'secret' } });
  });

  test('may give mandatory options', () => {
    const { config } = loadText('[metadata]\nschema_version = "2.0.0"\n[core]\nlisted = true', {
      TORRUST_TRACKER_CONFIG_OVERRIDE_LOGGING__THRESHOLD: 'info',
      TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__PRIVATE: 'false',
    });
    assert.deepEqual([config.core.listed, config.core.private], [true, false]);
  });

  test('reach canonical keys that the layout does not have', () => {
    const { config, warnings } = loadText('mode = "public"\n[http_api]\nenabled = false', {
      TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__PATH: '/data/sqlite3.db',
      TORRUST_TRACKER_CONFIG_OVERRIDE_LOGGING__TRACE_STYLE: 'json',
      TORRUST_TRACKER_CONFIG_OVERRIDE_NO__SUCH_KEY: '1',
    });
    assert.equal(config.core.database?.path, '/data/sqlite3.db');
    assert.equal(config.logging.trace_style, 'json');
    assert.deepEqual(warnings, [
      'TORRUST_TRACKER_CONFIG_OVERRIDE_NO__SUCH_KEY: no is not a key of the flat layout and is ignored',
    ]);
  });

  test('set the token of a flat file by its former name, as a text whatever it looks like', () => {
    const { config } = loadText('mode = "public"', { TORRUST_TRACKER_API_ADMIN_TOKEN: '12345' });
    assert.deepEqual(config.http_api?.access_tokens, { admin: '12345' });
  });

  test('of the flat era are named in a warning beside newer files', () => {
    const { config, warnings } = loadText(minimalToml, { TORRUST_TRACKER_API_ADMIN_TOKEN: 'secret' });
    assert.equal(config.http_api, undefined);
    assert.match(
      warnings.join('\n'),
      /^TORRUST_TRACKER_API_ADMIN_TOKEN is only read with a flat configuration/,
    );
  });
});
