/** The real command `torrust-operator` in a process of its own, which ends with the test whatever happens. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from '../../support/tracker-process.ts';
import { waitFor } from '../../support/waiting.ts';

const COMMAND = join(import.meta.dirname, '../../../operator/cli/main.ts');
/** Where Node keeps compiled code by default. It knows code by its content. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache');
const DEADLINE_MILLIS = 60_000;

/** How a call ended. */
export interface CommandEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A call that runs. */
export interface RunningCommand {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  ended(): Promise<CommandEnd>;
}

/** As the chart sets it. */
const NODE_OPTIONS = '--max-semi-space-size=4';

/**
 * Starts the command as a pod of a cluster with IPv4 would; `kubeconfig` is a text. `before` are the words of a program
 * that becomes it.
 */
export function startCommand(
  context: Cleaner,
  args: readonly string[],
  kubeconfig = '',
  before: readonly string[] = [],
): RunningCommand {
  const folder = mkdtempSync(join(tmpdir(), 'operator-process-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'kubeconfig');
  writeFileSync(file, kubeconfig);
  const env = Object.entries(process.env).filter(([name]) => !/^(KUBE|POD_|NODE_TEST)/.test(name));
  const [program = process.execPath, ...words] = [...before, process.execPath, COMMAND, ...args];
  const child = spawn(program, words, {
    cwd: folder,
    env: {
      ...Object.fromEntries(env),
      KUBECONFIG: file,
      POD_IPS: '127.0.0.1',
      NODE_OPTIONS,
      NODE_COMPILE_CACHE: COMPILE_CACHE,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  context.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    async ended() {
      const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MILLIS);
      await closed;
      clearTimeout(timer);
      return { code: child.exitCode, stdout, stderr };
    },
  };
}

/** The port of the status server of `run`, as the first line of its log tells it. */
export function portOf(command: RunningCommand): Promise<number> {
  return waitFor('the first line of the log', () => {
    const [line] = command.stdout().split('\n');
    return line === undefined || line === '' ? undefined : (JSON.parse(line) as { port: number }).port;
  });
}

/** Runs the command to its end. */
export function runCommand(context: Cleaner, args: readonly string[], kubeconfig = ''): Promise<CommandEnd> {
  return startCommand(context, args, kubeconfig).ended();
}
