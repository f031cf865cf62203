/**
 * Workers between a queue and a function that reconciles one key: what fails is tried again later, what asks for another
 * look gets one, and everything is counted as controller-runtime does.
 */
import { type Clock, pause, SYSTEM_CLOCK } from './clock.ts';
import { isApiError, REASON, retryAfterSecondsOf } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import type { ControllerMetrics } from './metrics.ts';
import type { WorkQueue } from './work-queue.ts';

/** What a reconcile asks for. */
export interface ReconcileResult {
  /** When to look at the key again though nothing happens; never when absent. */
  readonly requeueAfterSeconds?: number | undefined;
}

/** Makes the world of one key as it should be. Never called twice at a time for one key. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult>;

/** What a controller is made of. */
export interface ControllerOptions {
  readonly name: string;
  /** Closed by the controller at its end. */
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  /** How many keys are worked on at a time. */
  readonly workers: number;
  readonly metrics: ControllerMetrics;
  readonly log: KubeLog;
  /** Ends it: no key is begun any more. */
  readonly signal: AbortSignal;
  /** How long what was begun may go on after that; 10 s unless said. */
  readonly graceSeconds?: number;
  readonly clock?: Clock;
}

const GRACE_SECONDS = 10;
const RESULTS = ['success', 'error', 'requeue_after'];

/** Runs a controller until the signal is aborted; resolves when its last worker has ended. Never rejects. */
export async function runController(options: ControllerOptions): Promise<void> {
  const {
    name,
    queue,
    workers,
    metrics,
    signal,
    graceSeconds = GRACE_SECONDS,
    clock = SYSTEM_CLOCK,
  } = options;
  metrics.maxConcurrent.set({ controller: name }, workers);
  metrics.activeWorkers.set({ controller: name }, 0);
  metrics.errors.inc({ controller: name }, 0);
  for (const result of RESULTS) metrics.reconciles.inc({ controller: name, result }, 0);
  const cut = new AbortController();
  const ended = new AbortController();
  const end = () => {
    void queue.close();
    void pause(clock, graceSeconds * 1000, ended.signal).then(() => cut.abort(signal.reason));
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  await Promise.all(Array.from({ length: workers }, () => work(options, clock, cut.signal)));
  ended.abort();
  signal.removeEventListener('abort', end);
  await queue.close();
}

async function work(options: ControllerOptions, clock: Clock, cut: AbortSignal): Promise<void> {
  const { name, queue, metrics } = options;
  for (;;) {
    const key = await queue.take();
    if (key === undefined) return;
    metrics.activeWorkers.inc({ controller: name });
    const since = clock.monotonicMillis();
    const result = await reconcileOne(options, key, cut);
    metrics.reconciles.inc({ controller: name, result });
    metrics.seconds.observe({ controller: name }, (clock.monotonicMillis() - since) / 1000);
    metrics.activeWorkers.dec({ controller: name });
    queue.done(key);
  }
}

/** Works on one key and says when it comes again; the result's name in the metrics. */
async function reconcileOne(options: ControllerOptions, key: string, cut: AbortSignal): Promise<string> {
  const { name, queue, reconcile, metrics, log } = options;
  try {
    const { requeueAfterSeconds } = await reconcile(key, cut);
    queue.forget(key);
    if (requeueAfterSeconds === undefined) return 'success';
    queue.addAfter(key, requeueAfterSeconds * 1000);
    return 'requeue_after';
  } catch (error) {
    if (cut.aborted) return 'error';
    metrics.errors.inc({ controller: name });
    const waitMillis = queue.retry(key, retryAfterSecondsOf(error) * 1000);
    // Somebody else was faster: an everyday matter, that the next look at things mends.
    const write = isApiError(error, REASON.conflict) ? log.info : log.warn;
    write.call(
      log,
      { err: error, controller: name, key, waitMillis },
      'a reconcile failed and is tried again',
    );
    return 'error';
  }
}
