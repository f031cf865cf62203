/**
 * Many trackers under one operator: the real command against a real API server, one real tracker behind the addresses of
 * all pods, and the test in the place of the workloads' controller and the kubelet. What it costs is measured from
 * outside: time, what the API server's audit log says was written, and what the kernel says of the process.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { NamedObject } from '../apiserver/client.ts';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../apiserver/trackers.ts';
import { readCpuSeconds, readPeakResidentBytes, readResidentBytes } from '../bench/process-usage.ts';
import type { Cleaner } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { portOf, type RunningCommand, startCommand } from './cli/operator-process.ts';
import { at } from './environments.ts';
import { startLoopbackPod } from './probe/loopback-pod.ts';
import {
  forbiddenTo,
  grant,
  makeNamespace,
  objectIn,
  OPERATOR_USER,
  playPod,
  playWorkload,
  readyAt,
  told,
} from './reconcile/running-operator.ts';

/** What cleans up afterwards; it waits for what takes time. */
export interface FleetCleaner extends Cleaner {
  after(cleanup: () => unknown): void;
}

/** How much is measured. */
export interface FleetOptions {
  readonly trackers: number;
  /** How long nothing may be written while nothing happens; two rounds of probes take a minute. */
  readonly steadySeconds: number;
  /** Objects that somebody else changes, one after the other. */
  readonly drifts: number;
  /** Called at the start of each phase with its name, and at its end with what came of it, in words. */
  readonly onPhase: (name: string) => void;
}

/** What one phase took. */
export interface PhaseFigures {
  readonly seconds: number;
  /** Processor time of the operator. */
  readonly cpuSeconds: number;
  /** Processor time of the API server, which has other work too. */
  readonly serverCpuSeconds: number;
  /** Requests of the operator that wrote; its lease apart. */
  readonly writes: number;
  /** All of its requests, its lease and the begins of watches apart. */
  readonly requests: number;
}

/** What was measured. */
export interface FleetFigures {
  /** From the start of the operator, with every tracker already there, until the last has its objects and a status. */
  readonly first: PhaseFigures;
  /** From the first pod until the last tracker is Ready by a real announce; the test's own requests take most of it. */
  readonly ready: PhaseFigures;
  readonly steady: PhaseFigures;
  /** From the start of another operator until it has looked at every tracker. */
  readonly restart: PhaseFigures;
  /** Of each change by somebody else, until it is mended. */
  readonly driftSeconds: readonly number[];
  /** Requests that were refused for want of a right. */
  readonly forbidden: number;
  /** Of the operator's process after all that, and the most that it ever had. */
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
}

const WRITES: readonly string[] = ['create', 'update', 'patch', 'delete'];
/** Requests of the test at a time. */
const CONCURRENCY = 8;
const DEADLINE_MILLIS = 15 * 60_000;
/** A list of all trackers is work for the server too. */
const LOOK_MILLIS = 500;
/** Who writes nothing for so long has nothing to write. */
const SETTLED_MILLIS = 3_000;
const DRIFT_LOOK_MILLIS = 20;

/** An operator in a process of its own. */
interface Operator {
  readonly pid: number;
  /** Throws when it has ended, with what it said last. */
  assertRuns(): void;
  /** How many reconciles it has ended well. */
  reconciles(): Promise<number>;
  stop(): Promise<void>;
}

/** Measures. Everything that it starts ends with the context. */
export async function measureFleet(context: FleetCleaner, options: FleetOptions): Promise<FleetFigures> {
  const { trackers, steadySeconds, drifts, onPhase } = options;
  onPhase('an API server starts');
  const server = await startApiServer();
  context.after(() => server.close());
  await server.admin.install([trackerDefinitionObject()]);
  const namespace = await makeNamespace(server);
  const kubeconfig = server.kubeconfig(await grant(server), 'torrust-system');
  const { address, spec } = await startLoopbackPod(context);
  const names = Array.from({ length: trackers }, (_, index) => `tracker-${index}`);
  onPhase(`${trackers} trackers are created`);
  await forEach(names, (name) => server.admin.apply(trackerObject(name, spec, namespace)));
  const allAre = (by: Operator, state: string, isSo: (tracker: NamedObject) => boolean) =>
    waitFor(
      `${trackers} trackers: ${state}`,
      async () => {
        await pause(LOOK_MILLIS);
        by.assertRuns();
        return (await listTrackers(server, namespace)).every(isSo);
      },
      DEADLINE_MILLIS,
    );

  onPhase('the operator makes their objects');
  const ofFirst = new Stopwatch(server);
  const operator = await startOperator(context, kubeconfig);
  await allAre(operator, 'made', (tracker) => told(tracker, 'Ready') !== '');
  const first = ofFirst.read(operator.pid);
  onPhase(describe(first, operator));
  await settle(server);

  onPhase('their pods become ready');
  const ofReady = new Stopwatch(server, operator.pid);
  await forEach(names, async (name) => {
    const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', name);
    await playWorkload(server, workload, { isReady: true });
    await playPod(server, namespace, name, readyAt(address));
  });
  await allAre(operator, 'ready', (tracker) => told(tracker, 'Ready') === 'True Serving');
  const ready = ofReady.read(operator.pid);
  onPhase(describe(ready, operator));
  await settle(server);

  onPhase(`nothing happens for ${steadySeconds} s`);
  const ofSteady = new Stopwatch(server, operator.pid);
  await pause(steadySeconds * 1000);
  const steady = ofSteady.read(operator.pid);
  onPhase(describe(steady, operator));

  onPhase(`somebody changes ${drifts} objects`);
  const driftSeconds: number[] = [];
  for (let index = 0; index < drifts; index++) {
    const name = names[Math.floor((index * trackers) / drifts)] ?? '';
    driftSeconds.push(await timeDrift(server, namespace, name));
  }
  await settle(server);
  const residentBytes = readResidentBytes(operator.pid);
  const peakResidentBytes = readPeakResidentBytes(operator.pid);
  await operator.stop();

  onPhase('another operator takes over');
  const ofRestart = new Stopwatch(server);
  const next = await startOperator(context, kubeconfig);
  // One that reads a thousand trackers may be too busy to answer in time.
  const isDone = async () => (await next.reconciles().catch(() => 0)) >= trackers;
  await waitFor('every tracker was looked at', isDone, DEADLINE_MILLIS);
  const restart = ofRestart.read(next.pid);
  await settle(server);
  const { writes } = ofRestart.read(next.pid);
  await next.stop();
  return {
    first,
    ready,
    steady,
    restart: { ...restart, writes },
    driftSeconds,
    forbidden: forbiddenTo(server).length,
    residentBytes,
    peakResidentBytes,
  };
}

