/**
 * `torrust-operator selftest`: makes a tracker, waits until the operator calls it ready, announces to it over UDP and HTTP by
 * its own announce URLs, and deletes it with all that it leaves behind. `helm test` runs it inside the cluster.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { probeHttp } from '../../tracker/probe/http.ts';
import { describeFailure, type ProbeResult } from '../../tracker/probe/result.ts';
import { parseTrackerUrl } from '../../tracker/probe/target.ts';
import { probeUdp } from '../../tracker/probe/udp.ts';
import { ClusterError } from '../cluster-error.ts';
import { API_VERSION, KIND } from '../crd/tracker.ts';
import { conditionOf, textAt, textsAt } from '../json-path.ts';
import { resourceOf } from '../kube/api-resource.ts';
import type { KubeClient } from '../kube/client.ts';
import { isApiError, REASON } from '../kube/kube-error.ts';
import type { KubeObject } from '../kube/kube-object.ts';
import { ownNamespace } from '../surroundings.ts';
import { openCluster } from './cluster.ts';
import { ExitCode } from './usage-error.ts';

interface SelftestOptions {
  readonly namespace?: string;
  readonly context?: string;
  readonly timeout: number;
  readonly keep?: boolean;
}

const LOOK_MILLIS = 1_000;
const CLEANUP_MILLIS = 30_000;
const FIELD_MANAGER = 'torrust-operator-selftest';

export function addSelftestCommand(program: Command): void {
  program
    .command('selftest')
    .description('Make a tracker, announce to it over UDP and HTTP, and delete it. Needs a running operator.')
    .option('-n, --namespace <name>', "where (default: the pod's own namespace, or that of the context)")
    .option('--context <name>', 'another context of the kubeconfig than the current one')
    .option('--timeout <seconds>', 'the longest that all of it may take', readSeconds, 300)
    .option('--keep', 'leave the tracker there')
    .action(selftest);
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError('give seconds');
  return seconds;
}

async function selftest({ namespace, context, timeout, keep = false }: SelftestOptions): Promise<void> {
  const { client, connection } = await openCluster(context);
  const place = {
    namespace: namespace ?? ownNamespace(connection),
    name: `selftest-${randomBytes(3).toString('hex')}`,
  };
  const stopping = new AbortController();
  const stop = (name: NodeJS.Signals) => stopping.abort(name);
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const signal = AbortSignal.any([AbortSignal.timeout(timeout * 1000), stopping.signal]);
  try {
    await make(client, place, signal);
    try {
      if (!(await answers(client, place, signal))) process.exitCode = ExitCode.failed;
    } catch (error) {
      if (!signal.aborted) throw error;
      say(
        stopping.signal.aborted
          ? `it was stopped by ${String(stopping.signal.reason)}`
          : `it took more than ${timeout} s`,
      );
      process.exitCode = ExitCode.failed;
    } finally {
      if (!keep) await remove(client, place);
    }
  } finally {
    await connection.close();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

/** Makes the tracker. Rejects when the server refuses it; then there is nothing to be deleted. */
async function make(client: KubeClient, place: Place, signal: AbortSignal): Promise<void> {
  const { apiVersion, kind } = TRACKER;
  try {
    const tracker = { apiVersion, kind, metadata: { ...place }, spec: {} };
    await client.apply(tracker, { fieldManager: FIELD_MANAGER, signal });
  } catch (error) {
    // A namespace that is not there is told by name.
    if (!isApiError(error, REASON.notFound) || error.message.includes('namespaces "')) throw error;
    throw new ClusterError(
      `this cluster has no ${KIND} of ${API_VERSION}: install the chart, or apply crds/`,
    );
  }
  say(`made the tracker ${place.namespace}/${place.name}`);
}

/** Whether every announce URL of the tracker answers, once it is ready. */
async function answers(client: KubeClient, place: Place, signal: AbortSignal): Promise<boolean> {
  const tracker = await waitUntilReady(client, place, signal);
  const urls = textsAt(tracker, 'status', 'announceURLs');
  let hasFailed = urls.length === 0;
  for (const url of urls) hasFailed = !(await announce(client, url, signal)) || hasFailed;
  signal.throwIfAborted();
  say(hasFailed ? 'the tracker does not answer as it should' : 'the tracker answers');
  return !hasFailed;
}

