/** A key is in the queue once, with one worker at a time, and is never lost. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { SYSTEM_CLOCK } from '../../../operator/kube/clock.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { RetryLimits } from '../../../operator/kube/retry-limits.ts';
import { WorkQueue } from '../../../operator/kube/work-queue.ts';
import { createManualClock } from './clocks.ts';

function createQueue() {
  const clock = createManualClock();
  const registry = new Registry();
  const queue = new WorkQueue('trackers', createKubeMetrics(registry).queue, clock);
  return { clock, registry, queue };
}

describe('a key', () => {
  test('is there once, however often it is added', async () => {
    const { queue } = createQueue();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    assert.equal(queue.depth, 2);
    assert.equal(await queue.take(), 'a');
    assert.equal(await queue.take(), 'b');
    assert.equal(queue.depth, 0);
  });

  test('that is added while it is worked on comes again after that, and not before', async () => {
    const { queue } = createQueue();
    queue.add('a');
    assert.equal(await queue.take(), 'a');
    queue.add('a');
    queue.add('a');
    assert.equal(queue.depth, 0);
    const next = queue.take();
    queue.add('b');
    assert.equal(await next, 'b');
    queue.done('a');
    assert.equal(await queue.take(), 'a');
    queue.done('a');
    assert.equal(queue.depth, 0);
  });

  test('with several delays comes after the shortest, once', () => {
    const { queue, clock } = createQueue();
    queue.addAfter('a', 5_000);
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 3_000);
    clock.advance(999);
    assert.equal(queue.depth, 0);
    clock.advance(1);
    assert.equal(queue.depth, 1);
    assert.equal(clock.pending, 0);
  });

  test('with a delay of two months does not come at once', () => {
    const { queue, clock } = createQueue();
    queue.addAfter('a', 60 * 86_400_000);
    clock.advance(59 * 86_400_000);
    assert.equal(queue.depth, 0);
    clock.advance(86_400_000);
    assert.equal(queue.depth, 1);
  });
});

test('a timer of the system that is longer than Node can count does not end at once', async () => {
  let isOver = false;
  const cancel = SYSTEM_CLOCK.after(60 * 86_400_000, () => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  cancel();
  assert.equal(isOver, false);
});

test('closing drops what waits, ends the workers that wait, and waits for those that work', async () => {
  const { queue, clock, registry } = createQueue();
  queue.add('a');
  queue.add('b');
  queue.addAfter('c', 1_000);
  assert.equal(await queue.take(), 'a');
  assert.equal(await queue.take(), 'b');
  const waiting = queue.take();
  queue.add('a');
  let isClosed = false;
  const closed = queue.close().then(() => {
    isClosed = true;
  });
  assert.equal(await waiting, undefined);
  assert.equal(clock.pending, 0);
  queue.done('a');
  await turn();
  assert.equal(isClosed, false);
  queue.done('b');
  await closed;
  queue.add('a');
  queue.addAfter('a', 5);
  assert.equal(await queue.take(), undefined);
  assert.equal(clock.pending, 0);
  assert.match(await registry.metrics(), /^workqueue_unfinished_work_seconds\{[^}]*\} 0$/m);
});

test('nothing is lost and no key has two workers, whatever the order of things', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({ act: fc.constant('add' as const), key }),
    fc.record({ act: fc.constant('addAfter' as const), key, millis: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ act: fc.constant('retry' as const), key }),
    fc.record({ act: fc.constant('advance' as const), millis: fc.integer({ min: 0, max: 100 }) }),
    fc.record({ act: fc.constant('take' as const) }),
    fc.record({ act: fc.constant('done' as const), at: fc.nat() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { queue, clock } = createQueue();
      const working = new Set<string>();
      /** Keys that were asked for after their last work began. */
      const owed = new Set<string>();
      const take = async () => {
        const taken = await queue.take();
        assert(taken !== undefined);
        assert.ok(!working.has(taken), `two workers on ${taken}`);
        working.add(taken);
        owed.delete(taken);
      };
      for (const each of steps) {
        switch (each.act) {
          case 'add':
            queue.add(each.key);
            owed.add(each.key);
            break;
          case 'addAfter':
            queue.addAfter(each.key, each.millis);
            owed.add(each.key);
            break;
          case 'retry':
            queue.retry(each.key);
            owed.add(each.key);
            break;
          case 'advance':
            clock.advance(each.millis);
            break;
          case 'take':
            if (queue.depth > 0) await take();
            break;
          case 'done': {
            const done = [...working][each.at % Math.max(1, working.size)];
            if (done === undefined) break;
            working.delete(done);
            queue.done(done);
            break;
          }
        }
      }
      // Whatever is still asked for comes when time goes on and workers get free.
      for (let round = 0; round < 10; round += 1) {
        clock.advance(1_000_000);
        while (queue.depth > 0) await take();
        for (const done of working) queue.done(done);
        working.clear();
      }
      assert.deepEqual([...owed], []);
      await queue.close();
      assert.equal(clock.pending, 0);
    }),
    { numRuns: 300 },
  );
});

