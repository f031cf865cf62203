/**
 * The dashboard of the operator: whether one is at work, how trackers fare under it, and what holds it up. Its instruments
 * are named as controller-runtime names them, so that other operators of a cluster have the same ones: the choice at the
 * head holds those jobs alone that are ours.
 */
import type { DashboardSpec } from './panels.ts';
import { processPanels } from './process-panels.ts';

const CHOSEN = 'job=~"$job", instance=~"$instance"';
const rate = (metric: string, more = '') => `rate(${metric}{${CHOSEN}${more}}[$__rate_interval])`;
const quantile = (share: number, metric: string, by = 'le') =>
  `histogram_quantile(${share}, sum by (${by}) (${rate(`${metric}_bucket`)}))`;

export const OPERATOR_DASHBOARD: DashboardSpec = {
  uid: 'torrust-operator',
  title: 'Torrust Tracker / Operator',
  description: 'Whether an operator is at work, how trackers fare under it, and what holds it up.',
  variables: [
    { name: 'job', label: 'Job', query: 'label_values(torrust_operator_build_info, job)' },
    {
      name: 'instance',
      label: 'Instance',
      query: 'label_values(torrust_operator_build_info{job=~"$job"}, instance)',
    },
  ],
  rows: [
    {
      title: 'Is it well?',
      panels: [
        {
          kind: 'figure',
          title: 'Leaders',
          description: 'Operators that hold the lease. One works, the others wait for its turn; 0 is nobody.',
          unit: 'short',
          limits: [1, 0],
          queries: [{ expr: `sum(leader_election_master_status{${CHOSEN}})`, legend: 'leaders' }],
        },
        {
          kind: 'figure',
          title: 'Trackers',
          description: 'TorrustTrackers that the operator sees, whatever state they are in.',
          unit: 'short',
          queries: [{ expr: `sum(torrust_operator_trackers{${CHOSEN}})`, legend: 'trackers' }],
        },
        {
          kind: 'figure',
          title: 'Not ready',
          description: 'Trackers that are to serve and are not Ready. The table below names them.',
          unit: 'short',
          limits: [1, 2],
          queries: [
            {
              expr: `sum(torrust_operator_trackers{${CHOSEN}, state="not_ready"})`,
              legend: 'not ready',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Waiting',
          description: 'Trackers that wait for a worker to look at them. It goes back to 0 by itself.',
          unit: 'short',
          limits: [50, 500],
          queries: [{ expr: `sum(workqueue_depth{${CHOSEN}})`, legend: 'waiting' }],
        },
        {
          kind: 'figure',
          title: 'Failed reconciles',
          description: 'The share of reconciles that failed and are tried again.',
          unit: 'percentunit',
          limits: [0.05, 0.25],
          queries: [
            {
              expr: `sum(${rate('controller_runtime_reconcile_errors_total')}) / sum(${rate('controller_runtime_reconcile_total')})`,
              legend: 'failed',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Versions',
          description: 'Different versions of the operator that run; more than one while an upgrade goes on.',
          unit: 'short',
          queries: [
            {
              expr: `count(count by (version) (torrust_operator_build_info{${CHOSEN}}))`,
              legend: 'versions',
            },
          ],
        },
      ],
    },
    {
      title: 'Trackers',
      panels: [
        {
          kind: 'graph',
          title: 'Trackers by state',
          description:
            'TorrustTrackers by what the operator says of them. Those that sleep or are paused were asked to.',
          unit: 'short',
          isStacked: true,
          columns: 12,
          queries: [{ expr: `sum by (state) (torrust_operator_trackers{${CHOSEN}})`, legend: '{{state}}' }],
        },
        {
          kind: 'graph',
          title: 'Trackers that are not ready',
          description:
            'One line for each tracker that is to serve and is not Ready. `kubectl describe tt` says why.',
          unit: 'short',
          columns: 12,
          queries: [
            {
              expr: `sum by (tracker) (torrust_operator_tracker_ready{${CHOSEN}} == 0) + 1`,
              legend: '{{tracker}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Reconciles',
      panels: [
        {
          kind: 'graph',
          title: 'Reconciles',
          description:
            'How often trackers are looked at, by how that ended. Most are followed by a later look (requeue_after).',
          unit: 'ops',
          isStacked: true,
          queries: [
            {
              expr: `sum by (result) (${rate('controller_runtime_reconcile_total')})`,
              legend: '{{result}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Time of a reconcile',
          description: 'How long one look at a tracker takes; most of it is waiting for the API server.',
          unit: 's',
          queries: [0.5, 0.99].map((share) => ({
            expr: quantile(share, 'controller_runtime_reconcile_time_seconds'),
            legend: `p${share * 100}`,
          })),
        },
        {
          kind: 'graph',
          title: 'Workers',
          description: 'Reconciles that are under way, and the most that may be at a time.',
          unit: 'short',
          queries: [
            { expr: `sum(controller_runtime_active_workers{${CHOSEN}})`, legend: 'at work' },
            { expr: `sum(controller_runtime_max_concurrent_reconciles{${CHOSEN}})`, legend: 'at most' },
          ],
        },
        {
          kind: 'graph',
          title: 'Queue',
          description: 'How often a tracker was put into the queue, and how often after a failure.',
          unit: 'ops',
          queries: [
            { expr: `sum(${rate('workqueue_adds_total')})`, legend: 'added' },
            { expr: `sum(${rate('workqueue_retries_total')})`, legend: 'tried again' },
          ],
        },
        {
          kind: 'graph',
          title: 'Time in the queue and at work',
          description: 'How long trackers wait for a worker, and how long a worker has them (p99).',
          unit: 's',
          queries: [
            { expr: quantile(0.99, 'workqueue_queue_duration_seconds'), legend: 'waiting' },
            { expr: quantile(0.99, 'workqueue_work_duration_seconds'), legend: 'at work' },
          ],
        },
        {
          kind: 'graph',
          title: 'Unfinished work',
          description:
            'How long the reconciles that are under way have been so. A line that climbs is one that hangs.',
          unit: 's',
          queries: [
            { expr: `max(workqueue_longest_running_processor_seconds{${CHOSEN}})`, legend: 'longest' },
            { expr: `sum(workqueue_unfinished_work_seconds{${CHOSEN}})`, legend: 'all' },
          ],
        },
      ],
    },
    {
      title: 'The API server, as the operator sees it',
      panels: [
        {
          kind: 'graph',
          title: 'Requests by answer',
          description:
            'Requests to the API server by the status of the answer; <error> had none. 409 is somebody who was faster, 404 an object that is not there yet.',
          unit: 'reqps',
          isStacked: true,
          queries: [{ expr: `sum by (code) (${rate('rest_client_requests_total')})`, legend: '{{code}}' }],
        },
        {
          kind: 'graph',
          title: 'Writes',
          description:
            'Requests that write. Where nothing changes there are none but the renewals of the lease (PUT).',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (method) (${rate('rest_client_requests_total', ', method!="GET"')})`,
              legend: '{{method}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Time to an answer',
          description: 'Until the head of the answer, by verb (p99).',
          unit: 's',
          queries: [
            { expr: quantile(0.99, 'rest_client_request_duration_seconds', 'verb, le'), legend: '{{verb}}' },
          ],
        },
        {
          kind: 'graph',
          title: 'Lists and watches',
          description:
            'Lists and watches that began, and those that failed. Each kind is watched anew every five to ten minutes.',
          unit: 'ops',
          queries: [
            { expr: `sum(${rate('reflector_lists_total')})`, legend: 'lists' },
            { expr: `sum(${rate('reflector_watches_total')})`, legend: 'watches' },
            { expr: `sum(${rate('reflector_failures_total')})`, legend: 'failed' },
          ],
        },
        {
          kind: 'graph',
          title: 'Objects in memory',
          description: 'Objects that the operator holds, by kind.',
          unit: 'short',
          isStacked: true,
          queries: [{ expr: `sum by (name) (reflector_objects{${CHOSEN}})`, legend: '{{name}}' }],
        },
        {
          kind: 'graph',
          title: 'Events',
          description: 'Events for objects: written, dropped because an object had too many, or failed.',
          unit: 'ops',
          queries: [
            { expr: `sum by (result) (${rate('torrust_operator_events_total')})`, legend: '{{result}}' },
          ],
        },
      ],
    },
    {
      title: 'The process',
      panels: [
        {
          kind: 'graph',
          title: 'CPU',
          description: 'CPUs that each operator uses.',
          unit: 'short',
          queries: [{ expr: rate('process_cpu_seconds_total'), legend: '{{instance}}' }],
        },
        ...processPanels(CHOSEN, 'does all of the work here'),
      ],
    },
  ],
};
