/**
 * Writes the reference page of the metrics, `docs/metrics.md`, from the table of the instruments.
 *
 * `node tracker/telemetry/reference.ts --write` writes the page, without the option it is printed. A test holds the
 * page current.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { InstrumentFacts, LabelValues } from './instrument.ts';
import { READ_HISTOGRAMS, READ_INSTRUMENTS, RECORDED_COUNTERS, RECORDED_HISTOGRAMS } from './instruments.ts';

/** Where the page is. */
export const referencePath = fileURLToPath(new URL('../../docs/metrics.md', import.meta.url));

type AnyInstrument = InstrumentFacts & { readonly type: string; readonly buckets?: readonly number[] };

/** The text of the page. */
export function renderReference(): string {
  const instruments: readonly AnyInstrument[] = [
    ...READ_INSTRUMENTS,
    ...READ_HISTOGRAMS,
    ...Object.values(RECORDED_COUNTERS),
    ...Object.values(RECORDED_HISTOGRAMS),
  ];
  return `${[introduction(), ...instruments.map(describe)].join('\n\n')}\n`;
}

function introduction(): string {
  return `<!-- Written by tracker/telemetry/reference.ts from the instruments: change tracker/telemetry/instruments.ts, not this page. -->

# Metrics

The tracker serves its metrics to Prometheus at \`http://127.0.0.1:1314/metrics\`; \`metrics.bind_address\` in
[configuration.md](configuration.md) names another address, such as \`0.0.0.0:1314\` in a container. A scrape reads what is
counted anyway: it takes no lock of the store and reads the heads of its shards alone, however many torrents there are.

\`\`\`yaml
scrape_configs:
  - job_name: torrust-tracker
    static_configs: [{ targets: ['127.0.0.1:1314'] }]
rule_files: [charts/torrust-tracker-operator/rules/torrust-tracker.yaml]
\`\`\`

In a cluster, \`spec.monitoring.serviceMonitor\` of [resource.md](resource.md) tells the Prometheus operator. Dashboards for
Grafana and rules for Prometheus are in [charts/torrust-tracker-operator](../charts/torrust-tracker-operator): import
\`dashboards/*.json\`, or have the chart install them (\`dashboards.enabled\`, \`rules.enabled\`). Each alert has a page in
[runbooks](runbooks). \`make observe\` shows all of it with a tracker under a gentle load.

Counters begin at 0 with each start. With \`core.tracker_usage_statistics = false\`, and for listeners with
\`tracker_usage_statistics = false\`, requests, replies and connection-id failures are not counted. No label holds an
address, a key, an info hash or any other text of a client.

Beside the metrics below there are those of the process and of Node.js under their usual names: \`process_*\` (CPU, memory,
open files, start time) and \`nodejs_*\` (delay of the main thread's event loop, garbage collection, heap, versions). Network
threads have event loops and heaps of their own, which these do not show; their load is in
\`torrust_tracker_network_thread_cpu_seconds_total\` and \`torrust_tracker_network_thread_delay_seconds\`.

The names of Torrust Tracker are served by the REST API, at \`/api/v1/metrics\` and \`/api/v1/stats?format=prometheus\`. Some
of them are declared there and have no samples, since nothing here counts them: inactive torrents and peers (expiry removes
them, and keeps no list), peers that began anew after they had completed, and different peers, which Torrust Tracker does
not count either. \`requests_aborted_total\` stays 0: no request that was read is given up.`;
}

function describe({ name, type, unit, help, labels = {}, source, buckets }: AnyInstrument): string {
  const lines = [
    `- Type: ${type}; unit: ${unit}`,
    ...Object.entries(labels).map(([label, values]) => `- Label \`${label}\`: ${describeValues(values)}`),
    ...(buckets === undefined ? [] : [`- Buckets: ${buckets.join(', ')}`]),
    `- Source: ${source}`,
  ];
  return `## \`${name}\`\n\n${help}.\n\n${lines.join('\n')}`;
}

function describeValues(values: LabelValues): string {
  return typeof values === 'string' ? values : values.map((value) => `\`${value}\``).join(', ');
}

if (import.meta.main) {
  const text = renderReference();
  if (process.argv.includes('--write')) writeFileSync(referencePath, text);
  else process.stdout.write(text);
}
