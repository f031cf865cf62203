/**
 * Recording and alerting rules for trackers, in the format that Prometheus and the `PrometheusRule` of its operator
 * share. Alerts are few: each one is for somebody to act on, says what is wrong, and has a runbook page of its name.
 */

const RUNBOOKS = 'https://github.com/torrust/torrust-tracker-kubernetes/blob/main/docs/runbooks';

export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
}

export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  /** How long it has to hold. */
  readonly for: string;
  readonly labels: { readonly severity: 'critical' | 'warning' };
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
  };
}

export interface RuleGroup<Rule> {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** What many people ask for often, or what an alert reads more than once. */
export const RECORDING_GROUP: RuleGroup<RecordingRule> = {
  name: 'torrust-tracker-records',
  rules: [
    {
      record: 'instance_protocol:torrust_tracker_requests:rate5m',
      expr: 'sum without (family, kind, outcome) (rate(torrust_tracker_requests_total[5m]))',
    },
    {
      record: 'instance:torrust_tracker_kernel_drops:ratio_rate5m',
      expr: [
        'rate(torrust_tracker_udp_kernel_drops_total[5m])',
        '/ (rate(torrust_tracker_udp_kernel_drops_total[5m])',
        '+ ignoring (protocol) instance_protocol:torrust_tracker_requests:rate5m{protocol="udp"})',
      ].join(' '),
    },
    {
      record: 'instance:torrust_tracker_swarm_memory:ratio',
      expr: 'torrust_tracker_swarm_memory_used_bytes / torrust_tracker_swarm_memory_limit_bytes',
    },
    {
      record: 'instance_protocol_kind:torrust_tracker_request_duration_seconds:p99_5m',
      expr: 'histogram_quantile(0.99, rate(torrust_tracker_request_duration_seconds_bucket[5m]))',
    },
  ],
};

export const ALERTING_GROUP: RuleGroup<AlertingRule> = {
  name: 'torrust-tracker-alerts',
  rules: [
    alert('TorrustTrackerDown', 'critical', '5m', {
      // `up` stays for as long as the target is configured; whether it is a tracker, its own metrics told.
      expr: 'up == 0 and on (job, instance) last_over_time(torrust_tracker_build_info[1d])',
      summary: 'The tracker {{ $labels.instance }} does not answer Prometheus',
      description:
        'It has not for five minutes. If its listeners are silent as well, nobody who asks it finds any peers.',
    }),
    alert('TorrustTrackerNotReady', 'critical', '10m', {
      expr: 'torrust_tracker_ready == 0',
      summary: 'The tracker {{ $labels.instance }} is up and takes no requests',
      description: 'Its start waits for something, mostly for the database, or its stop does not end.',
    }),
    alert('TorrustTrackerSilent', 'warning', '10m', {
      expr: [
        'sum by (job, instance) (instance_protocol:torrust_tracker_requests:rate5m) == 0',
        'and sum by (job, instance) (instance_protocol:torrust_tracker_requests:rate5m offset 1h) > 1',
      ].join(' '),
      summary: 'Nobody asks the tracker {{ $labels.instance }} any more',
      description: 'An hour ago it had requests. Something between its clients and it keeps them away.',
    }),
    alert('TorrustTrackerDropsDatagrams', 'warning', '10m', {
      expr: 'instance:torrust_tracker_kernel_drops:ratio_rate5m > 0.01',
      summary: 'The tracker {{ $labels.instance }} loses {{ $value | humanizePercentage }} of its datagrams',
      description: 'The kernel drops them because the tracker does not take them in time.',
    }),
    alert('TorrustTrackerSwarmMemoryFull', 'warning', '10m', {
      expr: 'rate(torrust_tracker_announces_not_kept_total[5m]) > 0 or on (job, instance) rate(torrust_tracker_swarm_evictions_total{what="peer"}[5m]) > 0',
      summary: 'The swarm store of {{ $labels.instance }} is full',
      description: 'Peers go early or are not kept, so that clients find fewer of each other.',
    }),
    alert('TorrustTrackerDatabaseDown', 'warning', '5m', {
      expr: 'torrust_tracker_database_up == 0',
      summary: 'The database of {{ $labels.instance }} does not answer',
      description:
        'Announces go on. Keys and the whitelist can not be changed, and completed downloads wait to be written.',
    }),
    alert('TorrustTrackerConnectionIdFailures', 'warning', '15m', {
      expr: [
        'sum without (reason) (rate(torrust_tracker_connection_id_failures_total{reason=~"other_address|forged"}[5m]))',
        '/ ignoring (protocol) instance_protocol:torrust_tracker_requests:rate5m{protocol="udp"} > 0.2',
      ].join(' '),
      summary:
        '{{ $value | humanizePercentage }} of the UDP requests to {{ $labels.instance }} have wrong connection ids',
      description:
        'Clients change their address on the way (NAT), reach trackers that do not share their keys, or somebody floods.',
    }),
    alert('TorrustTrackerHidesClients', 'warning', '15m', {
      expr: [
        'sum without (source) (rate(torrust_tracker_local_source_announces_total{source=~"cluster|proxy"}[5m]))',
        '/ on (job, instance) sum by (job, instance) (rate(torrust_tracker_requests_total{kind="announce"}[5m])) > 0.05',
      ].join(' '),
      summary:
        '{{ $value | humanizePercentage }} of the announces to {{ $labels.instance }} come from addresses of the cluster or of a proxy',
      description:
        'Something between clients and tracker puts its own address in place of theirs, and the tracker hands it out as a peer.',
    }),
    alert('TorrustTrackerSnapshotFails', 'warning', '15m', {
      expr: 'sum without (outcome) (increase(torrust_tracker_snapshots_total{outcome="failed"}[30m])) > 0',
      summary: 'The swarms of {{ $labels.instance }} can not be written',
      description: 'A restart would bring back an older snapshot, or none.',
    }),
    alert('TorrustTrackerReloadRefused', 'warning', '15m', {
      expr: 'torrust_tracker_config_last_reload_successful == 0',
      summary: 'The tracker {{ $labels.instance }} refused its changed configuration',
      description: 'What was in force stays. Its log says what can not be used.',
    }),
    alert('TorrustTrackerCertificateExpires', 'critical', '1h', {
      expr: 'torrust_tracker_certificate_expiry_timestamp_seconds - time() < 3 * 86400',
      summary: 'A certificate of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}',
      description: 'It is that of {{ $labels.service }}. Renewal should have replaced it long before.',
    }),
  ],
};

/** An alert with the runbook page of its name. */
export function alert(
  name: string,
  severity: AlertingRule['labels']['severity'],
  duration: string,
  { expr, summary, description }: { expr: string; summary: string; description: string },
): AlertingRule {
  return {
    alert: name,
    expr,
    for: duration,
    labels: { severity },
    annotations: { summary, description, runbook_url: `${RUNBOOKS}/${name}.md` },
  };
}
