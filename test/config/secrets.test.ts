import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { resolveDatabase } from '../../tracker/config/database-options.ts';
import { readSecrets } from '../../tracker/config/secrets.ts';
import { configError, temporaryFolder, validate } from './sample.ts';

const mysql = {
  'core.database.driver': 'mysql',
  'core.database.host': 'db',
  'core.database.database': 'torrust',
};

suite('the tokens of the API', () => {
  test('are those of the configuration', () => {
    const secrets = readSecrets(validate({ 'http_api.access_tokens': { admin: 'one', ci: 'two' } }));
    assert.deepEqual(
      [...secrets.apiTokens],
      [
        ['admin', 'one'],
        ['ci', 'two'],
      ],
    );
  });

  test('are none without an API', () => {
    assert.equal(readSecrets(validate({})).apiTokens.size, 0);
  });

  test('are the files of a mounted secret, without its bookkeeping', (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, '..2026_11_22'));
    writeFileSync(join(folder, '..2026_11_22', 'admin'), 'one\n');
    writeFileSync(join(folder, '..2026_11_22', 'ci'), 'two');
    symlinkSync('..2026_11_22', join(folder, '..data'));
    symlinkSync(join('..data', 'admin'), join(folder, 'admin'));
    symlinkSync(join('..data', 'ci'), join(folder, 'ci'));
    mkdirSync(join(folder, 'lost+found'));
    const secrets = readSecrets(validate({ 'http_api.access_tokens_dir': folder }));
    assert.deepEqual(
      [...secrets.apiTokens],
      [
        ['admin', 'one'],
        ['ci', 'two'],
      ],
    );
  });
});

suite('the user and password of the database', () => {
  test('come from the configuration', () => {
    const config = validate({ ...mysql, 'core.database.user': 'me', 'core.database.password': 'hush' });
    const { databaseUser, databasePassword } = readSecrets(config);
    assert.deepEqual([databaseUser, databasePassword], ['me', 'hush']);
  });

  test('come from files, without the line end', (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'user'), 'me\r\n');
    writeFileSync(join(folder, 'password'), ' hush \n');
    const config = validate({
      ...mysql,
      'core.database.user_file': join(folder, 'user'),
      'core.database.password_file': join(folder, 'password'),
    });
    const { databaseUser, databasePassword } = readSecrets(config);
    assert.deepEqual([databaseUser, databasePassword], ['me', ' hush ']);
  });

  test('come from a URL', () => {
    const config = validate({
      'core.database.driver': 'mysql',
      'core.database.path': 'mysql://m%40e:h%23ush@db/torrust',
    });
    const { databaseUser, databasePassword } = readSecrets(config);
    assert.deepEqual([databaseUser, databasePassword], ['m@e', 'h#ush']);
  });
});

suite('a secret that cannot be used', () => {
  test('is named by its key and its file', (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'empty'), '\n');
    const tokens = join(folder, 'tokens');
    mkdirSync(tokens);
    writeFileSync(join(tokens, 'admin'), 'hush\nhush');
    const cases: [Record<string, unknown>, string][] = [
      [
        { ...mysql, 'core.database.user': 'me', 'core.database.password_file': join(folder, 'no') },
        `core.database.password_file: the secret in ${join(folder, 'no')} cannot be used: it does not exist.`,
      ],
      [
        { ...mysql, 'core.database.user_file': join(folder, 'empty') },
        `core.database.user_file: the secret in ${join(folder, 'empty')} cannot be used: it is empty.`,
      ],
      [
        { ...mysql, 'core.database.user_file': folder },
        `core.database.user_file: the secret in ${folder} cannot be used: it is a folder.`,
      ],
      [
        { 'http_api.access_tokens_dir': join(folder, 'empty') },
        `http_api.access_tokens_dir: the secret in ${join(folder, 'empty')} cannot be used: it is no folder.`,
      ],
      [
        { 'http_api.access_tokens_dir': tokens },
        `http_api.access_tokens_dir: the secret in ${join(tokens, 'admin')} cannot be used: a token is a text of printable ASCII characters, without spaces at its ends.`,
      ],
    ];
    for (const [values, message] of cases) {
      const error = configError(() => readSecrets(validate(values)));
      assert.equal(error.code, 'secret_unreadable');
      assert.equal(error.message, message);
    }
  });
});

suite('the database', () => {
  const resolve = (values: Record<string, unknown>) => {
    const config = validate(values);
    return resolveDatabase(config, readSecrets(config));
  };

  test('is none when the configuration names none', () => {
    assert.equal(resolve({}), undefined);
  });

  test('is SQLite under the default path', () => {
    assert.deepEqual(resolve({ 'core.database': {} }), {
      kind: 'sqlite3',
      path: './storage/tracker/lib/database/sqlite3.db',
    });
  });

  test('is the same MySQL server by keys and by URL', () => {
    const expected = {
      kind: 'mysql',
      host: 'db',
      port: 3306,
      user: 'me',
      password: 'hush',
      database: 'torrust',
      tls: undefined,
    };
    assert.deepEqual(
      resolve({ ...mysql, 'core.database.user': 'me', 'core.database.password': 'hush' }),
      expected,
    );
    assert.deepEqual(
      resolve({ 'core.database': { driver: 'mysql', path: 'mysql://me:hush@db/torrust' } }),
      expected,
    );
  });

  test('is encrypted when its table of TLS is there', () => {
    const database = resolve({
      ...mysql,
      'core.database.user': 'me',
      'core.database.tls.ca_file': './ca.pem',
    });
    assert.deepEqual(database?.kind === 'mysql' && database.tls, {
      caFile: './ca.pem',
      certFile: undefined,
      keyFile: undefined,
    });
  });
});
