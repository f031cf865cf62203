/**
 * The log that knex is given. Whatever knex would print also arrives as an error at the call that caused it, where it
 * is told apart and reported once; printing here would bypass the tracker's log and its rules about secrets.
 */
import type { Knex } from 'knex';

const ignore = (): void => {};

/** Drops everything. */
export const silentLog: Knex.Logger = { warn: ignore, error: ignore, deprecate: ignore, debug: ignore };
