/** All trackers at once: which is where, which is not well, and how the load spreads. */
import type { DashboardSpec } from './panels.ts';

/** Of every tracker that is scraped; a job is what Prometheus calls a group of them. */
const ALL = 'job=~"$job"';
const WHO = 'job, instance';
/** What was a tracker within the last day, though it may be silent now. */
const SEEN = `last_over_time(torrust_tracker_build_info{${ALL}}[1d])`;
const byTracker = (expr: string) => `sum by (${WHO}) (${expr})`;
const requests = `rate(torrust_tracker_requests_total{${ALL}}[$__rate_interval])`;
const refused = `rate(torrust_tracker_requests_total{${ALL}, outcome!="ok"}[$__rate_interval])`;

export const FLEET_DASHBOARD: DashboardSpec = {
  uid: 'torrust-tracker-fleet',
  title: 'Torrust Tracker / Fleet',
  description: 'All trackers at once: which is where, which is not well, and how the load spreads.',
  variables: [{ name: 'job', label: 'Job', query: 'label_values(torrust_tracker_build_info, job)' }],
  rows: [
    {
      title: 'All together',
      panels: [
        {
          kind: 'figure',
          title: 'Trackers',
          description: 'Trackers that Prometheus reaches.',
          unit: 'short',
          columns: 3,
          queries: [{ expr: `count(torrust_tracker_build_info{${ALL}})`, legend: 'trackers' }],
        },
        {
          kind: 'figure',
          title: 'Not answering',
          description: 'Trackers that answered Prometheus within the last day, and do not now.',
          unit: 'short',
          columns: 3,
          limits: [1, 1],
          queries: [
            {
              expr: `count(up{${ALL}} == 0 and on (${WHO}) ${SEEN}) or vector(0)`,
              legend: 'not answering',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Not ready',
          description: 'Trackers that answer Prometheus but take no requests, or wait in their start.',
          unit: 'short',
          columns: 3,
          limits: [1, 2],
          queries: [
            {
              expr: `count(torrust_tracker_ready{${ALL}} == 0) or vector(0)`,
              legend: 'not ready',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Requests',
          description: 'Requests of all trackers in a second.',
          unit: 'reqps',
          queries: [{ expr: `sum(${requests})`, legend: 'requests' }],
        },
        {
          kind: 'figure',
          title: 'Peers',
          description: 'Peers of all trackers. One that announces to several counts in each.',
          unit: 'short',
          queries: [{ expr: `sum(torrust_tracker_peers{${ALL}})`, legend: 'peers' }],
        },
        {
          kind: 'figure',
          title: 'Databases away',
          description: 'Trackers whose database does not answer.',
          unit: 'short',
          limits: [1, 2],
          queries: [
            {
              expr: `count(torrust_tracker_database_up{${ALL}} == 0) or vector(0)`,
              legend: 'away',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Versions',
          description:
            'Different versions that run at this moment; more than one while an upgrade is under way.',
          unit: 'short',
          columns: 3,
          queries: [
            {
              expr: `count(count by (version) (torrust_tracker_build_info{${ALL}}))`,
              legend: 'versions',
            },
          ],
        },
      ],
    },
    {
      title: 'Each tracker',
      panels: [
        {
          kind: 'table',
          title: 'Trackers at this moment',
          description:
            'One line for each tracker of the last day, with what it does at this moment; one that does not answer has nothing else to tell.',
          queries: [
            {
              expr: `max by (${WHO}) (up{${ALL}} and on (${WHO}) ${SEEN})`,
              legend: 'Answers',
              unit: 'bool_yes_no',
            },
            {
              expr: `max by (${WHO}, version) (torrust_tracker_build_info{${ALL}})`,
              legend: 'Version',
              unit: 'short',
              isLabelsOnly: true,
            },
            { expr: byTracker(`torrust_tracker_ready{${ALL}}`), legend: 'Ready', unit: 'bool_yes_no' },
            { expr: byTracker(requests), legend: 'Requests', unit: 'reqps' },
            { expr: byTracker(`torrust_tracker_torrents{${ALL}}`), legend: 'Torrents', unit: 'short' },
            { expr: byTracker(`torrust_tracker_peers{${ALL}}`), legend: 'Peers', unit: 'short' },
            {
              expr: `${byTracker(`torrust_tracker_swarm_memory_used_bytes{${ALL}}`)} / ${byTracker(`torrust_tracker_swarm_memory_limit_bytes{${ALL}}`)}`,
              legend: 'Swarm memory',
              unit: 'percentunit',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Requests by tracker',
          description: 'Requests of each tracker.',
          unit: 'reqps',
          isStacked: true,
          queries: [{ expr: byTracker(requests), legend: '{{job}} {{instance}}' }],
        },
        {
          kind: 'graph',
          title: 'Refused by tracker',
          description: 'The share of requests that each tracker did not serve, for whatever reason.',
          unit: 'percentunit',
          queries: [
            { expr: `${byTracker(refused)} / ${byTracker(requests)}`, legend: '{{job}} {{instance}}' },
          ],
        },
        {
          kind: 'graph',
          title: 'CPU by tracker',
          description: 'CPUs that each tracker uses.',
          unit: 'short',
          queries: [
            {
              expr: byTracker(
                `rate(process_cpu_seconds_total{${ALL}}[$__rate_interval]) and on (${WHO}) torrust_tracker_build_info`,
              ),
              legend: '{{job}} {{instance}}',
            },
          ],
        },
      ],
    },
  ],
};
