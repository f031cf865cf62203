/**
 * The command `torrust-tracker`. Exit codes: 0 done, 1 it failed, 2 the configuration or the command line is wrong.
 */
import { Command, CommanderError } from 'commander';
import { addConfigCommand } from './config-command.ts';
import { addHealthCommand } from './health-command.ts';
import { addProbeCommand, spellOutOptions } from './probe-command.ts';
import { addRunCommand } from './run-command.ts';
import { readVersion } from '../telemetry/version.ts';
import { ExitCode, reportError } from './terminal.ts';

const program = new Command('torrust-tracker')
  .description('A BitTorrent tracker that is compatible with Torrust Tracker.')
  .version(readVersion(), '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show this help')
  .showHelpAfterError('(--help shows what is possible)')
  .exitOverride();

addRunCommand(program);
addConfigCommand(program);
addProbeCommand(program);
addHealthCommand(program);
program
  .command('version')
  .description('Print the version.')
  .action(() => {
    process.stdout.write(`${readVersion()}\n`);
  });

try {
  await program.parseAsync(spellOutOptions(process.argv));
} catch (error) {
  // Commander has printed its message already; help and version end without an error.
  process.exitCode =
    error instanceof CommanderError
      ? error.exitCode === 0
        ? ExitCode.done
        : ExitCode.usage
      : reportError(error);
}
