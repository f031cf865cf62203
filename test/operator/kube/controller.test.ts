/** Workers reconcile what is in the queue, try again what failed, and stop in order. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { type Reconcile, runController } from '../../../operator/kube/controller.ts';
import { ApiError } from '../../../operator/kube/kube-error.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { WorkQueue } from '../../../operator/kube/work-queue.ts';
import { waitFor } from '../../support/waiting.ts';
import { createManualClock, type ManualClock } from './clocks.ts';
import { createLog, type ReadableLog } from './logs.ts';

interface Running {
  readonly queue: WorkQueue;
  readonly clock: ManualClock;
  readonly log: ReadableLog;
  readonly registry: Registry;
  readonly stop: () => Promise<void>;
}

async function withController(
  reconcile: Reconcile,
  use: (running: Running) => Promise<void>,
  workers = 1,
): Promise<void> {
  const clock = createManualClock();
  const registry = new Registry();
  const metrics = createKubeMetrics(registry);
  const log = createLog();
  const queue = new WorkQueue('trackers', metrics.queue, clock);
  const controller = new AbortController();
  const ended = runController({
    name: 'trackers',
    queue,
    reconcile,
    workers,
    metrics: metrics.controller,
    log,
    signal: controller.signal,
    clock,
  });
  const stop = () => {
    controller.abort(new Error('stopped'));
    return ended;
  };
  try {
    await use({ queue, clock, log, registry, stop });
  } finally {
    const ending = stop();
    clock.advance(60_000);
    await ending;
    assert.equal(clock.pending, 0);
  }
}

describe('a reconcile', () => {
  test('that is well is not called again', () => {
    const seen: string[] = [];
    return withController(
      async (key) => {
        seen.push(key);
        return {};
      },
      async ({ queue, clock }) => {
        queue.add('a/one');
        queue.add('a/two');
        await waitFor('both', () => seen.length === 2);
        clock.advance(86_400_000);
        await turn();
        assert.deepEqual(seen, ['a/one', 'a/two']);
      },
    );
  });

  test('that asks for another look gets it when it is due', () => {
    let count = 0;
    return withController(
      async () => {
        count += 1;
        return { requeueAfterSeconds: 60 };
      },
      async ({ queue, clock }) => {
        queue.add('a');
        await waitFor('the first', () => clock.pending === 1);
        clock.advance(59_999);
        await turn();
        assert.equal(count, 1);
        clock.advance(1);
        await waitFor('the second', () => count === 2);
      },
    );
  });

  test('that throws is called again, after 5 ms, 10 ms and so on, and told in the log', () => {
    let count = 0;
    return withController(
      async () => {
        count += 1;
        if (count <= 3) throw new Error(`failure ${count}`);
        return {};
      },
      async ({ queue, clock, log }) => {
        queue.add('a');
        for (const [index, wait] of [5, 10, 20].entries()) {
          await waitFor('the failure', () => clock.pending === 1);
          assert.equal(log.lines.at(-1)?.fields['waitMillis'], wait);
          assert.match(String(log.lines.at(-1)?.fields['err']), new RegExp(`failure ${index + 1}`));
          clock.advance(wait);
        }
        await waitFor('the success', () => count === 4);
        await turn();
        assert.equal(queue.failuresOf('a'), 0);
      },
    );
  });

  test('that throws before its first await hinders nobody', () => {
    const seen: string[] = [];
    return withController(
      (key) => {
        seen.push(key);
        if (key === 'bad') throw new TypeError('a mistake of ours');
        return Promise.resolve({});
      },
      async ({ queue }) => {
        queue.add('bad');
        queue.add('good');
        await waitFor('both', () => seen.includes('good'));
      },
    );
  });

  test('that a busy server refused waits as long as that asks', () =>
    withController(
      () => Promise.reject(new ApiError('GET /x', 429, 'TooManyRequests', 'busy', 9)),
      async ({ queue, clock, log }) => {
        queue.add('a');
        await waitFor('the failure', () => clock.pending === 1);
        assert.equal(log.lines[0]?.fields['waitMillis'], 9_000);
      },
    ));

  test('that lost a race is no warning', () =>
    withController(
      () => Promise.reject(new ApiError('PUT /x', 409, 'Conflict', 'changed', undefined)),
      async ({ queue, clock, log }) => {
        queue.add('a');
        await waitFor('the failure', () => clock.pending === 1);
        assert.equal(log.lines[0]?.level, 'info');
      },
    ));
});

test('as many keys are worked on at a time as there are workers', () => {
  let running = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  return withController(
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => void gates.push(resolve));
      running -= 1;
      return {};
    },
    async ({ queue, registry }) => {
      for (let index = 0; index < 10; index += 1) queue.add(`key-${index}`);
      await waitFor('three workers', () => gates.length === 3);
      assert.match(
        await registry.metrics(),
        /^controller_runtime_active_workers\{controller="trackers"\} 3$/m,
      );
      for (let ended = 0; ended < 10; ended += 1) {
        await waitFor('the next', () => gates.length > ended);
        gates[ended]?.();
      }
      await waitFor('the end', () => running === 0);
      assert.equal(most, 3);
    },
    3,
  );
});

describe('stopping', () => {
  test('lets what was begun end, and begins nothing more', () => {
    const seen: string[] = [];
    let finish: () => void = () => undefined;
    return withController(
      async (key, signal) => {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        seen.push(`${key} ${signal.aborted}`);
        return { requeueAfterSeconds: 1 };
      },
      async ({ queue, stop, clock }) => {
        queue.add('a');
        queue.add('b');
        await waitFor('the first', () => queue.depth === 1);
        await turn();
        const stopped = stop();
        finish();
        await stopped;
        assert.deepEqual(seen, ['a false']);
        assert.equal(clock.pending, 0);
      },
    );
  });

  test('cuts what takes longer than the grace', () =>
    withController(
      (_key, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        }),
      async ({ queue, stop, clock, log }) => {
        queue.add('a');
        await turn();
        const stopped = stop();
        await turn();
        clock.advance(9_999);
        let isStopped = false;
        const done = stopped.then(() => {
          isStopped = true;
        });
        await turn();
        assert.equal(isStopped, false);
        clock.advance(1);
        await done;
        assert.deepEqual(log.lines, []);
      },
    ));
});

test('is measured under the names of controller-runtime', () => {
  let count = 0;
  return withController(
    async (key) => {
      count += 1;
      if (key === 'bad') throw new Error('bad');
      return key === 'later' ? { requeueAfterSeconds: 5 } : {};
    },
    async ({ queue, registry }) => {
      for (const key of ['good', 'bad', 'later']) queue.add(key);
      await waitFor('all', () => count === 3);
      await turn();
      const text = await registry.metrics();
      const lines = [
        'controller_runtime_reconcile_total{controller="trackers",result="success"} 1',
        'controller_runtime_reconcile_total{controller="trackers",result="error"} 1',
        'controller_runtime_reconcile_total{controller="trackers",result="requeue_after"} 1',
        'controller_runtime_reconcile_errors_total{controller="trackers"} 1',
        'controller_runtime_reconcile_time_seconds_count{controller="trackers"} 3',
        'controller_runtime_reconcile_time_seconds_bucket{le="0.005",controller="trackers"} 3',
        'controller_runtime_max_concurrent_reconciles{controller="trackers"} 1',
        'controller_runtime_active_workers{controller="trackers"} 0',
      ];
      for (const line of lines) assert.ok(text.includes(`${line}\n`), `${line} is not in\n${text}`);
    },
  );
});
