/**
 * What `make observe` and the tests of dashboards look at: a tracker with all of its parts, a gentle load on it, and
 * Prometheus with the rules of the chart beside them.
 */
import { join } from 'node:path';
import { type PartialConfig } from '../support/tracker-process.ts';

/** The rules of the chart about trackers. */
export const RULE_FILES = [
  join(import.meta.dirname, '../../charts/torrust-tracker-operator/rules/torrust-tracker.yaml'),
];

/** The rules of the chart about operators. */
export const OPERATOR_RULE_FILE = join(
  import.meta.dirname,
  '../../charts/torrust-tracker-operator/rules/torrust-operator.yaml',
);

/** A configuration in which every metric has something to tell. The TLS pair is `tracker.crt` and `tracker.key`. */
export function observedConfig(folder: string): PartialConfig {
  const any = { bind_address: '127.0.0.1:0' };
  return {
    udp_trackers: [any],
    http_trackers: [
      any,
      {
        ...any,
        tls_config: {
          ssl_cert_path: join(folder, 'tracker.crt'),
          ssl_key_path: join(folder, 'tracker.key'),
        },
      },
    ],
    swarm: { memory: '16MiB', snapshot: { path: join(folder, 'swarms.snapshot'), interval: 30 } },
    core: {
      database: { driver: 'sqlite3', path: join(folder, 'tracker.db') },
      tracker_policy: { persistent_torrent_completed_stat: true },
    },
    // The load's mistakes come from one address, which is not to be banned for them.
    udp_tracker_server: { max_connection_id_errors_per_ip: 2 ** 32 - 1 },
  };
}

/** Fills in what Grafana's variables stand for, when everything is chosen. */
export function fillVariables(expr: string, rangeSeconds: number): string {
  return expr
    .replaceAll('$__rate_interval', `${rangeSeconds}s`)
    .replaceAll(/\$(?:job|instance|node_job|node)\b/g, '.*');
}
