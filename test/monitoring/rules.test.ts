/**
 * Every rule, judged by promtool with series that we make up: a tracker that is well for a while and then is not. An
 * alert has to be silent before, and to fire once its time is over.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ALERTING_GROUP, RECORDING_GROUP } from '../../charts/monitoring/rules.ts';
import { needs } from '../support/parts.ts';
import { judge, promtool } from './promtool.ts';

const RULES = join(import.meta.dirname, '../../charts/torrust-tracker-operator/rules/torrust-tracker.yaml');
const WHO = 'job="torrust", instance="one:1314"';
const UDP = `${WHO}, protocol="udp", family="ipv4", kind="announce"`;

interface Story {
  /** Series and their values, a minute apart, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  /** When nothing is to fire, and when it is. */
  readonly silentAt: string;
  readonly firingAt: string;
  /** Labels of the alert beside `severity`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Its summary. */
  readonly summary: string;
}

const TRACKER = { job: 'torrust', instance: 'one:1314' };

/** By the name of the alert. */
const STORIES: Readonly<Record<string, Story>> = {
  TorrustTrackerDown: {
    series: {
      [`up{${WHO}}`]: '1x9 0x20',
      [`torrust_tracker_build_info{${WHO}, version="1.0.0"}`]: '1x9 stale',
      // Another job's target, which is no tracker.
      'up{job="node", instance="one:9100"}': '0x30',
    },
    silentAt: '12m',
    firingAt: '20m',
    summary: 'The tracker one:1314 does not answer Prometheus',
  },
  TorrustTrackerNotReady: {
    series: { [`torrust_tracker_ready{${WHO}}`]: '1x5 0x30' },
    silentAt: '10m',
    firingAt: '20m',
    summary: 'The tracker one:1314 is up and takes no requests',
  },
  TorrustTrackerSilent: {
    series: { [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+600x90 54000x60' },
    silentAt: '92m',
    firingAt: '120m',
    summary: 'Nobody asks the tracker one:1314 any more',
  },
  TorrustTrackerDropsDatagrams: {
    series: {
      [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+6000x60',
      [`torrust_tracker_udp_kernel_drops_total{${WHO}}`]: '0x20 0+600x40',
    },
    silentAt: '20m',
    firingAt: '45m',
    summary: 'The tracker one:1314 loses 9.091% of its datagrams',
  },
  TorrustTrackerSwarmMemoryFull: {
    series: {
      [`torrust_tracker_announces_not_kept_total{${WHO}}`]: '0x20 0+60x40',
      [`torrust_tracker_swarm_evictions_total{${WHO}, what="peer"}`]: '0x60',
    },
    silentAt: '20m',
    firingAt: '45m',
    summary: 'The swarm store of one:1314 is full',
  },
  TorrustTrackerDatabaseDown: {
    series: { [`torrust_tracker_database_up{${WHO}}`]: '1x5 0x30' },
    silentAt: '8m',
    firingAt: '15m',
    summary: 'The database of one:1314 does not answer',
  },
  TorrustTrackerConnectionIdFailures: {
    series: {
      [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+600x90',
      [`torrust_tracker_connection_id_failures_total{${WHO}, reason="other_address"}`]: '0x30 0+300x60',
      // Old ids alone are nobody's trouble.
      [`torrust_tracker_connection_id_failures_total{${WHO}, reason="expired"}`]: '0+600x90',
    },
    silentAt: '30m',
    firingAt: '60m',
    summary: '50% of the UDP requests to one:1314 have wrong connection ids',
  },
  TorrustTrackerHidesClients: {
    series: {
      [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+600x60',
      [`torrust_tracker_local_source_announces_total{${WHO}, source="cluster"}`]: '0x20 0+60x40',
      // Neighbours at home are nobody's trouble.
      [`torrust_tracker_local_source_announces_total{${WHO}, source="private"}`]: '0+300x60',
    },
    silentAt: '20m',
    firingAt: '50m',
    summary: '10% of the announces to one:1314 come from addresses of the cluster or of a proxy',
  },
  TorrustTrackerSnapshotFails: {
    series: {
      [`torrust_tracker_snapshots_total{${WHO}, outcome="failed"}`]: '0x20 1+1x40',
      [`torrust_tracker_snapshots_total{${WHO}, outcome="written"}`]: '0+1x60',
    },
    silentAt: '20m',
    firingAt: '50m',
    summary: 'The swarms of one:1314 can not be written',
  },
  TorrustTrackerReloadRefused: {
    series: { [`torrust_tracker_config_last_reload_successful{${WHO}}`]: '1x5 0x40' },
    silentAt: '18m',
    firingAt: '30m',
    summary: 'The tracker one:1314 refused its changed configuration',
  },
  TorrustTrackerCertificateExpires: {
    // The clock of promtool begins at 0: the certificate ends 73 hours later.
    series: {
      [`torrust_tracker_certificate_expiry_timestamp_seconds{${WHO}, service="http_api"}`]: `${73 * 3600}x300`,
    },
    silentAt: '60m',
    firingAt: '200m',
    labels: { service: 'http_api' },
    summary: 'A certificate of one:1314 ends in 2d 21h 40m 0s',
  },
};

/** Of alerts that more than one thing sets off: those that the stories above leave out, with that thing. */
const OTHER_STORIES: readonly (readonly [alertname: string, cause: string, story: Story])[] = [
  [
    'TorrustTrackerSwarmMemoryFull',
    'peers that go early',
    {
      series: {
        [`torrust_tracker_announces_not_kept_total{${WHO}}`]: '0x60',
        [`torrust_tracker_swarm_evictions_total{${WHO}, what="peer"}`]: '0x20 0+60x40',
        // Torrents without peers are nobody's loss.
        [`torrust_tracker_swarm_evictions_total{${WHO}, what="torrent"}`]: '0+60x60',
      },
      silentAt: '20m',
      firingAt: '45m',
      labels: { what: 'peer' },
      summary: 'The swarm store of one:1314 is full',
    },
  ],
  [
    'TorrustTrackerConnectionIdFailures',
    'ids that no tracker gave',
    {
      series: {
        [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+600x90',
        [`torrust_tracker_connection_id_failures_total{${WHO}, reason="forged"}`]: '0x30 0+300x60',
        [`torrust_tracker_connection_id_failures_total{${WHO}, reason="expired"}`]: '0+600x90',
      },
      silentAt: '30m',
      firingAt: '60m',
      summary: '50% of the UDP requests to one:1314 have wrong connection ids',
    },
  ],
  [
    'TorrustTrackerHidesClients',
    'the address of a proxy',
    {
      series: {
        [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+600x60',
        [`torrust_tracker_local_source_announces_total{${WHO}, source="proxy"}`]: '0x20 0+60x40',
        [`torrust_tracker_local_source_announces_total{${WHO}, source="private"}`]: '0+300x60',
      },
      silentAt: '20m',
      firingAt: '50m',
      summary: '10% of the announces to one:1314 come from addresses of the cluster or of a proxy',
    },
  ],
];

describe('Rules', needs('prometheus'), () => {
  test('are what promtool takes for good ones', () => {
    const { stdout, stderr, status } = promtool(['check', 'rules', '--lint-fatal', RULES]);
    assert.equal(status, 0, stdout + stderr);
  });

  test('each have a story here', () => {
    assert.deepEqual(
      Object.keys(STORIES).toSorted(),
      ALERTING_GROUP.rules.map(({ alert }) => alert).toSorted(),
    );
  });

  const stories = [
    ...Object.entries(STORIES).map(([alertname, story]) => [alertname, 'its usual cause', story] as const),
    ...OTHER_STORIES,
  ];
  for (const [alertname, cause, story] of stories) {
    test(`${alertname} is silent while all is well, and fires with ${cause}`, (context) => {
      const rule = ALERTING_GROUP.rules.find(({ alert }) => alert === alertname);
      assert.ok(rule);
      const { summary, series, silentAt, firingAt } = story;
      const labels: Record<string, string> = { ...TRACKER, ...story.labels };
      const description = rule.annotations.description.replace(
        /\{\{ \$labels\.(\w+) \}\}/g,
        (_, name: string) => labels[name],
      );
      const expected = {
        exp_labels: { ...rule.labels, ...labels },
        exp_annotations: { ...rule.annotations, summary, description },
      };
      judge(context, RULES, {
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        alert_rule_test: [
          { eval_time: silentAt, alertname, exp_alerts: [] },
          { eval_time: firingAt, alertname, exp_alerts: [expected] },
        ],
      });
    });
  }

  test('that record say what their names say', (context) => {
    const values: Readonly<Record<string, number>> = {
      [`instance_protocol:torrust_tracker_requests:rate5m{${WHO}, protocol="udp"}`]: 20,
      [`instance:torrust_tracker_kernel_drops:ratio_rate5m{${WHO}}`]: 0.2,
      [`instance:torrust_tracker_swarm_memory:ratio{${WHO}}`]: 0.25,
      [`instance_protocol_kind:torrust_tracker_request_duration_seconds:p99_5m{${WHO}, protocol="udp", kind="announce"}`]: 0.00099,
    };
    assert.equal(Object.keys(values).length, RECORDING_GROUP.rules.length);
    const duration = `torrust_tracker_request_duration_seconds_bucket{${WHO}, protocol="udp", kind="announce"`;
    const series = {
      [`torrust_tracker_requests_total{${UDP}, outcome="ok"}`]: '0+600x30',
      [`torrust_tracker_requests_total{${UDP}, outcome="key"}`]: '0+600x30',
      [`torrust_tracker_udp_kernel_drops_total{${WHO}}`]: '0+300x30',
      [`torrust_tracker_swarm_memory_used_bytes{${WHO}}`]: '256x30',
      [`torrust_tracker_swarm_memory_limit_bytes{${WHO}}`]: '1024x30',
      [`${duration}, le="0.001"}`]: '0+600x30',
      [`${duration}, le="+Inf"}`]: '0+600x30',
    };
    judge(context, RULES, {
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: Object.entries(values).map(([expr, value]) => ({
        expr,
        eval_time: '20m',
        exp_samples: [{ labels: expr, value }],
      })),
    });
  });
});
