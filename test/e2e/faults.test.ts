/**
 * Faults of the cluster below a tracker, while a client announces every second over UDP, another one over HTTP, and somebody
 * adds to the whitelist: nothing that was acknowledged is lost, the status tells, and everything heals by itself.
 * docs/reliability.md has the figures.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { reopenNode } from '../cluster/cluster.ts';
import { OPERATOR_NAMESPACE } from '../cluster/install.ts';
import { CONTROL, NODES } from '../cluster/layout.ts';
import { closeSandbox, killDaemon, restartDaemon } from '../cluster/sandbox.ts';
import { waitFor } from '../support/waiting.ts';
import { type Announcer, startAnnouncer, tellFigures } from './announcer.ts';
import { openClientHost } from './client-host.ts';
import { killPod } from './pod-processes.ts';
import {
  applyTracker,
  awaitCondition,
  awaitReady,
  callApi,
  createNamespace,
  find,
  kube,
  listAll,
  onOwnCluster,
  podOf,
  publicAddresses,
} from './world.ts';
import { findRefused, startWriter, type Writer } from './writer.ts';

const NAME = 'steady';
const SPEC = {
  mode: 'Listed',
  announce: { intervalSeconds: 60, minIntervalSeconds: 30 },
  exposure: { type: 'LoadBalancer', ipFamilyPolicy: 'SingleStack' },
};
/** What the announcers announce. */
const INFO_HASH = Buffer.from('announced-each-second').subarray(0, 20).toString('hex');
const API_SERVER_AWAY_MILLIS = 60_000;
const DEADLINE_MILLIS = 240_000;

