/**
 * A sandbox is a machine of its own as far as a node needs one: network, mounts, processes and host name, all of which live
 * and die with one process (unshare(1), namespaces(7)). What it writes below /var lands in the cluster's folder, what
 * it writes below /run in memory; the machine sees neither.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../support/programs.ts';
import { waitFor } from '../support/waiting.ts';
import { FOLDER, LOGS_FOLDER } from './layout.ts';
import { childrenOf, endProcess, isRunning, markOf, type ProcessMark, startDetached } from './processes.ts';

/** A running sandbox. */
export interface Sandbox {
  readonly name: string;
  /** Its first process, as the machine numbers it. */
  readonly pid: number;
}

/** A program that runs on in a sandbox. */
interface Daemon {
  /** The nsenter(1) that started it; the program is its child. */
  readonly mark: ProcessMark;
  readonly program: string;
  readonly args: readonly string[];
}

/** What is kept of a sandbox. */
interface SandboxRecord {
  readonly holder: ProcessMark;
  readonly init: ProcessMark;
}

const RECORDS = join(FOLDER, 'sandboxes');
const DAEMONS = join(FOLDER, 'daemons');
const execFileAsync = promisify(execFile);

/**
 * What the first process does: its own /run and /var, then it waits for ever and for whatever processes are left to it.
 * The cluster's folder stays the real one below the new /var, since no layered file system can be mounted over a layered one.
 */
const INIT = `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock /run/folder "$FOLDER/roots/$NAME/var" "$FOLDER/roots/$NAME/work"
mount --rbind "$FOLDER" /run/folder
mount -t overlay -o "lowerdir=/var,upperdir=$FOLDER/roots/$NAME/var,workdir=$FOLDER/roots/$NAME/work" overlay /var
mkdir -p "$FOLDER"
mount --rbind /run/folder "$FOLDER"
ip link set lo up
hostname "$NAME"
echo 1 > /proc/sys/net/ipv4/ip_forward
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; fi
: > "$FOLDER/sandboxes/$NAME.ready"
sleep infinity &
while :; do wait || :; done
`;

/** Makes a sandbox and waits until it is ready. */
export async function openSandbox(name: string): Promise<Sandbox> {
  mkdirSync(RECORDS, { recursive: true });
  const ready = join(RECORDS, `${name}.ready`);
  const logFile = join(LOGS_FOLDER, `${name}.log`);
  rmSync(ready, { force: true });
  const holder = startDetached(
    programPath('unshare'),
    // prettier-ignore
    ['--net', '--mount', '--pid', '--uts', '--fork', '--mount-proc', '--kill-child',
      '/bin/sh', '-c', `FOLDER=${FOLDER} NAME=${name}\n${INIT}`],
    logFile,
  );
  await waitFor(`the sandbox ${name}`, () => {
    if (!isRunning(holder)) throw new Error(`${name}: ${readFileSync(logFile, 'utf8')}`);
    return existsSync(ready);
  });
  const [pid] = childrenOf(holder.pid);
  const init = pid === undefined ? undefined : markOf(pid);
  if (init === undefined) throw new Error(`${name} ended: ${readFileSync(logFile, 'utf8')}`);
  const record: SandboxRecord = { holder, init };
  writeFileSync(recordFile(name), JSON.stringify(record));
  return { name, pid: init.pid };
}

/** A sandbox that was made before. Throws when it is gone. */
export function findSandbox(name: string): Sandbox {
  const record = readRecord(name);
  if (record === undefined || !isRunning(record.init)) throw new Error(`the sandbox ${name} does not run`);
  return { name, pid: record.init.pid };
}

/** Whether a sandbox runs. */
export function hasSandbox(name: string): boolean {
  const record = readRecord(name);
  return record !== undefined && isRunning(record.init);
}

/** The names of the sandboxes that were made and not closed. */
export function sandboxNames(): string[] {
  if (!existsSync(RECORDS)) return [];
  return readdirSync(RECORDS)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length));
}

/** Ends a sandbox with everything in it, as a power failure would. */
export async function closeSandbox(name: string): Promise<void> {
  const record = readRecord(name);
  if (record === undefined) return;
  await endProcess(record.holder);
  await waitFor(`the end of ${name}`, () => !isRunning(record.init));
  rmSync(recordFile(name));
}

/** Runs a program in a sandbox to its end; resolves with what it printed, rejects with its complaint. */
export async function runIn(sandbox: Sandbox, program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execFileAsync(programPath('nsenter'), entering(sandbox, program, args), {
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** Starts a program in a sandbox that goes on when this process ends. Its output is in the folder of logs. */
export function startDaemon(sandbox: Sandbox, name: string, program: string, args: readonly string[]): void {
  const mark = startDetached(
    programPath('nsenter'),
    entering(sandbox, program, args),
    daemonLog(sandbox.name, name),
  );
  mkdirSync(DAEMONS, { recursive: true });
  const daemon: Daemon = { mark, program, args };
  writeFileSync(daemonFile(sandbox.name, name), JSON.stringify(daemon));
}

/** Kills a daemon and waits for its end. */
export async function killDaemon(sandboxName: string, name: string): Promise<void> {
  const { mark } = readDaemon(sandboxName, name);
  const program = isRunning(mark) ? childrenOf(mark.pid).map(markOf) : [];
  for (const child of program) if (child !== undefined) await endProcess(child);
  await endProcess(mark);
}

/** Starts a daemon again as it was started before. */
export function restartDaemon(sandboxName: string, name: string): void {
  const { program, args } = readDaemon(sandboxName, name);
  startDaemon(findSandbox(sandboxName), name, program, args);
}

/** The file that a daemon's output goes to. */
export function daemonLog(sandboxName: string, name: string): string {
  return join(LOGS_FOLDER, `${sandboxName}-${name}.log`);
}

/** A program of the machine. Throws when there is none. */
export function programPath(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`no program ${name} on this machine`);
  return path;
}

function entering({ pid }: Sandbox, program: string, args: readonly string[]): string[] {
  return [`--target=${pid}`, '--net', '--mount', '--pid', '--uts', program, ...args];
}

function recordFile(name: string): string {
  return join(RECORDS, `${name}.json`);
}

function readRecord(name: string): SandboxRecord | undefined {
  if (!existsSync(recordFile(name))) return undefined;
  return JSON.parse(readFileSync(recordFile(name), 'utf8')) as SandboxRecord; // Written by openSandbox.
}

function daemonFile(sandboxName: string, name: string): string {
  return join(DAEMONS, `${sandboxName}-${name}.json`);
}

function readDaemon(sandboxName: string, name: string): Daemon {
  return JSON.parse(readFileSync(daemonFile(sandboxName, name), 'utf8')) as Daemon; // Written by startDaemon.
}
