/** The lock of a shard, over threads. That it keeps them apart is shown by the store's own tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { lock, unlock } from '../../tracker/swarm/lock.ts';

describe('A lock', () => {
  test('wakes a thread that sleeps for it', async () => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    lock(words, 0);
    const source = `
      import { workerData } from 'node:worker_threads';
      import { lock, unlock } from ${JSON.stringify(import.meta.resolve('../../tracker/swarm/lock.ts'))};
      lock(workerData, 0);
      unlock(workerData, 0);
    `;
    const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
    const worker = new Worker(url, { workerData: words });
    const ended = once(worker, 'exit');
    // The word says when the other thread has begun to wait.
    while (Atomics.load(words, 0) !== 2) await new Promise((resolve) => setImmediate(resolve));
    unlock(words, 0);
    assert.deepEqual(await ended, [0]);
    assert.equal(words[0], 0);
  });

  test('that is never given back ends the process with the cause, whoever catches it', () => {
    const program = join(import.meta.dirname, 'processes/stuck-lock.ts');
    const { status, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8', timeout: 90_000 });
    assert.equal(status, 1);
    assert.match(stderr, /a lock of the swarm store is held by a thread that does not give it back/);
  });
});
