/**
 * Objects for Prometheus and Grafana. Each is made only where its API is there; nobody's tracker is worse for lacking
 * one, so that is no problem to tell.
 */
import { isHibernating, type TorrustTracker } from '../crd/tracker.ts';
import type { Environment } from './environment.ts';
import { namesOf, ownedMetadata, selectorOf } from './identity.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { INTERNAL_LABELS, METRICS_PORT_NAME } from './services.ts';

/** The objects that watch a tracker. */
export function monitoring(tracker: TorrustTracker, { apis, dashboards }: Environment): KubernetesObject[] {
  const { serviceMonitor, rules, dashboards: wanted } = tracker.spec.monitoring;
  return [
    ...(serviceMonitor.enabled && apis.has('monitoring.coreos.com/v1/ServiceMonitor')
      ? [monitor(tracker)]
      : []),
    // Nobody is to be woken for a tracker that was asked to sleep.
    ...(rules.enabled && !isHibernating(tracker) && apis.has('monitoring.coreos.com/v1/PrometheusRule')
      ? [alerts(tracker)]
      : []),
    ...(wanted.enabled && dashboards.size > 0 ? [dashboardConfig(tracker, dashboards)] : []),
  ];
}

function monitor(tracker: TorrustTracker): KubernetesObject {
  const { interval, labels } = tracker.spec.monitoring.serviceMonitor;
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'ServiceMonitor',
    metadata: ownedMetadata(tracker, namesOf(tracker).serviceMonitor, { labels }),
    spec: {
      selector: { matchLabels: { ...selectorOf(tracker), ...INTERNAL_LABELS } },
      endpoints: [{ port: METRICS_PORT_NAME, path: '/metrics', interval }],
    },
  };
}

function alerts(tracker: TorrustTracker): KubernetesObject {
  const { name, namespace } = tracker.metadata;
  const internal = namesOf(tracker).internalService;
  const up = `up{namespace="${namespace}",service="${internal}",endpoint="${METRICS_PORT_NAME}"}`;
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: ownedMetadata(tracker, namesOf(tracker).prometheusRule, {
      labels: tracker.spec.monitoring.rules.labels,
    }),
    spec: {
      groups: [
        {
          name: `torrust-tracker-${namespace}-${name}`,
          rules: [
            {
              alert: 'TorrustTrackerDown',
              expr: `sum(${up}) == 0 or absent(${up})`,
              for: '5m',
              labels: { severity: 'critical' },
              annotations: {
                summary: `The tracker ${namespace}/${name} does not answer Prometheus`,
                description: `Look at: kubectl describe torrusttracker -n ${namespace} ${name}`,
              },
            },
          ],
        },
      ],
    },
  };
}

function dashboardConfig(tracker: TorrustTracker, dashboards: ReadonlyMap<string, string>): KubernetesObject {
  const files = [...dashboards].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: ownedMetadata(tracker, namesOf(tracker).dashboards, {
      labels: tracker.spec.monitoring.dashboards.labels,
    }),
    data: Object.fromEntries(files),
  };
}
