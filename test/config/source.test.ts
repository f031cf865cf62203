import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { loadConfig } from '../../tracker/config/load.ts';
import { describeSource } from '../../tracker/config/source.ts';
import { configError, fixture, loadText, minimalToml, temporaryFolder } from './sample.ts';

/** A configuration that is recognized by its number of seconds. */
function numbered(seconds: number): string {
  return `${minimalToml}inactive_peer_cleanup_interval = ${seconds}\n`;
}

suite('the source of the configuration', () => {
  const all = {
    '--config': 1,
    TORRUST_TRACKER_CONFIG_TOML: 2,
    TORRUST_TRACKER_CONFIG: 3,
    TORRUST_TRACKER_CONFIG_TOML_PATH: 4,
    TORRUST_TRACKER_PATH_CONFIG: 5,
    './tracker.toml': 6,
  };
  const names = Object.keys(all);

  for (const [index, winner] of names.entries()) {
    const below = names.slice(index);
    test(`is ${winner} when these are there: ${below.join(', ')}`, (t) => {
      const cwd = temporaryFolder(t);
      for (const number of Object.values(all)) writeFileSync(join(cwd, `${number}.toml`), numbered(number));
      const env: Record<string, string> = {};
      if (below.includes('TORRUST_TRACKER_CONFIG_TOML')) env['TORRUST_TRACKER_CONFIG_TOML'] = numbered(2);
      if (below.includes('TORRUST_TRACKER_CONFIG')) env['TORRUST_TRACKER_CONFIG'] = numbered(3);
      if (below.includes('TORRUST_TRACKER_CONFIG_TOML_PATH'))
        env['TORRUST_TRACKER_CONFIG_TOML_PATH'] = './4.toml';
      if (below.includes('TORRUST_TRACKER_PATH_CONFIG'))
        env['TORRUST_TRACKER_PATH_CONFIG'] = join(cwd, '5.toml');
      writeFileSync(join(cwd, 'tracker.toml'), numbered(6));
      const path = below.includes('--config') ? { path: '1.toml' } : {};

      const { config, source } = loadConfig({ ...path, env, cwd });
      assert.equal(config.core.inactive_peer_cleanup_interval, index + 1);
      if (winner.startsWith('TORRUST') && !winner.includes('PATH')) {
        assert.deepEqual(source, { kind: 'environment', variable: winner });
      } else {
        const file = winner === './tracker.toml' ? 'tracker.toml' : `${index + 1}.toml`;
        assert.deepEqual(source, { kind: 'file', path: join(cwd, file) });
      }
    });
  }

  test('is no variable with an empty text', (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'tracker.toml'), numbered(6));
    const env = { TORRUST_TRACKER_CONFIG_TOML: '', TORRUST_TRACKER_CONFIG_TOML_PATH: '' };
    assert.equal(loadConfig({ env, cwd }).config.core.inactive_peer_cleanup_interval, 6);
  });

  test('says so when --config hides a variable', (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'my.toml'), minimalToml);
    const { warnings } = loadConfig({
      path: 'my.toml',
      env: { TORRUST_TRACKER_CONFIG_TOML: minimalToml },
      cwd,
    });
    assert.deepEqual(warnings, ['TORRUST_TRACKER_CONFIG_TOML is not read, since --config names a file']);
  });

  test('of a variable is looked for in the folders above, too', (t) => {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, 'a', 'b'), { recursive: true });
    mkdirSync(join(cwd, 'etc'));
    writeFileSync(join(cwd, 'etc', 'my.toml'), numbered(7));
    const env = { TORRUST_TRACKER_CONFIG_TOML_PATH: './etc/my.toml' };
    const { source } = loadConfig({ env, cwd: join(cwd, 'a', 'b') });
    assert.deepEqual(source, { kind: 'file', path: join(cwd, 'etc', 'my.toml') });
  });

  test('may begin with a byte order mark', (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'tracker.toml'), `\uFEFF${minimalToml}`);
    assert.equal(loadConfig({ env: {}, cwd }).generation, '3.0.0');
  });

  test('is described without its text', () => {
    const text = describeSource(loadText(`${minimalToml}[http_api.access_tokens]\nadmin = "hush"\n`).source);
    assert.equal(text, 'Configuration from the environment variable TORRUST_TRACKER_CONFIG_TOML');
  });
});

