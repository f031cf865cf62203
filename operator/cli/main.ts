/**
 * The command `torrust-operator`. Exit codes: 0 done, 1 it failed, 2 the command line or a file that it names is wrong.
 */
import { Command, CommanderError } from 'commander';
import { ClusterError } from '../cluster-error.ts';
import { ApiError, ConnectionError } from '../kube/kube-error.ts';
import { readVersion } from '../version.ts';
import { addCheckCommand } from './check-command.ts';
import { addRenderCommand } from './render-command.ts';
import { addRunCommand } from './run-command.ts';
import { addSelftestCommand } from './selftest-command.ts';
import { ExitCode, UsageError } from './usage-error.ts';

const program = new Command('torrust-operator')
  .description('Runs BitTorrent trackers in Kubernetes: a TorrustTracker becomes a tracker.')
  .version(readVersion(), '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show this help')
  .showHelpAfterError('(--help shows what is possible)')
  .exitOverride();

addRunCommand(program);
addRenderCommand(program);
addCheckCommand(program);
addSelftestCommand(program);
program
  .command('version')
  .description('Print the version.')
  .action(() => {
    process.stdout.write(`${readVersion()}\n`);
  });

// Whoever reads the output may have read enough, as `head` does.
process.stdout.on('error', () => process.exit(ExitCode.failed));

try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

/** Prints an error, one line for what the user can mend, and says how the process ends. */
function exitCodeOf(error: unknown): number {
  // Commander has printed its message already; help and version end without an error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  const isPlain = [UsageError, ClusterError, ConnectionError, ApiError].some((kind) => error instanceof kind);
  const text =
    error instanceof Error ? (isPlain ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`error: ${text}\n`);
  return error instanceof UsageError ? ExitCode.usage : ExitCode.failed;
}
