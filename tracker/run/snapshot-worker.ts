/** Entry of the thread that reads or writes one snapshot (`snapshot-thread.ts`), and what it does between store and file. */
import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { Policy } from '../policy.ts';
import { exportStore } from '../swarm/snapshot-export.ts';
import { SnapshotDecoder, SnapshotEncoder } from '../swarm/snapshot-format.ts';
import { SnapshotImport } from '../swarm/snapshot-import.ts';
import { Store } from '../swarm/store.ts';
import type { SwarmRules } from '../swarm/swarm-rules.ts';
import type { AsideReason } from './set-aside.ts';
import {
  openSnapshot,
  type OpenSnapshot,
  removePartials,
  replaceSnapshot,
  setAside,
  SnapshotFileError,
} from './snapshot-file.ts';
import type { FromSnapshotThread, Restored, SnapshotOutcome, SnapshotSetup } from './snapshot-thread.ts';

/** A paced job works for so long, and rests for so long. */
const WORK_MILLIS = 3;
const REST_MILLIS = 5;

assert(parentPort, 'the thread of a snapshot has one that started it');
const port = parentPort;
// The thread that starts this one passes exactly this.
const { store: memory, policy: policyBuffer, control, job } = workerData as SnapshotSetup;
const store = Store.attach(memory);
const policy = Policy.attach(policyBuffer);
const controlWords = new Int32Array(control);
const beginMillis = performance.now();

/** The rules at each moment: they may change in the middle. */
const RULES: Readonly<SwarmRules> = {
  get persistCompleted() {
    return policy.persistsCompleted;
  },
  get removePeerless() {
    return policy.removesPeerless;
  },
  get staleAfterSeconds() {
    return policy.intervalSeconds;
  },
};

function isAborted(): boolean {
  return Atomics.load(controlWords, 0) !== 0;
}

function secondsSpent(): number {
  return (performance.now() - beginMillis) / 1000;
}

function restore(path: string): SnapshotOutcome {
  try {
    removePartials(path);
  } catch (error) {
    // What stands in the way of tidying up is told by what follows, if it matters.
    if (!(error instanceof SnapshotFileError)) throw error;
  }
  let file: OpenSnapshot | null;
  try {
    file = openSnapshot(path);
  } catch (error) {
    if (!(error instanceof SnapshotFileError) || error.code === 'ENOTFILE' || error.code === 'ENOENT')
      throw error;
    return spare(path, 'unreadable', noCounts(), 0);
  }
  if (file === null) return { kind: 'absent' };
  try {
    return readFrom(path, file);
  } finally {
    file.close();
  }
}

function readFrom(path: string, file: OpenSnapshot): SnapshotOutcome {
  const decoder = new SnapshotDecoder((target) => file.read(target));
  let loading: SnapshotImport | null = null;
  let downSeconds = 0;
  try {
    const fault = decoder.open();
    if (fault !== null) return spare(path, fault, noCounts(), 0);
    downSeconds = (Date.now() - decoder.madeMillis) / 1000;
    store.limits.configure(policy);
    loading = new SnapshotImport(store, downSeconds, policy.peerTimeoutSeconds, RULES);
    for (;;) {
      const next = decoder.next();
      if (next === 'damaged') return spare(path, next, loading.counts, downSeconds);
      if (next === 'end') break;
      loading.add(decoder.words, decoder.part);
      if (isAborted()) return { kind: 'aborted' };
    }
  } catch (error) {
    if (!(error instanceof SnapshotFileError)) throw error;
    return spare(path, 'unreadable', loading?.counts ?? noCounts(), downSeconds);
  }
  return restored(loading.counts, downSeconds, null, null);
}

function restored(
  counts: Restored['counts'],
  downSeconds: number,
  fault: Restored['fault'],
  aside: Restored['aside'],
): Restored {
  return { kind: 'restored', counts, downSeconds, seconds: secondsSpent(), fault, aside };
}

/** Sets a file aside that is not, or not as a whole, what it should be. */
function spare(path: string, fault: AsideReason, counts: Restored['counts'], downSeconds: number): Restored {
  try {
    return restored(counts, downSeconds, fault, { kind: 'renamed', text: setAside(path, fault) });
  } catch (error) {
    if (!(error instanceof SnapshotFileError)) throw error;
    return restored(counts, downSeconds, fault, { kind: 'refused', text: error.message });
  }
}

function noCounts(): Restored['counts'] {
  return { kept: 0, expired: 0, present: 0, unstored: 0, torrents: 0 };
}

function write(path: string, isPaced: boolean): SnapshotOutcome {
  let peers = 0;
  const produce = (sink: (bytes: Uint8Array) => void) => {
    const encoder = new SnapshotEncoder(sink, Date.now());
    let restMillis = performance.now() + WORK_MILLIS;
    for (const _ of exportStore(store, encoder)) {
      if (isAborted()) return false;
      if (!isPaced || performance.now() < restMillis) continue;
      Atomics.wait(controlWords, 0, 0, REST_MILLIS);
      restMillis = performance.now() + WORK_MILLIS;
    }
    encoder.end();
    peers = encoder.peers;
    return true;
  };
  const bytes = replaceSnapshot(path, produce, say);
  return bytes === null ? { kind: 'aborted' } : { kind: 'written', peers, bytes, seconds: secondsSpent() };
}

function work(): SnapshotOutcome {
  try {
    return job.kind === 'restore' ? restore(job.path) : write(job.path, job.isPaced);
  } catch (error) {
    // Anything else is a fault of ours and ends the thread, and so the tracker.
    if (!(error instanceof SnapshotFileError)) throw error;
    return { kind: 'failed', code: error.code, message: error.message };
  }
}

function say(message: FromSnapshotThread): void {
  port.postMessage(message);
}

say({ kind: 'outcome', outcome: work() });
