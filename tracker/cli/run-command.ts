/** `torrust-tracker run`: the tracker, from its configuration until a signal. `docs/operation.md` tells of it. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../config/errors.ts';
import { CONFIG_PLACES, type ConfigPlace, generatedDriver, writeDefaultConfig } from '../config/generate.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { type ConfigSource, describeSource, findNamedFile } from '../config/source.ts';
import type { RunningTracker } from '../main.ts';
import { type Logger, openLog, stdoutTarget, styleOf } from '../telemetry/log.ts';
import { welcome } from './welcome.ts';
import { readVersion } from '../telemetry/version.ts';
import { colorsFor, ExitCode } from './terminal.ts';

/** A stop that takes longer is given up: Kubernetes and Docker kill after thirty or ten seconds, and say less. */
const STOP_LIMIT_MILLIS = 25_000;
/** A second signal within this time is the first one's echo. */
const ECHO_MILLIS = 500;

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

interface RunOptions {
  readonly config?: string;
  readonly generate?: ConfigPlace;
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('Run the tracker until SIGINT or SIGTERM. SIGHUP reloads its configuration.')
    .option(
      '-c, --config <file>',
      'the configuration (default: $TORRUST_TRACKER_CONFIG_TOML_PATH, else ./tracker.toml)',
    )
    .addOption(
      new Option('--generate [place]', 'write a default configuration to that file when it is missing')
        .choices(CONFIG_PLACES)
        .preset('local'),
    )
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  const loaded = load(options);
  const { logging } = loaded.config;
  const settings = { filter: logging.trace_filter, style: logging.trace_style };
  const target = stdoutTarget(colorsFor(process.stdout).isColorSupported);
  const log = openLog(settings, target);
  const { logger } = log;
  logger.info({ version: readVersion(), node: process.version }, describeSource(loaded.source));
  for (const warning of loaded.warnings) logger.warn(warning);

  let tracker: RunningTracker | null = null;
  // Signals that come before the tracker is up must not be lost: one ends the start, a reload follows it anyway.
  const stopping = listenForStop(logger);
  process.on('SIGHUP', () => {
    logger.info('SIGHUP: reading the configuration anew');
    void tracker?.reload();
  });
  try {
    // Loaded here, since a health check of a container, every few seconds, does without it.
    const { startTracker } = await import('../main.ts');
    tracker = await startTracker({
      loaded,
      log,
      signal: stopping,
      load: () => loadAgain(options, loaded.source),
      onFailure: (error) => fail(logger, error),
    });
  } catch (error) {
    if (!stopping.aborted) throw error;
    logger.info('Stopped before the tracker was up');
    end(ExitCode.done);
  }
  // People read the welcome; machines, for whom the log is in JSON, read the log.
  if (styleOf(settings, target) !== 'json') {
    process.stderr.write(welcome(loaded, tracker, colorsFor(process.stderr)));
  }
  await aborted(stopping);
  await tracker.stop();
  logger.info('Stopped');
  end(ExitCode.done);
}

function load(options: RunOptions): LoadedConfig {
  const from = { env: process.env, cwd: process.cwd() };
  const { config, generate } = options;
  const named = config ?? (generate === undefined ? undefined : findNamedFile(from));
  const isWritten =
    generate !== undefined &&
    named !== undefined &&
    writeDefaultConfig(named, generatedDriver(from.env), generate).kind === 'written';
  const loaded = loadConfig({ ...from, ...(config !== undefined && { path: config }) });
  return isWritten && loaded.source.kind === 'file'
    ? { ...loaded, source: { kind: 'generated', path: loaded.source.path } }
    : loaded;
}

/** Loads for a reload, which writes nothing and does not mistake a file that is gone for one that was never there. */
function loadAgain({ config }: RunOptions, first: ConfigSource): LoadedConfig {
  const from = { env: process.env, cwd: process.cwd(), generate: false };
  const loaded = loadConfig({ ...from, ...(config !== undefined && { path: config }) });
  if ('path' in first && !('path' in loaded.source)) {
    throw new ConfigError('file_missing', `The configuration file ${first.path} does not exist any more.`);
  }
  return loaded;
}

/** A signal that is aborted by the first SIGINT or SIGTERM. One that comes later ends the process at once. */
function listenForStop(logger: Logger): AbortSignal {
  const stop = new AbortController();
  let firstMillis = 0;
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        // One wish can come twice: from the one who signals the process group, and from a parent that passes it on.
        if (performance.now() - firstMillis < ECHO_MILLIS) return;
        logger.warn(`${signal} again: ended without waiting`);
        end(ExitCode.failed);
      }
      firstMillis = performance.now();
      logger.info(`${signal}: stopping`);
      stop.abort();
      setTimeout(() => {
        logger.error(`Ended after ${STOP_LIMIT_MILLIS / 1000} s in which the tracker could not be stopped`);
        end(ExitCode.failed);
      }, STOP_LIMIT_MILLIS).unref();
    });
  }
  return stop.signal;
}

/** Ends the process, since a tracker of which a part died answers some and not others. */
function fail(logger: Logger, error: Error): never {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  logger.fatal({ err: error }, `The tracker can't go on: ${error.message}${cause}`);
  end(ExitCode.failed);
}

/** Ends the process, which waits for its threads. One that hangs in a dead disk lets it hang: a further signal kills. */
function end(code: number): never {
  for (const signal of STOP_SIGNALS) process.removeAllListeners(signal);
  process.exit(code);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });
}
