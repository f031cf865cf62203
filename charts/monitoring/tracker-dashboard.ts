/** The dashboard of one tracker, or of a few side by side: whether it is well, what it does, and what hinders it. */
import type { DashboardSpec, VariableSpec } from './panels.ts';
import { processPanels } from './process-panels.ts';
import { tracePanels } from './trace-panels.ts';

/** The trackers that are chosen at the head of a dashboard. */
export const CHOSEN = 'job=~"$job", instance=~"$instance"';

/** The choice of trackers, by what Prometheus calls them. */
export const TRACKER_VARIABLES: readonly VariableSpec[] = [
  { name: 'job', label: 'Job', query: 'label_values(torrust_tracker_build_info, job)' },
  {
    name: 'instance',
    label: 'Instance',
    query: 'label_values(torrust_tracker_build_info{job=~"$job"}, instance)',
  },
];

const requests = (more: string) => `rate(torrust_tracker_requests_total{${CHOSEN}${more}}[$__rate_interval])`;
const duration = (quantile: number) =>
  `histogram_quantile(${quantile}, sum by (protocol, kind, le) (rate(torrust_tracker_request_duration_seconds_bucket{${CHOSEN}}[$__rate_interval])))`;
const threadDelay = (quantile: number) =>
  `histogram_quantile(${quantile}, sum by (sockets, le) (rate(torrust_tracker_network_thread_delay_seconds_bucket{${CHOSEN}}[$__rate_interval])))`;
const databaseDuration = (quantile: number) =>
  `histogram_quantile(${quantile}, sum by (le) (rate(torrust_tracker_database_call_duration_seconds_bucket{${CHOSEN}}[$__rate_interval])))`;

