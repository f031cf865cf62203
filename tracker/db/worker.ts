/**
 * Entry of the database thread. better-sqlite3 is synchronous and a disk can hang, so that all of it happens here and
 * never on the main thread, whose signals and health checks must not wait. The thread answers calls, watches whether
 * the database is there, a server also while nobody calls, and while it is away tries again with growing pauses.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { Knex } from 'knex';
import { DatabaseError, isOurFault, judge, type DatabaseFailure } from './error.ts';
import type { Call, Operations, Request, Response, WorkerData } from './messages.ts';
import { completedTotalMetric, migrate } from './migrations.ts';
import { driverOf, type DatabaseOptions, type DatabaseState, type DatabaseTiming } from './model.ts';
import { openMysql, type MysqlPool } from './mysql.ts';
import { createRepository } from './repository.ts';
import { needRoom, openSqlite, waitForLocks } from './sqlite.ts';

/** An open database of either driver. */
interface Connection {
  readonly knex: Knex;
  /** Only MySQL has a pool that can be told something. */
  readonly pool?: MysqlPool;
  /** Called before each call with the time that is left for it. */
  prepare(millisLeft: number): Promise<void>;
  /** Rejects with the driver's error unless the database can be used again. */
  check(): Promise<void>;
}

/** How long a start waits for another one that changes the tables of the same file. */
const migrationLockMillis = 60_000;
/** A wait for a lock ends so long before its call's deadline, or half of what is left before it. */
const lockMarginMillis = 1_000;
/** A server that says nothing to the smallest question for so long is away. */
const heartbeatDeadlineMillis = 4_000;

assert(parentPort !== null, 'the database thread is started by openDatabase');
const port = parentPort;
// The main thread made this value by the same type; what crosses between threads has none of its own.
const { options, timing } = workerData as WorkerData;
const driver = driverOf(options.kind);

function post(response: Response): void {
  port.postMessage(response);
}

try {
  serve(await connect(options, timing));
} catch (error) {
  if (!(error instanceof DatabaseError)) {
    throw error;
  }
  const { code, operation, detail } = error;
  post({ kind: 'unopenable', failure: { code, driver, operation, detail } });
  port.close();
}

/** Opens SQLite, or makes the pool of MySQL, which may be away. Throws a `DatabaseError` when SQLite can't be opened. */
async function connect(target: DatabaseOptions, patience: DatabaseTiming): Promise<Connection> {
  if (target.kind === 'mysql') {
    const pool = openMysql(target, patience);
    return {
      knex: pool.knex,
      pool,
      prepare: () => Promise.resolve(),
      async check() {
        await withinDeadline(pool.knex.raw('select 1'), patience.callDeadlineMillis);
        await migrate(pool.knex, 'MySQL');
      },
    };
  }
  const knex = await openSqlite(target, patience);
  try {
    await waitForLocks(knex, migrationLockMillis);
    await migrate(knex, 'Sqlite3');
  } catch (error) {
    await knex.destroy();
    const { failure } = judge(error, 'Sqlite3', 'open');
    const detail = `cannot bring the SQLite database ${target.path} to the current tables: ${failure.detail}`;
    throw new DatabaseError({ ...failure, code: 'unopenable', detail }, error);
  }
  return {
    knex,
    // The error about a lock has to be there before the deadline, or else a call that failed could still be done.
    prepare: (millisLeft) => waitForLocks(knex, millisLeft - Math.min(lockMarginMillis, millisLeft / 2)),
    // A write that changes nothing still reaches the disk, which may be read-only or broken; a full one has room for it.
    async check() {
      await needRoom(target.path);
      await knex('torrent_aggregate_metrics')
        .where({ metric_name: completedTotalMetric })
        .increment('value', 0);
    },
  };
}