/** What is known already, in case that a later phase fails. */
function describe(
  { seconds, cpuSeconds, serverCpuSeconds, writes }: PhaseFigures,
  { pid }: Operator,
): string {
  const times = `${seconds.toFixed(1)} s, CPU ${cpuSeconds.toFixed(1)} s and ${serverCpuSeconds.toFixed(1)} s of the server`;
  return `  ${times}, ${writes} writes, ${(readResidentBytes(pid) / 1e6).toFixed(0)} MB resident`;
}

/** What is used from a moment on. */
class Stopwatch {
  readonly #server: ApiServer;
  readonly #before: Requests;
  readonly #cpuSeconds: number;
  readonly #serverCpuSeconds: number;
  readonly #atMillis: number;

  /** Without a process: one that starts now. */
  constructor(server: ApiServer, pid?: number) {
    this.#server = server;
    this.#before = countRequests(server);
    this.#cpuSeconds = pid === undefined ? 0 : readCpuSeconds(pid);
    this.#serverCpuSeconds = readCpuSeconds(server.pid);
    this.#atMillis = performance.now();
  }

  read(pid: number): PhaseFigures {
    const { writes, requests } = countRequests(this.#server);
    return {
      seconds: (performance.now() - this.#atMillis) / 1000,
      cpuSeconds: readCpuSeconds(pid) - this.#cpuSeconds,
      serverCpuSeconds: readCpuSeconds(this.#server.pid) - this.#serverCpuSeconds,
      writes: writes - this.#before.writes,
      requests: requests - this.#before.requests,
    };
  }
}

interface Requests {
  readonly writes: number;
  readonly requests: number;
}

function countRequests(server: ApiServer): Requests {
  const requests = server
    .requestsOf(OPERATOR_USER)
    .filter(({ verb, resource }) => verb !== 'watch' && resource !== 'leases');
  return { writes: requests.filter(({ verb }) => WRITES.includes(verb)).length, requests: requests.length };
}

/** Waits until nothing was written for a while. */
async function settle(server: ApiServer): Promise<void> {
  let last = -1;
  await waitFor(
    'an end of the writes',
    async () => {
      const count = countRequests(server).writes;
      if (count === last) return true;
      last = count;
      await pause(SETTLED_MILLIS);
      return false;
    },
    DEADLINE_MILLIS,
  );
}

async function startOperator(context: Cleaner, kubeconfig: string): Promise<Operator> {
  const args = ['run', '--bind-address', '127.0.0.1:0'];
  const command = startCommand(context, args, kubeconfig);
  const port = await portOf(command);
  return {
    // A process that has written to its log has a number.
    pid: command.child.pid ?? 0,
    assertRuns() {
      const { exitCode, signalCode } = command.child;
      if (exitCode !== null || signalCode !== null) throw new Error(`it ended: ${lastLines(command)}`);
    },
    async reconciles() {
      const response = await fetch(`http://127.0.0.1:${port}/metrics`);
      const text = await response.text();
      return [...text.matchAll(/^controller_runtime_reconcile_total\{[^}]*result="(\w+)"\} (\d+)$/gm)]
        .filter(([, result]) => result !== 'error')
        .reduce((sum, [, , count]) => sum + Number(count), 0);
    },
    async stop() {
      command.child.kill('SIGTERM');
      await command.ended();
    },
  };
}

function lastLines(command: RunningCommand): string {
  return `${command.stdout()}${command.stderr()}`.split('\n').slice(-4).join('\n');
}

async function listTrackers(server: ApiServer, namespace: string): Promise<readonly NamedObject[]> {
  const path = `/apis/tracker.torrust.com/v1alpha1/namespaces/${namespace}/torrusttrackers`;
  const { body } = await server.admin.request('GET', `${path}?resourceVersion=0`);
  // A list of the server's own, of trackers that the test has made.
  return at(body, 'items') as NamedObject[];
}

/** Takes a Service away from a tracker's pods; the seconds until it leads to them again. */
async function timeDrift(server: ApiServer, namespace: string, name: string): Promise<number> {
  const service = objectIn(namespace, 'v1', 'Service', `${name}-udp`);
  const selector = (found: NamedObject | undefined) => JSON.stringify(at(found, 'spec.selector'));
  const before = selector(await server.admin.get(service));
  await server.admin.apply({ ...service, spec: { selector: { stolen: 'yes' } } }, { manager: 'somebody' });
  const startMillis = performance.now();
  await waitFor(`the Service of ${name} is mended`, async () => {
    const isMended = selector(await server.admin.get(service)) === before;
    if (!isMended) await pause(DRIFT_LOOK_MILLIS);
    return isMended;
  });
  return (performance.now() - startMillis) / 1000;
}

async function forEach<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  const work = async () => {
    for (const item of rest) await run(item);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}
