/**
 * Hosts of clients: network namespaces behind the fabric, each with an address of its own, as clients on the Internet have.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { FABRIC } from '../cluster/layout.ts';
import { plugInClient } from '../cluster/network.ts';
import { findSandbox, programPath } from '../cluster/sandbox.ts';
import { waitFor } from '../support/waiting.ts';
import type { Cleaning } from './world.ts';

/** One host. */
export interface ClientHost {
  readonly ipv4: string;
  /** Starts a program there. It ends with the test. */
  spawn(program: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program there to its end; resolves with what it printed. */
  run(program: string, args: readonly string[]): Promise<string>;
}

const execFileAsync = promisify(execFile);
const NETWORK = '198.51.100';
const FIRST_HOST = 10;
let hostCount = 0;

/** Makes a host, which goes after the test. */
export async function openClientHost(cleaning: Cleaning): Promise<ClientHost> {
  const ipv4 = `${NETWORK}.${FIRST_HOST + hostCount}`;
  hostCount += 1;
  // The namespace lives as long as this process, which the kernel ends with the test's.
  const holder = spawn(
    programPath('setpriv'),
    ['--pdeathsig=KILL', programPath('unshare'), '--net', 'sleep', 'infinity'],
    { stdio: 'ignore' },
  );
  const children = new Set<ChildProcess>([holder]);
  cleaning.after(async () => {
    await Promise.all([...children].map(kill));
  });
  const { pid } = holder;
  assert(pid !== undefined, 'setpriv did not start');
  await waitFor('a network namespace', () => namespaceOf(pid) !== namespaceOf(process.pid));
  await plugInClient(findSandbox(FABRIC.name), pid, ipv4);
  const entering = (program: string, args: readonly string[]) => [
    `--net=/proc/${pid}/ns/net`,
    program,
    ...args,
  ];
  return {
    ipv4,
    spawn(program, args, options = {}) {
      // With the test's process the kernel ends it too, however that ended.
      const words = ['--pdeathsig=KILL', programPath('nsenter'), ...entering(program, args)];
      const child = spawn(programPath('setpriv'), words, options);
      children.add(child);
      child.once('exit', () => children.delete(child));
      return child;
    },
    async run(program, args) {
      return (await execFileAsync(programPath('nsenter'), entering(program, args))).stdout;
    },
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function namespaceOf(pid: number): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}
