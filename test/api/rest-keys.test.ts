/** Keys over the REST API: what is created, refused, deleted and reloaded, in memory and in the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyState } from '../../tracker/access.ts';
import { parseKeyForm } from '../../tracker/api/key-form.ts';
import type { Database } from '../../tracker/db/client.ts';
import { DatabaseError, type DatabaseErrorCode } from '../../tracker/db/error.ts';
import { type Answer } from './asking.ts';
import { openRestServer, openTestDatabase, type RestServer } from './rest-server.ts';

const TEXT = 'text/plain; charset=utf-8';
const KEY = 'xqD6NWH9TcKrOCwDmqcdH5hF5RrbL0A6';

interface KeyObject {
  readonly key: string;
  readonly valid_until: number | null;
  readonly expiry_time: string | null;
}

function postKeys(server: RestServer, body: string, type = 'application/json'): Promise<Answer> {
  return server.ask('POST', '/api/v1/keys', { headers: type === '' ? {} : { 'content-type': type }, body });
}

function keyObject(answer: Answer): KeyObject {
  assert.deepEqual([answer.status, answer.type], [200, 'application/json; charset=utf-8'], answer.body);
  // The fields are checked by whoever asks.
  return JSON.parse(answer.body) as KeyObject;
}

const forms: readonly [string, string | null, number | null][] = [
  ['a random key that expires', null, 3600],
  ['a random permanent key', null, null],
  ['a given key that expires', KEY, 3600],
  ['a given permanent key', KEY, null],
];

for (const [what, key, seconds] of forms) {
  test(`creates ${what}`, async (context) => {
    const server = await openRestServer(context);
    const before = Math.floor(Date.now() / 1000);
    const created = keyObject(await postKeys(server, JSON.stringify({ key, seconds_valid: seconds })));
    assert.deepEqual(Object.keys(created), ['key', 'valid_until', 'expiry_time']);
    assert.match(created.key, key === null ? /^[A-Za-z0-9]{32}$/ : RegExp(`^${key}$`));
    if (seconds === null) {
      assert.deepEqual([created.valid_until, created.expiry_time], [null, null]);
    } else {
      const until = Number(created.valid_until);
      assert.ok(until >= before + seconds && until <= Date.now() / 1000 + seconds);
      const time = new Date(until * 1000).toISOString();
      assert.equal(created.expiry_time, `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`);
    }
    const stored = { key: created.key, validUntilSeconds: created.valid_until };
    assert.deepEqual(await server.database?.loadKeys(), [stored]);
    assert.equal(server.access.checkKey(created.key, Date.now() / 1000), KeyState.valid);
  });
}

test('creates a key by the old path', async (context) => {
  const server = await openRestServer(context);
  const created = keyObject(await server.ask('POST', '/api/v1/key/60'));
  assert.match(created.key, /^[A-Za-z0-9]{32}$/);
  assert.ok(Math.abs(Number(created.valid_until) - Date.now() / 1000 - 60) < 5);
  assert.equal(server.access.checkKey(created.key, Date.now() / 1000), KeyState.valid);
});

test('creates a key that has expired at once', async (context) => {
  const server = await openRestServer(context);
  const created = keyObject(await postKeys(server, `{"key":"${KEY}","seconds_valid":0}`));
  assert.equal(server.access.checkKey(KEY, Number(created.valid_until) + 0.1), KeyState.expired);
});

test('names times beyond the year 9999', async (context) => {
  const server = await openRestServer(context);
  const created = keyObject(await server.ask('POST', '/api/v1/key/1000000000000'));
  assert.match(String(created.expiry_time), /^\+33\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
});

test('reads members in any order, unknown ones, and content types with parameters or suffixes', async (context) => {
  const server = await openRestServer(context);
  const bodies: [string, string][] = [
    ['{"seconds_valid":1,"key":null}', 'application/json; charset=utf-8'],
    ['{"key":null,"seconds_valid":1,"more":{"seconds_valid":"x"}}', 'Application/JSON'],
    ['\n{"key":null,\n"seconds_valid":null}\n', 'application/vnd.api+json'],
  ];
  for (const [body, type] of bodies) keyObject(await postKeys(server, body, type));
});

const formFault = (fault: string): string =>
  `Failed to deserialize the JSON body into the target type: ${fault}`;
const badKey = (key: string, cause: string): string =>
  `Invalid URL: invalid auth key: string "${key}", ${cause}`;
const badLength = 'Invalid key length. Key must be have 32 chars';
const badCharacters = 'Invalid chars for key. Key can only alphanumeric chars (0-9, a-z, A-Z)';
const badType = 'Expected request with `Content-Type: application/json`';
const badDuration = (seconds: string): string => `Invalid URL: invalid auth key duration: "${seconds}"`;

const refusedForms: readonly [string, string, string, number, string | RegExp][] = [
  ['no content type', '{"key":null,"seconds_valid":1}', '', 415, badType],
  ['another content type', '{"key":null,"seconds_valid":1}', 'text/plain', 415, badType],
  ['a nearly right content type', '{}', 'application/jsonx', 415, badType],
  ['an empty body', '', 'application/json', 400, /^Failed to parse the request body as JSON: ./],
  ['broken JSON', '{"key":', 'application/json', 400, /^Failed to parse the request body as JSON: ./],
  [
    'a missing key',
    '{"seconds_valid":60}',
    'application/json',
    422,
    formFault('missing field `key` at line 1 column 20'),
  ],
  [
    'missing seconds',
    '{\n"key":null }\n',
    'application/json',
    422,
    formFault('missing field `seconds_valid` at line 2 column 12'),
  ],
  ['an empty object', '{}', 'application/json', 422, formFault('missing field `key` at line 1 column 2')],
  ['a list', '[1]', 'application/json', 422, RegExp(`^${formFault('invalid type: sequence, expected')}`)],
  ['null', 'null', 'application/json', 422, RegExp(`^${formFault('invalid type: null, expected')}`)],
  ['a number', '5', 'application/json', 422, RegExp(`^${formFault('invalid type: integer `5`, expected')}`)],
  [
    'seconds in a string',
    '{"key":null,"seconds_valid":"60"}',
    'application/json',
    422,
    formFault('seconds_valid: invalid type: string "60", expected u64'),
  ],
  [
    'seconds with a fraction',
    '{"key":null,"seconds_valid":1.5}',
    'application/json',
    422,
    formFault('seconds_valid: invalid type: floating point `1.5`, expected u64'),
  ],
  [
    'negative seconds',
    '{"key":null,"seconds_valid":-1}',
    'application/json',
    422,
    formFault('seconds_valid: invalid value: integer `-1`, expected u64'),
  ],
  [
    'seconds that are true',
    '{"key":null,"seconds_valid":true}',
    'application/json',
    422,
    formFault('seconds_valid: invalid type: boolean `true`, expected u64'),
  ],
  [
    'seconds beyond 64 bits',
    '{"key":null,"seconds_valid":18446744073709551616}',
    'application/json',
    422,
    RegExp(`^${formFault('seconds_valid: invalid type: floating point')}`),
  ],
  [
    'a key that is a number',
    '{"key":5,"seconds_valid":1}',
    'application/json',
    422,
    formFault('key: invalid type: integer `5`, expected a string'),
  ],
  ['a short key', '{"key":"short","seconds_valid":1}', 'application/json', 400, badKey('short', badLength)],
  ['an empty key', '{"key":"","seconds_valid":null}', 'application/json', 400, badKey('', badLength)],
  [
    'a key with a sign',
    `{"key":"${KEY.slice(1)}%","seconds_valid":1}`,
    'application/json',
    400,
    badKey(`${KEY.slice(1)}%`, badCharacters),
  ],
  [
    'a key of 32 characters and more bytes',
    `{"key":"${KEY.slice(1)}é","seconds_valid":1}`,
    'application/json',
    400,
    badKey(`${KEY.slice(1)}é`, badLength),
  ],
  [
    'a given key that would outlive the calendar',
    `{"key":"${KEY}","seconds_valid":18446744073709551615}`,
    'application/json',
    400,
    badDuration('18446744073709551615'),
  ],
  [
    'a random key that would outlive the calendar',
    '{"key":null,"seconds_valid":9007199254740993}',
    'application/json',
    400,
    badDuration('9007199254740993'),
  ],
];

test('refuses bodies with what is wrong in them, and creates nothing', async (context) => {
  const server = await openRestServer(context);
  for (const [what, body, type, status, expected] of refusedForms) {
    const answer = await postKeys(server, body, type);
    assert.deepEqual([answer.status, answer.type], [status, TEXT], what);
    if (typeof expected === 'string') assert.equal(answer.body, expected, what);
    else assert.match(answer.body, expected, what);
  }
  assert.deepEqual(await server.database?.loadKeys(), []);
  assert.equal(server.access.keysSize, 0);
});

test('answers every JSON text as a form with two members, or not at all', () => {
  fc.assert(
    fc.property(fc.json(), (body) => {
      const parsed = parseKeyForm('application/json', body);
      if (parsed.kind === 'refused') assert.ok([400, 422].includes(parsed.reply.status));
      else assert.deepEqual(Object.keys(parsed.value), ['key', 'secondsValid']);
    }),
  );
});

const badPaths: readonly [string, string, string][] = [
  ['POST', '/api/v1/key/-1', 'Invalid URL: Cannot parse `"-1"` to a `u64`'],
  ['POST', '/api/v1/key/invalid', 'Invalid URL: Cannot parse `"invalid"` to a `u64`'],
  ['POST', '/api/v1/key/1.1', 'Invalid URL: Cannot parse `"1.1"` to a `u64`'],
  ['POST', '/api/v1/key/%22', 'Invalid URL: Cannot parse `"\\""` to a `u64`'],
  [
    'POST',
    '/api/v1/key/18446744073709551616',
    'Invalid URL: Cannot parse `"18446744073709551616"` to a `u64`',
  ],
  ['POST', '/api/v1/key/18446744073709551615', badDuration('18446744073709551615')],
  ['POST', '/api/v1/key/9000000000000', badDuration('9000000000000')],
  ['DELETE', '/api/v1/key/0', 'Invalid auth key id param "0"'],
  ['DELETE', `/api/v1/key/${KEY}x`, `Invalid auth key id param "${KEY}x"`],
  ['DELETE', `/api/v1/key/${KEY.slice(1)}%2D`, `Invalid auth key id param "${KEY.slice(1)}-"`],
];

test('refuses paths that hold neither seconds nor a key', async (context) => {
  const server = await openRestServer(context);
  for (const [method, path, body] of badPaths) {
    const answer = await server.ask(method, path);
    assert.deepEqual([answer.status, answer.type, answer.body], [400, TEXT, body], path);
  }
});

test('deletes a key, and fails to delete it again', async (context) => {
  const server = await openRestServer(context);
  await postKeys(server, `{"key":"${KEY}","seconds_valid":null}`);
  const deleted = await server.ask('DELETE', `/api/v1/key/${KEY}`);
  assert.deepEqual(
    [deleted.status, deleted.type, deleted.body],
    [200, 'application/json', '{"status":"ok"}'],
  );
  assert.equal(server.access.checkKey(KEY, 0), KeyState.unknown);
  assert.deepEqual(await server.database?.loadKeys(), []);
  const again = await server.ask('DELETE', `/api/v1/key/${KEY}`);
  assert.deepEqual(
    [again.status, again.type, again.body],
    [
      500,
      TEXT,
      'Unhandled rejection: Err { reason: "failed to delete key: Failed to remove record from Sqlite3 database, error-code: 0" }',
    ],
  );
});

test('refuses a key that is there, and keeps it as it was', async (context) => {
  const server = await openRestServer(context);
  await postKeys(server, `{"key":"${KEY}","seconds_valid":null}`);
  const answer = await postKeys(server, `{"key":"${KEY}","seconds_valid":0}`);
  assert.deepEqual(
    [answer.status, answer.body],
    [
      500,
      'Unhandled rejection: Err { reason: "failed to generate key: The Sqlite3 query was malformed: UNIQUE constraint failed: keys.key" }',
    ],
  );
  assert.equal(server.access.checkKey(KEY, Date.now()), KeyState.valid);
});

test('reloads the keys that other programs wrote, and drops those that they removed', async (context) => {
  const server = await openRestServer(context);
  await postKeys(server, `{"key":"${KEY}","seconds_valid":null}`);
  const other = 'o'.repeat(32);
  await server.database?.removeKey(KEY);
  await server.database?.addKey({ key: other, validUntilSeconds: 2_000_000_000 });
  assert.equal(server.access.checkKey(KEY, 0), KeyState.valid);
  const answer = await server.ask('GET', '/api/v1/keys/reload');
  assert.deepEqual([answer.status, answer.type, answer.body], [200, 'application/json', '{"status":"ok"}']);
  assert.equal(server.access.checkKey(KEY, 0), KeyState.unknown);
  assert.equal(server.access.checkKey(other, 2_000_000_000), KeyState.valid);
});

test('gives a key that other programs removed its new lifetime when it is created again', async (context) => {
  const server = await openRestServer(context);
  await postKeys(server, `{"key":"${KEY}","seconds_valid":null}`);
  await server.database?.removeKey(KEY);
  const created = keyObject(await postKeys(server, `{"key":"${KEY}","seconds_valid":60}`));
  assert.equal(server.access.checkKey(KEY, Number(created.valid_until) + 1), KeyState.expired);
});

test('keeps a key that is created while a reload runs', async (context) => {
  const database = await openTestDatabase(context);
  const gate = Promise.withResolvers<void>();
  const slow: Database = {
    ...database,
    async loadKeys() {
      const keys = await database.loadKeys();
      await gate.promise;
      return keys;
    },
  };
  const server = await openRestServer(context, { database: slow });
  const reloading = server.ask('GET', '/api/v1/keys/reload');
  const creating = postKeys(server, `{"key":"${KEY}","seconds_valid":null}`);
  gate.resolve();
  assert.deepEqual([(await reloading).status, (await creating).status], [200, 200]);
  assert.equal(server.access.checkKey(KEY, 0), KeyState.valid);
});

/** What the answer to a change adds when the database may have made it. */
const DOUBT = '; whether it was done all the same is seen when the database answers again';
const failures: readonly [DatabaseErrorCode, string][] = [
  ['unavailable', 'Failed to connect to MySQL database: told by the \\"server\\"'],
  ['closed', 'Failed to connect to MySQL database: told by the \\"server\\"'],
  ['refused', 'The MySQL query was malformed: told by the \\"server\\"'],
  ['malformed', 'The MySQL query was malformed: told by the \\"server\\"'],
];
const hash = 'a'.repeat(40);
const attempts: readonly [string, string, string][] = [
  ['POST', '/api/v1/key/60', 'failed to generate key'],
  ['DELETE', `/api/v1/key/${KEY}`, 'failed to delete key'],
  ['GET', '/api/v1/keys/reload', 'failed to reload keys'],
  ['POST', `/api/v1/whitelist/${hash}`, 'failed to whitelist torrent'],
  ['DELETE', `/api/v1/whitelist/${hash}`, 'failed to remove torrent from whitelist'],
  ['GET', '/api/v1/whitelist/reload', 'failed to reload whitelist'],
];

