/**
 * The controller of trackers: the cache that tells whose tracker is to be looked at, the queue, the reconciler and the
 * prober, from the first list to the last answer.
 */
import type { Environment } from './desired/environment.ts';
import type { KubeClient } from './kube/client.ts';
import { SYSTEM_CLOCK } from './kube/clock.ts';
import { runController } from './kube/controller.ts';
import type { KubeLog } from './kube/kube-log.ts';
import { keyOf, type KubeObject } from './kube/kube-object.ts';
import type { KubeMetrics } from './kube/metrics.ts';
import { WorkQueue } from './kube/work-queue.ts';
import { Prober, PROBER_DEFAULTS, type ProberOptions } from './probe/prober.ts';
import { ClusterCache } from './reconcile/cluster-cache.ts';
import type { Recorder } from './reconcile/status-writer.ts';
import { TrackerReconciler } from './reconcile/tracker-reconciler.ts';

/** What the controller is made of. */
export interface TrackerControllerOptions {
  readonly client: KubeClient;
  readonly metrics: KubeMetrics;
  readonly log: KubeLog;
  readonly recorder: Recorder;
  /** Absent: all of the cluster. */
  readonly namespaces: readonly string[] | undefined;
  /** The operator and its cluster at this moment. */
  readonly environment: () => Environment;
  readonly operatorVersion: string;
  readonly isDry: boolean;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** How trackers are probed, where that is not the usual way. */
  readonly probing?: Pick<ProberOptions, 'intervalMillis' | 'retryMillis' | 'graceMillis'>;
}

/** A running controller. */
export interface TrackerController {
  /** Resolves when every tracker and all that belongs to them was listed; rejects when it ends before. */
  readonly synced: Promise<void>;
  /** Resolves when everything has ended. */
  readonly ended: Promise<void>;
  /** Has every tracker looked at, as when the cluster got another API. */
  reconcileAll(): void;
  /** All trackers, as they were last seen. */
  trackers(): readonly KubeObject[];
  /** What hinders the watches at the moment, as sentences. */
  problems(): string[];
}

/** The name of the controller in metrics and logs. */
const NAME = 'torrusttracker';
/** Trackers that are reconciled at the same time; each waits for the API server most of its time. */
const WORKERS = 8;

/** Starts the controller. */
export function startTrackerController(options: TrackerControllerOptions): TrackerController {
  const { client, metrics, log, recorder, namespaces, environment, operatorVersion, isDry, signal } = options;
  const queue = new WorkQueue(NAME, metrics.queue, SYSTEM_CLOCK);
  const prober = new Prober({ ...PROBER_DEFAULTS, ...options.probing, onChange: (key) => queue.add(key) });
  const cache = new ClusterCache({
    client,
    namespaces,
    metrics: metrics.reflector,
    log,
    apis: () => environment().apis,
    signal,
    onTracker: (key) => queue.add(key),
  });
  const reconciler = new TrackerReconciler({
    client,
    cache,
    prober,
    recorder,
    log,
    environment,
    operatorVersion,
    isDry,
  });
  const synced = cache.synced();
  const run = async () => {
    try {
      // Before everything is known, what is there would look as if it was missing.
      await synced;
      await runController({
        name: NAME,
        queue,
        reconcile: (key, cut) => reconciler.reconcile(key, cut),
        workers: WORKERS,
        metrics: metrics.controller,
        log,
        signal,
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await prober.close();
      await cache.ended();
    }
  };
  return {
    synced,
    ended: run(),
    reconcileAll: () => {
      for (const { metadata } of cache.trackers()) queue.add(keyOf(metadata));
    },
    trackers: () => cache.trackers(),
    problems: () => cache.problems(),
  };
}
