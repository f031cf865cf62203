/** Panels about traces, which are empty of news where nothing is traced. */
import type { PanelSpec } from './panels.ts';

/** `chosen`: the label matchers of the trackers that are chosen at the head of the dashboard. */
export function tracePanels(chosen: string): PanelSpec[] {
  return [
    {
      kind: 'graph',
      title: 'Spans by outcome',
      description:
        'Spans that the collector took, and those that were lost: it did not take them, too many waited for it, or a network thread had more to tell than is asked for. Requests are answered all the same.',
      unit: 'ops',
      columns: 12,
      queries: [
        {
          expr: `sum by (outcome) (rate(torrust_tracker_spans_total{${chosen}}[$__rate_interval]))`,
          legend: '{{outcome}}',
        },
      ],
    },
    {
      kind: 'graph',
      title: 'Spans that wait',
      description:
        'Spans that wait for the collector, and how many may (OTEL_BSP_MAX_QUEUE_SIZE). At the limit the collector is slow or away.',
      unit: 'short',
      columns: 12,
      queries: [
        {
          expr: `sum by (instance) (torrust_tracker_spans_waiting{${chosen}})`,
          legend: '{{instance}} waiting',
        },
        {
          expr: `sum by (instance) (torrust_tracker_spans_waiting_limit{${chosen}})`,
          legend: '{{instance}} limit',
        },
      ],
    },
  ];
}
