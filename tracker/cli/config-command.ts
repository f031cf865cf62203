/** `torrust-tracker config`: check, print and make configurations. */
import type { Command } from 'commander';
import { createApiToken, defaultConfigText } from '../config/generate.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { migrateConfig, printConfig } from '../config/print.ts';
import { describeSource } from '../config/source.ts';
import { readInputs } from '../run/inputs.ts';
import { colorsFor } from './terminal.ts';

interface FileOption {
  readonly config?: string;
}

export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('Check, print and make configurations.');
  addFile(
    config
      .command('check')
      .description('Say whether the configuration is in order, and every mistake if not.'),
  ).action(check);
  addFile(
    config.command('print').description('Print the configuration as it is in force, secrets masked.'),
  ).action((options: FileOption) => {
    process.stdout.write(printConfig(load(options).config));
  });
  config
    .command('default')
    .description('Print a default configuration with a new API token.')
    .action(() => {
      process.stdout.write(defaultConfigText(createApiToken()));
    });
  config
    .command('migrate')
    .description(
      'Print a configuration of Torrust Tracker, of any version, in the layout of today. Secrets are kept.',
    )
    .argument('<file>', 'the configuration to read')
    .action((file: string) => {
      const loaded = loadConfig({ path: file, env: {}, cwd: process.cwd() });
      const { toml, warnings } = migrateConfig(loaded.config);
      warn([...loaded.warnings, ...warnings]);
      process.stdout.write(toml);
    });
}

function check(options: FileOption): void {
  const loaded = load(options);
  readInputs(loaded.config);
  warn(loaded.warnings);
  const { green } = colorsFor(process.stdout);
  process.stdout.write(`${green('ok:')} ${describeSource(loaded.source)} (layout ${loaded.generation})\n`);
}

/** Loads without writing anything. */
function load(options: FileOption): LoadedConfig {
  return loadConfig({
    ...(options.config !== undefined && { path: options.config }),
    env: process.env,
    cwd: process.cwd(),
    generate: false,
  });
}

function addFile(command: Command): Command {
  return command.option('-c, --config <file>', 'the configuration (default: as for run)');
}

function warn(warnings: readonly string[]): void {
  const { yellow } = colorsFor(process.stderr);
  for (const warning of warnings) process.stderr.write(`${yellow('warning:')} ${warning}\n`);
}
