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
import { CONTROL, FABRIC, NODES } from '../cluster/layout.ts';
import { setCable } from '../cluster/network.ts';
import { closeSandbox, findSandbox, killDaemon, restartDaemon } from '../cluster/sandbox.ts';
import { waitFor } from '../support/waiting.ts';
import { tellFigures } from './announcer.ts';
import { killPod } from './pod-processes.ts';
import { INFO_HASH, openSteadyTracker, STEADY_SPEC, type SteadyTracker } from './steady-tracker.ts';
import {
  applyTracker,
  awaitCondition,
  awaitReady,
  find,
  kube,
  listAll,
  onOwnCluster,
  podOf,
} from './world.ts';

const NAME = 'steady';
const SPEC = STEADY_SPEC;
const API_SERVER_AWAY_MILLIS = 60_000;
/**
 * What comes behind: the controllers that come back first find all nodes silent, and say that no pod is ready, until kubelets
 * have come back as well.
 */
const AFTERMATH_MILLIS = 90_000;
/** Shorter than it takes until a node is given up. */
const SHORT_CUT_MILLIS = 15_000;
const DEADLINE_MILLIS = 240_000;

describe('a tracker under faults of its cluster', onOwnCluster('nodes and control plane are killed'), () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let tracker: SteadyTracker | undefined;
  let namespace = '';

  before(async () => {
    tracker = await openSteadyTracker(cleaning, 'e2e-faults', NAME);
    namespace = tracker.namespace;
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  async function suffer(context: TestContext, fault: string, make: () => Promise<void>): Promise<void> {
    assert(tracker !== undefined);
    await tracker.suffer(context, fault, make);
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
    const { sent, answered } = (await tracker?.udp.figuresSince(0)) ?? assert.fail();
    assert.equal(answered, sent);
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

  test('is served again as soon as its node, cut off from the network, is plugged in', async (context) => {
    const { node, uid, restarts } = await podOf(namespace, NAME);
    const fabric = findSandbox(FABRIC.name);
    await suffer(context, 'node cut off for a short time', async () => {
      await setCable(fabric, node, 'down');
      await delay(SHORT_CUT_MILLIS);
      await setCable(fabric, node, 'up');
    });
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([pod.uid, pod.restarts], [uid, restarts]);
  });

  test('is told to be away while its node is cut off, and is served again when it is back', async (context) => {
    const { node, uid } = await podOf(namespace, NAME);
    const fabric = findSandbox(FABRIC.name);
    let back = 0;
    await suffer(context, 'node cut off until it is given up', async () => {
      await setCable(fabric, node, 'down');
      const lost = performance.now();
      try {
        await awaitCondition(namespace, NAME, 'Ready', 'False', DEADLINE_MILLIS);
        context.diagnostic(`node cut off: the status told after ${seconds(lost)} s`);
        await waitFor('a pod that is given up', isGivenUp, DEADLINE_MILLIS);
        // It may still run, and write: nobody takes its place.
        assert.equal((await podOf(namespace, NAME)).node, node);
      } finally {
        await setCable(fabric, node, 'up');
      }
      back = performance.now();
      // What was given up ends now, and another one may begin.
      await waitFor('another pod', async () => ![uid, undefined].includes(await podUid()), DEADLINE_MILLIS);
    });
    context.diagnostic(
      `node plugged in again: served by another pod after ${seconds(back)} s, five answers included`,
    );
    await awaitReady(namespace, NAME);
    context.diagnostic(`node plugged in again: the status told after ${seconds(back)} s`);
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
    const from = Date.now();
    await suffer(context, 'API server away for a minute, and what follows', async () => {
      await killDaemon(CONTROL.name, 'kube-apiserver');
      await delay(API_SERVER_AWAY_MILLIS);
      restartDaemon(CONTROL.name, 'kube-apiserver');
      await waitFor('the API server', () =>
        kube(namespace, ['get', '--raw=/readyz']).then(Boolean, () => false),
      );
      assert(tracker !== undefined);
      await Promise.all([tracker.udp.healed(), tracker.http.healed()]);
      context.diagnostic(
        tellFigures('of it, until the API server is back, UDP', await tracker.udp.figuresSince(from)),
      );
      context.diagnostic(
        tellFigures('of it, until the API server is back, HTTP', await tracker.http.figuresSince(from)),
      );
      await delay(AFTERMATH_MILLIS);
    });
    await awaitReady(namespace, NAME);
    await applyTracker(namespace, NAME, {
      ...SPEC,
      announce: { intervalSeconds: 150, minIntervalSeconds: 60 },
    });
    await waitFor('the new interval', () => intervalIs(150), DEADLINE_MILLIS);
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([pod.uid, pod.restarts], [uid, restarts]);
  });

  test('lost nothing that it had acknowledged', async (context) => {
    assert(tracker !== undefined);
    await tracker.settle(context);
    await awaitReady(namespace, NAME);
  });

  async function intervalIs(wanted: number): Promise<boolean> {
    const hash = INFO_HASH.replaceAll(/../g, '%$&');
    const query = `info_hash=${hash}&peer_id=-E20000-interval0000&port=1&left=1`;
    try {
      const answer = await fetch(`${tracker?.base}/announce?${query}`, { signal: AbortSignal.timeout(5000) });
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

  /** Whether the pod is to be deleted, as pods of nodes are that were silent for too long. */
  async function isGivenUp(): Promise<boolean> {
    const { name } = await podOf(namespace, NAME);
    // A Pod as the API server has it.
    const metadata = (await find(namespace, 'pod', name))?.metadata as
      { deletionTimestamp?: string } | undefined;
    return metadata?.deletionTimestamp !== undefined;
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
