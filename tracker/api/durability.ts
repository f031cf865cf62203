/**
 * What keeps the tracker's memory and its database the same: every change waits for its turn, goes to the database
 * first, and to memory only when it is durable.
 */
import type { Database } from '../db/client.ts';

/** Raised by a change that has no database to go to. */
export class NoDatabaseError extends Error {
  override readonly name = 'NoDatabaseError';
  readonly code = 'no-database';

  constructor() {
    super('no database is configured');
  }
}

/** The database, where there is one. Throws `NoDatabaseError`. */
export function requireDatabase(database: Database | null): Database {
  if (database === null) throw new NoDatabaseError();
  return database;
}

/**
 * One piece of work after the other. A reload that overlapped with a change could otherwise put back what it had read
 * before the change.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all earlier work has ended, however that ended. */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