export const TRACKER_DASHBOARD: DashboardSpec = {
  uid: 'torrust-tracker',
  title: 'Torrust Tracker / Tracker',
  description: 'Whether a tracker is well, what it does, and what hinders it.',
  variables: TRACKER_VARIABLES,
  rows: [
    {
      title: 'Is it well?',
      panels: [
        {
          kind: 'figure',
          title: 'Ready',
          description:
            'Trackers that take requests, as a share of those that Prometheus asks; one that does not answer takes none.',
          unit: 'percentunit',
          limits: [1, 0.99],
          queries: [
            {
              expr: `(sum(torrust_tracker_ready{${CHOSEN}}) or vector(0)) / count(up{${CHOSEN}} and on (job, instance) last_over_time(torrust_tracker_build_info{${CHOSEN}}[1h]))`,
              legend: 'ready',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Requests',
          description: 'Requests of all protocols in a second.',
          unit: 'reqps',
          queries: [{ expr: `sum(${requests('')})`, legend: 'requests' }],
        },
        {
          kind: 'figure',
          title: 'Refused',
          description:
            'The share of requests that were not served, for whatever reason. The graph below tells the reasons; wrong connection ids and keys are mostly the mistakes of clients.',
          unit: 'percentunit',
          limits: [0.05, 0.25],
          queries: [
            {
              expr: `sum(${requests(', outcome!="ok"')}) / sum(${requests('')})`,
              legend: 'refused',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Peers',
          description: 'Peers in all swarms. One that is in several counts in each.',
          unit: 'short',
          queries: [{ expr: `sum(torrust_tracker_peers{${CHOSEN}})`, legend: 'peers' }],
        },
        {
          kind: 'figure',
          title: 'Swarm memory',
          description: 'The share of swarm.memory that is in use, of the fullest tracker.',
          unit: 'percentunit',
          limits: [0.8, 0.95],
          queries: [
            {
              expr: `max(torrust_tracker_swarm_memory_used_bytes{${CHOSEN}} / torrust_tracker_swarm_memory_limit_bytes{${CHOSEN}})`,
              legend: 'in use',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Datagrams lost',
          description:
            'Datagrams in a second that the kernel dropped because the tracker did not take them in time. Anything above 0 is lost requests: give it more CPU, more network threads or a larger receive buffer.',
          unit: 'pps',
          limits: [1, 100],
          queries: [
            {
              expr: `sum(rate(torrust_tracker_udp_kernel_drops_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'dropped',
            },
          ],
        },
      ],
    },
    {
      title: 'Requests',
      panels: [
        {
          kind: 'graph',
          title: 'Requests by protocol and kind',
          description: 'What clients ask. Of kind other is what no tracker is asked.',
          unit: 'reqps',
          isStacked: true,
          queries: [{ expr: `sum by (protocol, kind) (${requests('')})`, legend: '{{protocol}} {{kind}}' }],
        },
        {
          kind: 'graph',
          title: 'Requests by family',
          description: 'IPv4 and IPv6 clients.',
          unit: 'reqps',
          isStacked: true,
          queries: [
            { expr: `sum by (protocol, family) (${requests('')})`, legend: '{{protocol}} {{family}}' },
          ],
        },
        {
          kind: 'graph',
          title: 'Refused requests by reason',
          description: 'Requests that were not served, by why.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (protocol, outcome) (${requests(', outcome!="ok"')})`,
              legend: '{{protocol}} {{outcome}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Replies sent',
          description:
            'Replies that the kernel took. It lies below the requests by what was met with silence.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (protocol, family) (rate(torrust_tracker_replies_sent_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{protocol}} {{family}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Time to answer, 99th percentile',
          description:
            'From a request that was read to its reply that is ready, of a sample. What a request waited in the kernel before is not in it.',
          unit: 's',
          queries: [{ expr: duration(0.99), legend: '{{protocol}} {{kind}}' }],
        },
        {
          kind: 'graph',
          title: 'Time to answer, median',
          description: 'From a request that was read to its reply that is ready, of a sample.',
          unit: 's',
          queries: [{ expr: duration(0.5), legend: '{{protocol}} {{kind}}' }],
        },
      ],
    },
    {
      title: 'Swarms',
      panels: [
        {
          kind: 'graph',
          title: 'Seeders and leechers',
          description: 'Peers that have everything, and those that still download.',
          unit: 'short',
          isStacked: true,
          queries: [
            { expr: `sum(torrust_tracker_seeders{${CHOSEN}})`, legend: 'seeders' },
            { expr: `sum(torrust_tracker_leechers{${CHOSEN}})`, legend: 'leechers' },
          ],
        },
        {
          kind: 'graph',
          title: 'Peers by family',
          description: 'Peers with an IPv4 and with an IPv6 address.',
          unit: 'short',
          isStacked: true,
          queries: [{ expr: `sum by (family) (torrust_tracker_peers{${CHOSEN}})`, legend: '{{family}}' }],
        },
        {
          kind: 'graph',
          title: 'Torrents',
          description: 'Torrents in memory, and those on the whitelist, which only a listed tracker asks.',
          unit: 'short',
          queries: [
            { expr: `sum(torrust_tracker_torrents{${CHOSEN}})`, legend: 'in memory' },
            { expr: `sum(torrust_tracker_whitelisted_torrents{${CHOSEN}})`, legend: 'on the whitelist' },
          ],
        },
        {
          kind: 'graph',
          title: 'Downloads completed',
          description: 'Downloads that clients reported as completed, in an hour.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (instance) (increase(torrust_tracker_completed_downloads_total{${CHOSEN}}[1h]))`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Swarm memory and its limit',
          description: 'What torrents and peers take, and what they may take (swarm.memory).',
          unit: 'bytes',
          queries: [
            {
              expr: `sum by (instance) (torrust_tracker_swarm_memory_used_bytes{${CHOSEN}})`,
              legend: '{{instance}} used',
            },
            {
              expr: `sum by (instance) (torrust_tracker_swarm_memory_limit_bytes{${CHOSEN}})`,
              legend: '{{instance}} limit',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'What a full store gives up',
          description:
            'Torrents and peers that went early to make room, and announces that were answered but not kept. Anything above 0 says that swarm.memory is too small.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (what) (rate(torrust_tracker_swarm_evictions_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{what}} evicted',
            },
            {
              expr: `sum(rate(torrust_tracker_announces_not_kept_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'announce not kept',
            },
          ],
        },
      ],
    },
    {
      title: 'Who is kept out',
      panels: [
        {
          kind: 'graph',
          title: 'Wrong connection ids',
          description:
            'UDP requests whose connection id did not verify. Expired ones are usual; many of other addresses say that something between clients and tracker changes addresses (NAT).',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (reason) (rate(torrust_tracker_connection_id_failures_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Datagrams ignored',
          description: 'Datagrams that got no answer: nobody could answer them, or their address is banned.',
          unit: 'pps',
          queries: [
            {
              expr: `sum by (reason) (rate(torrust_tracker_udp_datagrams_ignored_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{reason}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Banned addresses',
          description: 'Addresses that are ignored at this moment.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (instance) (torrust_tracker_banned_addresses{${CHOSEN}})`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Beyond the limits',
          description:
            'Requests beyond a rate, HTTP connections beyond what one address may hold, and announces beyond what may be kept (table limits); with dry_run they are only counted.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (limit) (rate(torrust_tracker_requests_beyond_limits_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'requests {{limit}}',
            },
            {
              expr: `sum(rate(torrust_tracker_connections_beyond_limit_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'connections',
            },
            {
              expr: `sum by (limit) (rate(torrust_tracker_announces_beyond_limits_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'announces {{limit}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Addresses that are not those of clients',
          description:
            'Announces for private, cluster and proxy addresses, and those that were refused for it (table source_guard). On a public tracker, many of them show that something hides the addresses of clients.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (source) (rate(torrust_tracker_local_source_announces_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{source}}',
            },
            {
              expr: `sum(rate(torrust_tracker_local_source_announces_refused_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'refused',
            },
            {
              expr: `sum(rate(torrust_tracker_probe_announces_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'probes, which are not among the others',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Refused for a ban or a proxy header',
          description:
            'HTTP requests of addresses that were banned by hand, and connections and datagrams whose PROXY protocol header was missing, malformed or not theirs to send.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum(rate(torrust_tracker_http_requests_banned_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'banned over HTTP',
            },
            {
              expr: `sum(rate(torrust_tracker_proxy_headers_refused_total{${CHOSEN}}[$__rate_interval]))`,
              legend: 'proxy headers',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Keys',
          description:
            'Authentication keys in memory, expired ones included. Only a private tracker asks for them.',
          unit: 'short',
          queries: [{ expr: `sum by (instance) (torrust_tracker_keys{${CHOSEN}})`, legend: '{{instance}}' }],
        },
      ],
    },
    {
      title: 'Database and configuration',
      panels: [
        {
          kind: 'graph',
          title: 'Database answers',
          description: 'Whether the database answers: 1 or 0. Announces go on without it.',
          unit: 'short',
          queries: [
            { expr: `min by (instance) (torrust_tracker_database_up{${CHOSEN}})`, legend: '{{instance}}' },
          ],
        },
        {
          kind: 'graph',
          title: 'Database calls by outcome',
          description: 'Calls that ended, by how.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (outcome) (rate(torrust_tracker_database_calls_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Time of a database call',
          description: 'From a call to its end, waiting included.',
          unit: 's',
          queries: [
            { expr: databaseDuration(0.5), legend: 'median' },
            { expr: databaseDuration(0.99), legend: '99th percentile' },
          ],
        },
        {
          kind: 'graph',
          title: 'Waiting for the database',
          description:
            'Calls without an answer yet, and torrents whose completed counters wait to be written or read. It grows while the database is away, and is written when it is back.',
          unit: 'short',
          queries: [
            { expr: `sum(torrust_tracker_database_calls_waiting{${CHOSEN}})`, legend: 'calls' },
            { expr: `sum(torrust_tracker_completed_counters_waiting{${CHOSEN}})`, legend: 'torrents' },
          ],
        },
        {
          kind: 'graph',
          title: 'Downloads in the database',
          description: 'Downloads completed over all time, where the database keeps them.',
          unit: 'short',
          queries: [
            {
              expr: `max by (job) (torrust_tracker_completed_downloads_persisted{${CHOSEN}})`,
              legend: '{{job}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Configuration reloads',
          description: 'Looks at the configuration and its files in ten minutes, by what came of them.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (outcome) (increase(torrust_tracker_config_reloads_total{${CHOSEN}}[10m]))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Last reload',
          description:
            'Whether all that the last reload found could be used: 0 says that something was refused.',
          unit: 'bool_yes_no',
          limits: [1, 0.5],
          queries: [
            {
              expr: `min(torrust_tracker_config_last_reload_successful{${CHOSEN}})`,
              legend: 'successful',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Since a good reload',
          description: 'The time since the configuration was taken over whole for the last time.',
          unit: 's',
          queries: [
            {
              expr: `time() - min(torrust_tracker_config_last_reload_success_timestamp_seconds{${CHOSEN}})`,
              legend: 'age',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Restart needed',
          description: 'Trackers whose configuration holds changes that wait for a restart.',
          unit: 'short',
          limits: [1, 100],
          queries: [{ expr: `sum(torrust_tracker_config_restart_needed{${CHOSEN}})`, legend: 'trackers' }],
        },
        {
          kind: 'figure',
          title: 'Certificates',
          description: 'The time until the first certificate ends. Empty where nothing is served by TLS.',
          unit: 's',
          limits: [14 * 86_400, 3 * 86_400],
          queries: [
            {
              expr: `min(torrust_tracker_certificate_expiry_timestamp_seconds{${CHOSEN}}) - time()`,
              legend: 'left',
            },
          ],
        },
      ],
    },
    {
      title: 'Snapshots of the swarms',
      panels: [
        {
          kind: 'figure',
          title: 'Since a snapshot',
          description:
            'The time since the swarms were written for the last time, of the tracker that is behind most. Empty where none was written yet.',
          unit: 's',
          queries: [
            {
              expr: `time() - min(torrust_tracker_snapshot_last_success_timestamp_seconds{${CHOSEN}} > 0)`,
              legend: 'age',
            },
          ],
        },
        {
          kind: 'figure',
          title: 'Brought back',
          description: 'Peers that the last start brought back from a snapshot.',
          unit: 'short',
          queries: [{ expr: `sum(torrust_tracker_snapshot_restored_peers{${CHOSEN}})`, legend: 'peers' }],
        },
        {
          kind: 'graph',
          title: 'Snapshots by outcome',
          description: 'Snapshots in an hour that were written, and that failed.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (outcome) (increase(torrust_tracker_snapshots_total{${CHOSEN}}[1h]))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Time of a snapshot',
          description: 'How long the last snapshot took, pauses included. Packets do not wait for it.',
          unit: 's',
          queries: [
            {
              expr: `max by (instance) (torrust_tracker_snapshot_duration_seconds{${CHOSEN}})`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Size of a snapshot',
          description: 'Bytes of the last snapshot.',
          unit: 'bytes',
          queries: [
            {
              expr: `sum by (instance) (torrust_tracker_snapshot_size_bytes{${CHOSEN}})`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Peers in a snapshot',
          description: 'Peers in the last snapshot.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (instance) (torrust_tracker_snapshot_peers{${CHOSEN}})`,
              legend: '{{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Process',
      panels: [
        {
          kind: 'graph',
          title: 'CPU',
          description:
            'CPUs that the process uses, and its network threads. A thread that uses a whole CPU can take no more.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (instance) (rate(process_cpu_seconds_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{instance}}',
            },
            {
              expr: `sum by (instance) (torrust_tracker_network_threads{${CHOSEN}})`,
              legend: '{{instance}} network threads',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'CPU of network threads',
          description:
            'The share of a CPU that each network thread uses. One near 100 % can take no more: its datagrams pile up in the kernel and are dropped there.',
          unit: 'percentunit',
          limits: [0.8, 0.95],
          queries: [
            {
              expr: `sum by (instance, thread) (rate(torrust_tracker_network_thread_cpu_seconds_total{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{instance}} thread {{thread}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Delay of network threads',
          description:
            'How long what comes has to wait for a network thread: while a thread with native sockets is busy with what it found, and until the event loop of one with portable sockets (HTTPS among them) has time.',
          unit: 's',
          queries: [
            { expr: threadDelay(0.5), legend: '{{sockets}} median' },
            { expr: threadDelay(0.99), legend: '{{sockets}} 99th percentile' },
          ],
        },
        {
          kind: 'graph',
          title: 'Garbage collection of network threads',
          description:
            'The share of the time in which garbage collection stops network threads, all of them summed. What comes waits for it.',
          unit: 'percentunit',
          queries: [
            {
              expr: `sum by (instance) (rate(torrust_tracker_network_thread_gc_duration_seconds_sum{${CHOSEN}}[$__rate_interval]))`,
              legend: '{{instance}}',
            },
          ],
        },
        ...processPanels(CHOSEN, 'serves the APIs and metrics. Packets do not wait for it'),
      ],
    },
    { title: 'Traces', panels: tracePanels(CHOSEN) },
  ],
};
