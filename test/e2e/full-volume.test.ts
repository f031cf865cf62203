/**
 * The volume of a tracker's SQLite database full: announces are answered, changes are refused and not lost, the status tells, and
 * all is well when there is room again.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { NODES, VOLUMES_FOLDER } from '../cluster/layout.ts';
import { findSandbox, runIn } from '../cluster/sandbox.ts';
import { waitFor } from '../support/waiting.ts';
import { openSteadyTracker, STEADY_SPEC, type SteadyTracker } from './steady-tracker.ts';
import { apply, awaitCondition, kube, onOwnCluster } from './world.ts';

const NAME = 'tight';
const CLASS = 'tight';
const VOLUME = 'e2e-tight';
/** On the node's own disk in memory, which is so large. */
const PATH = join(VOLUMES_FOLDER, VOLUME);
const SIZE = '8m';
/** A change that needs another page of the file. */
const CHANGES = 40;
const DEADLINE_MILLIS = 240_000;

describe('a tracker on a small volume', onOwnCluster('full volumes are made on nodes of ours'), () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  const [node] = NODES;
  assert(node !== undefined);
  const onNode = (program: string, ...args: string[]) => runIn(findSandbox(node.name), program, args);
  let tracker: SteadyTracker | undefined;

  before(async () => {
    await onNode('mkdir', '-p', PATH);
    await onNode('mount', '-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', PATH);
    cleaning.after(async () => {
      // Lazily: the namespace goes after the tests have ended, and the tracker with it.
      await onNode('umount', '--lazy', PATH);
      await kube('default', ['delete', 'persistentvolume', VOLUME, '--wait=false']);
    });
    await apply('default', {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: VOLUME },
      spec: {
        storageClassName: CLASS,
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        local: { path: PATH },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [isOn(node.name)] }] } },
      },
    });
    tracker = await openSteadyTracker(cleaning, 'e2e-full', NAME, {
      ...STEADY_SPEC,
      database: { sqlite: { storageClassName: CLASS } },
    });
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  test('serves on when it is full, refuses changes, says so, and heals when there is room', async (context) => {
    assert(tracker !== undefined);
    const { namespace, writer, suffer } = tracker;
    const from = Date.now();
    await suffer(context, 'volume full', async () => {
      // dd fails when there is no room left, as it is meant to; what was written stays.
      await onNode('dd', 'if=/dev/zero', `of=${join(PATH, 'ballast')}`, 'bs=4k').catch(() => {});
      const full = performance.now();
      await waitFor('a change to be refused', () => writer.refused > 0, DEADLINE_MILLIS);
      context.diagnostic(`volume full: a change was refused after ${seconds(full)} s`);
      const told = await awaitCondition(namespace, NAME, 'DatabaseReady', 'False', DEADLINE_MILLIS);
      context.diagnostic(`volume full: the status told after ${seconds(full)} s: ${told.message}`);
      await waitFor('more refusals', () => writer.refused > CHANGES / 10, DEADLINE_MILLIS);
      await onNode('rm', join(PATH, 'ballast'));
      const room = performance.now();
      const before = writer.acknowledged.length;
      await waitFor('a change to be taken', () => writer.acknowledged.length > before, DEADLINE_MILLIS);
      context.diagnostic(`room again: a change was taken after ${seconds(room)} s`);
      await awaitCondition(namespace, NAME, 'DatabaseReady', 'True', DEADLINE_MILLIS);
      context.diagnostic(`room again: the status told after ${seconds(room)} s`);
      const enough = writer.acknowledged.length + CHANGES;
      await waitFor('more changes', () => writer.acknowledged.length > enough, DEADLINE_MILLIS);
    });
    for (const client of [tracker.udp, tracker.http]) {
      const { sent, answered } = await client.figuresSince(from);
      assert.equal(answered, sent);
    }
  });

  test('lost nothing that it had acknowledged', async (context) => {
    assert(tracker !== undefined);
    // What it has on the volume counts, not what it has in memory.
    await tracker.suffer(context, 'pod deleted', async () => {
      await kube(tracker?.namespace ?? '', ['delete', 'pod', `${NAME}-0`]);
    });
    await tracker.settle(context);
  });
});

function isOn(node: string): object {
  return { key: 'kubernetes.io/hostname', operator: 'In', values: [node] };
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1000);
}
