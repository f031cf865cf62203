/**
 * Recording and alerting rules for the operator. Its instruments are named as controller-runtime names them, and other
 * operators have the same: what is asked of them is asked of the jobs alone that tell of `torrust_operator_build_info`.
 */
import { alert, type AlertingRule, type RecordingRule, type RuleGroup } from './rules.ts';

const OURS = 'and on (job, instance) torrust_operator_build_info';

/** What the alerts read, and a dashboard of many operators would. */
export const OPERATOR_RECORDING_GROUP: RuleGroup<RecordingRule> = {
  name: 'torrust-operator-records',
  rules: [
    {
      record: 'instance:torrust_operator_api_errors:ratio_rate5m',
      expr: [
        // Without an error so far there is no series of errors.
        '((sum by (job, instance) (rate(rest_client_requests_total{code=~"<error>|5.."}[5m]))',
        'or 0 * sum by (job, instance) (rate(rest_client_requests_total[5m])))',
        `/ sum by (job, instance) (rate(rest_client_requests_total[5m]))) ${OURS}`,
      ].join(' '),
    },
    {
      record: 'instance:torrust_operator_reconcile_seconds:p99_5m',
      expr: `histogram_quantile(0.99, sum by (job, instance, le) (rate(controller_runtime_reconcile_time_seconds_bucket[5m]))) ${OURS}`,
    },
  ],
};

export const OPERATOR_ALERTING_GROUP: RuleGroup<AlertingRule> = {
  name: 'torrust-operator-alerts',
  rules: [
    alert('TorrustOperatorDown', 'warning', '10m', {
      // `up` stays for as long as the target is configured; whether it is an operator, its own metrics told.
      expr: 'up == 0 and on (job, instance) last_over_time(torrust_operator_build_info[1d])',
      summary: 'The operator {{ $labels.instance }} does not answer Prometheus',
      description:
        'Trackers go on as they are. With no operator at all, changes of them wait, and so does renewal.',
    }),
    alert('TorrustOperatorHasNoLeader', 'warning', '10m', {
      expr: 'sum by (job) (leader_election_master_status{name="torrust-operator"}) == 0',
      summary: 'No operator of {{ $labels.job }} is at work',
      description: 'Each waits for a lease that none of them gets. Trackers go on as they are.',
    }),
    alert('TorrustOperatorApiErrors', 'warning', '15m', {
      expr: 'instance:torrust_operator_api_errors:ratio_rate5m > 0.1',
      summary:
        '{{ $value | humanizePercentage }} of the requests of {{ $labels.instance }} to the API server fail',
      description: 'They get no answer, or an error of the server itself. Changes of trackers are late.',
    }),
    alert('TorrustOperatorReconcilesFail', 'warning', '15m', {
      expr: `sum by (job, instance) (increase(controller_runtime_reconcile_errors_total[30m])) > 10 ${OURS}`,
      summary: 'Reconciles of {{ $labels.instance }} fail again and again',
      description: 'What fails is tried again, later each time. Its log says of which tracker, and why.',
    }),
    alert('TorrustOperatorHangs', 'warning', '5m', {
      expr: `max by (job, instance) (workqueue_longest_running_processor_seconds) > 300 ${OURS}`,
      summary: 'A reconcile of {{ $labels.instance }} does not end',
      description: 'A worker has had one tracker for {{ $value | humanizeDuration }}; others wait for it.',
    }),
    alert('TorrustOperatorTrackerNotReady', 'warning', '15m', {
      expr: 'max by (job, tracker) (torrust_operator_tracker_ready) == 0',
      summary: 'The tracker {{ $labels.tracker }} is not Ready',
      description: 'Its resource says why, and what to do: kubectl describe torrusttracker.',
    }),
  ],
};
