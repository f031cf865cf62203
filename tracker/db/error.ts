/**
 * The one error of the database, with a code that says what a caller can do, and the rules that give a driver's own
 * error its code. Texts of a driver can quote the values of a statement, and a key is a secret: so the text of a
 * duplicate is always ours, and knex is set to leave values out of its messages.
 */
import { AssertionError } from 'node:assert/strict';
import type { DatabaseDriver } from './model.ts';
import type { OperationName } from './messages.ts';

/**
 * - `unopenable`: the SQLite file can't be used; the message says why and what to do
 * - `unavailable`: the database doesn't answer; the same call may succeed later
 * - `duplicate`: the row is there already
 * - `malformed`: the database file is damaged
 * - `refused`: the database answered with an error of another kind, for example that a table is missing
 * - `closed`: the call came after `close()`
 */
export type DatabaseErrorCode =
  'unopenable' | 'unavailable' | 'duplicate' | 'malformed' | 'refused' | 'closed';

/** What the database was doing: an operation of the interface, or the opening of the database. */
type DatabaseActivity = OperationName | 'open';

/** The fields of a `DatabaseError`, as they travel between threads. */
export interface DatabaseFailure {
  readonly code: DatabaseErrorCode;
  readonly driver: DatabaseDriver;
  readonly operation: DatabaseActivity;
  /** The database's own text, one line, without secrets. */
  readonly detail: string;
  /** The driver's code, such as `SQLITE_FULL`, `ER_NO_SUCH_TABLE` or `ECONNREFUSED`. */
  readonly driverCode?: string;
}

/** Thrown by everything that the database does. Its message is one line and holds no secret. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly code: DatabaseErrorCode;
  readonly driver: DatabaseDriver;
  readonly operation: DatabaseActivity;
  readonly detail: string;

  constructor(failure: DatabaseFailure, cause?: unknown) {
    super(describe(failure), { cause: cause ?? causeOf(failure) });
    this.code = failure.code;
    this.driver = failure.driver;
    this.operation = failure.operation;
    this.detail = failure.detail;
  }
}

function describe(failure: DatabaseFailure): string {
  return failure.operation === 'open'
    ? failure.detail
    : `${failure.operation} failed in the ${failure.driver} database (${failure.code}): ${failure.detail}`;
}

/** An error object of another thread can't be passed on whole, so that the cause is built anew from its parts. */
function causeOf(failure: DatabaseFailure): Error {
  return Object.assign(
    new Error(failure.detail),
    failure.driverCode === undefined ? {} : { code: failure.driverCode },
  );
}

/** A driver's error, judged. `away` says that the database itself, and not only this call, is in trouble. */
interface Verdict {
  readonly failure: DatabaseFailure;
  readonly away: boolean;
}

/** SQLite's codes (with any suffix) of a file or disk that fails, which a later call may find well again. */
const sqliteAway = /^SQLITE_(IOERR|FULL|READONLY|CANTOPEN|NOMEM|PROTOCOL)/;

/** The server's answers to a login or a statement that pass when its operator, its replication or its load changes. */
const mysqlAway = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_BAD_DB_ERROR',
  'ER_CON_COUNT_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_DISK_FULL',
  'ER_HOST_IS_BLOCKED',
  'ER_HOST_NOT_PRIVILEGED',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_QUERY_INTERRUPTED',
  'ER_RECORD_FILE_FULL',
  'ER_SERVER_SHUTDOWN',
  'ER_USER_LIMIT_REACHED',
]);

/** Codes of transactions that lost against another one, and succeed when they run again. */
const contended = /^(ER_LOCK_DEADLOCK|ER_LOCK_WAIT_TIMEOUT|SQLITE_BUSY.*|SQLITE_LOCKED.*)$/;

/** Tells whether a driver's error means that a row with a unique value is there already. */
export function isDuplicate(error: unknown): boolean {
  const code = driverCodeOf(error);
  return (
    code === 'ER_DUP_ENTRY' || code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY'
  );
}

/** Tells whether a transaction failed only because another one was in its way. */
export function isContended(error: unknown): boolean {
  return contended.test(driverCodeOf(error) ?? '');
}

/** Tells whether an error shows a mistake in this program; no database answers with one of these. */
export function isOurFault(error: unknown): boolean {
  return [TypeError, RangeError, ReferenceError, AssertionError].some((kind) => error instanceof kind);
}

/** Gives the error of a driver (or of knex) its code. */
export function judge(error: unknown, driver: DatabaseDriver, operation: DatabaseActivity): Verdict {
  const driverCode = driverCodeOf(error);
  const verdict = (code: DatabaseErrorCode, detail: string, away: boolean): Verdict => ({
    failure: { code, driver, operation, detail, ...(driverCode === undefined ? {} : { driverCode }) },
    away,
  });
  if (isDuplicate(error)) {
    return verdict('duplicate', duplicateDetail(operation), false);
  }
  const detail = detailOf(error);
  if (isContended(error)) {
    return verdict('unavailable', detail, false);
  }
  if (driver === 'Sqlite3') {
    if (/^SQLITE_(CORRUPT|NOTADB)/.test(driverCode ?? '')) {
      return verdict('malformed', detail, true);
    }
    const away = sqliteAway.test(driverCode ?? '') || isTimeout(error);
    return verdict(away ? 'unavailable' : 'refused', detail, away);
  }
  // What has no code of the server comes from the way to it: the network, TLS, or the pool of connections.
  const away = driverCode === undefined || !driverCode.startsWith('ER_') || mysqlAway.has(driverCode);
  return verdict(away ? 'unavailable' : 'refused', detail, away);
}

/** Says in SQLite's words, which scripts look for, what is there already; MySQL's own words would quote the key. */
function duplicateDetail(operation: DatabaseActivity): string {
  return `UNIQUE constraint failed: ${operation === 'addKey' ? 'keys.key' : 'whitelist.info_hash'}`;
}

/** Knex gave up waiting for a connection, or the database thread for the end of a call. */
function isTimeout(error: unknown): boolean {
  return (error instanceof Error && error.name === 'KnexTimeoutError') || driverCodeOf(error) === 'ETIMEDOUT';
}

function driverCodeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The driver's text in one line, without the statement that knex puts before it. */
function detailOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  if ('sqlMessage' in error && typeof error.sqlMessage === 'string') {
    return oneLine(error.sqlMessage);
  }
  // A connection that several addresses refused is an AggregateError, whose own message is empty.
  const text =
    error.message === '' && error instanceof AggregateError ? String(error.errors[0]) : error.message;
  const statementEnd = text.lastIndexOf(' - ');
  return oneLine(statementEnd < 0 ? text : text.slice(statementEnd + 3)) || error.name;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
