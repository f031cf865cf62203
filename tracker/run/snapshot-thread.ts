/**
 * The thread that reads or writes one snapshot, seen from the main thread, which neither walks the store nor waits for
 * a disk. One job, one thread; it looks at a shared word to know whether it shall give up.
 */
import { Worker } from 'node:worker_threads';
import type { ImportCounts } from '../swarm/snapshot-import.ts';
import type { StoreMemory } from '../swarm/store.ts';
import type { AsideReason } from './set-aside.ts';
import type { SnapshotFileNews } from './snapshot-file.ts';
import { workerModule } from '../worker-module.ts';

/** What is to be done with the file at `path`. */
export type SnapshotJob =
  | { readonly kind: 'restore'; readonly path: string }
  /** `isPaced`: with pauses, so that announces come first. */
  | { readonly kind: 'write'; readonly path: string; readonly isPaced: boolean };

/** What a thread is started with. */
export interface SnapshotSetup {
  readonly store: StoreMemory;
  readonly policy: SharedArrayBuffer;
  /** A word: 0, and 1 when the job shall be given up. */
  readonly control: SharedArrayBuffer;
  readonly job: SnapshotJob;
}

/** What came of reading a file. */
export interface Restored {
  readonly kind: 'restored';
  readonly counts: ImportCounts;
  /** Since the file was made, as the clock on the wall says. */
  readonly downSeconds: number;
  readonly seconds: number;
  /** What is wrong with the file, or with the rest of it; null when nothing is. */
  readonly fault: AsideReason | null;
  /** The name under which a faulty file is kept, or why it could not be renamed. */
  readonly aside: { readonly kind: 'renamed' | 'refused'; readonly text: string } | null;
}

/** What came of writing a file. */
export interface Written {
  readonly kind: 'written';
  readonly peers: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** What came of a job. */
export type SnapshotOutcome =
  | Restored
  | Written
  /** There is no file to restore. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'aborted' }
  /** The world was in the way; `message` is the end of a sentence. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** What the thread says. The outcome comes last. */
export type FromSnapshotThread =
  SnapshotFileNews | { readonly kind: 'outcome'; readonly outcome: SnapshotOutcome };

/** A job that is under way. */
export interface RunningJob {
  /** Rejects when the thread dies, which is a fault of ours. */
  readonly outcome: Promise<SnapshotOutcome>;
  /** Has the job given up soon. */
  abort(): void;
  /** The same, for one that nobody waits for: a thread that waits for a disk can't hear it, and keeps no process alive. */
  abandon(): void;
}

/** Starts a job. `onNews` is told what writing does to other files. */
export function startSnapshotJob(
  job: SnapshotJob,
  memories: { readonly store: StoreMemory; readonly policy: SharedArrayBuffer },
  onNews: (news: SnapshotFileNews) => void,
): RunningJob {
  const control = new SharedArrayBuffer(4);
  const workerData: SnapshotSetup = { ...memories, control, job };
  const worker = new Worker(workerModule('./snapshot-worker', import.meta.url), {
    name: `snapshot-${job.kind}`,
    workerData,
  });
  const outcome = new Promise<SnapshotOutcome>((resolve, reject) => {
    let cause: unknown;
    let found: SnapshotOutcome | null = null;
    worker.on('message', (message: FromSnapshotThread) => {
      if (message.kind === 'outcome') found = message.outcome;
      else onNews(message);
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (found !== null && code === 0) resolve(found);
      else reject(new Error(`the snapshot thread ended with code ${code}`, { cause }));
    });
  });
  const abort = () => {
    const words = new Int32Array(control);
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
  };
  return {
    outcome,
    abort,
    abandon: () => {
      abort();
      worker.unref();
    },
  };
}
