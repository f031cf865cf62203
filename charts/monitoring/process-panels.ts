/** Panels that every process of ours has, tracker or operator: its memory, its main thread, its files. */
import type { PanelSpec } from './panels.ts';

/** `chosen`: the label matchers of the processes that are chosen at the head of a dashboard. `work`: what the main thread does. */
export function processPanels(chosen: string, work: string): PanelSpec[] {
  const of = (metric: string) => `sum by (instance) (${metric}{${chosen}})`;
  return [
    {
      kind: 'graph',
      title: 'Resident memory',
      description: 'Memory of the process in RAM, all of it: what its container is charged for.',
      unit: 'bytes',
      queries: [{ expr: of('process_resident_memory_bytes'), legend: '{{instance}}' }],
    },
    {
      kind: 'graph',
      title: 'Memory of the main thread',
      description:
        'The heap of the main thread, in use and taken from the system, and what lies outside of heaps, memory that threads share included. A heap that is fuller after each collection leaks.',
      unit: 'bytes',
      queries: [
        { expr: of('nodejs_heap_size_used_bytes'), legend: '{{instance}} heap in use' },
        { expr: of('nodejs_heap_size_total_bytes'), legend: '{{instance}} heap' },
        { expr: of('nodejs_external_memory_bytes'), legend: '{{instance}} outside' },
      ],
    },
    {
      kind: 'graph',
      title: 'Delay of the main thread',
      description: `How late the event loop of the main thread is, which ${work}.`,
      unit: 's',
      queries: [
        {
          expr: `max by (instance) (nodejs_eventloop_lag_p50_seconds{${chosen}})`,
          legend: '{{instance}} median',
        },
        {
          expr: `max by (instance) (nodejs_eventloop_lag_p99_seconds{${chosen}})`,
          legend: '{{instance}} 99th percentile',
        },
      ],
    },
    {
      kind: 'graph',
      title: 'Garbage collection of the main thread',
      description:
        'The share of its time that the main thread spends on collecting garbage, by what is collected. Much of major is a heap that is nearly full.',
      unit: 'percentunit',
      queries: [
        {
          expr: `sum by (instance, kind) (rate(nodejs_gc_duration_seconds_sum{${chosen}}[$__rate_interval]))`,
          legend: '{{instance}} {{kind}}',
        },
      ],
    },
    {
      kind: 'graph',
      title: 'Open files',
      description:
        'Files and sockets that are open, and how many may be: at the limit no connection is taken and no file is read.',
      unit: 'short',
      queries: [
        { expr: of('process_open_fds'), legend: '{{instance}} open' },
        { expr: of('process_max_fds'), legend: '{{instance}} limit' },
      ],
    },
    {
      kind: 'graph',
      title: 'Time since the start',
      description: 'How long each process has been running. What falls to zero again and again is restarted.',
      unit: 's',
      queries: [
        {
          expr: `time() - max by (instance) (process_start_time_seconds{${chosen}})`,
          legend: '{{instance}}',
        },
      ],
    },
  ];
}
