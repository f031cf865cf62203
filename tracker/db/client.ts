/**
 * The database as the rest of the tracker sees it: promises on the main thread, work in a thread of its own. Every
 * call ends within its deadline, whatever the disk or the network does; a caller that gets `unavailable` keeps what it
 * wanted to write and comes again.
 */
import assert from 'node:assert/strict';
import { Worker } from 'node:worker_threads';
import { workerModule } from '../worker-module.ts';
import { DatabaseError, type DatabaseErrorCode } from './error.ts';
import type { Call, OperationName, Operations, Request, Response, WorkerData } from './messages.ts';
import {
  defaultTiming,
  driverOf,
  infoHashPattern,
  keyPattern,
  type DatabaseOptions,
  type DatabaseState,
  type DatabaseTiming,
  type LoadedTable,
  type MysqlCredentials,
  type StoredKey,
} from './model.ts';

/** What the owner of a database wants to hear of. */
export interface DatabaseHooks {
  /** Called when the state changes, and at each failed try to reach a database that is down. */
  onStateChange?(state: DatabaseState): void;
  /** A load left out so many rows that no key or info hash can look like. */
  onSkippedRows?(table: LoadedTable, count: number): void;
  /** The database thread is gone without having been closed; every call from now on rejects. */
  onCrash?(error: DatabaseError): void;
  /** A call begins. What is returned is told how it ended. */
  onCall?(operation: OperationName): (outcome: DatabaseOutcome) => void;
}

/** How a call ended. */
export type DatabaseOutcome = 'ok' | DatabaseErrorCode;

/** A database that was opened. Every method rejects with a `DatabaseError`, and with no other error. */
export interface Database {
  /** All keys. Malformed rows are left out and reported. */
  loadKeys(): Promise<StoredKey[]>;
  /** Stores a key durably; code `duplicate` when it is there. */
  addKey(key: StoredKey): Promise<void>;
  /** Removes a key durably; false when it was not there. */
  removeKey(key: string): Promise<boolean>;
  /** All whitelisted info hashes, 40 lowercase hex digits each, once. Malformed rows are left out and reported. */
  loadWhitelist(): Promise<string[]>;
  /** Adds an info hash (40 lowercase hex digits) durably; no error when it is there. */
  addToWhitelist(infoHash: string): Promise<void>;
  /** Removes an info hash durably; no error when it was not there. */
  removeFromWhitelist(infoHash: string): Promise<void>;
  /** The completed counters of those torrents that have one, by info hash (40 lowercase hex digits). */
  loadCompleted(infoHashes: readonly string[]): Promise<Map<string, number>>;
  /**
   * Adds to completed counters, all or nothing. A batch that was added before is not added again, so that a caller
   * repeats a batch under the same id (at most 64 characters) until it is acknowledged. Increments are integers > 0.
   */
  addCompleted(batchId: string, increments: ReadonlyMap<string, number>): Promise<void>;
  /** The sum of all completed counters of this database. */
  totalCompleted(): Promise<number>;
  /** The state at this moment; never waits. */
  state(): DatabaseState;
  /** Calls that have no answer yet. */
  callsWaiting(): number;
  /** How long the oldest of them has waited, those aside that read a whole table; 0 when none waits. */
  silenceMillis(): number;
  /** New connections to MySQL use these; a database that is down is tried again at once. */
  updateCredentials(credentials: MysqlCredentials): void;
  /** Looks at once for a database that is down, instead of after a pause. */
  retry(): void;
  /**
   * Ends the calls that run, closes the database and its thread: all by force after `limitMillis`, by default the time of
   * a call. Later calls reject with `closed`.
   */
  close(limitMillis?: number): Promise<void>;
}

interface PendingCall {
  readonly name: OperationName;
  readonly timer: NodeJS.Timeout;
  /** When it was sent, by the monotonic clock. */
  readonly sentMillis: number;
  /** Whether it may take its time, since it reads a whole table. */
  readonly isLong: boolean;
  resolve(value: unknown): void;
  reject(error: DatabaseError): void;
}

const batchIdPattern = /^[\x21-\x7e]{1,64}$/;

/**
 * Starts the database thread, opens the database and brings its tables up to date.
 * Rejects with `unopenable` when an SQLite file can't be used. A MySQL server that is away is no error: the state is
 * then `down`, calls reject with `unavailable`, and the server is tried until it is there.
 */
