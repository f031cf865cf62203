import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { warnAbout } from '../../tracker/config/rules.ts';
import { configError, validate } from './sample.ts';

const mysql = {
  'core.database.driver': 'mysql',
  'core.database.host': 'db',
  'core.database.user': 'tracker',
  'core.database.database': 'torrust',
};
const mysqlUrl = { 'core.database.driver': 'mysql', 'core.database.path': 'mysql://user:pass@db/torrust' };

const refused: Readonly<Record<string, { values: Record<string, unknown>; path: string; says: RegExp }>> = {
  'a private_mode table of a public tracker': {
    values: { 'core.private_mode.check_keys_expiration': true },
    path: 'core.private_mode:',
    says: /^Private mode section in configuration can only be included when the tracker is running in private mode\.$/,
  },
  'a listed tracker without a database': {
    values: { 'core.listed': true },
    path: 'core.database:',
    says: /a database is needed: core\.listed = true/,
  },
  'a private tracker without a database': {
    values: { 'core.private': true },
    path: 'core.database:',
    says: /a database is needed: core\.private = true/,
  },
  'counters that persist without a database': {
    values: { 'core.tracker_policy.persistent_torrent_completed_stat': true },
    path: 'core.database:',
    says: /a database is needed: core\.tracker_policy\.persistent/,
  },
  'a wildcard as external address of a UDP tracker': {
    values: { 'udp_trackers.0.network.external_ip': '0.0.0.0' },
    path: 'udp_trackers[0].network.external_ip:',
    says: /^0\.0\.0\.0 stands for every address/,
  },
  'an IPv6 wildcard as external address of an HTTP tracker': {
    values: { 'http_trackers.0.network.external_ip': '0::0' },
    path: 'http_trackers[0].network.external_ip:',
    says: /stands for every address/,
  },
  'two UDP trackers on one address': {
    values: { udp_trackers: [{}, { bind_address: '0.0.0.0:1' }, { bind_address: '0.0.0.0:6969' }] },
    path: 'udp_trackers[2].bind_address:',
    says: /^udp_trackers\[0\] listens on UDP 0\.0\.0\.0:6969 already$/,
  },
  'two spellings of one IPv6 address': {
    values: { udp_trackers: [{ bind_address: '[::1]:6969' }, { bind_address: '[0:0::1]:6969' }] },
    path: 'udp_trackers[1].bind_address:',
    says: /udp_trackers\[0\]/,
  },
  'an address that a wildcard covers already': {
    values: { udp_trackers: [{ bind_address: '127.0.0.1:6969' }, { bind_address: '0.0.0.0:6969' }] },
    path: 'udp_trackers[1].bind_address:',
    says: /udp_trackers\[0\] listens on UDP 127\.0\.0\.1:6969 already/,
  },
  'an HTTP tracker on the address of the API': {
    values: { 'http_trackers.0.bind_address': '127.0.0.1:1212', http_api: {} },
    path: 'http_api.bind_address:',
    says: /^http_trackers\[0\] listens on TCP 127\.0\.0\.1:1212 already$/,
  },
  'the API on the address of the health check': {
    values: { 'http_api.bind_address': '0.0.0.0:1313' },
    path: 'health_check_api.bind_address:',
    says: /^http_api listens on TCP 0\.0\.0\.0:1313 already$/,
  },
  'tokens and a directory of tokens': {
    values: { 'http_api.access_tokens': { admin: 'x' }, 'http_api.access_tokens_dir': './tokens' },
    path: 'http_api.access_tokens_dir:',
    says: /not both/,
  },
  'a snapshot in the file of the database': {
    values: { 'core.database.path': './data/tracker', 'swarm.snapshot.path': 'data//tracker' },
    path: 'swarm.snapshot.path:',
    says: /^is the file of the database/,
  },
  'a user and a file with the user': {
    values: { ...mysql, 'core.database.user_file': './user' },
    path: 'core.database.user_file:',
    says: /not both/,
  },
  'a password and a file with the password': {
    values: { ...mysql, 'core.database.password': 'x', 'core.database.password_file': './password' },
    path: 'core.database.password_file:',
    says: /not both/,
  },
  'a client certificate without its key': {
    values: { ...mysql, 'core.database.tls.cert_file': './cert.pem' },
    path: 'core.database.tls.key_file:',
    says: /together/,
  },
  'SQLite with the host of a server': {
    values: { 'core.database.host': 'db' },
    path: 'core.database.host:',
    says: /only for the driver "mysql"/,
  },
  'SQLite with a MySQL URL': {
    values: { 'core.database.path': 'mysql://user:pass@db/torrust' },
    path: 'core.database.path:',
    says: /the driver is "sqlite3"/,
  },
  'MySQL without a host': {
    values: { ...mysql, 'core.database.host': undefined },
    path: 'core.database.host:',
    says: /needs it/,
  },
  'MySQL without a user': {
    values: { ...mysql, 'core.database.user': undefined },
    path: 'core.database.user:',
    says: /needs it, or user_file/,
  },
  'MySQL without the name of a database': {
    values: { ...mysql, 'core.database.database': undefined },
    path: 'core.database.database:',
    says: /needs it/,
  },
  'MySQL with the file of SQLite': {
    values: { ...mysql, 'core.database.path': './sqlite3.db' },
    path: 'core.database.path:',
    says: /is a URL mysql:/,
  },
  'a MySQL URL without a database': {
    values: { ...mysqlUrl, 'core.database.path': 'mysql://user:pass@db' },
    path: 'core.database.path:',
    says: /is a URL mysql:/,
  },
  'a MySQL URL and a host': {
    values: { ...mysqlUrl, 'core.database.host': 'other' },
    path: 'core.database.host:',
    says: /the URL in path says it already/,
  },
  'a MySQL URL with a user, and a user': {
    values: { ...mysqlUrl, 'core.database.user': 'other' },
    path: 'core.database.user:',
    says: /the URL in path says it already/,
  },
  'a MySQL URL with a password, and a file with a password': {
    values: { ...mysqlUrl, 'core.database.password_file': './password' },
    path: 'core.database.password_file:',
    says: /the URL in path says it already/,
  },
  'a MySQL URL without a user, and no user beside it': {
    values: { ...mysqlUrl, 'core.database.path': 'mysql://db/torrust' },
    path: 'core.database.user:',
    says: /the URL in path names none/,
  },
  'a bucket that takes more than ten minutes to fill': {
    values: { 'limits.per_network': { requests_per_second: 2, burst: 1201 } },
    path: 'limits.per_network.burst:',
    says: /more than 600 seconds' worth of requests_per_second \(1200\)/,
  },
};