for (const [code, text] of failures) {
  test(`tells what failed when the database is ${code}, and changes nothing`, async (context) => {
    const database = await openTestDatabase(context);
    const fail = (): Promise<never> =>
      Promise.reject(
        new DatabaseError({ code, driver: 'MySQL', operation: 'addKey', detail: 'told by the "server"' }),
      );
    const failing: Database = {
      ...database,
      addKey: fail,
      removeKey: fail,
      loadKeys: fail,
      addToWhitelist: fail,
      removeFromWhitelist: fail,
      loadWhitelist: fail,
    };
    const server = await openRestServer(context, { database: failing });
    server.access.addKey({ key: KEY, validUntilSeconds: null });
    server.access.addInfoHash('b'.repeat(40));
    for (const [method, path, attempt] of attempts) {
      const answer = await server.ask(method, path);
      const doubt = code === 'unavailable' && method !== 'GET' ? DOUBT : '';
      assert.deepEqual(
        [answer.status, answer.type, answer.body],
        [500, TEXT, `Unhandled rejection: Err { reason: "${attempt}: ${text}${doubt}" }`],
      );
    }
    assert.deepEqual([server.access.keysSize, server.access.whitelistSize], [1, 1]);
    assert.deepEqual(server.faults, []);
  });
}

test('tells that a change has no database to go to', async (context) => {
  const server = await openRestServer(context, { database: null });
  for (const [method, path, attempt] of attempts) {
    const answer = await server.ask(method, path);
    assert.deepEqual(
      [answer.status, answer.type, answer.body],
      [500, TEXT, `Unhandled rejection: Err { reason: "${attempt}: no database is configured" }`],
    );
  }
  assert.deepEqual([server.access.keysSize, server.access.whitelistSize], [0, 0]);
});
