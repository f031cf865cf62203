/** `torrust-operator run`: the operator, until a signal. */
import { setFlagsFromString } from 'node:v8';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS, type LogLevel, openLog } from '../log.ts';
import { PULL_POLICIES, type PullPolicy } from '../crd/tracker-spec.ts';
import { defaultTrackerImage } from '../tracker-image.ts';
import { readNamespaces } from './namespaces.ts';
import { ExitCode } from './usage-error.ts';

interface RunOptions {
  readonly namespaces?: readonly string[];
  readonly context?: string;
  readonly dryRun?: boolean;
  readonly bindAddress: { readonly host: string | undefined; readonly port: number };
  readonly leaderElect: boolean;
  readonly defaultTrackerImage: string;
  readonly defaultTrackerPullPolicy?: PullPolicy;
  readonly logLevel: LogLevel;
  readonly applyDefinitions?: boolean;
}

/** At every address, of both families where the machine has both. */
const DEFAULT_BIND_ADDRESS = { host: undefined, port: 8080 };
/**
 * The heap may grow by this part before it is swept, rather than to a multiple: reconciles leave much behind and need little.
 * https://nodejs.org/api/v8.html#v8setflagsfromstringflags
 */
const HEAP_FLAG = '--heap-growing-percent=20';
/** A stop that takes longer is given up: Kubernetes kills after thirty seconds, and says less. */
const STOP_LIMIT_MILLIS = 20_000;

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description(
      'Run the operator until SIGINT or SIGTERM, with the current context or the service account of its pod.',
    )
    .option('--namespaces <list>', 'run the trackers of these namespaces alone, such as a,b', readNamespaces)
    .option('--context <name>', 'another context of the kubeconfig than the current one')
    .option('--dry-run', 'let the API server judge every write and store none')
    .addOption(
      new Option(
        '--bind-address <address>',
        'where metrics and health are served, with port 0 at any that is free',
      )
        .argParser(readAddress)
        .default(DEFAULT_BIND_ADDRESS, ':8080, at every address'),
    )
    .option('--no-leader-elect', 'work at once; only where no other operator can be running')
    .option('--default-tracker-image <image>', 'the image of trackers that name none', defaultTrackerImage())
    .addOption(
      new Option(
        '--default-tracker-pull-policy <policy>',
        'when a node fetches the image of trackers that do not say',
      ).choices(PULL_POLICIES),
    )
    .addOption(
      new Option('--log-level <level>', 'the least important level that is logged')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .option('--apply-definitions', 'apply the CustomResourceDefinitions of this version first')
    .action(run);
}

/** Reads `host:port`, `[IPv6]:port` or `:port`, which is every address. */
function readAddress(text: string): RunOptions['bindAddress'] {
  const [, bracketed, plain = '', port] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535) throw new InvalidArgumentError('write it as HOST:PORT');
  const host = bracketed ?? plain;
  return { host: host === '' ? undefined : host, port: Number(port) };
}

async function run(options: RunOptions): Promise<void> {
  setFlagsFromString(HEAP_FLAG);
  const log = openLog(options.logLevel);
  const stopping = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    if (stopping.signal.aborted) return;
    log.info({ signal }, 'stopping');
    stopping.abort(new Error(signal));
    setTimeout(() => {
      log.error('the stop took too long');
      process.exit(ExitCode.failed);
    }, STOP_LIMIT_MILLIS).unref();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  // Loaded here, since other commands do without it and begin a second sooner.
  const { runOperator } = await import('../main.ts');
  await runOperator({
    settings: {
      context: options.context,
      namespaces: options.namespaces,
      defaultImage: options.defaultTrackerImage,
      defaultPullPolicy: options.defaultTrackerPullPolicy,
      bindAddress: options.bindAddress,
      electsLeader: options.leaderElect,
      isDry: options.dryRun ?? false,
      appliesDefinitions: options.applyDefinitions ?? false,
    },
    log,
    signal: stopping.signal,
    onLost: (reason) => {
      log.error({ err: reason }, 'another operator may be at work: ending at once');
      process.exit(ExitCode.failed);
    },
  });
  log.info('stopped');
}
