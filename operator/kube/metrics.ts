/**
 * The operator's instruments around Kubernetes, named and labelled as client-go and controller-runtime do, so that the
 * dashboards and alerts that people have for those fit.
 * https://book.kubebuilder.io/reference/metrics-reference
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What is counted about requests to the API server. */
export interface ClientMetrics {
  /** `code` is `<error>` when there was no answer. */
  readonly requests: Counter<'code' | 'method' | 'host'>;
  /** Until the head of the answer. */
  readonly requestSeconds: Histogram<'verb' | 'host'>;
}

/** What is counted about watching. */
export interface ReflectorMetrics {
  readonly lists: Counter<'name'>;
  readonly watches: Counter<'name'>;
  readonly failures: Counter<'name'>;
  readonly objects: Gauge<'name'>;
}

/** What is counted about work queues; both labels are the name of the controller. */
export interface QueueMetrics {
  readonly depth: Gauge<'name' | 'controller'>;
  readonly adds: Counter<'name' | 'controller'>;
  readonly queueSeconds: Histogram<'name' | 'controller'>;
  readonly workSeconds: Histogram<'name' | 'controller'>;
  readonly retries: Counter<'name' | 'controller'>;
  readonly unfinishedSeconds: Gauge<'name' | 'controller'>;
  readonly longestRunningSeconds: Gauge<'name' | 'controller'>;
  /** Called before the last two are read. */
  readonly observers: Set<() => void>;
}

/** What is counted about reconciling. */
export interface ControllerMetrics {
  readonly reconciles: Counter<'controller' | 'result'>;
  readonly errors: Counter<'controller'>;
  readonly seconds: Histogram<'controller'>;
  readonly maxConcurrent: Gauge<'controller'>;
  readonly activeWorkers: Gauge<'controller'>;
}

/** Every instrument of this room. */
export interface KubeMetrics {
  readonly client: ClientMetrics;
  readonly reflector: ReflectorMetrics;
  readonly queue: QueueMetrics;
  readonly controller: ControllerMetrics;
  /** 1 for the holder of the lease. */
  readonly leader: Gauge<'name'>;
  /** Events that were written, and those that were dropped because an object had too many. */
  readonly events: Counter<'result'>;
}

/** Seconds; as component-base has them. */
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
/** Seconds; as controller-runtime has them for queues. */
const QUEUE_BUCKETS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000];
/** Seconds; as controller-runtime has them for reconciling. */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5,
  1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];

/** Makes the instruments in a registry. Once for each registry. */
export function createKubeMetrics(registry: Registry): KubeMetrics {
  const registers = [registry];
  const queueLabels = ['name', 'controller'] as const;
  const observers = new Set<() => void>();
  const collect = () => {
    for (const observe of observers) observe();
  };
  return {
    client: {
      requests: new Counter({
        name: 'rest_client_requests_total',
        help: 'Number of HTTP requests, partitioned by status code, method, and host.',
        labelNames: ['code', 'method', 'host'],
        registers,
      }),
      requestSeconds: new Histogram({
        name: 'rest_client_request_duration_seconds',
        help: 'Request latency in seconds, until the head of the answer. Broken down by verb and host.',
        labelNames: ['verb', 'host'],
        buckets: REQUEST_BUCKETS,
        registers,
      }),
    },
    reflector: {
      lists: new Counter({
        name: 'reflector_lists_total',
        help: 'Total number of lists that the reflectors began.',
        labelNames: ['name'],
        registers,
      }),
      watches: new Counter({
        name: 'reflector_watches_total',
        help: 'Total number of watches that the reflectors began.',
        labelNames: ['name'],
        registers,
      }),
      failures: new Counter({
        name: 'reflector_failures_total',
        help: 'Total number of lists and watches that failed and were tried again.',
        labelNames: ['name'],
        registers,
      }),
      objects: new Gauge({
        name: 'reflector_objects',
        help: 'Number of objects that a reflector holds.',
        labelNames: ['name'],
        registers,
      }),
    },
    queue: {
      depth: new Gauge({
        name: 'workqueue_depth',
        help: 'Current depth of the work queue.',
        labelNames: queueLabels,
        registers,
      }),
      adds: new Counter({
        name: 'workqueue_adds_total',
        help: 'Total number of adds handled by the work queue.',
        labelNames: queueLabels,
        registers,
      }),
      queueSeconds: new Histogram({
        name: 'workqueue_queue_duration_seconds',
        help: 'How long in seconds an item stays in the work queue before being requested.',
        labelNames: queueLabels,
        buckets: QUEUE_BUCKETS,
        registers,
      }),
      workSeconds: new Histogram({
        name: 'workqueue_work_duration_seconds',
        help: 'How long in seconds processing an item from the work queue takes.',
        labelNames: queueLabels,
        buckets: QUEUE_BUCKETS,
        registers,
      }),
      retries: new Counter({
        name: 'workqueue_retries_total',
        help: 'Total number of retries handled by the work queue.',
        labelNames: queueLabels,
        registers,
      }),
      unfinishedSeconds: new Gauge({
        name: 'workqueue_unfinished_work_seconds',
        help: 'How many seconds of work is in progress and has not been observed by work_duration.',
        labelNames: queueLabels,
        registers,
        collect,
      }),
      longestRunningSeconds: new Gauge({
        name: 'workqueue_longest_running_processor_seconds',
        help: 'How many seconds has the longest running processor for the work queue been running.',
        labelNames: queueLabels,
        registers,
        collect,
      }),
      observers,
    },
    controller: {
      reconciles: new Counter({
        name: 'controller_runtime_reconcile_total',
        help: 'Total number of reconciliations per controller.',
        labelNames: ['controller', 'result'],
        registers,
      }),
      errors: new Counter({
        name: 'controller_runtime_reconcile_errors_total',
        help: 'Total number of reconciliation errors per controller.',
        labelNames: ['controller'],
        registers,
      }),
      seconds: new Histogram({
        name: 'controller_runtime_reconcile_time_seconds',
        help: 'Length of time per reconciliation per controller.',
        labelNames: ['controller'],
        buckets: RECONCILE_BUCKETS,
        registers,
      }),
      maxConcurrent: new Gauge({
        name: 'controller_runtime_max_concurrent_reconciles',
        help: 'Maximum number of concurrent reconciles per controller.',
        labelNames: ['controller'],
        registers,
      }),
      activeWorkers: new Gauge({
        name: 'controller_runtime_active_workers',
        help: 'Number of currently used workers per controller.',
        labelNames: ['controller'],
        registers,
      }),
    },
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: 'Whether this process holds the lease: 1 for the master, 0 for others.',
      labelNames: ['name'],
      registers,
    }),
    events: new Counter({
      name: 'torrust_operator_events_total',
      help: 'Total number of events for objects: written, dropped because there were too many, or failed.',
      labelNames: ['result'],
      registers,
    }),
  };
}
