/**
 * A network of the test's own on one Linux machine: hosts as network namespaces (ip-netns(8)) around one bridge.
 *
 *     tracker            client 1           client 2
 *     198.51.100.1/32    198.51.100.2/32    198.51.100.3/32      TEST-NET-2, RFC 5737
 *     2001:db8:0:1::1    2001:db8:0:2::1    2001:db8:0:3::1      documentation prefix, RFC 3849
 *          eth0               eth0               eth0
 *           └──────────── bridge in a namespace ──┘
 *
 * Real clients ignore peers on loopback addresses, and a tracker treats them specially; here everyone has a routable
 * address and nothing can leave the machine. No two hosts share a subnet: each reaches the others over a default route
 * on the link, so that rules about a client's subnet see what they would see on the Internet. Needs root: a test that
 * uses it declares `needs('netns')`. Names hold the process id, so that what a killed run left is known and removed.
 */
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { findProgram } from './programs.ts';

/** One host of the network. */
export interface TestHost {
  /** The namespace, for `ip -n`. */
  readonly namespace: string;
  readonly ipv4: string;
  /** Undefined in a network without IPv6. */
  readonly ipv6: string | undefined;
  /** Starts a program on this host. It is killed when the network is closed; signals reach the program itself. */
  spawn(program: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program on this host to its end. Resolves with its standard output; rejects when it fails. */
  run(program: string, args: readonly string[]): Promise<string>;
}

/** A tracker's host and the hosts of its clients. */
export interface TestNetwork {
  readonly tracker: TestHost;
  readonly clients: readonly TestHost[];
  /** Kills what still runs on the hosts and removes them. May be called twice. */
  close(): Promise<void>;
}

const execFileAsync = promisify(execFile);
const HUB_LINK = 'hub';
/** One octet of the address counts the hosts. */
const MAX_CLIENTS = 250;

const openNamespaces = new Set<string>();
let networkCount = 0;
let removesOnExit = false;

/**
 * Creates a network with one host for a tracker and `clients` hosts for clients (1-250). Rejects with the complaint
 * of `ip` when a step fails; nothing is left behind then.
 */
export async function createNetwork(options: { clients: number; ipv6: boolean }): Promise<TestNetwork> {
  assert(options.clients >= 1 && options.clients <= MAX_CLIENTS);
  removeOnExit();
  await removeAbandoned();
  networkCount += 1;
  const prefix = `tt-${process.pid}-${networkCount}`;
  const children = new Set<ChildProcess>();
  const created: string[] = [];
  const close = async (): Promise<void> => {
    const exits = [...children].filter(isRunning).map((child) => once(child, 'exit'));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(exits);
    for (const namespace of created.splice(0)) removeNamespace(namespace);
  };
  const addNamespace = async (name: string): Promise<string> => {
    const namespace = `${prefix}-${name}`;
    openNamespaces.add(namespace);
    created.push(namespace);
    await ip(['netns', 'add', namespace]);
    await ip(['-n', namespace, 'link', 'set', 'dev', 'lo', 'up']);
    return namespace;
  };
  try {
    const hub = await addNamespace('hub');
    await ip(['-n', hub, 'link', 'add', 'name', HUB_LINK, 'type', 'bridge']);
    await ip(['-n', hub, 'link', 'set', 'dev', HUB_LINK, 'up']);
    const hosts: TestHost[] = [];
    for (let index = 0; index <= options.clients; index += 1) {
      const namespace = await addNamespace(index === 0 ? 'tracker' : `client${index}`);
      const ipv4 = `198.51.100.${index + 1}`;
      const ipv6 = options.ipv6 ? `2001:db8:0:${(index + 1).toString(16)}::1` : undefined;
      await plugIn(hub, `port${index}`, namespace, ipv4, ipv6);
      hosts.push(createHost(namespace, ipv4, ipv6, children));
    }
    const [tracker, ...clients] = hosts;
    assert(tracker !== undefined);
    return { tracker, clients, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Joins a namespace to the bridge by a veth pair and gives it its addresses and on-link default routes. */
async function plugIn(
  hub: string,
  port: string,
  namespace: string,
  ipv4: string,
  ipv6: string | undefined,
): Promise<void> {
  await ip([
    '-n',
    hub,
    'link',
    'add',
    'name',
    port,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    namespace,
  ]);
  await ip(['-n', hub, 'link', 'set', 'dev', port, 'master', HUB_LINK, 'up']);
  await ip(['-n', namespace, 'address', 'add', `${ipv4}/32`, 'dev', 'eth0']);
  // Without duplicate address detection, which would keep the address unusable for more than a second.
  if (ipv6 !== undefined)
    await ip(['-n', namespace, 'address', 'add', `${ipv6}/128`, 'dev', 'eth0', 'nodad']);
  await ip(['-n', namespace, 'link', 'set', 'dev', 'eth0', 'up']);
  await ip(['-n', namespace, 'route', 'add', 'default', 'dev', 'eth0']);
  if (ipv6 !== undefined) await ip(['-n', namespace, '-6', 'route', 'add', 'default', 'dev', 'eth0']);
}

function createHost(
  namespace: string,
  ipv4: string,
  ipv6: string | undefined,
  children: Set<ChildProcess>,
): TestHost {
  // `ip netns exec` replaces itself with the program, so the child's process id and signals are the program's.
  const inside = (program: string, args: readonly string[]): string[] => [
    'netns',
    'exec',
    namespace,
    program,
    ...args,
  ];
  return {
    namespace,
    ipv4,
    ipv6,
    spawn(program, args, options = {}) {
      const child = spawn(ipProgram(), inside(program, args), options);
      children.add(child);
      child.once('exit', () => children.delete(child));
      return child;
    },
    async run(program, args) {
      return (await execFileAsync(ipProgram(), inside(program, args))).stdout;
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Kills what runs in a namespace and deletes it. Synchronous, because the end of the process needs it too. */
function removeNamespace(namespace: string): void {
  const pids = spawnSync(ipProgram(), ['netns', 'pids', namespace], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself in between.
    }
  }
  spawnSync(ipProgram(), ['netns', 'delete', namespace], { stdio: 'ignore' });
  openNamespaces.delete(namespace);
}

/** Removes the namespaces also when the process ends without `close`, by a signal as well. */
function removeOnExit(): void {
  if (removesOnExit) return;
  removesOnExit = true;
  process.once('exit', () => {
    for (const namespace of openNamespaces) removeNamespace(namespace);
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1));
  }
}

/** Removes namespaces of processes that are gone, such as a test killed by SIGKILL. */
async function removeAbandoned(): Promise<void> {
  const listing = await ip(['netns', 'list']);
  for (const [namespace, pid] of listing.matchAll(/^tt-(\d+)-\S+/gm)) {
    if (!isAlive(Number(pid))) removeNamespace(namespace);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function ipProgram(): string {
  const program = findProgram('ip');
  assert(program !== undefined, "a test that makes a network declares needs('netns')");
  return program;
}

async function ip(args: readonly string[]): Promise<string> {
  return (await execFileAsync(ipProgram(), [...args])).stdout;
}
