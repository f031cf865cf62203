/**
 * The real command in a process of its own: a tracker with a configuration and a folder, or any other call, run to its
 * end. What is started for a test is killed and its folder removed after it, whatever happens.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { parseSocketAddress, type SocketAddress } from '../../tracker/config/address.ts';
import type { TrackerConfigInput } from '../../tracker/config/schema.ts';
import { waitFor } from './waiting.ts';

const COMMAND = join(import.meta.dirname, '../../tracker/cli/main.ts');
/** Where Node keeps compiled code by default; with it a start takes half the time. It knows code by its content. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache');
const DEADLINE_MILLIS = 60_000;

/** What is asked of a test context: to clean up after the test. A suite may bring its own. */
export interface Cleaner {
  after(cleanup: () => void): void;
}

/** How a process ended; one of both is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface CommandResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** A line of the log in its JSON form. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
}

/** A configuration as a test writes it, over one with every port 0, little memory and JSON logs. */
export type PartialConfig = Partial<Omit<TrackerConfigInput, 'core' | 'logging'>> & {
  readonly core?: Partial<TrackerConfigInput['core']>;
  readonly logging?: Partial<TrackerConfigInput['logging']>;
};

export interface TrackerProcess {
  /** The working directory, with `tracker.toml` in it. */
  readonly folder: string;
  readonly pid: number;
  /** Where it listens, in the order of the configuration. */
  readonly udp: readonly SocketAddress[];
  readonly http: readonly SocketAddress[];
  /** The base URLs of the REST API (`''` when there is none) and of the health check, and the URL of the metrics. */
  readonly api: string;
  readonly health: string;
  readonly metrics: string;
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** The log so far, where it is in JSON. */
  log(): readonly LogLine[];
  /** Sends a signal and waits for the end. May be called when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

export interface CommandOptions {
  /** Variables beside those of this process, of which none that tells a tracker something is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

/** A folder that is removed when the test ends. */
export function temporaryFolder(context: Cleaner): string {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-process-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a configuration to `tracker.toml` in a folder. Resolves to its path. */
export function writeConfig(folder: string, config: PartialConfig = {}): string {
  const path = join(folder, 'tracker.toml');
  const { core, logging, ...rest } = config;
  const whole = {
    metadata: { schema_version: '3.0.0' },
    health_check_api: { bind_address: '127.0.0.1:0' },
    metrics: { bind_address: '127.0.0.1:0' },
    network: { workers: 1, receive_buffer_bytes: 2 ** 20 },
    swarm: { memory: '16MiB' },
    ...rest,
    core: { listed: false, private: false, ...core },
    logging: { trace_filter: 'info', trace_style: 'json', ...logging },
  };
  writeFileSync(path, stringify(whole));
  return path;
}

/**
 * Starts a tracker and waits until it is ready. It is killed after the test. Rejects, with what it wrote, when it ends
 * before.
 */
export async function startTrackerProcess(
  context: Cleaner,
  config: PartialConfig,
  { env = {}, folder = temporaryFolder(context) }: CommandOptions = {},
): Promise<TrackerProcess> {
  const path = writeConfig(folder, config);
  return superviseTracker(context, ['run', '--config', path], { env, folder });
}

/** Starts a tracker by any arguments, as `startTrackerProcess` does. */
export async function superviseTracker(
  context: Cleaner,
  args: readonly string[],
  options: Required<CommandOptions>,
): Promise<TrackerProcess> {
  const running = start(context, args, options);
  const services = await waitFor(
    'a tracker that is up',
    () => {
      if (running.hasEnded()) throw new Error(`the tracker ended: ${running.stdout()}\n${running.stderr()}`);
      return findServices(running.stdout());
    },
    DEADLINE_MILLIS,
  );
  const { folder } = options;
  return {
    ...services,
    folder,
    pid: running.pid,
    stdout: running.stdout,
    stderr: running.stderr,
    log: () =>
      running
        .stdout()
        .trim()
        .split('\n')
        // A log in JSON has these members in every line.
        .map((line) => JSON.parse(line) as LogLine),
    stop: (signal = 'SIGTERM') => running.end(signal),
  };
}

/** Runs the command to its end. */
export async function runCommand(
  context: Cleaner,
  args: readonly string[],
  { env = {}, folder = temporaryFolder(context) }: CommandOptions = {},
): Promise<CommandResult> {
  const running = start(context, args, { env, folder });
  const exit = await running.ended();
  return { ...exit, stdout: running.stdout(), stderr: running.stderr() };
}

/** A command that runs, with what it wrote. It is killed after the test. */
export interface RunningCommand {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  hasEnded(): boolean;
  /** Waits for its end. */
  ended(): Promise<Exit>;
  end(signal: NodeJS.Signals): Promise<Exit>;
}

/** Starts the command and does not wait. */
export function start(
  context: Cleaner,
  args: readonly string[],
  { env, folder }: Required<CommandOptions>,
): RunningCommand {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: folder,
    env: { ...ownEnvironment(), NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  context.after(() => child.kill('SIGKILL'));
  assert(child.pid !== undefined, 'the command was started');
  const stdout = collect(child, 'stdout');
  const stderr = collect(child, 'stderr');
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const ended = async () => {
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MILLIS);
    await closed;
    clearTimeout(timer);
    return { code: child.exitCode, signal: child.signalCode };
  };
  return {
    pid: child.pid,
    stdout,
    stderr,
    hasEnded,
    ended,
    end: (signal) => {
      child.kill(signal);
      return ended();
    },
  };
}

function collect(child: ChildProcess, name: 'stdout' | 'stderr'): () => string {
  let text = '';
  child[name]?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return () => text;
}

function ownEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(TORRUST|OTEL|FORCE_COLOR|NO_COLOR|NODE_TEST)/.test(name),
    ),
  );
}

type Services = Pick<TrackerProcess, 'udp' | 'http' | 'api' | 'health' | 'metrics'>;

/** The services of a log whose last line of the start has come; undefined before. */
function findServices(log: string): Services | undefined {
  const urls = (what: string) =>
    [...log.matchAll(new RegExp(`${what}: Started on:? (\\w+://[^\\s"]+)`, 'g'))].map(([, url]) => url);
  const [health] = urls('HEALTH CHECK API');
  if (health === undefined) return undefined;
  const addresses = (what: string) =>
    urls(what).map((url) => parseSocketAddress(url.slice(url.indexOf('://') + 3)));
  return {
    udp: addresses('UDP TRACKER'),
    http: addresses('HTTP TRACKER'),
    api: urls('(?<!CHECK )API')[0] ?? '',
    health,
    metrics: urls('METRICS')[0] ?? '',
  };
}