describe('the wait before a retry', () => {
  test('doubles from 5 ms to 1000 s and begins anew after a success', () => {
    const clock = createManualClock();
    const limits = new RetryLimits(clock);
    const waits = Array.from({ length: 20 }, () => {
      clock.advance(1_000_000);
      return limits.nextMillis('a');
    });
    assert.deepEqual(waits.slice(0, 4), [5, 10, 20, 40]);
    assert.deepEqual(waits.slice(17), [655_360, 1_000_000, 1_000_000]);
    assert.equal(limits.failuresOf('a'), 20);
    limits.forget('a');
    assert.equal(limits.nextMillis('a'), 5);
  });

  test('lets a hundred go at once and then ten a second, over all keys', () => {
    const clock = createManualClock();
    const limits = new RetryLimits(clock);
    const waits = Array.from({ length: 130 }, (_, index) => limits.nextMillis(`key-${index}`));
    assert.ok(waits.slice(0, 100).every((wait) => wait === 5));
    assert.equal(Math.round(waits[100] ?? 0), 100);
    assert.equal(Math.round(waits[129] ?? 0), 3_000);
    clock.advance(3_000 + 10_000);
    assert.equal(limits.nextMillis('later'), 5);
  });

  test('is within its bounds for any failures', () => {
    const failure = fc.record({ key: fc.constantFrom('a', 'b', 'c'), pause: fc.nat({ max: 10_000 }) });
    fc.assert(
      fc.property(fc.array(failure, { maxLength: 300 }), (failures) => {
        const clock = createManualClock();
        const limits = new RetryLimits(clock);
        const starts: number[] = [];
        for (const { key, pause } of failures) {
          clock.advance(pause);
          const own = Math.min(1_000_000, 5 * 2 ** limits.failuresOf(key));
          const wait = limits.nextMillis(key);
          assert.ok(wait >= own);
          // No more than the burst and ten a second may be promised up to the moment of this retry.
          starts.push(clock.monotonicMillis());
          const most = 100 + (((starts.at(-1) ?? 0) - (starts[0] ?? 0) + wait) / 1000) * 10;
          assert.ok(starts.length <= most + 1e-6);
        }
      }),
    );
  });

  test('is at least what the server asked for', () => {
    const { queue, clock } = createQueue();
    assert.equal(queue.retry('a', 7_000), 7_000);
    clock.advance(6_999);
    assert.equal(queue.depth, 0);
    clock.advance(1);
    assert.equal(queue.depth, 1);
  });
});

test('a long queue keeps its order', async () => {
  const { queue } = createQueue();
  const keys = Array.from({ length: 5_000 }, (_, index) => `key-${index}`);
  for (const key of keys) queue.add(key);
  const taken: (string | undefined)[] = [];
  for (let count = 0; count < keys.length; count += 1) taken.push(await queue.take());
  assert.deepEqual(taken, keys);
});

test('is measured under the names of client-go', async () => {
  const { queue, clock, registry } = createQueue();
  const labels = '{name="trackers",controller="trackers"}';
  queue.add('a');
  queue.add('b');
  clock.advance(2_000);
  await queue.take();
  clock.advance(500);
  const text = await registry.metrics();
  const lines = [
    `workqueue_depth${labels} 1`,
    `workqueue_adds_total${labels} 2`,
    `workqueue_retries_total${labels} 0`,
    `workqueue_queue_duration_seconds_sum${labels} 2`,
    `workqueue_queue_duration_seconds_bucket{le="1e-8",name="trackers",controller="trackers"} 0`,
    `workqueue_unfinished_work_seconds${labels} 0.5`,
    `workqueue_longest_running_processor_seconds${labels} 0.5`,
  ];
  for (const line of lines) assert.ok(text.includes(`${line}\n`), `${line} is not in\n${text}`);
  queue.done('a');
  queue.retry('a');
  const later = await registry.metrics();
  assert.ok(later.includes(`workqueue_work_duration_seconds_sum${labels} 0.5\n`), later);
  assert.ok(later.includes(`workqueue_retries_total${labels} 1\n`), later);
});
