/**
 * The house rules of dashboards and rules: whoever looks for the first time understands each panel, every query asks the
 * chosen data source, and no metric of ours is left out of all of them.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { DASHBOARDS, monitoringFiles, TRACKER_DASHBOARDS } from '../../charts/monitoring/generate.ts';
import { OPERATOR_ALERTING_GROUP } from '../../charts/monitoring/operator-rules.ts';
import { ALERTING_GROUP, RECORDING_GROUP } from '../../charts/monitoring/rules.ts';
import { METRIC_NAMES, NOT_SHOWN, PROCESS_METRIC_NAMES } from './metric-names.ts';
import { dashboardQueries, metricsIn, readDashboard } from './queries.ts';

const ROOT = join(import.meta.dirname, '../..');
const CHART = join(ROOT, 'charts/torrust-tracker-operator');
/** Units that a reader of Grafana knows; any other is a mistake. */
const UNITS = ['reqps', 'pps', 'ops', 's', 'bytes', 'percentunit', 'short', 'bool_yes_no'];

test('The files in the chart are those that the sources make', () => {
  for (const [path, content] of monitoringFiles()) {
    assert.equal(readFileSync(join(CHART, path), 'utf8'), content, path);
  }
});

for (const [file, { uid, variables }] of Object.entries(DASHBOARDS)) {
  describe(`The dashboard ${file}`, () => {
    const dashboard = readDashboard(file);
    const panels = dashboard.panels.filter(({ type }) => type !== 'row');

    test('has a stable uid, a title, a description and the choice of a data source', () => {
      assert.equal(dashboard.uid, uid);
      assert.match(uid, /^[a-z-]{1,40}$/);
      assert.match(dashboard.title, /^Torrust Tracker \/ \S/);
      assert.ok(dashboard.description.endsWith('.'));
      const [first, ...others] = dashboard.templating.list;
      assert.deepEqual([first.type, first.name], ['datasource', 'datasource']);
      assert.deepEqual(
        others.map(({ name }) => name),
        variables.map(({ name }) => name),
      );
    });

    test('says of every panel what it shows, in which unit, and what its lines are', () => {
      const titles = new Set<string>();
      for (const panel of dashboard.panels) assert.ok(panel.title, 'a title');
      for (const panel of panels) {
        const { title, description, fieldConfig, targets } = panel;
        assert.ok(!titles.has(title), `${title}: a title of its own`);
        titles.add(title);
        assert.match(description ?? '', /^[A-Z].{20,}[.:)]$/s, `${title}: a description`);
        const units = [
          fieldConfig.defaults.unit,
          ...fieldConfig.overrides.flatMap(({ properties }) =>
            properties.map(({ value }) => JSON.stringify(value).slice(1, -1)),
          ),
        ].filter((unit) => unit !== undefined);
        assert.ok(units.length > 0, `${title}: a unit`);
        for (const unit of units) assert.ok(UNITS.includes(unit), `${title}: the unit ${unit}`);
        for (const { legendFormat, refId } of targets ?? []) {
          assert.ok(legendFormat, `${title}: a legend`);
          assert.ok(refId, `${title}: a name of the query`);
        }
      }
    });

    test('shows in figures what is now, not what was when somebody answered last', () => {
      for (const { title, type, targets } of panels) {
        if (type !== 'stat') continue;
        for (const { instant, range } of targets ?? [])
          assert.deepEqual([instant, range], [true, false], title);
      }
    });

    test('asks the chosen data source, for the chosen trackers, over as long as a scrape needs', () => {
      for (const { title, datasource, targets } of panels) {
        assert.equal(datasource?.uid, '${datasource}', title);
        for (const { datasource: own, expr } of targets ?? []) {
          assert.equal(own?.uid, '${datasource}', title);
          for (const [selector] of expr.matchAll(/\{[^}]*\}/g)) {
            for (const { name } of variables) {
              assert.ok(selector.includes(`"$${name}"`), `${title}: ${selector} minds the choice of ${name}`);
            }
          }
          for (const [, range] of expr.matchAll(/\[([^\]]+)\]/g)) {
            const isRate = new RegExp(`rate\\([^[]*\\[${range.replaceAll('$', '\\$')}\\]`).test(expr);
            if (isRate) assert.equal(range, '$__rate_interval', title);
          }
        }
      }
    });

    test('lays no panel over another, and numbers them', () => {
      const cells = new Set<string>();
      for (const { gridPos, title } of dashboard.panels) {
        assert.ok(gridPos.x + gridPos.w <= 24, `${title}: within the grid`);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            assert.ok(!cells.has(`${x},${y}`), `${title}: a place of its own`);
            cells.add(`${x},${y}`);
          }
        }
      }
      const ids = dashboard.panels.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
    });
  });
}

describe('Metrics of the tracker', () => {
  const rules = [...RECORDING_GROUP.rules, ...ALERTING_GROUP.rules];
  const asked = new Set(
    [...Object.keys(TRACKER_DASHBOARDS).flatMap(dashboardQueries), ...rules.map(({ expr }) => expr)].flatMap(
      metricsIn,
    ),
  );

  test('are each on a panel or in a rule', () => {
    const orphans = METRIC_NAMES.filter((name) => !asked.has(name));
    assert.deepEqual(orphans, []);
  });

  test('that Node.js adds are so too, or there is a reason why not', () => {
    const hidden = Object.keys(NOT_SHOWN);
    const orphans = PROCESS_METRIC_NAMES.filter((name) => !asked.has(name) && !hidden.includes(name));
    assert.deepEqual(orphans, []);
    const untrue = hidden.filter((name) => asked.has(name) || !PROCESS_METRIC_NAMES.includes(name));
    assert.deepEqual(untrue, [], 'on a panel, or not there at all');
  });

  test('that a panel or a rule asks for exist', () => {
    const records = RECORDING_GROUP.rules.map(({ record }) => record);
    const unknown = [...asked].filter(
      (name) =>
        /torrust|^process_|^nodejs_/.test(name) &&
        ![...METRIC_NAMES, ...PROCESS_METRIC_NAMES, ...records].includes(name),
    );
    assert.deepEqual(unknown, []);
  });
});

describe('An alert', () => {
  for (const { alert, annotations, labels } of [...ALERTING_GROUP.rules, ...OPERATOR_ALERTING_GROUP.rules]) {
    test(`${alert} says what is wrong and where to read on`, () => {
      assert.match(alert, /^Torrust(?:Tracker|Operator)[A-Z]\w+$/);
      assert.match(annotations.summary, /\{\{ \$labels\.(?:instance|job|tracker) \}\}/);
      assert.match(annotations.description, /\.$/);
      assert.ok(['critical', 'warning'].includes(labels.severity));
      const page = join(ROOT, 'docs/runbooks', `${alert}.md`);
      assert.ok(annotations.runbook_url.endsWith(`/docs/runbooks/${alert}.md`));
      assert.ok(existsSync(page), `a runbook page for ${alert}`);
      const text = readFileSync(page, 'utf8');
      for (const head of [`# ${alert}`, '## What it means', '## What to look at', '## What to do']) {
        assert.ok(text.includes(head), `${alert}: ${head}`);
      }
    });
  }
});
