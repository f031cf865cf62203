/**
 * One of several threads that work on the same torrents, each with addresses of its own, so that the end state is known
 * whatever the order: the peers that were stamped late are there, and none that was stamped early, once all have expired.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AnnounceEvent, SwarmChange } from '../../tracker/protocol/model.ts';
import { Store, type StoreMemory } from '../../tracker/swarm/store.ts';
import { Announcer, RULES } from './announcing.ts';
import type { ModelAnnounce } from './model.ts';

/** Peers are stamped with one of these; those of the first expire. */
export const EARLY_SECONDS = 5;
export const LATE_SECONDS = 1000;
/** Large torrents that stay, and small ones that have early peers only and so come and go. */
export const LASTING = 6;
export const FLEETING = 200;
/** Announces between two rounds of expiry of a thread. */
export const ROUND = 500;

export interface Work {
  readonly memory: StoreMemory;
  readonly thread: number;
  readonly announces: number;
}

/** What a thread did. */
export interface Done {
  /** The announces of the peers that must be there at the end. */
  readonly kept: readonly ModelAnnounce[];
  /** How often a peer was added that is stamped early. */
  readonly earlyPeers: number;
}

function work({ memory, thread, announces }: Work): Done {
  const store = Store.attach(memory);
  const announcer = new Announcer(store);
  const kept = new Map<string, ModelAnnounce>();
  let earlyPeers = 0;
  let state = thread + 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < announces; i++) {
    const peer = random(900);
    const isEarly = random(4) === 0;
    const torrent = isEarly && random(2) === 0 ? LASTING + random(FLEETING) : random(LASTING);
    const announce: ModelAnnounce = {
      infoHash: torrent.toString(16).padStart(40, '0'),
      address: (((thread << 16) | peer) >>> 0).toString(16).padStart(8, '0'),
      port: 6881,
      peerId: ((thread << 16) | peer).toString(16).padStart(40, '0'),
      left: BigInt(random(2)),
      event: random(4) === 0 ? AnnounceEvent.stopped : AnnounceEvent.none,
    };
    const { change } = announcer.announce(announce, isEarly ? EARLY_SECONDS : LATE_SECONDS, 20);
    if (isEarly && (change & SwarmChange.peerAdded) !== 0) earlyPeers++;
    const key = `${announce.infoHash} ${announce.address}`;
    if (isEarly || announce.event === AnnounceEvent.stopped) kept.delete(key);
    else kept.set(key, announce);
    if (i % ROUND === 0) for (const _ of store.expire(EARLY_SECONDS, RULES));
  }
  return { kept: [...kept.values()], earlyPeers };
}

// The test that starts this thread passes exactly this; it also imports this file, in its own thread.
if (parentPort !== null) parentPort.postMessage(work(workerData as Work));