export async function openDatabase(
  options: DatabaseOptions,
  hooks: DatabaseHooks = {},
  timing: DatabaseTiming = defaultTiming,
): Promise<Database> {
  const driver = driverOf(options.kind);
  const data: WorkerData = { options, timing };
  const worker = new Worker(workerModule('./worker', import.meta.url), {
    name: 'database',
    workerData: data,
  });
  const pending = new Map<number, PendingCall>();
  const opening = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  let lastId = 0;
  let workerState: DatabaseState = {
    kind: 'down',
    sinceMillis: Date.now(),
    message: 'the database is being opened',
  };
  let state: DatabaseState = workerState;
  let closed = false;
  let crash: Error | undefined;

  function fault(
    code: DatabaseErrorCode,
    operation: OperationName | 'open',
    detail: string,
    cause?: unknown,
  ): DatabaseError {
    return new DatabaseError({ code, driver, operation, detail }, cause);
  }

  function setState(next: DatabaseState): void {
    state = next;
    hooks.onStateChange?.(state);
  }

  function settle(id: number): PendingCall | undefined {
    const call = pending.get(id);
    if (call !== undefined) {
      pending.delete(id);
      clearTimeout(call.timer);
    }
    return call;
  }

  function send(request: Request): void {
    worker.postMessage(request);
  }

  function receive(response: Response): void {
    switch (response.kind) {
      case 'opened':
        workerState = response.state;
        state = workerState;
        opening.resolve();
        return;
      case 'unopenable':
        closed = true;
        opening.reject(new DatabaseError(response.failure));
        return;
      case 'state':
        workerState = response.state;
        setState(workerState);
        return;
      case 'skipped':
        hooks.onSkippedRows?.(response.table, response.count);
        return;
      case 'answer':
        noteAnswer();
        settle(response.id)?.resolve(response.value);
        return;
      case 'failure':
        noteAnswer();
        settle(response.id)?.reject(new DatabaseError(response.failure));
        return;
    }
  }

  /** The thread speaks again: whatever it reported last is the truth. */
  function noteAnswer(): void {
    if (state !== workerState) {
      setState(workerState);
    }
  }

  function expire(id: number, deadlineMillis: number): void {
    const call = settle(id);
    const detail = `no answer within ${deadlineMillis} ms`;
    // A thread that is stuck in a system call can't report it: the main thread does in its place.
    if (state.kind === 'up') {
      setState({ kind: 'down', sinceMillis: Date.now(), message: detail });
    }
    call?.reject(fault('unavailable', call.name, detail));
  }

  worker.on('message', receive);
  worker.on('error', (error) => {
    crash = error instanceof Error ? error : new Error(String(error));
  });
  worker.on('exit', (exitCode) => {
    ended.resolve();
    const cause = crash ?? new Error(`the thread ended with exit code ${exitCode}`);
    const detail = `the database thread is gone: ${cause.message}`;
    const code = closed && crash === undefined ? 'closed' : 'unavailable';
    for (const id of pending.keys()) {
      const call = settle(id);
      call?.reject(fault(code, call.name, detail, cause));
    }
    if (closed && crash === undefined) {
      return;
    }
    const error = fault('unavailable', 'open', detail, cause);
    crash = cause;
    opening.reject(error);
    setState({ kind: 'down', sinceMillis: Date.now(), message: detail });
    hooks.onCrash?.(error);
  });

  /** Sends a call; `name` and `args` belong together by the signatures below. */
  function request<Name extends OperationName>(
    name: Name,
    args: Parameters<Operations[Name]>,
    deadlineMillis = timing.callDeadlineMillis,
  ): ReturnType<Operations[Name]> {
    const end = hooks.onCall?.(name);
    const answer = new Promise<unknown>((resolve, reject) => {
      if (crash !== undefined) {
        reject(fault('unavailable', name, `the database thread is gone: ${crash.message}`, crash));
        return;
      }
      if (closed) {
        reject(fault('closed', name, 'the database was closed'));
        return;
      }
      lastId += 1;
      const id = lastId;
      const timer = setTimeout(() => expire(id, deadlineMillis), deadlineMillis);
      const isLong = deadlineMillis > timing.callDeadlineMillis;
      pending.set(id, { name, timer, sentMillis: performance.now(), isLong, resolve, reject });
      // The compiler can't see that a name and its arguments, both generic here, make one member of the union.
      send({ kind: 'call', id, name, args, deadlineMillis: Date.now() + deadlineMillis } as Call);
    });
    if (end !== undefined) {
      answer.then(
        () => end('ok'),
        (error: unknown) => end(error instanceof DatabaseError ? error.code : 'refused'),
      );
    }
    // The thread answers a call by the operation of that name, whose result has this type.
    return answer as ReturnType<Operations[Name]>;
  }

  await opening.promise;

  return {
    loadKeys: () => request('loadKeys', [], timing.loadDeadlineMillis),
    addKey(key) {
      assert(keyPattern.test(key.key), 'a key has 32 ASCII letters and digits');
      assert(key.validUntilSeconds === null || Number.isSafeInteger(key.validUntilSeconds));
      return request('addKey', [key], timing.changeDeadlineMillis);
    },
    removeKey: (key) => request('removeKey', [key], timing.changeDeadlineMillis),
    loadWhitelist: () => request('loadWhitelist', [], timing.loadDeadlineMillis),
    addToWhitelist(infoHash) {
      assert.match(infoHash, infoHashPattern);
      return request('addToWhitelist', [infoHash], timing.changeDeadlineMillis);
    },
    removeFromWhitelist: (infoHash) =>
      request('removeFromWhitelist', [infoHash], timing.changeDeadlineMillis),
    loadCompleted: (infoHashes) => request('loadCompleted', [infoHashes]),
    addCompleted(batchId, increments) {
      assert.match(batchId, batchIdPattern);
      for (const [infoHash, increment] of increments) {
        assert(infoHashPattern.test(infoHash) && Number.isSafeInteger(increment) && increment > 0);
      }
      return request('addCompleted', [batchId, increments]);
    },
    totalCompleted: () => request('totalCompleted', []),
    state: () => state,
    callsWaiting: () => pending.size,
    silenceMillis() {
      const sent = [...pending.values()].filter(({ isLong }) => !isLong).map(({ sentMillis }) => sentMillis);
      return sent.length === 0 ? 0 : performance.now() - Math.min(...sent);
    },
    updateCredentials(credentials) {
      if (!closed && crash === undefined) {
        send({ kind: 'credentials', credentials });
      }
    },
    retry() {
      if (!closed && crash === undefined) {
        send({ kind: 'retry' });
      }
    },
    async close(limitMillis = timing.callDeadlineMillis) {
      if (!closed && crash === undefined) {
        closed = true;
        send({ kind: 'close' });
      }
      // A thread that is stuck is ended the hard way; what it was asked was never acknowledged.
      const patience = setTimeout(() => void worker.terminate(), limitMillis);
      await ended.promise;
      clearTimeout(patience);
    },
  };
}