const TRACKER = resourceOf({ apiVersion: API_VERSION, kind: KIND });
const SERVICE = resourceOf({ apiVersion: 'v1', kind: 'Service' });

interface Place {
  readonly namespace: string;
  readonly name: string;
}

function say(what: string): void {
  process.stdout.write(`${what}\n`);
}

async function waitUntilReady(client: KubeClient, place: Place, signal: AbortSignal): Promise<KubeObject> {
  let last = '';
  for (;;) {
    const tracker = await client.get(TRACKER, place, { signal });
    const ready = conditionOf(tracker, 'Ready');
    if (tracker !== undefined && textAt(ready, 'status') === 'True') return tracker;
    const now =
      ready === undefined
        ? 'no operator has looked at it yet'
        : `${textAt(ready, 'reason')}: ${textAt(ready, 'message')}`;
    if (now !== last) say(now);
    last = now;
    await pause(LOOK_MILLIS, undefined, { signal });
  }
}

/** Announces by a URL, and says what came of it. Where names of Services are not known, its Service is asked by address. */
async function announce(client: KubeClient, url: string, signal: AbortSignal): Promise<boolean> {
  const result = await probe(url, signal);
  say(`${url}: ${describe(result)}`);
  const { steps } = result;
  if (!steps.some((step) => step.kind === 'failed' && step.name === 'resolve')) return result.ok;
  const address = await withAddress(client, url, signal);
  if (address === undefined) return false;
  const second = await probe(address, signal);
  say(`${address}: ${describe(second)}`);
  return second.ok;
}

function probe(url: string, signal: AbortSignal): Promise<ProbeResult> {
  const target = parseTrackerUrl(url, '');
  if (target.kind === 'bad') throw new Error(`${url}: ${target.reason}`);
  return target.kind === 'udp' ? probeUdp(target, { signal }) : probeHttp(target, { signal });
}

/** A URL of a Service, `NAME.NAMESPACE.svc`, with the Service's address in the place of its name; undefined for others. */
async function withAddress(
  client: KubeClient,
  url: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { hostname } = new URL(url);
  const [name = '', namespace = '', domain] = hostname.split('.');
  if (domain !== 'svc') return undefined;
  const service = await client.get(SERVICE, { namespace, name }, { signal });
  const address = textAt(service, 'spec', 'clusterIP');
  if (address === undefined || address === 'None') return undefined;
  return url.replace(hostname, address.includes(':') ? `[${address}]` : address);
}

function describe({ steps }: ProbeResult): string {
  const failed = steps.find((step) => step.kind === 'failed');
  if (failed?.kind === 'failed') return `${failed.name} failed: ${describeFailure(failed.failure)}`;
  const micros = steps.reduce((sum, step) => sum + step.micros, 0);
  return `${steps.map(({ name }) => name).join(', ')} in ${(micros / 1000).toFixed(1)} ms`;
}

/** Deletes the tracker and what outlives it, also when the time is over. What can't be deleted is told. */
async function remove(client: KubeClient, place: Place): Promise<void> {
  const signal = AbortSignal.timeout(CLEANUP_MILLIS);
  const { namespace, name } = place;
  const labelSelector = `app.kubernetes.io/managed-by=torrust-operator,app.kubernetes.io/instance=${name}`;
  try {
    await client.delete(TRACKER, place, { signal });
    for (const kind of ['Secret', 'PersistentVolumeClaim']) {
      const resource = resourceOf({ apiVersion: 'v1', kind });
      const { items } = await client.list(resource, { namespace, labelSelector }, { signal });
      for (const { metadata } of items)
        await client.delete(resource, { namespace, name: metadata.name }, { signal });
    }
    say('deleted it');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    say(`the tracker ${namespace}/${name}, or what it leaves behind, can not be deleted: ${why}`);
    process.exitCode = ExitCode.failed;
  }
}
