/** Changes over the REST API that the database makes late, or without saying so: the answer, and what memory holds then. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeyState } from '../../tracker/access.ts';
import type { Database } from '../../tracker/db/client.ts';
import { DatabaseError } from '../../tracker/db/error.ts';
import { waitFor } from '../support/waiting.ts';
import { openRestServer, openTestDatabase } from './rest-server.ts';

const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const HASH = 'a'.repeat(40);
const DOUBT = '; whether it was done all the same is seen when the database answers again" }';

function silence(operation: 'addKey' | 'addToWhitelist'): DatabaseError {
  return new DatabaseError({ code: 'unavailable', driver: 'MySQL', operation, detail: 'no answer' });
}

test('a change that the database made without saying so is in memory soon', async (context) => {
  const database = await openTestDatabase(context);
  const forgetful: Database = {
    ...database,
    async addKey(key) {
      await database.addKey(key);
      throw silence('addKey');
    },
    async addToWhitelist(infoHash) {
      await database.addToWhitelist(infoHash);
      throw silence('addToWhitelist');
    },
  };
  const server = await openRestServer(context, { database: forgetful });
  const added = await server.ask('POST', '/api/v1/key/60');
  const listed = await server.ask('POST', `/api/v1/whitelist/${HASH}`);
  for (const { status, body } of [added, listed]) {
    assert.equal(status, 500);
    assert.ok(body.endsWith(`Failed to connect to MySQL database: no answer${DOUBT}`), body);
  }
  await waitFor('both in memory', () => server.access.keysSize === 1 && server.access.whitelistSize === 1);
});

test('a change that lasts is answered before the request is given up, and is in memory when it is made', async (context) => {
  const database = await openTestDatabase(context);
  const gate = Promise.withResolvers<void>();
  const slow: Database = {
    ...database,
    async addKey(key) {
      await gate.promise;
      await database.addKey(key);
    },
  };
  const server = await openRestServer(context, { database: slow });
  // Another that waits for its turn meanwhile is not made at all.
  const [lasting, waiting] = await Promise.all([
    server.ask('POST', `/api/v1/keys`, {
      headers: { 'content-type': 'application/json' },
      body: `{"key":"${KEY}","seconds_valid":null}`,
    }),
    server.ask('POST', '/api/v1/key/60'),
  ]);
  assert.deepEqual([lasting.status, waiting.status], [500, 500]);
  assert.ok(lasting.body.endsWith(`the database does not answer${DOUBT}`), lasting.body);
  assert.ok(waiting.body.endsWith('earlier changes wait for the database" }'), waiting.body);
  gate.resolve();
  await waitFor('the key in memory', () => server.access.checkKey(KEY, 0) === KeyState.valid);
  // What was to come behind it would have come by the end of the next.
  await server.api.keys.remove(KEY);
  await nextTurn();
  assert.deepEqual([server.access.keysSize, await database.loadKeys()], [0, []]);
});
