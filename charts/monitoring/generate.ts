/**
 * Writes what Grafana and Prometheus read into the chart: dashboards as JSON, rules as YAML. With `--write`; without, it
 * prints the names of the files.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { FLEET_DASHBOARD } from './fleet-dashboard.ts';
import { KERNEL_PATH_DASHBOARD } from './kernel-path-dashboard.ts';
import { OPERATOR_DASHBOARD } from './operator-dashboard.ts';
import { OPERATOR_ALERTING_GROUP, OPERATOR_RECORDING_GROUP } from './operator-rules.ts';
import { buildDashboard, type DashboardSpec } from './panels.ts';
import { ALERTING_GROUP, RECORDING_GROUP } from './rules.ts';
import { TRACKER_DASHBOARD } from './tracker-dashboard.ts';

const CHART = join(import.meta.dirname, '../torrust-tracker-operator');
const HEAD = '# Written by charts/monitoring/generate.ts: change the rules beside that, not this file.\n';

/** The dashboards of trackers by the names of their files. */
export const TRACKER_DASHBOARDS: Readonly<Record<string, DashboardSpec>> = {
  'torrust-tracker.json': TRACKER_DASHBOARD,
  'torrust-tracker-kernel-path.json': KERNEL_PATH_DASHBOARD,
  'torrust-tracker-fleet.json': FLEET_DASHBOARD,
};
/** That of the operator. */
export const OPERATOR_DASHBOARDS: Readonly<Record<string, DashboardSpec>> = {
  'torrust-operator.json': OPERATOR_DASHBOARD,
};
/** All of them. */
export const DASHBOARDS: Readonly<Record<string, DashboardSpec>> = {
  ...TRACKER_DASHBOARDS,
  ...OPERATOR_DASHBOARDS,
};

/** The content of every generated file, by its path in the chart. */
export function monitoringFiles(): Map<string, string> {
  const rules = {
    'torrust-tracker.yaml': [RECORDING_GROUP, ALERTING_GROUP],
    'torrust-operator.yaml': [OPERATOR_RECORDING_GROUP, OPERATOR_ALERTING_GROUP],
  };
  return new Map([
    ...Object.entries(DASHBOARDS).map(([name, spec]): [string, string] => [
      join('dashboards', name),
      `${JSON.stringify(buildDashboard(spec), null, 2)}\n`,
    ]),
    ...Object.entries(rules).map(([name, groups]): [string, string] => [
      join('rules', name),
      HEAD + stringify({ groups }, { lineWidth: 120 }),
    ]),
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
