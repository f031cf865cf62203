/**
 * The way of a datagram through the kernel, node by node, from what node_exporter tells: where a UDP tracker loses
 * requests that it never sees.
 *
 * Its choices are not called `job` and `instance`, as those of trackers are: a link from one dashboard to another takes
 * choices of the same name along, and node_exporter is another job at other addresses.
 */
import type { DashboardSpec } from './panels.ts';

const NODES = 'job=~"$node_job", instance=~"$node"';
const rate = (metric: string, more = '') => `rate(${metric}{${NODES}${more}}[$__rate_interval])`;

export const KERNEL_PATH_DASHBOARD: DashboardSpec = {
  uid: 'torrust-tracker-kernel-path',
  title: 'Torrust Tracker / Kernel path',
  description:
    'Where datagrams get lost before the tracker sees them: network card, soft interrupts, conntrack, receive buffers. Needs node_exporter.',
  variables: [
    { name: 'node_job', label: 'Job', query: 'label_values(node_uname_info, job)' },
    { name: 'node', label: 'Instance', query: 'label_values(node_uname_info{job=~"$node_job"}, instance)' },
  ],
  rows: [
    {
      title: 'UDP',
      panels: [
        {
          kind: 'graph',
          title: 'Datagrams received and sent',
          description: 'All UDP datagrams of the node, not only those of trackers.',
          unit: 'pps',
          queries: [
            { expr: rate('node_netstat_Udp_InDatagrams'), legend: '{{instance}} in' },
            { expr: rate('node_netstat_Udp_OutDatagrams'), legend: '{{instance}} out' },
          ],
        },
        {
          kind: 'graph',
          title: 'Full buffers',
          description:
            'Datagrams that were dropped because a receive or send buffer was full. Raise net.core.rmem_max and network.receive_buffer_bytes, or give the tracker more CPU.',
          unit: 'pps',
          limits: [1, 100],
          queries: [
            { expr: rate('node_netstat_Udp_RcvbufErrors'), legend: '{{instance}} receive' },
            { expr: rate('node_netstat_Udp_SndbufErrors'), legend: '{{instance}} send' },
          ],
        },
        {
          kind: 'graph',
          title: 'Nobody listens, or damaged',
          description:
            'Datagrams to ports where nobody listens, such as after a pod has gone, and those with errors of any kind.',
          unit: 'pps',
          queries: [
            { expr: rate('node_netstat_Udp_NoPorts'), legend: '{{instance}} no port' },
            { expr: rate('node_netstat_Udp_InErrors'), legend: '{{instance}} errors' },
          ],
        },
      ],
    },
    {
      title: 'Conntrack',
      panels: [
        {
          kind: 'graph',
          title: 'Conntrack table in use',
          description:
            'The share of the connection table that is full. Every UDP client behind a Service takes an entry; a full table drops packets. HostNode trackers need none.',
          unit: 'percentunit',
          limits: [0.75, 0.9],
          columns: 12,
          queries: [
            {
              expr: `node_nf_conntrack_entries{${NODES}} / node_nf_conntrack_entries_limit{${NODES}}`,
              legend: '{{instance}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Conntrack drops',
          description: 'Packets that found no room in the table, or whose entry could not be made.',
          unit: 'pps',
          limits: [1, 100],
          columns: 12,
          queries: [
            { expr: rate('node_nf_conntrack_stat_drop'), legend: '{{instance}} drop' },
            { expr: rate('node_nf_conntrack_stat_insert_failed'), legend: '{{instance}} insert failed' },
          ],
        },
      ],
    },
    {
      title: 'Soft interrupts and cards',
      panels: [
        {
          kind: 'graph',
          title: 'CPU in soft interrupts',
          description:
            'The share of each CPU that moves packets. One CPU near 100 % beside idle ones says that the card has one queue: turn on RPS, or more RSS queues.',
          unit: 'percentunit',
          limits: [0.7, 0.9],
          queries: [
            {
              expr: `sum by (instance, cpu) (${rate('node_cpu_seconds_total', ', mode="softirq"')})`,
              legend: '{{instance}} CPU {{cpu}}',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Backlog of the CPUs',
          description:
            'Packets dropped because a CPU had no time for them, and times that it had to stop with packets left (net.core.netdev_max_backlog, netdev_budget).',
          unit: 'pps',
          queries: [
            {
              expr: `sum by (instance) (${rate('node_softnet_dropped_total')})`,
              legend: '{{instance}} dropped',
            },
            {
              expr: `sum by (instance) (${rate('node_softnet_times_squeezed_total')})`,
              legend: '{{instance}} squeezed',
            },
          ],
        },
        {
          kind: 'graph',
          title: 'Drops of the cards',
          description: 'Packets that a network card or its driver dropped.',
          unit: 'pps',
          queries: [
            {
              expr: `sum by (instance, device) (${rate('node_network_receive_drop_total')})`,
              legend: '{{instance}} {{device}} in',
            },
            {
              expr: `sum by (instance, device) (${rate('node_network_transmit_drop_total')})`,
              legend: '{{instance}} {{device}} out',
            },
          ],
        },
      ],
    },
  ],
};
