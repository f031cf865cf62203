/** Dashboards as Grafana reads them, and the queries in them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../charts/torrust-tracker-operator/dashboards');

/** Ours, those of node_exporter and of processes, and those that controller-runtime and client-go name. */
const METRIC =
  /^(?:\w+:)?(?:torrust|node|process|up$|controller_runtime|leader_election|reflector|rest_client|workqueue)/;

/** What these tests look at of a dashboard; the schema is Grafana's. */
export interface DashboardFile {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly templating: {
    readonly list: readonly { readonly type: string; readonly name: string; readonly query: unknown }[];
  };
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly description?: string;
    readonly datasource?: { readonly uid: string };
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly fieldConfig: {
      readonly defaults: { readonly unit?: string };
      readonly overrides: readonly { readonly properties: readonly { readonly value: unknown }[] }[];
    };
    readonly targets?: readonly {
      readonly expr: string;
      readonly legendFormat?: string;
      readonly refId?: string;
      readonly instant?: boolean;
      readonly range?: boolean;
      readonly datasource?: { readonly uid: string };
    }[];
  }[];
}

/** Reads a dashboard of the chart. */
export function readDashboard(file: string): DashboardFile {
  // Written by our own generator, whose output the tests then look at.
  return JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as DashboardFile;
}

/** Every query of a dashboard, those of its variables included. */
export function dashboardQueries(file: string): string[] {
  const { panels, templating } = readDashboard(file);
  return [
    ...panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr)),
    ...templating.list.flatMap(({ query }) =>
      typeof query === 'object' && query !== null && 'query' in query ? [String(query.query)] : [],
    ),
  ];
}

/** What a choice at the head of a dashboard asks for, as a query: the values of `label` in its answer are the choice. */
export interface VariableQuery {
  readonly name: string;
  readonly label: string;
  readonly expr: string;
}

/** The choices of a dashboard, without that of a data source. */
export function variableQueries(file: string): VariableQuery[] {
  return readDashboard(file).templating.list.flatMap(({ type, name, query }) => {
    if (type !== 'query') return [];
    const text = typeof query === 'object' && query !== null && 'query' in query ? String(query.query) : '';
    // Grafana's own function, which Prometheus does not know.
    const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(text) ?? [];
    assert.ok(series !== undefined && label !== undefined, `${file}: ${name} is chosen by ${text}`);
    return [{ name, label, expr: `group by (${label}) (${series})` }];
  });
}

/** The metrics that a query asks for; a histogram by its own name, without `_bucket`, `_sum` or `_count`. */
export function metricsIn(expr: string): string[] {
  const names = expr.match(/[a-zA-Z_:][\w:]*(?=\s*[{[)]|\s*$|\s+(?:offset|==|-|\/|<|>)|,)/g) ?? [];
  return names.filter((name) => METRIC.test(name)).map((name) => name.replace(/_(?:bucket|sum|count)$/, ''));
}