suite('overrides', () => {
  const name = 'TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__INACTIVE_PEER_CLEANUP_INTERVAL';

  test('win over a file that the command names, and are listed by name', (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'my.toml'), numbered(1));
    const { config, overrides } = loadConfig({ path: 'my.toml', env: { [name]: '99' }, cwd });
    assert.equal(config.core.inactive_peer_cleanup_interval, 99);
    assert.deepEqual(overrides, [name]);
  });

  test('win over a text', () => {
    assert.equal(loadText(numbered(1), { [name]: '99' }).config.core.inactive_peer_cleanup_interval, 99);
  });

  test('open the API on loopback when they only set a token', () => {
    const { config } = loadText(minimalToml, {
      TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN: 'secret',
    });
    assert.deepEqual(config.http_api, { bind_address: '127.0.0.1:1212', access_tokens: { admin: 'secret' } });
  });

  test('replace a whole list', () => {
    const { config } = loadText(
      `${minimalToml}[[udp_trackers]]\n[[udp_trackers]]\nbind_address = "0.0.0.0:1"\n`,
      {
        TORRUST_TRACKER_CONFIG_OVERRIDE_UDP_TRACKERS: '[{bind_address="0.0.0.0:7"}]',
      },
    );
    assert.deepEqual(
      config.udp_trackers.map((tracker) => tracker.bind_address),
      ['0.0.0.0:7'],
    );
  });

  test('are a configuration of their own when they name its version, and nothing is written', (t) => {
    const cwd = temporaryFolder(t);
    const env = {
      TORRUST_TRACKER_CONFIG_OVERRIDE_METADATA__SCHEMA_VERSION: '2.0.0',
      TORRUST_TRACKER_CONFIG_OVERRIDE_LOGGING__THRESHOLD: 'info',
      TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__LISTED: 'false',
      TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__PRIVATE: 'false',
    };
    const { source, generation } = loadConfig({ env, cwd });
    assert.deepEqual(source, {
      kind: 'environment',
      variable: 'TORRUST_TRACKER_CONFIG_OVERRIDE_METADATA__SCHEMA_VERSION',
    });
    assert.equal(generation, '2.0.0');
    assert.deepEqual(readdirSync(cwd), []);
  });
});

suite('a file that is not there', () => {
  test('is refused when the command names it', (t) => {
    const cwd = temporaryFolder(t);
    const error = configError(() => loadConfig({ path: 'no.toml', env: {}, cwd }));
    assert.equal(error.code, 'file_missing');
    assert.equal(
      error.message,
      'The configuration file no.toml does not exist (named by --config). Only ./tracker.toml is written when it is missing.',
    );
    assert.deepEqual(readdirSync(cwd), []);
  });

  for (const variable of ['TORRUST_TRACKER_CONFIG_TOML_PATH', 'TORRUST_TRACKER_PATH_CONFIG']) {
    test(`is refused when ${variable} names it`, (t) => {
      const env = { [variable]: './no-such-folder-anywhere/no.toml' };
      const error = configError(() => loadConfig({ env, cwd: temporaryFolder(t) }));
      assert.equal(error.code, 'file_missing');
      assert.ok(error.message.includes(`named by ${variable}`), error.message);
    });
  }

  test('is not a folder', (t) => {
    const cwd = temporaryFolder(t);
    const error = configError(() => loadConfig({ path: '.', env: {}, cwd }));
    assert.equal(error.code, 'file_unreadable');
    assert.equal(error.message, 'The configuration file . cannot be read: it is a folder.');
  });
});

