/**
 * One of several threads that work on the same few torrents, each with addresses of its own, so that the end state is
 * known whatever the order. Posts the announces of the peers that must be there at the end.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { Store, type StoreMemory } from '../../tracker/swarm/store.ts';
import { Announcer, RULES } from './announcing.ts';
import type { ModelAnnounce } from './model.ts';

interface Work {
  readonly memory: StoreMemory;
  readonly thread: number;
  readonly announces: number;
}

// The test that starts this thread passes exactly this.
const { memory, thread, announces } = workerData as Work;
const store = Store.attach(memory);
const announcer = new Announcer(store);
const kept = new Map<string, ModelAnnounce>();
let state = thread + 1;
function random(below: number): number {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return (state >>> 8) % below;
}
for (let i = 0; i < announces; i++) {
  const peer = random(900);
  const announce: ModelAnnounce = {
    infoHash: random(6).toString(16).padStart(40, '0'),
    address: (((thread << 16) | peer) >>> 0).toString(16).padStart(8, '0'),
    port: 6881,
    peerId: ((thread << 16) | peer).toString(16).padStart(40, '0'),
    left: BigInt(random(2)),
    event: random(4) === 0 ? AnnounceEvent.stopped : AnnounceEvent.none,
  };
  announcer.announce(announce, 1000, 20);
  const key = `${announce.infoHash} ${announce.address}`;
  if (announce.event === AnnounceEvent.stopped) kept.delete(key);
  else kept.set(key, announce);
  if (i % 500 === 0) for (const _ of store.expire(10, { ...RULES, removePeerless: false }));
}
parentPort?.postMessage([...kept.values()]);