const accepted: Readonly<Record<string, Record<string, unknown>>> = {
  'a private tracker with its own table': {
    'core.private': true,
    'core.private_mode': {},
    'core.database': {},
  },
  'a public tracker without a database': {},
  "bursts of ten minutes' worth, and any beside a limit that is off": {
    'limits.per_ip': { requests_per_second: 2, burst: 1200 },
    'limits.overall.burst': 5000,
  },
  'UDP and HTTP on one port': {
    'udp_trackers.0.bind_address': '0.0.0.0:6969',
    'http_trackers.0.bind_address': '0.0.0.0:6969',
  },
  'IPv4 and IPv6 wildcards on one port': {
    udp_trackers: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6969' }],
  },
  'any number of listeners on port 0': {
    udp_trackers: [{ bind_address: '127.0.0.1:0' }, { bind_address: '127.0.0.1:0' }],
    'http_api.bind_address': '127.0.0.1:0',
    'health_check_api.bind_address': '127.0.0.1:0',
  },
  'MySQL by host, with TLS': {
    ...mysql,
    'core.database.tls': {},
    'core.database.password_file': './password',
  },
  'MySQL by URL': mysqlUrl,
  'MySQL by URL with user and password from files': {
    'core.database.driver': 'mysql',
    'core.database.path': 'mysql://db/torrust',
    'core.database.user_file': './user',
    'core.database.password_file': './password',
  },
  'a directory of tokens alone': { 'http_api.access_tokens_dir': './tokens' },
};

suite('rules between keys', () => {
  for (const [what, { values, path, says }] of Object.entries(refused)) {
    test(`refuse ${what}`, () => {
      const { problems, message } = configError(() => validate(values));
      assert.equal(problems.length, 1, message);
      assert.equal(problems[0]?.path, path);
      assert.match(problems[0]?.says ?? '', says);
    });
  }

  for (const [what, values] of Object.entries(accepted)) {
    test(`accept ${what}`, () => {
      assert.doesNotThrow(() => validate(values));
    });
  }

  test('are heard beside wrong values elsewhere, but not about a wrong value itself', () => {
    const { problems } = configError(() =>
      validate({
        'core.listed': true,
        'core.announce_policy.interval': 0,
        udp_trackers: [{}, {}],
        http_trackers: [{ bind_address: 'nonsense' }, { bind_address: '127.0.0.1:1313' }],
      }),
    );
    assert.deepEqual(problems.map(({ path }) => path).toSorted(), [
      'core.announce_policy.interval',
      'core.database:',
      'http_trackers[0].bind_address',
      'udp_trackers[1].bind_address:',
    ]);
  });
});

suite('warnings', () => {
  const cases: Readonly<Record<string, [Record<string, unknown>, RegExp]>> = {
    'peers that expire before they announce again': [
      { 'core.tracker_policy.max_peer_timeout': 120 },
      /max_peer_timeout \(120 s\) is not above core\.announce_policy\.interval \(120 s\)/,
    ],
    'a least interval above the interval': [
      { 'core.announce_policy.interval_min': 121 },
      /interval_min \(121 s\)/,
    ],
    'connection ids that nobody checks': [
      { udp_trackers: [{}], 'udp_tracker_server.connection_id_validation': 'disabled' },
      /connection_id_validation is "disabled"/,
    ],
    'trusted proxies of a tracker without a proxy': [
      { 'http_trackers.0.network.trusted_proxies': ['10.0.0.0/8'] },
      /trusted_proxies has no effect/,
    ],
    'parameters of a MySQL URL': [
      { 'core.database.driver': 'mysql', 'core.database.path': 'mysql://user:pass@db/torrust?ssl=true' },
      /what follows the \? of the URL is not used/,
    ],
    'the token of the published examples': [
      { 'http_api.access_tokens': { admin: 'MyAccessToken' } },
      /everyone knows/,
    ],
  };
  for (const [what, [values, text]] of Object.entries(cases)) {
    test(`name ${what}`, () => {
      const warnings = warnAbout(validate(values));
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', text);
    });
  }

  test('are silent about a sound configuration', () => {
    const sound = {
      udp_trackers: [{}],
      http_trackers: [{}],
      'http_api.access_tokens': { admin: 'my-own' },
    };
    assert.deepEqual(warnAbout(validate(sound)), []);
  });
});
