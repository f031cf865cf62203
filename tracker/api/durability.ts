/**
 * What keeps the tracker's memory and its database the same: every change waits for its turn, goes to the database
 * first, and to memory only when it is durable. Whoever asks for a change is answered before the API gives a request up,
 * and when the database made it all the same, too late for the answer, memory follows.
 */
import type { Database } from '../db/client.ts';
import { DatabaseError } from '../db/error.ts';

/** Whoever asks for a change is answered by then: less than the 5 s after which the API gives a request up. */
const ANSWER_MILLIS = 4_500;
/** How often a database that is away is looked for, when it may hold a change that memory lacks. */
const RETRY_MILLIS = 1_000;
/**
 * When memory is read anew after the database has come back. What was given up may be done later yet: a server finishes a
 * statement whose client is gone, as soon as it gets the lock that it waits for (`innodb_lock_wait_timeout` is 50 s).
 */
const LOOKS_MILLIS = [0, 5_000, 60_000];

/** Raised by a change that has no database to go to. */
export class NoDatabaseError extends Error {
  override readonly name = 'NoDatabaseError';
  readonly code = 'no-database';

  constructor() {
    super('no database is configured');
  }
}

/** Raised by a change whose turn did not come in time, and which is not made. */
export class TurnTimeoutError extends Error {
  override readonly name = 'TurnTimeoutError';
  readonly code = 'turn-timeout';

  constructor() {
    super('earlier changes wait for the database');
  }
}

/** Raised by a change that the database did not confirm in time and may make all the same. */
export class UncertainChangeError extends Error {
  override readonly name = 'UncertainChangeError';
  readonly code = 'uncertain';
  /** What the database said; null when it has not said anything yet. */
  readonly failure: DatabaseError | null;

  constructor(failure: DatabaseError | null) {
    super(failure?.message ?? 'the database does not answer', { cause: failure });
    this.failure = failure;
  }
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

/** The changes of one table of the database and of its copy in memory. */
export class DurableChanges {
  readonly #database: Database | null;
  readonly #refill: (database: Database) => Promise<void>;
  readonly #turns = new Turns();
  #looksLeft: number[] = [];
  #timer: NodeJS.Timeout | null = null;

  /** `refill` replaces what is in memory by what is in the database. */
  constructor(database: Database | null, refill: (database: Database) => Promise<void>) {
    this.#database = database;
    this.#refill = refill;
  }

  /**
   * Makes a change, when all earlier work has ended. `work` has the database make it, and then memory. Rejects with
   * `NoDatabaseError`, `TurnTimeoutError`, `UncertainChangeError`, `DatabaseError`, or what `work` throws.
   */
  change<Result>(work: (database: Database) => Promise<Result>): Promise<Result> {
    const late = Promise.withResolvers<never>();
    let state: 'waiting' | 'begun' | 'late' = 'waiting';
    const timer = setTimeout(() => {
      late.reject(state === 'waiting' ? new TurnTimeoutError() : new UncertainChangeError(null));
      state = 'late';
    }, ANSWER_MILLIS);
    const made = this.#turns.take(async () => {
      if (state === 'late') throw new TurnTimeoutError();
      state = 'begun';
      return this.#make(work);
    });
    return Promise.race([made, late.promise]).finally(() => clearTimeout(timer));
  }

  /** Replaces what is in memory by what is in the database; on failure memory stays as it is. Rejects as `change`. */
  reload(): Promise<void> {
    return this.#turns.take(() => this.#refill(this.#require()));
  }

  async #make<Result>(work: (database: Database) => Promise<Result>): Promise<Result> {
    const database = this.#require();
    // A database that is known to be away is asked nothing, so that nothing can come of it later.
    const wasUp = database.state().kind === 'up';
    try {
      return await work(database);
    } catch (error) {
      if (!wasUp || !(error instanceof DatabaseError) || error.code !== 'unavailable') throw error;
      this.#looksLeft = [...LOOKS_MILLIS];
      this.#lookIn(RETRY_MILLIS);
      throw new UncertainChangeError(error);
    }
  }

  #lookIn(millis: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), millis).unref();
  }

  /** Reads what the database has made of a change that it did not confirm. */
  async #look(): Promise<void> {
    try {
      await this.reload();
      this.#looksLeft.shift();
    } catch (error) {
      // Any other failure would come again, as it does at every reload, where it is told.
      if (!(error instanceof DatabaseError) || error.code !== 'unavailable') return;
      this.#lookIn(RETRY_MILLIS);
      return;
    }
    const [next] = this.#looksLeft;
    if (next !== undefined) this.#lookIn(next);
  }

  #require(): Database {
    if (this.#database === null) throw new NoDatabaseError();
    return this.#database;
  }
}
