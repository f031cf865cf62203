/**
 * Every rule of the operator, judged by promtool with series that we make up: an operator that is well for a while and then
 * is not. Beside it there is an operator of somebody else, whose troubles are never ours.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { OPERATOR_ALERTING_GROUP, OPERATOR_RECORDING_GROUP } from '../../charts/monitoring/operator-rules.ts';
import { needs } from '../support/parts.ts';
import { judge, promtool } from './promtool.ts';

const RULES = join(import.meta.dirname, '../../charts/torrust-tracker-operator/rules/torrust-operator.yaml');
const WHO = 'job="torrust-operator", instance="one:8080"';
const OTHER = 'job="other-operator", instance="two:8080"';
const IS_OURS = { [`torrust_operator_build_info{${WHO}, version="1.0.0"}`]: '1x120' };
const BUCKET = 'controller_runtime_reconcile_time_seconds_bucket';

interface Story {
  /** Series and their values, a minute apart, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  /** When nothing is to fire, and when it is. */
  readonly silentAt: string;
  readonly firingAt: string;
  /** Labels of the alert beside `severity`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
  /** Where numbers are in it. */
  readonly description?: string;
}

const ONE = { job: 'torrust-operator', instance: 'one:8080' };

/** By the name of the alert. */
const STORIES: Readonly<Record<string, Story>> = {
  TorrustOperatorDown: {
    series: {
      [`up{${WHO}}`]: '1x9 0x30',
      [`torrust_operator_build_info{${WHO}, version="1.0.0"}`]: '1x9 stale',
      [`up{${OTHER}}`]: '0x40',
    },
    silentAt: '15m',
    firingAt: '30m',
    labels: ONE,
    summary: 'The operator one:8080 does not answer Prometheus',
  },
  TorrustOperatorHasNoLeader: {
    series: {
      [`leader_election_master_status{${WHO}, name="torrust-operator"}`]: '1x9 0x30',
      // The second one waits for its turn.
      'leader_election_master_status{job="torrust-operator", instance="two:8080", name="torrust-operator"}':
        '0x40',
      [`leader_election_master_status{${OTHER}, name="other"}`]: '0x40',
    },
    silentAt: '15m',
    firingAt: '30m',
    labels: { job: 'torrust-operator' },
    summary: 'No operator of torrust-operator is at work',
  },
  TorrustOperatorApiErrors: {
    series: {
      ...IS_OURS,
      [`rest_client_requests_total{${WHO}, code="200", method="GET", host="api"}`]: '0+60x80',
      [`rest_client_requests_total{${WHO}, code="<error>", method="GET", host="api"}`]: '0x20 0+20x60',
      // Refusals are answers.
      [`rest_client_requests_total{${WHO}, code="409", method="PATCH", host="api"}`]: '0x80',
      [`rest_client_requests_total{${OTHER}, code="500", method="GET", host="api"}`]: '0+60x80',
    },
    silentAt: '25m',
    firingAt: '50m',
    labels: ONE,
    summary: '25% of the requests of one:8080 to the API server fail',
  },
  TorrustOperatorReconcilesFail: {
    series: {
      ...IS_OURS,
      [`controller_runtime_reconcile_errors_total{${WHO}, controller="torrusttracker"}`]: '0x20 0+1x100',
      [`controller_runtime_reconcile_errors_total{${OTHER}, controller="other"}`]: '0+60x120',
    },
    silentAt: '30m',
    firingAt: '60m',
    labels: ONE,
    summary: 'Reconciles of one:8080 fail again and again',
  },
  TorrustOperatorHangs: {
    series: {
      ...IS_OURS,
      [`workqueue_longest_running_processor_seconds{${WHO}, name="torrusttracker", controller="torrusttracker"}`]:
        '0x10 0+60x40',
      [`workqueue_longest_running_processor_seconds{${OTHER}, name="other", controller="other"}`]: '9999x60',
    },
    silentAt: '18m',
    firingAt: '31m',
    labels: ONE,
    summary: 'A reconcile of one:8080 does not end',
    description: 'A worker has had one tracker for 20m 0s; others wait for it.',
  },
  TorrustOperatorTrackerNotReady: {
    series: {
      [`torrust_operator_tracker_ready{${WHO}, tracker="default/open"}`]: '1x10 0x40',
      [`torrust_operator_tracker_ready{${WHO}, tracker="default/well"}`]: '1x50',
    },
    silentAt: '20m',
    firingAt: '40m',
    labels: { job: 'torrust-operator', tracker: 'default/open' },
    summary: 'The tracker default/open is not Ready',
  },
};

describe('Rules of the operator', needs('prometheus'), () => {
  test('are what promtool takes for good ones', () => {
    const { stdout, stderr, status } = promtool(['check', 'rules', '--lint-fatal', RULES]);
    assert.equal(status, 0, stdout + stderr);
  });

  test('each have a story here', () => {
    const alerts = OPERATOR_ALERTING_GROUP.rules.map(({ alert }) => alert);
    assert.deepEqual(Object.keys(STORIES).toSorted(), alerts.toSorted());
  });

  for (const [alertname, story] of Object.entries(STORIES)) {
    test(`${alertname} is silent while all is well, and fires when it is not`, (context) => {
      const rule = OPERATOR_ALERTING_GROUP.rules.find(({ alert }) => alert === alertname);
      assert.ok(rule);
      const { labels, summary, series, silentAt, firingAt } = story;
      const { description = rule.annotations.description } = story;
      judge(context, RULES, {
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
          { eval_time: silentAt, alertname, exp_alerts: [] },
          {
            eval_time: firingAt,
            alertname,
            exp_alerts: [
              {
                exp_labels: { ...rule.labels, ...labels },
                exp_annotations: { ...rule.annotations, summary, description },
              },
            ],
          },
        ],
      });
    });
  }

  test('that record say what their names say, of ours alone', (context) => {
    const values: Readonly<Record<string, number>> = {
      [`instance:torrust_operator_api_errors:ratio_rate5m{${WHO}}`]: 0.25,
      [`instance:torrust_operator_reconcile_seconds:p99_5m{${WHO}}`]: 0.099,
    };
    assert.equal(Object.keys(values).length, OPERATOR_RECORDING_GROUP.rules.length);
    const series = {
      ...IS_OURS,
      [`rest_client_requests_total{${WHO}, code="200", method="GET", host="api"}`]: '0+60x30',
      [`rest_client_requests_total{${WHO}, code="503", method="GET", host="api"}`]: '0+20x30',
      [`${BUCKET}{${WHO}, controller="torrusttracker", le="0.1"}`]: '0+600x30',
      [`${BUCKET}{${WHO}, controller="torrusttracker", le="+Inf"}`]: '0+600x30',
      [`${BUCKET}{${OTHER}, controller="other", le="0.1"}`]: '0+600x30',
      [`${BUCKET}{${OTHER}, controller="other", le="+Inf"}`]: '0+600x30',
    };
    judge(context, RULES, {
      input_series: Object.entries(series).map(([name, samples]) => ({ series: name, values: samples })),
      promql_expr_test: Object.entries(values).map(([expr, value]) => ({
        expr: expr.slice(0, expr.indexOf('{')),
        eval_time: '20m',
        exp_samples: [{ labels: expr, value }],
      })),
    });
  });
});
