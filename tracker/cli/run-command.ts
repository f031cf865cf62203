/** `torrust-tracker run`: the tracker, from its configuration until a signal. */
import type { Command } from 'commander';
import { writeDefaultConfig } from '../config/generate.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { describeSource } from '../config/source.ts';
import { startTracker } from '../main.ts';
import { createLogger, defaultLogStyle, type LogStyle } from '../telemetry/log.ts';
import { welcome } from './welcome.ts';
import { colorsFor, ExitCode, readVersion, reportError } from './terminal.ts';

interface RunOptions {
  readonly config?: string;
  readonly generate?: boolean;
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('Run the tracker until SIGINT or SIGTERM.')
    .option(
      '-c, --config <file>',
      'the configuration (default: $TORRUST_TRACKER_CONFIG_TOML_PATH, else ./tracker.toml)',
    )
    .option('--generate', 'write a default configuration to that file when it is missing')
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  const loaded = load(options);
  const { config } = loaded;
  const isTerminal = process.stdout.isTTY;
  const style: LogStyle = config.logging.trace_style ?? defaultLogStyle(isTerminal);
  const logger = createLogger({
    filter: config.logging.trace_filter,
    style,
    colors: colorsFor(process.stdout).isColorSupported,
  });
  logger.info({ version: readVersion(), node: process.version }, describeSource(loaded.source));
  for (const warning of loaded.warnings) logger.warn(warning);
  const isStopped = Promise.withResolvers<number>();
  const onFailure = (error: Error) => {
    logger.fatal({ err: error }, `The tracker can't go on: ${error.message}`);
    isStopped.resolve(ExitCode.failed);
  };
  // A signal that comes before the tracker is up must still end it.
  const signals = listenForSignals();
  const tracker = await startTracker(config, logger, onFailure);
  // People read the welcome; machines, which asked for JSON, read the log.
  if (config.logging.trace_style !== 'json') {
    process.stderr.write(welcome(loaded, tracker, colorsFor(process.stderr)));
  }
  void signals.then((signal) => {
    logger.info(`${signal}: stopping`);
    isStopped.resolve(ExitCode.done);
  });
  const code = await isStopped.promise;
  if (code !== ExitCode.done) process.exit(code);
  await tracker.stop();
  logger.info('Stopped');
}

function load(options: RunOptions): LoadedConfig {
  const from = { env: process.env, cwd: process.cwd() };
  if (options.config === undefined) return loadConfig(from);
  const isWritten = options.generate === true && writeDefaultConfig(options.config).kind === 'written';
  const loaded = loadConfig({ ...from, path: options.config });
  return isWritten && loaded.source.kind === 'file'
    ? { ...loaded, source: { kind: 'generated', path: loaded.source.path } }
    : loaded;
}

/** Resolves with the first signal that asks for an end; the second ends the process at once. */
function listenForSignals(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isFirst = true;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (!isFirst) process.exit(reportError(new Error(`${signal} again: ended without waiting`)));
        isFirst = false;
        resolve(signal);
      });
    }
  });
}
