/** What is particular to a database behind a network: it goes away, it hangs, it comes back, its password changes. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Database, DatabaseHooks } from '../../tracker/db/client.ts';
import { DatabaseError } from '../../tracker/db/error.ts';
import {
  defaultTiming,
  type DatabaseOptions,
  type DatabaseState,
  type DatabaseTiming,
} from '../../tracker/db/model.ts';
import { openLink, type Link, type MysqlAccess } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';
import { sharedMariadb, siteAt } from './drivers.ts';

const timing: DatabaseTiming = {
  ...defaultTiming,
  callDeadlineMillis: 1_500,
  retryMinMillis: 50,
  retryMaxMillis: 200,
};
const key = { key: 'someKey'.padEnd(32, '0'), validUntilSeconds: null };
const stateDeadlineMillis = 30_000;

/** Waits for a state of the database; collects all states that were reported. */
function watch(): {
  states: DatabaseState[];
  hooks: DatabaseHooks;
  reach(kind: DatabaseState['kind']): Promise<void>;
} {
  const states: DatabaseState[] = [];
  const waiting: { kind: string; resolve(): void }[] = [];
  return {
    states,
    hooks: {
      onStateChange(state) {
        states.push(state);
        for (const waiter of waiting) if (waiter.kind === state.kind) waiter.resolve();
      },
    },
    reach(kind) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = setTimeout(
        () => reject(new Error(`never ${kind}: ${JSON.stringify(states)}`)),
        stateDeadlineMillis,
      );
      waiting.push({ kind, resolve });
      return promise.finally(() => clearTimeout(timer));
    },
  };
}

function isUnavailable(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === 'unavailable' && error.driver === 'MySQL';
}

async function linkedDatabase(
  context: TestContext,
): Promise<{ access: MysqlAccess; link: Link; options: DatabaseOptions }> {
  const access = await (await sharedMariadb()).createDatabase();
  const link = await openLink(access);
  context.after(() => link.close());
  return { access, link, options: { ...access, host: link.host, port: link.port } };
}

async function open(context: TestContext, options: DatabaseOptions, hooks: DatabaseHooks): Promise<Database> {
  return siteAt(context, options).open(hooks, timing);
}

/** As `open`, of a server that is there: a busy machine takes its time for the first tables. */
async function openUp(
  context: TestContext,
  options: DatabaseOptions,
  hooks: DatabaseHooks,
  more: Partial<DatabaseTiming> = {},
): Promise<Database> {
  const database = await siteAt(context, options).open(hooks, { ...timing, ...more });
  await waitFor('the database to be there', () => database.state().kind === 'up');
  return database;
}

describe('a MySQL server', needs('mariadb'), () => {
  test('that is away at the start is waited for, with a word at each try, and then used', async (context) => {
    const { link, options } = await linkedDatabase(context);
    await link.cut();
    const { states, hooks, reach } = watch();
    const database = await open(context, options, hooks);
    const state = database.state();
    assert(state.kind === 'down');
    assert.match(state.message, /ECONNREFUSED/);
    await assert.rejects(database.loadKeys(), isUnavailable);
    await reach('down');
    await reach('down');
    assert(
      states.every((reported) => reported.kind === 'down' && reported.sinceMillis === state.sinceMillis),
    );
    const up = reach('up');
    await link.restore();
    await up;
    assert.deepEqual(database.state(), { kind: 'up' });
    await database.addKey(key);
    assert.deepEqual(await database.loadKeys(), [key]);
  });

  test('that breaks its connections and refuses new ones is down until it is back', async (context) => {
    const { link, options } = await linkedDatabase(context);
    const { hooks, reach } = watch();
    const database = await openUp(context, options, hooks);
    await database.addKey(key);
    const down = reach('down');
    await link.cut();
    await assert.rejects(database.loadKeys(), isUnavailable);
    await down;
    await assert.rejects(
      database.addCompleted('batch', new Map([['1'.padStart(40, '0'), 1]])),
      isUnavailable,
    );
    const up = reach('up');
    await link.restore();
    await up;
    assert.deepEqual(await database.loadKeys(), [key]);
  });

  test('that falls silent while nobody asks it is found to be away, and back', async (context) => {
    const { link, options } = await linkedDatabase(context);
    const { states, hooks, reach } = watch();
    const database = await openUp(context, options, hooks, { heartbeatMillis: 100 });
    await database.addKey(key);
    const down = reach('down');
    link.freeze();
    await down;
    const state = database.state();
    assert(state.kind === 'down');
    assert.match(state.message, /no answer within 1500 ms/);
    const up = reach('up');
    await link.restore();
    await up;
    assert.deepEqual(await database.loadKeys(), [key]);
    // A server that answers is left in peace.
    states.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(states, []);
  });

  test('that falls silent fails calls within their deadline and is used again when it speaks', async (context) => {
    const { link, options } = await linkedDatabase(context);
    const { hooks, reach } = watch();
    const database = await openUp(context, options, hooks);
    const batch = new Map([['1'.padStart(40, '0'), 1]]);
    await database.addCompleted('before', batch);
    const down = reach('down');
    link.freeze();
    const began = Date.now();
    await assert.rejects(database.addCompleted('during', batch), isUnavailable);
    assert(Date.now() - began < timing.callDeadlineMillis + 1_000);
    await down;
    const up = reach('up');
    await link.restore();
    await up;
    await database.addCompleted('during', batch);
    assert.equal(await database.totalCompleted(), 2);
  });

  test('takes a changed password for new connections, without a restart', async (context) => {
    const server = await sharedMariadb();
    const access = await server.createDatabase();
    const user = `${access.database.slice(-12)}_user`;
    await server.execute(access.database, `create user '${user}'@'%' identified by 'the old one'`);
    context.after(() => server.execute(access.database, `drop user '${user}'@'%'`));
    await server.execute(access.database, `grant all on ${access.database}.* to '${user}'@'%'`);
    const link = await openLink(access);
    context.after(() => link.close());
    const { states, hooks, reach } = watch();
    const options = { ...access, host: link.host, port: link.port, user, password: 'the old one' };
    const database = await openUp(context, options, hooks);
    await database.addKey(key);

    await server.execute(access.database, `alter user '${user}'@'%' identified by 'the new one'`);
    const down = reach('down');
    await link.cut();
    await assert.rejects(database.loadKeys(), isUnavailable);
    await link.restore();
    await down;
    // The old password is refused now; the tracker says so, without telling it.
    while (!states.some((state) => state.kind === 'down' && /Access denied/.test(state.message)))
      await reach('down');
    assert(!JSON.stringify(states).includes('the old one'));
    const up = reach('up');
    database.updateCredentials({ password: 'the new one' });
    await up;
    assert.deepEqual(await database.loadKeys(), [key]);
  });

  test('whose database does not exist yet is waited for', async (context) => {
    const server = await sharedMariadb();
    const access = await server.createDatabase();
    await server.execute(access.database, `drop database ${access.database}`);
    const { hooks, reach } = watch();
    const database = await open(context, access, hooks);
    const state = database.state();
    assert(state.kind === 'down' && /Unknown database/.test(state.message));
    const up = reach('up');
    await server.execute('mysql', `create database ${access.database}`);
    await up;
    await database.addKey(key);
  });

  test('that is away does not keep the tracker from closing', async (context) => {
    const { link, options } = await linkedDatabase(context);
    await link.cut();
    const database = await open(context, options, {});
    await database.close();
    await assert.rejects(database.loadKeys(), { code: 'closed' });
  });
});
