/** What a user of the command can mend: told in one line, without a trace. */

/** Exit codes, as those of `torrust-tracker`. */
export const ExitCode = { done: 0, failed: 1, usage: 2 } as const;

/** A mistake on the command line or in a file that it names. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
