/** When an event tells of a time in which nobody answered clients. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { describeGap, GapWatch, type Serving, WHOLE } from '../../../operator/reconcile/gaps.ts';

import { objectIn, playPod, playWorkload, readyAt, waitForObject } from './running-operator.ts';
import { enterScene } from './scene.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));
/** More than the shortest gap that is told. */
const GAP_MILLIS = 32_000;

/** What serves, second by second; the gaps that are told at each. */
function play(steps: readonly (readonly [seconds: number, ...places: string[]])[], hasServed = false) {
  const watch = new GapWatch();
  return steps.flatMap(([seconds, ...places]) => {
    const serving: Serving = { places, hasServed, nowMillis: seconds * 1000 };
    return watch.note('default/sample', serving).map((gap) => `${gap.place} ${gap.seconds}`.trim());
  });
}

describe('A gap is told', () => {
  test('when it was long and has ended, once', () => {
    assert.deepEqual(play([[0, WHOLE], [10], [60], [100, WHOLE], [200, WHOLE]]), ['90']);
  });
  test('of each node whose clients come to it', () => {
    assert.deepEqual(
      play([
        [0, 'a', 'b'],
        [10, 'a'],
        [50, 'a', 'b'],
        [60, 'b'],
        [200, 'a', 'b'],
      ]),
      ['b 40', 'a 140'],
    );
  });
  test('that began before the operator did', () => {
    assert.deepEqual(play([[0], [45, WHOLE]], true), ['45']);
  });
});

describe('No gap is', () => {
  test('the short one of a restart', () => assert.deepEqual(play([[0, WHOLE], [10], [39, WHOLE]]), []));
  test('the time before a first start', () => assert.deepEqual(play([[0], [300, WHOLE]]), []));
  test('a node that joins', () =>
    assert.deepEqual(
      play([
        [0, 'a'],
        [300, 'a', 'b'],
      ]),
      [],
    ));
  test('what somebody asked for', () => {
    const watch = new GapWatch();
    watch.note('default/sample', { places: [WHOLE], hasServed: false, nowMillis: 0 });
    watch.forget('default/sample');
    assert.deepEqual(
      watch.note('default/sample', { places: [WHOLE], hasServed: false, nowMillis: 90_000 }),
      [],
    );
  });
});

test('its sentence names the node, the time and the cause to look for', () => {
  assert.match(
    describeGap({ place: WHOLE, seconds: 90 }),
    /^No pod took traffic for 90 s: .* tell the cause\.$/,
  );
  assert.match(describeGap({ place: 'a', seconds: 90 }), /^No pod on node a took traffic/);
});

test('an event tells of the long gap of a tracker, and of no other', needs('apiserver'), async (context) => {
  const { apply, tracker, sees, namespace, operator } = await enterScene(context, server());
  await apply(tracker({}));
  const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
  await waitForObject(server(), workload, 'made');
  const play = async (isServing: boolean) => {
    await playWorkload(server(), workload, { isReady: isServing });
    await playPod(server(), namespace, 'public', isServing ? readyAt('127.99.0.2') : { phase: 'Pending' });
    await sees('Progressing', isServing ? 'False Settled' : 'True RollingOut');
  };
  const gaps = () => operator.events.filter(({ reason }) => reason === 'LongGap');
  await play(true);
  await play(false);
  await play(true);
  assert.deepEqual(gaps(), []);
  await play(false);
  await pause(GAP_MILLIS);
  await play(true);
  await waitFor('the event', () => gaps().length > 0);
  assert.deepEqual(
    gaps().map(({ type, message }) => [type, /^No pod took traffic for 3\d s: /.test(message)]),
    [['Warning', true]],
  );
});
