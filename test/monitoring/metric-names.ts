/** The names of all metrics, as queries may ask for them: those of the tracker, and those that every process of ours has. */
import { collectDefaultMetrics, Registry } from 'prom-client';
import {
  READ_HISTOGRAMS,
  READ_INSTRUMENTS,
  RECORDED_COUNTERS,
  RECORDED_HISTOGRAMS,
} from '../../tracker/telemetry/instruments.ts';

/** Those of the tracker. */
export const METRIC_NAMES: readonly string[] = [
  ...READ_INSTRUMENTS.map(({ name }) => name),
  ...Object.values(RECORDED_COUNTERS).map(({ name }) => name),
  ...[...READ_HISTOGRAMS, ...Object.values(RECORDED_HISTOGRAMS)].map(({ name }) => name),
];

/** Those of the process and of Node.js, by prom-client. */
export const PROCESS_METRIC_NAMES: readonly string[] = processMetricNames();

/** Those of the process and of Node.js that no panel shows, each with the reason. */
export const NOT_SHOWN: Readonly<Record<string, string>> = {
  process_cpu_user_seconds_total: 'a part of process_cpu_seconds_total, which is shown',
  process_cpu_system_seconds_total: 'the other part',
  process_virtual_memory_bytes: 'addresses that were reserved, which cost nothing',
  process_heap_bytes: 'the data segment, of which the resident part is in the resident memory',
  nodejs_eventloop_lag_seconds: 'one sample a scrape; the median and the 99th percentile are shown',
  nodejs_eventloop_lag_min_seconds: 'the same tells less than the median',
  nodejs_eventloop_lag_max_seconds: 'one moment in many; the 99th percentile is shown',
  nodejs_eventloop_lag_mean_seconds: 'the median is shown',
  nodejs_eventloop_lag_stddev_seconds: 'the 99th percentile is shown',
  nodejs_eventloop_lag_p90_seconds: 'between the two that are shown',
  nodejs_active_resources: 'the insides of Node.js; what leaks is among the open files',
  nodejs_active_handles: 'the same',
  nodejs_active_requests: 'the same',
  nodejs_heap_space_size_total_bytes: 'the parts of the heap, for who has a profiler at hand',
  nodejs_heap_space_size_used_bytes: 'the same',
  nodejs_heap_space_size_available_bytes: 'the same',
  nodejs_version_info: 'the build info has the version',
};

function processMetricNames(): string[] {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Our own processes leave out gauges that are named like counters.
  return registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => !/^nodejs_active_.*_total$/.test(name));
}