function serve(connection: Connection): void {
  const { knex, pool } = connection;
  const repository = createRepository(knex, driver, (table, count) =>
    post({ kind: 'skipped', table, count }),
  );
  const running = new Set<Promise<void>>();
  let state: DatabaseState = {
    kind: 'down',
    sinceMillis: Date.now(),
    message: 'the database has not been reached yet',
  };
  let lastWork = Promise.resolve();
  let opened = false;
  let closing = false;
  let restoring: Promise<void> | undefined;
  let pause = new AbortController();
  const end = new AbortController();
  /** When the server answered last, by the monotonic clock. */
  let heardMillis = performance.now();

  function setState(next: DatabaseState): void {
    state = next;
    if (!opened) {
      opened = true;
      post({ kind: 'opened', state });
    } else {
      post({ kind: 'state', state });
    }
  }

  function setDown(message: string): void {
    setState({ kind: 'down', sinceMillis: state.kind === 'down' ? state.sinceMillis : Date.now(), message });
  }

  /** Tries until the database is there again; tells about each try. */
  async function restore(): Promise<void> {
    let pauseMillis = timing.retryMinMillis;
    while (!closing) {
      try {
        await connection.check();
        setState({ kind: 'up' });
        return;
      } catch (error) {
        pool?.dropConnections();
        setDown(judge(error, driver, 'open').failure.detail);
      }
      pause = new AbortController();
      await delay(pauseMillis, undefined, { signal: pause.signal }).catch(() => undefined);
      pauseMillis = Math.min(pauseMillis * 2, timing.retryMaxMillis);
    }
  }

  function startRestoring(): void {
    restoring ??= restore().finally(() => {
      restoring = undefined;
    });
  }

  /** Notes that a call found the database in trouble, and begins to look for its end. */
  function goDown(message: string): void {
    if (state.kind === 'up') {
      pool?.dropConnections();
      setDown(message);
    }
    startRestoring();
  }

  /** Asks a server that nobody asks, so that its silence is known before somebody needs it. */
  async function listenForHeartbeats(): Promise<void> {
    for (;;) {
      await delay(timing.heartbeatMillis, undefined, { signal: end.signal, ref: false }).catch(
        () => undefined,
      );
      if (closing) return;
      // Calls that run find out themselves.
      const isWatched = state.kind === 'down' || running.size > 0;
      if (isWatched || performance.now() - heardMillis < timing.heartbeatMillis) continue;
      try {
        await withinDeadline(
          knex.raw('select 1'),
          Math.min(heartbeatDeadlineMillis, timing.callDeadlineMillis),
        );
        heardMillis = performance.now();
      } catch (error) {
        if (isOurFault(error)) throw error;
        const { away, failure } = judge(error, driver, 'open');
        if (away && !closing) goDown(failure.detail);
      }
    }
  }

  async function answer(call: Call): Promise<void> {
    const failure = (code: DatabaseFailure['code'], detail: string): DatabaseFailure => ({
      code,
      driver,
      operation: call.name,
      detail,
    });
    if (Date.now() >= call.deadlineMillis) {
      post({ kind: 'failure', id: call.id, failure: failure('unavailable', 'the call waited for too long') });
      return;
    }
    // A pool would make each call wait for a server that is known to be away; a file is simply tried.
    if (state.kind === 'down' && pool !== undefined) {
      post({ kind: 'failure', id: call.id, failure: failure('unavailable', state.message) });
      return;
    }
    try {
      const millisLeft = call.deadlineMillis - Date.now();
      await connection.prepare(millisLeft);
      const value = await withinDeadline(perform(repository, call), millisLeft);
      heardMillis = performance.now();
      post({ kind: 'answer', id: call.id, value });
    } catch (error) {
      if (isOurFault(error)) {
        throw error;
      }
      const verdict = judge(error, driver, call.name);
      // The state goes first, because the main thread takes any answer for a sign that the last state holds.
      if (verdict.away) {
        goDown(verdict.failure.detail);
      }
      post({ kind: 'failure', id: call.id, failure: verdict.failure });
    }
  }

  port.on('message', (request: Request) => {
    if (request.kind === 'call') {
      // A file has one connection: its calls queue here, where those that waited for too long are dropped.
      const work = (pool === undefined ? lastWork : Promise.resolve()).then(() => answer(request));
      lastWork = work;
      running.add(work);
      void work.finally(() => running.delete(work));
    } else if (request.kind === 'credentials') {
      pool?.updateCredentials(request.credentials);
      pause.abort();
    } else if (request.kind === 'retry') {
      pause.abort();
    } else {
      closing = true;
      pause.abort();
      end.abort();
      void Promise.all([...running, restoring])
        .then(() => knex.destroy())
        .then(() => port.close());
    }
  });

  if (pool === undefined) {
    setState({ kind: 'up' });
    return;
  }
  startRestoring();
  void listenForHeartbeats();
  // A long change of tables or a silent server doesn't keep the tracker from starting; calls are refused meanwhile.
  void delay(timing.callDeadlineMillis, undefined, { ref: false }).then(() => {
    if (!opened) {
      setDown('the database is still being opened');
    }
  });
}

/** Rejects with a `TimeoutError` when the work isn't done in time; the work itself goes on. */
async function withinDeadline<Value>(work: PromiseLike<Value>, millis: number): Promise<Value> {
  const timer = new AbortController();
  const expiry = delay(millis, undefined, { signal: timer.signal }).then(() => {
    throw Object.assign(new Error(`no answer within ${Math.round(millis)} ms`), { code: 'ETIMEDOUT' });
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    expiry.catch(() => undefined);
    timer.abort();
  }
}

function perform(repository: Operations, call: Call): Promise<unknown> {
  switch (call.name) {
    case 'loadKeys':
      return repository.loadKeys();
    case 'addKey':
      return repository.addKey(...call.args);
    case 'removeKey':
      return repository.removeKey(...call.args);
    case 'loadWhitelist':
      return repository.loadWhitelist();
    case 'addToWhitelist':
      return repository.addToWhitelist(...call.args);
    case 'removeFromWhitelist':
      return repository.removeFromWhitelist(...call.args);
    case 'loadCompleted':
      return repository.loadCompleted(...call.args);
    case 'addCompleted':
      return repository.addCompleted(...call.args);
    case 'totalCompleted':
      return repository.totalCompleted();
  }
}
