import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { writeDefaultConfig } from '../../tracker/config/generate.ts';
import { loadConfig } from '../../tracker/config/load.ts';
import { configError, loadText, temporaryFolder } from './sample.ts';

suite('writing the default configuration', () => {
  test('makes the folders on its way and leaves nothing but the file', (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'storage', 'etc', 'tracker.toml');
    assert.deepEqual(writeDefaultConfig(path), { kind: 'written' });
    assert.deepEqual(readdirSync(join(folder, 'storage', 'etc')), ['tracker.toml']);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(loadText(readFileSync(path, 'utf8')).warnings, []);
  });

  test('never replaces a file', (t) => {
    const path = join(temporaryFolder(t), 'tracker.toml');
    writeFileSync(path, 'mine');
    assert.deepEqual(writeDefaultConfig(path), { kind: 'exists' });
    assert.equal(readFileSync(path, 'utf8'), 'mine');
  });

  const drivers: Record<string, { env: Record<string, string>; driver: string }> = {
    'SQLite when nobody asks': { env: {}, driver: 'sqlite3' },
    'SQLite when a variable is empty': { env: { TORRUST_TRACKER_DATABASE_DRIVER: '' }, driver: 'sqlite3' },
    "MySQL by the name of the flat era's container, in any case": {
      env: { TORRUST_TRACKER_DATABASE_DRIVER: 'MySQL' },
      driver: 'mysql',
    },
    'MySQL by its override': {
      env: { TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER: 'mysql' },
      driver: 'mysql',
    },
    'what the override says before the older name': {
      env: {
        TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER: 'sqlite3',
        TORRUST_TRACKER_DATABASE_DRIVER: 'mysql',
      },
      driver: 'sqlite3',
    },
  };
  for (const [title, { env, driver }] of Object.entries(drivers)) {
    test(`has the database be ${title}`, (t) => {
      const cwd = temporaryFolder(t);
      const { config, source } = loadConfig({ env, cwd });
      assert.equal(source.kind, 'generated');
      assert.equal(config.core.database?.driver, driver);
      // The next start reads the file, whatever the older name says then.
      const again = loadConfig({ env: { TORRUST_TRACKER_DATABASE_DRIVER: 'sqlite3' }, cwd });
      assert.equal(again.config.core.database?.driver, driver);
      if (driver === 'mysql') assert.equal(again.config.core.database?.host, 'mysql');
    });
  }

  test('names a driver that there is not', (t) => {
    const cwd = temporaryFolder(t);
    const env = { TORRUST_TRACKER_DATABASE_DRIVER: 'postgresql' };
    const error = configError(() => loadConfig({ env, cwd }));
    assert.match(
      error.message,
      /TORRUST_TRACKER_DATABASE_DRIVER: core\.database\.driver is "postgresql"[^]*"sqlite3", "mysql"/,
    );
    assert.deepEqual(readdirSync(cwd), []);
  });

  test('says why it cannot', (t) => {
    const file = join(temporaryFolder(t), 'file');
    writeFileSync(file, '');
    const error = configError(() => writeDefaultConfig(join(file, 'below', 'tracker.toml')));
    assert.equal(error.code, 'file_unwritable');
    assert.match(error.message, /tracker\.toml: ENOTDIR\.$/);
  });
});
