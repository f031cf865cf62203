/**
 * Dashboards as tables of what they show, made into Grafana's JSON by its own builder library. Every panel has a title,
 * a sentence for who looks at it for the first time, a unit, and legends; every query asks the data source that the
 * dashboard's variable names.
 */
import {
  BigValueGraphMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  type DashboardLink,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** Grafana's grid is so wide. */
const GRID_COLUMNS = 24;
const GRAPH_ROWS = 8;
const STAT_ROWS = 4;

/** One line, or several that differ in a label, such as `{{protocol}}`. */
export interface Query {
  /** PromQL; `$__rate_interval` and the dashboard's variables may stand in it. */
  readonly expr: string;
  readonly legend: string;
}

interface PanelFacts {
  readonly title: string;
  /** What it shows, and what to make of it. */
  readonly description: string;
  /** Grafana's name of the unit: `reqps`, `s`, `bytes`, `percentunit`, `short`. */
  readonly unit: string;
  /** Values from which it is yellow and red, in this order. */
  readonly limits?: readonly [number, number];
}

/** A panel. A graph is 8 columns wide unless it says otherwise, a figure 4. */
export type PanelSpec =
  | (PanelFacts & {
      readonly kind: 'graph';
      readonly queries: readonly Query[];
      readonly isStacked?: boolean;
      readonly columns?: number;
    })
  | (PanelFacts & { readonly kind: 'figure'; readonly queries: readonly [Query]; readonly columns?: number })
  | (Omit<PanelFacts, 'unit' | 'limits'> & {
      readonly kind: 'table';
      /** One column for each, beside the labels; the legend is its head. */
      readonly queries: readonly (Query & {
        readonly unit: string;
        /** Only its labels are shown, each as a column. */
        readonly isLabelsOnly?: boolean;
      })[];
    });

export interface RowSpec {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

/** A choice at the head of a dashboard, from the values of a label. */
export interface VariableSpec {
  readonly name: string;
  readonly label: string;
  readonly query: string;
}

export interface DashboardSpec {
  /** Stable: links and bookmarks hold it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly VariableSpec[];
  readonly rows: readonly RowSpec[];
}

const TAG = 'torrust-tracker';
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

/**
 * The dashboard in Grafana's format: version 1, which all Grafanas in use read. The library would rather have us write
 * version 2, which only the newest do.
 */
// oxlint-disable-next-line typescript/no-deprecated
export function buildDashboard(spec: DashboardSpec): Dashboard {
  // oxlint-disable-next-line typescript/no-deprecated
  const builder = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags([TAG])
    .editable()
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .link({ build: siblings })
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'));
  for (const variable of spec.variables) builder.withVariable(buildVariable(variable));
  let id = 0;
  for (const row of spec.rows) {
    builder.withRow(new RowBuilder(row.title).id(++id));
    for (const panel of row.panels) builder.withPanel(buildPanel(panel).id(++id));
  }
  return builder.build();
}

/** Leads to the other dashboards of this project. */
function siblings(): DashboardLink {
  return {
    title: 'Torrust Tracker',
    type: DashboardLinkType.Dashboards,
    icon: 'external link',
    tooltip: '',
    url: '',
    tags: [TAG],
    asDropdown: true,
    targetBlank: false,
    includeVars: true,
    keepTime: true,
  };
}

function buildVariable({ name, label, query }: VariableSpec): QueryVariableBuilder {
  return (
    new QueryVariableBuilder(name)
      .label(label)
      .datasource(DATASOURCE)
      .query({ query, refId: name })
      .refresh(VariableRefresh.OnTimeRangeChanged)
      // A builder's method, not an array's.
      // oxlint-disable-next-line unicorn/no-array-sort
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      .allValue('.*')
      .current({ selected: true, text: 'All', value: '$__all' })
  );
}

function buildPanel(panel: PanelSpec): TimeseriesBuilder | StatBuilder | TableBuilder {
  switch (panel.kind) {
    case 'graph':
      return buildGraph(panel);
    case 'figure':
      return buildFigure(panel);
    case 'table':
      return buildTable(panel);
  }
}

function buildGraph(panel: PanelSpec & { kind: 'graph' }): TimeseriesBuilder {
  const builder = new TimeseriesBuilder()
    .title(panel.title)
    .description(panel.description)
    .datasource(DATASOURCE)
    .unit(panel.unit)
    .min(0)
    .height(GRAPH_ROWS)
    .span(panel.columns ?? 8)
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(panel.isStacked === true ? 30 : 10)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .showLegend(true),
    )
    // The same.
    // oxlint-disable-next-line unicorn/no-array-sort
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(panel.queries.map((query, index) => target(query, index).range()));
  if (panel.isStacked === true) {
    builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  }
  if (panel.limits !== undefined) {
    builder
      .thresholds(thresholdsOf(panel.limits))
      .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed));
  }
  return builder;
}

function buildFigure(panel: PanelSpec & { kind: 'figure' }): StatBuilder {
  return (
    new StatBuilder()
      .title(panel.title)
      .description(panel.description)
      .datasource(DATASOURCE)
      .unit(panel.unit)
      .height(STAT_ROWS)
      .span(panel.columns ?? 4)
      .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
      .thresholds(thresholdsOf(panel.limits))
      // As it is now: the last value of a range is an old one where a tracker has fallen silent.
      .graphMode(BigValueGraphMode.None)
      .targets(panel.queries.map((query, index) => target(query, index).instant()))
  );
}

function buildTable(panel: PanelSpec & { kind: 'table' }): TableBuilder {
  const labelsOnly = panel.queries.flatMap(({ isLabelsOnly }, index) =>
    isLabelsOnly === true ? [`Value #${refId(index)}`] : [],
  );
  const builder = new TableBuilder()
    .title(panel.title)
    .description(panel.description)
    .datasource(DATASOURCE)
    .height(GRAPH_ROWS)
    .span(GRID_COLUMNS)
    .targets(
      panel.queries.map((query, index) => target(query, index).instant().format(PromQueryFormat.Table)),
    )
    // The rows of all queries that have the same labels become one.
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', ...labelsOnly].map((name) => [name, true])),
        renameByName: Object.fromEntries(
          panel.queries.map(({ legend }, index) => [`Value #${refId(index)}`, legend]),
        ),
      },
    });
  panel.queries.forEach(({ unit }, index) => {
    builder.withOverride({
      matcher: { id: 'byName', options: panel.queries[index].legend },
      properties: [{ id: 'unit', value: unit }],
    });
  });
  return builder;
}

function target({ expr, legend }: Query, index: number): DataqueryBuilder {
  return new DataqueryBuilder().datasource(DATASOURCE).expr(expr).legendFormat(legend).refId(refId(index));
}

function refId(index: number): string {
  return String.fromCharCode(65 + index);
}

/** Green, then yellow and red from the limits on, or down to them where the first is the larger. */
function thresholdsOf(limits: readonly [number, number] | undefined): ThresholdsConfigBuilder {
  // The base step has no value (null in Grafana's schema).
  const steps: Threshold[] =
    limits === undefined
      ? [{ value: null, color: 'green' }]
      : limits[0] <= limits[1]
        ? [
            { value: null, color: 'green' },
            { value: limits[0], color: 'yellow' },
            { value: limits[1], color: 'red' },
          ]
        : [
            { value: null, color: 'red' },
            { value: limits[1], color: 'yellow' },
            { value: limits[0], color: 'green' },
          ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}
