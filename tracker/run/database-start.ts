/** The database of a starting tracker: opened with what the log wants to hear, and waited for where it is needed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../config/errors.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { credentialsOf, databaseOptions } from './database-options.ts';
import { type Database, type DatabaseHooks, openDatabase } from '../db/client.ts';
import { DatabaseError } from '../db/error.ts';
import type { DatabaseOptions } from '../db/model.ts';
import { createLiveInput, type LiveInput } from './live-input.ts';
import { StartError } from '../start-error.ts';
import type { Logger } from '../telemetry/log.ts';

/** How often a database that is away is asked again, when the tracker can't start without it. */
const RETRY_MILLIS = 1_000;
/** A call that waits for longer is worth a word, before it is given up. */
const SILENCE_MILLIS = 3_000;

/** Opens the database. `onCrash` is called when its thread dies later. Rejects with `DatabaseError`. */
export function openLoggedDatabase(
  options: DatabaseOptions,
  logger: Logger,
  hooks: Required<Pick<DatabaseHooks, 'onCrash' | 'onCall'>>,
): Promise<Database> {
  return openDatabase(options, {
    ...hooks,
    onStateChange: (state) => {
      if (state.kind === 'up') logger.info('The database answers');
      else logger.warn(`The database does not answer: ${state.message}`);
    },
    onSkippedRows: (table, count) =>
      logger.warn(`${count} malformed rows of the table ${table} were left out`),
  });
}

/**
 * Does what needs the database, as soon as it is there. A login that is mended in its files meanwhile is used.
 * Rejects with the signal's reason when that is aborted.
 */
export async function whenAvailable(
  database: Database,
  config: TrackerConfig,
  logger: Logger,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const login = loginInput(database, config);
  for (let tries = 1; ; tries++) {
    try {
      await untilAborted(work(), signal);
      return;
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== 'unavailable') throw error;
      if (tries === 1) logger.warn('Waiting for the database, without which nobody can be let in');
      await untilAborted(sleep(RETRY_MILLIS, undefined, { ref: false }), signal);
      renew(login, config);
    }
  }
}

/** A sentence about a database that does not answer; null when all is well with it. */
export function databaseTrouble(database: Database): string | null {
  const state = database.state();
  if (state.kind === 'down') return `the database does not answer: ${state.message}`;
  const silenceMillis = database.silenceMillis();
  if (silenceMillis < SILENCE_MILLIS) return null;
  return `the database does not answer: a call waits for ${Math.round(silenceMillis / 1000)} s`;
}

/** The login of a database, which may change while it is open. What is read now is what it was opened with. */
export function loginInput(database: Database | null, config: TrackerConfig): LiveInput {
  const read = (from: TrackerConfig) => credentialsOf(databaseOptions(from));
  return createLiveInput({
    title: 'The login of the database',
    initial: read(config),
    read,
    apply: (credentials) => {
      if (credentials !== null) database?.updateCredentials(credentials);
    },
  });
}

/** Passes on a promise, or rejects with the signal's reason when that is aborted first. */
export function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener('abort', abort));
}

function renew(login: LiveInput, config: TrackerConfig): void {
  try {
    login.refresh(config);
  } catch (error) {
    // What can't be read now was read before, and will be tried again.
    if (!(error instanceof ConfigError) && !(error instanceof StartError)) throw error;
  }
}
