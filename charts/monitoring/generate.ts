/**
 * Writes what Grafana and Prometheus read into the chart: dashboards as JSON, rules as YAML. With `--write`; without, it
 * prints the names of the files.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FLEET_DASHBOARD } from './fleet-dashboard.ts';
import { KERNEL_PATH_DASHBOARD } from './kernel-path-dashboard.ts';
import { buildDashboard, type DashboardSpec } from './panels.ts';
import { ALERTING_GROUP, RECORDING_GROUP } from './rules.ts';
import { TRACKER_DASHBOARD } from './tracker-dashboard.ts';

const CHART = join(import.meta.dirname, '../torrust-tracker-operator');
const HEAD =
  '# Written by charts/monitoring/generate.ts: change charts/monitoring/rules.ts, not this file.\n';

/** The dashboards by the names of their files. */
export const DASHBOARDS: Readonly<Record<string, DashboardSpec>> = {
  'torrust-tracker.json': TRACKER_DASHBOARD,
  'torrust-tracker-kernel-path.json': KERNEL_PATH_DASHBOARD,
  'torrust-tracker-fleet.json': FLEET_DASHBOARD,
};

/** The content of every generated file, by its path in the chart. */
export function monitoringFiles(): Map<string, string> {
  const groups = [RECORDING_GROUP, ALERTING_GROUP];
  return new Map([
    ...Object.entries(DASHBOARDS).map(([name, spec]): [string, string] => [
      join('dashboards', name),
      `${JSON.stringify(buildDashboard(spec), null, 2)}\n`,
    ]),
    [join('rules', 'torrust-tracker.yaml'), HEAD + stringify({ groups }, { lineWidth: 120 })],
  ]);
}

if (import.meta.main) {
  for (const [path, content] of monitoringFiles()) {
    const file = join(CHART, path);
    if (process.argv.includes('--write')) {
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(file, content);
    } else {
      console.log(file);
    }
  }
}
