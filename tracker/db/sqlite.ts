/**
 * Opens an SQLite file for knex. The file is shared with other programs (an index site that adds to the whitelist), so
 * it runs in write-ahead mode, where readers and a writer don't stop each other, and a busy file is waited for. Every
 * commit is on the disk before it is answered (`synchronous = FULL`): a key that was granted outlives a power failure.
 */
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import knex, { type Knex } from 'knex';
import { defaultSqlitePath } from '../config/default-sqlite-path.ts';
import { DatabaseError, judge } from './error.ts';
import type { DatabaseTiming, SqliteOptions } from './model.ts';
import { silentLog } from './silent-log.ts';

/** Owner writes, group reads: the file holds the keys of private mode. */
const fileMode = 0o640;
const folderMode = 0o750;
/** A change takes new pages in the file and in its log: room for a few. */
const roomBytes = 262_144;

/** The part of better-sqlite3's connection that is used directly. */
interface SqliteConnection {
  pragma(source: string): unknown;
}

/**
 * Creates the file and its folder where they are missing, and opens it. The folders above must be there, lest a misspelt
 * path become an empty database; only those of the default path are made for a first run.
 * Throws a `DatabaseError` with code `unopenable` whose one-line message names the path and what to do.
 */
export async function openSqlite(options: SqliteOptions, timing: DatabaseTiming): Promise<Knex> {
  const path = resolve(options.path);
  prepareFile(path, options.path === defaultSqlitePath);
  const database = knex({
    client: 'better-sqlite3',
    connection: { filename: path },
    useNullAsDefault: true,
    compileSqlOnError: false,
    log: silentLog,
    acquireConnectionTimeout: timing.callDeadlineMillis,
    pool: {
      min: 1,
      max: 1,
      afterCreate(
        connection: SqliteConnection,
        done: (error: unknown, connection: SqliteConnection) => void,
      ) {
        try {
          configure(connection, timing);
          done(null, connection);
        } catch (error) {
          done(error, connection);
        }
      },
    },
  });
  try {
    // The first statement reads the file's head: what is no database is found out here.
    await database.raw('select count(*) from sqlite_schema');
    return database;
  } catch (error) {
    await database.destroy();
    throw unopenable(path, openFault(error), error);
  }
}

function configure(connection: SqliteConnection, timing: DatabaseTiming): void {
  connection.pragma(`busy_timeout = ${timing.callDeadlineMillis}`);
  connection.pragma('synchronous = FULL');
  try {
    connection.pragma('journal_mode = WAL');
  } catch (error) {
    // Another program holds the file at this moment. The old journal mode is as safe, and the next start tries again.
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY'))) {
      throw error;
    }
  }
}

/**
 * Rejects as SQLite does while the disk of a file is full. Only a write that needs new pages finds that out: a small one has
 * room in those that the file and its log have already.
 */
export async function needRoom(path: string): Promise<void> {
  const { bavail, bsize } = await statfs(resolve(path));
  if (bavail * bsize >= roomBytes) return;
  throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
}

/** Sets for how long the next statements wait for another program's lock before they fail with SQLITE_BUSY. */
export async function waitForLocks(database: Knex, millis: number): Promise<void> {
  await database.raw(`pragma busy_timeout = ${Math.max(0, Math.trunc(millis))}`);
}

/**
 * Makes a folder, and those above it where asked. Node's own recursion never ends where a file system such as `/proc` refuses new
 * folders as if the one above were missing.
 */
function makeFolder(folder: string, makesParents: boolean): void {
  if (existsSync(folder)) return;
  if (makesParents) makeFolder(dirname(folder), true);
  try {
    mkdirSync(folder, { mode: folderMode });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

/** Finds out before SQLite does what is wrong with the path, because SQLite only says "unable to open". */
function prepareFile(path: string, makesParents: boolean): void {
  const folder = dirname(path);
  try {
    makeFolder(folder, makesParents);
  } catch (error) {
    const remedy = 'create the folder or name another path in core.database.path';
    throw unopenable(path, `its folder ${folder} cannot be created (${codeOf(error)}); ${remedy}`, error);
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unopenable(path, `its folder ${folder} is not writable (${codeOf(error)}); ${grant()}`, error);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw unopenable(path, 'it is a folder; name a file in core.database.path');
  }
  try {
    closeSync(openSync(path, 'a', fileMode));
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw unopenable(path, `it is not readable and writable (${codeOf(error)}); ${grant()}`, error);
  }
}

function grant(): string {
  return `let user ${process.getuid?.() ?? 'of the tracker'} read and write there or name another path in core.database.path`;
}

function openFault(error: unknown): string {
  const { failure } = judge(error, 'Sqlite3', 'open');
  if (failure.driverCode === 'SQLITE_NOTADB') {
    return 'it is not an SQLite database; move the file away or name another path in core.database.path';
  }
  if (failure.code === 'malformed') {
    return `it is damaged (${failure.detail}); restore it from a backup or move it away`;
  }
  return failure.detail;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function unopenable(path: string, fault: string, cause?: unknown): DatabaseError {
  const detail = `cannot open the SQLite database ${path}: ${fault}`;
  return new DatabaseError({ code: 'unopenable', driver: 'Sqlite3', operation: 'open', detail }, cause);
}