describe('a tracker under faults of its cluster', onOwnCluster(), () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let namespace = '';
  let udp: Announcer | undefined;
  let http: Announcer | undefined;
  let writer: Writer | undefined;
  let base = '';

  before(async () => {
    namespace = await createNamespace(cleaning, 'e2e-faults');
    await applyTracker(namespace, NAME, SPEC);
    await awaitReady(namespace, NAME);
    const addresses = await publicAddresses(namespace, NAME);
    base = `http://${addresses.http}:7070`;
    await callApi(namespace, NAME, 'POST', `whitelist/${INFO_HASH}`);
    udp = startAnnouncer(cleaning, await openClientHost(cleaning), `udp://${addresses.udp}:6969/announce`);
    http = startAnnouncer(cleaning, await openClientHost(cleaning), `${base}/announce`);
    await udp.healed();
    await http.healed();
    writer = startWriter(namespace, NAME);
  });
  after(async () => {
    await writer?.stop();
    for (const clean of cleaners.toReversed()) await clean();
  });

  /** Makes a fault, waits until both clients are served again, and tells what they lost. */
  async function suffer(context: TestContext, fault: string, make: () => Promise<void>): Promise<void> {
    assert(udp !== undefined && http !== undefined);
    const from = Date.now();
    await make();
    await Promise.all([udp.healed(), http.healed()]);
    context.diagnostic(tellFigures(`${fault}, UDP`, udp.figuresSince(from)));
    context.diagnostic(tellFigures(`${fault}, HTTP`, http.figuresSince(from)));
  }

  test('takes a change of its configuration without a loss', async (context) => {
    const { uid } = await podOf(namespace, NAME);
    await suffer(context, 'configuration changed', async () => {
      await applyTracker(namespace, NAME, {
        ...SPEC,
        announce: { intervalSeconds: 90, minIntervalSeconds: 45 },
      });
      await waitFor('the new interval', () => intervalIs(90), DEADLINE_MILLIS);
    });
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([pod.uid, pod.restarts], [uid, 0]);
    assert.equal(udp?.figuresSince(0).sent, udp?.figuresSince(0).answered);
  });

  test('is served again after its process was killed', async (context) => {
    const { uid, restarts } = await podOf(namespace, NAME);
    await suffer(context, 'process killed', async () => {
      await killPod(uid);
      await waitFor('a new process', async () => (await podOf(namespace, NAME)).restarts > restarts);
    });
    await awaitReady(namespace, NAME);
  });

  test('is served again after its pod was deleted', async (context) => {
    const { name, uid } = await podOf(namespace, NAME);
    await suffer(context, 'pod deleted', async () => {
      await kube(namespace, ['delete', 'pod', name, '--wait=false']);
      await waitFor('another pod', async () => (await podUid()) !== uid, DEADLINE_MILLIS);
    });
    await awaitReady(namespace, NAME);
  });

  test('moves when its node is drained', async (context) => {
    const { node } = await podOf(namespace, NAME);
    await suffer(context, 'node drained', async () => {
      const flags = ['--ignore-daemonsets', '--delete-emptydir-data', '--timeout=50s'];
      await waitFor('an empty node', () =>
        kube(namespace, ['drain', node, ...flags]).then(Boolean, () => false),
      );
      await waitFor('a pod elsewhere', async () => isElsewhere(node), DEADLINE_MILLIS);
    });
    await kube(namespace, ['uncordon', node]);
    await awaitReady(namespace, NAME);
  });

  test('moves when its node is gone and said to be', async (context) => {
    const { node } = await podOf(namespace, NAME);
    const place = NODES.find(({ name }) => name === node);
    assert(place !== undefined);
    await suffer(context, 'node gone', async () => {
      await closeSandbox(node);
      const lost = performance.now();
      await awaitCondition(namespace, NAME, 'Ready', 'False', DEADLINE_MILLIS);
      context.diagnostic(`node gone: the status told after ${seconds(lost)} s`);
      await waitFor('a node that is not ready', () => hasTaint(node, 'unreachable'), DEADLINE_MILLIS);
      await kube(namespace, ['taint', 'node', node, 'node.kubernetes.io/out-of-service=gone:NoExecute']);
      await waitFor('a pod elsewhere', async () => isElsewhere(node), DEADLINE_MILLIS);
    });
    await reopenNode(place);
    await kube(namespace, ['taint', 'node', node, 'node.kubernetes.io/out-of-service-']);
    await awaitReady(namespace, NAME);
  });

  test('gets what was asked for though the operator was killed while it did it', async (context) => {
    await suffer(context, 'operator killed', async () => {
      await applyTracker(namespace, NAME, {
        ...SPEC,
        announce: { intervalSeconds: 120, minIntervalSeconds: 60 },
      });
      const operators = await listAll(OPERATOR_NAMESPACE, 'pods');
      // Pods as the API server has them.
      for (const { metadata } of operators as unknown as { metadata: { uid: string } }[])
        await killPod(metadata.uid);
      await waitFor('the new interval', () => intervalIs(120), DEADLINE_MILLIS);
    });
    await awaitReady(namespace, NAME);
  });

  test('is served while the API server is away, and followed up when it is back', async (context) => {
    const { uid, restarts } = await podOf(namespace, NAME);
    await suffer(context, 'API server away for a minute', async () => {
      await killDaemon(CONTROL.name, 'kube-apiserver');
      await delay(API_SERVER_AWAY_MILLIS);
      restartDaemon(CONTROL.name, 'kube-apiserver');
      await waitFor('the API server', () =>
        kube(namespace, ['get', '--raw=/readyz']).then(Boolean, () => false),
      );
    });
    await applyTracker(namespace, NAME, {
      ...SPEC,
      announce: { intervalSeconds: 150, minIntervalSeconds: 60 },
    });
    await waitFor('the new interval', () => intervalIs(150), DEADLINE_MILLIS);
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([pod.uid, pod.restarts], [uid, restarts]);
  });

  test('lost nothing that it had acknowledged', async (context) => {
    const result = await writer?.stop();
    assert(result !== undefined && result.acknowledged.length > 0);
    const lost = await findRefused(base, result.acknowledged);
    context.diagnostic(
      `whitelist: ${result.acknowledged.length} changes acknowledged, ${result.refused} not, ${lost.length} lost`,
    );
    context.diagnostic(tellFigures('all of it, UDP', udp?.figuresSince(0) ?? assert.fail()));
    context.diagnostic(tellFigures('all of it, HTTP', http?.figuresSince(0) ?? assert.fail()));
    assert.deepEqual(lost, []);
    await awaitReady(namespace, NAME);
  });

  async function intervalIs(wanted: number): Promise<boolean> {
    const hash = INFO_HASH.replaceAll(/../g, '%$&');
    const query = `info_hash=${hash}&peer_id=-E20000-interval0000&port=1&left=1`;
    try {
      const answer = await fetch(`${base}/announce?${query}`, { signal: AbortSignal.timeout(5000) });
      return (await answer.text()).includes(`8:intervali${wanted}e`);
    } catch {
      return false;
    }
  }

  async function podUid(): Promise<string | undefined> {
    return podOf(namespace, NAME).then(
      ({ uid }) => uid,
      () => undefined,
    );
  }

  async function isElsewhere(node: string): Promise<boolean> {
    const pod = await podOf(namespace, NAME).catch(() => undefined);
    return pod?.node !== undefined && pod.node !== node;
  }

  async function hasTaint(node: string, taint: string): Promise<boolean> {
    // A Node as the API server has it.
    const { taints = [] } = ((await find(namespace, 'node', node))?.['spec'] ?? {}) as {
      taints?: { key: string }[];
    };
    return taints.some(({ key }) => key.endsWith(taint));
  }
});

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1000);
}
