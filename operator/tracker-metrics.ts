/**
 * What the operator tells Prometheus beside the instruments of its machinery: which version it is, how its process is, and
 * how its trackers are, read from what it knows of them whenever it is asked.
 * https://prometheus.io/docs/practices/naming/
 */
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { conditionOf, numberAt, textAt, valueAt } from './json-path.ts';
import { type KubeObject, keyOf } from './kube/kube-object.ts';

/** What can be said of a tracker. */
const STATES = ['ready', 'not_ready', 'asleep', 'paused'] as const;
type State = (typeof STATES)[number];

/** Gauges of prom-client that are named like counters; the same by type have right names. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Fine enough for a process whose work comes in pieces of milliseconds. */
const EVENT_LOOP_PRECISION_MILLIS = 20;

/**
 * Makes the instruments in a registry, once for each. `trackers` gives all trackers as they are known; nothing while another
 * operator is the one at work, which then tells.
 */
export function createTrackerMetrics(
  registry: Registry,
  version: string,
  trackers: () => readonly KubeObject[] | undefined,
): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MILLIS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const buildInfo = new Gauge({
    name: 'torrust_operator_build_info',
    help: 'Always 1; the version is a label.',
    labelNames: ['version'],
    registers: [],
  });
  buildInfo.set({ version }, 1);
  const byState = new Gauge({
    name: 'torrust_operator_trackers',
    help: 'Trackers by what is said of them: ready or not; asleep or paused, where their resource asks for that.',
    labelNames: ['state'],
    registers: [],
    collect() {
      this.reset();
      const known = trackers();
      if (known === undefined) return;
      for (const state of STATES) this.set({ state }, 0);
      for (const tracker of known) this.inc({ state: stateOf(tracker) });
    },
  });
  const ready = new Gauge({
    name: 'torrust_operator_tracker_ready',
    help: 'Of each tracker that is to serve: 1 when its condition Ready is True, else 0.',
    labelNames: ['tracker'],
    registers: [],
    collect() {
      this.reset();
      for (const tracker of trackers() ?? []) {
        const state = stateOf(tracker);
        const isToServe = state === 'ready' || state === 'not_ready';
        if (isToServe) this.set({ tracker: keyOf(tracker.metadata) }, state === 'ready' ? 1 : 0);
      }
    },
  });
  for (const gauge of [buildInfo, byState, ready]) registry.registerMetric(gauge);
}

function stateOf(tracker: KubeObject): State {
  if (valueAt(tracker, 'spec', 'paused') === true) return 'paused';
  const isAsleep =
    valueAt(tracker, 'spec', 'hibernate') === true || numberAt(tracker, 'spec', 'replicas') === 0;
  if (isAsleep) return 'asleep';
  return textAt(conditionOf(tracker, 'Ready'), 'status') === 'True' ? 'ready' : 'not_ready';
}
