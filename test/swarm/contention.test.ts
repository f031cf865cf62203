/** The swarm store on several threads at once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Store } from '../../tracker/swarm/store.ts';
import { RULES } from './announcing.ts';
import type { Reading, Seen } from './contention-reader.ts';
import { type Done, EARLY_SECONDS, LASTING, LATE_SECONDS, ROUND, type Work } from './contention-worker.ts';
import { ModelStore, seedersOf } from './model.ts';

const MEMORY_BYTES = 64 * 1024 * 1024;
const THREADS = 4;
const PER_THREAD = 40_000;

test('agrees with the model after four threads announced, stopped and expired at once, and a fifth read', async (context) => {
  const store = Store.create(MEMORY_BYTES, 2);
  const end = new SharedArrayBuffer(4);
  const workers: Worker[] = [];
  const start = (file: string, workerData: Work | Reading): Worker => {
    const worker = new Worker(new URL(file, import.meta.url), { workerData });
    workers.push(worker);
    return worker;
  };
  context.after(() => Promise.all(workers.map((worker) => worker.terminate())));

  const reading = start('./contention-reader.ts', { memory: store.memory, end });
  await once(reading, 'message');
  // Each posts one message, of this shape.
  const done = await Promise.all(
    Array.from({ length: THREADS }, async (_, thread) => {
      const work = { memory: store.memory, thread, announces: PER_THREAD };
      const messages: readonly unknown[] = await once(start('./contention-worker.ts', work), 'message');
      return messages[0] as Done;
    }),
  );
  Atomics.store(new Int32Array(end), 0, 1);
  const messages: readonly unknown[] = await once(reading, 'message');
  // As above.
  const seen = messages[0] as Seen;
  assert.deepEqual(seen.faults, []);
  assert.ok(seen.looks > 1 && seen.torrents > 0 && seen.peers > 0, JSON.stringify(seen));

  const model = new ModelStore();
  for (const { kept } of done) for (const announce of kept) model.announce(announce, LATE_SECONDS);
  assert.equal(model.torrents.size, LASTING);
  const peers = [...model.torrents.values()].reduce((sum, torrent) => sum + torrent.peers.size, 0);
  // Expiry went on all the time: of all that came to expire, what came since the last rounds of each thread is left.
  const early = done.reduce((sum, { earlyPeers }) => sum + earlyPeers, 0);
  const left = store.totals().ipv4Peers - peers;
  assert.ok(early > 5 * THREADS * ROUND, `${early} early peers`);
  assert.ok(left >= 0 && left <= THREADS * ROUND, `${left} of ${early} early peers are left`);

  for (const _ of store.expire(EARLY_SECONDS, RULES));
  const listed = new Map([...store.torrents()].flat().map((torrent) => [torrent.infoHash, torrent]));
  assert.deepEqual([...listed.keys()].toSorted(), [...model.torrents.keys()].toSorted());
  for (const [infoHash, torrent] of model.torrents) {
    assert.equal(listed.get(infoHash)?.seeders, seedersOf(torrent), infoHash);
    const stored = store
      .peersOf(infoHash)
      .map((peer) => `${Buffer.from(peer.address).toString('hex')}:${peer.port}`);
    assert.deepEqual(stored.toSorted(), [...torrent.peers.keys()].toSorted());
  }
  assert.equal(store.totals().ipv4Peers, peers);
  for (const _ of store.expire(1_000_000, RULES));
  assert.equal(store.totals().torrents, 0);
  assert.equal(store.totals().usedBytes, 0);
});