suite('the default file', () => {
  test('is written when it is missing, for its owner only, and used', (t) => {
    const cwd = temporaryFolder(t);
    const first = loadConfig({ env: {}, cwd });
    const path = join(cwd, 'tracker.toml');
    assert.deepEqual(first.source, { kind: 'generated', path });
    assert.match(describeSource(first.source), new RegExp(`written to ${path}`));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(cwd), ['tracker.toml']);

    const token = first.config.http_api?.access_tokens['admin'] ?? '';
    assert.match(token, /^[\w-]{32,}$/);
    assert.ok(readFileSync(path, 'utf8').includes(token));
    assert.ok(!describeSource(first.source).includes(token));
    assert.deepEqual(first.warnings, []);

    const second = loadConfig({ env: {}, cwd });
    assert.deepEqual(second.source, { kind: 'file', path });
    assert.deepEqual(second.config, first.config);
  });

  test('starts every service where users expect it', (t) => {
    const { config } = loadConfig({ env: {}, cwd: temporaryFolder(t) });
    assert.deepEqual(
      config.udp_trackers.map((tracker) => tracker.bind_address),
      ['0.0.0.0:6969'],
    );
    assert.deepEqual(
      config.http_trackers.map((tracker) => tracker.bind_address),
      ['0.0.0.0:7070'],
    );
    assert.equal(config.http_api?.bind_address, '127.0.0.1:1212');
    assert.equal(config.health_check_api.bind_address, '127.0.0.1:1313');
    assert.deepEqual(config.core.database, {
      driver: 'sqlite3',
      path: './storage/tracker/lib/database/sqlite3.db',
    });
    const { interval, interval_min } = config.core.announce_policy;
    assert.deepEqual([interval, interval_min], [300, 300]);
  });

  test('has a token of its own each time', (t) => {
    const tokens = [1, 2].map(
      () => loadConfig({ env: {}, cwd: temporaryFolder(t) }).config.http_api?.access_tokens,
    );
    assert.notDeepEqual(tokens[0], tokens[1]);
  });

  test('is not written on request; the defaults stand in for it, with the API closed', (t) => {
    const cwd = temporaryFolder(t);
    const { config, source, warnings } = loadConfig({ env: {}, cwd, generate: false });
    assert.deepEqual(source, { kind: 'defaults', reason: './tracker.toml does not exist' });
    assert.deepEqual(readdirSync(cwd), []);
    assert.deepEqual([config.http_api, config.core.database], [undefined, undefined]);
    assert.equal(config.udp_trackers.length, 1);
    assert.deepEqual(warnings, [
      './tracker.toml does not exist: the defaults are used, without a database, with the REST API closed',
    ]);
  });

  test('is not needed in a folder that takes no files', (t) => {
    const cwd = readOnlyFolder(temporaryFolder(t));
    const { config, source, warnings } = loadConfig({ env: {}, cwd });
    assert.equal(source.kind, 'defaults');
    assert.equal(config.http_api, undefined);
    assert.match(
      warnings[0] ?? '',
      /cannot be written here \(E\w+\): the defaults are used, .*with the REST API closed$/,
    );
    assert.equal(existsSync(join(cwd, 'tracker.toml')), false);
  });

  test('does not hide the file of an older version in silence', (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, 'config.toml'), fixture('flat-generated.toml'));
    const { source, warnings } = loadConfig({ env: {}, cwd });
    assert.equal(source.kind, 'generated');
    assert.match(
      warnings.join('\n'),
      /^\.\/config\.toml, where older versions looked, is there and was not read/,
    );
  });
});

/** A folder that refuses new files to everyone, the superuser included: a kernel's own one, where there is one. */
function readOnlyFolder(fallback: string): string {
  if (existsSync('/sys/kernel')) return '/sys/kernel';
  chmodSync(fallback, 0o500);
  return fallback;
}
