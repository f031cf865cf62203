/** What all commands share about the terminal: exit codes, how an error is shown, and when there are colours. */
import picocolors from 'picocolors';
import { ConfigError } from '../config/errors.ts';
import { StartError } from '../start-error.ts';

export const ExitCode = { done: 0, failed: 1, usage: 2 } as const;

/** Colours for a stream: only on a terminal, and never when `NO_COLOR` asks for none. */
export function colorsFor(stream: NodeJS.WriteStream): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(isTerminal(stream) && picocolors.isColorSupported);
}

/** Node's types promise a boolean that is missing where there is no terminal. */
function isTerminal(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true;
}

/**
 * Prints an error to stderr and returns the exit code for it: one message for what the user can mend, the whole trace
 * for a fault of ours.
 */
export function reportError(error: unknown): number {
  const { red } = colorsFor(process.stderr);
  if (error instanceof ConfigError || error instanceof StartError) {
    process.stderr.write(`${red('error:')} ${error.message}\n`);
    return error instanceof ConfigError || error.isUsage ? ExitCode.usage : ExitCode.failed;
  }
  process.stderr.write(
    `${red('error:')} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return ExitCode.failed;
}
