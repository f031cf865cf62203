/**
 * Failures of a change (or reload) of keys and whitelist as the REST API tells them: Torrust's prefix for what was
 * tried, and Torrust's words for what the database did.
 */
import { DatabaseError } from '../db/error.ts';
import type { DatabaseDriver } from '../db/model.ts';
import { TableFullError } from '../shared-table.ts';
import { NoDatabaseError, TurnTimeoutError, UncertainChangeError } from './durability.ts';
import { DONE, type Reply, unhandled } from './reply.ts';

/** Those whose message is for the client. */
const OWN_ERRORS = [NoDatabaseError, TurnTimeoutError, TableFullError];

/**
 * Does `work` and answers `{"status":"ok"}`, or what `work` answers. When it fails, 500 with a reason that begins with
 * `failed to {attempt}: `. Errors that are a mistake of ours are passed on.
 */
export async function answerChange(attempt: string, work: () => Promise<Reply | void>): Promise<Reply> {
  try {
    return (await work()) ?? DONE;
  } catch (error) {
    const reason = `failed to ${attempt}: ${causeText(error)}`;
    return { ...unhandled(reason), ...(isTrouble(error) && { trouble: reason }) };
  }
}

/** The reply for a key that was to be deleted and is not in the database. */
export function nothingRemoved(attempt: string, driver: DatabaseDriver): Reply {
  return unhandled(`failed to ${attempt}: Failed to remove record from ${driver} database, error-code: 0`);
}

/** Whether a failure is the tracker's own: what is there already, and what there is no database for, is the client's. */
function isTrouble(error: unknown): boolean {
  if (error instanceof DatabaseError) return error.code !== 'duplicate';
  return !(error instanceof NoDatabaseError);
}

function causeText(error: unknown): string {
  if (error instanceof UncertainChangeError) {
    const cause = error.failure === null ? error.message : causeText(error.failure);
    return `${cause}; whether it was done all the same is seen when the database answers again`;
  }
  if (OWN_ERRORS.some((kind) => error instanceof kind) && error instanceof Error) return error.message;
  if (!(error instanceof DatabaseError)) throw error;
  switch (error.code) {
    case 'unavailable':
    case 'unopenable':
    case 'closed':
      return `Failed to connect to ${error.driver} database: ${error.detail}`;
    case 'duplicate':
    case 'malformed':
    case 'refused':
      return `The ${error.driver} query was malformed: ${error.detail}`;
  }
}
