/**
 * How clients reach a tracker: Services, routes of the Gateway API, Ingress, network policy.
 *
 * A tracker tells its clients the addresses that it saw. So whatever hides the source of a packet (source NAT by
 * `externalTrafficPolicy: Cluster`, a route that carries UDP) is refused until the user says that it is meant.
 */
import * as z from 'zod';
import {
  dnsName,
  flag,
  labelName,
  listByKey,
  listOf,
  objectName,
  oneOf,
  text,
  textMap,
  withRules,
} from './fields.ts';
import { networkPeer, parentReference } from './kubernetes-fields.ts';
import { MAX_LISTENERS } from './listeners.ts';

const routeListener = () =>
  labelName(15)
    .optional()
    .describe(
      'The HTTP listener that it leads to; left out: the first by name that is plain HTTP and has trustedProxies.',
    );

const gateway = withRules(
  z.strictObject({
    parentRefs: listOf(parentReference(), 8)
      .default([])
      .describe('Gateways for the HTTP listener: an HTTPRoute is created.'),
    hostnames: listOf(dnsName(), 16).default([]).describe('Host names of the HTTPRoute.'),
    listener: routeListener(),
    udpRoutes: listByKey(
      z.strictObject({
        listener: labelName(15).describe('The UDP listener.'),
        parentRefs: listOf(parentReference(), 8).min(1).describe('UDP listeners of Gateways.'),
      }),
      'listener',
      MAX_LISTENERS,
    )
      .default([])
      .describe('UDP listeners behind Gateways: a UDPRoute each. Needs acknowledgeSourceNAT.'),
  }),
  [
    {
      cel: 'size(self.parentRefs) + size(self.udpRoutes) > 0',
      message: 'gateway needs parentRefs, udpRoutes or both',
      holds: ({ parentRefs, udpRoutes }) => parentRefs.length + udpRoutes.length > 0,
    },
  ],
);

const ingress = z.strictObject({
  className: objectName().optional().describe("The IngressClass; left out: the cluster's default."),
  host: dnsName().describe('The host name.'),
  tlsSecretName: objectName().optional().describe('A Secret of type kubernetes.io/tls for the host.'),
  annotations: textMap(4096).default({}).describe('Annotations of the Ingress.'),
  listener: routeListener(),
});

/** How clients reach the tracker. */
export const exposure = withRules(
  z.strictObject({
    type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer')
      .default('ClusterIP')
      .describe('The type of the public Services.'),
    externalTrafficPolicy: oneOf('Local', 'Cluster')
      .default('Local')
      .describe("Local keeps the client's address. Cluster hides it and needs acknowledgeSourceNAT."),
    acknowledgeSourceNAT: flag(false).describe(
      "Says that clients' addresses may be hidden from the tracker, which then hands out the addresses of nodes or gateways as peers.",
    ),
    combined: flag(false).describe(
      'One Service for UDP and TCP instead of one each. Not every provider can.',
    ),
    loadBalancerClass: text(253)
      .optional()
      .describe('Which load balancer; fixed while the type is LoadBalancer.'),
    ipFamilyPolicy: oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack')
      .default('PreferDualStack')
      .describe('Whether Services have IPv4 and IPv6 addresses.'),
    annotations: textMap(4096).default({}).describe('Annotations of the public Services.'),
    gateway: gateway.optional().describe('Routes of the Gateway API.'),
    ingress: ingress.optional().describe('An Ingress for the HTTP listener, where there is no Gateway API.'),
  }),
  [
    {
      cel: "self.externalTrafficPolicy != 'Cluster' || self.acknowledgeSourceNAT",
      message:
        "externalTrafficPolicy Cluster hides the clients' addresses, so that peers get addresses of nodes: use Local, or set acknowledgeSourceNAT to true if that is meant",
      holds: ({ externalTrafficPolicy, acknowledgeSourceNAT }) =>
        externalTrafficPolicy !== 'Cluster' || acknowledgeSourceNAT,
    },
    {
      cel: '!has(self.gateway) || size(self.gateway.udpRoutes) == 0 || self.acknowledgeSourceNAT',
      message:
        "a UDPRoute hides the clients' addresses, so that peers get the address of the gateway: use a Service, or set acknowledgeSourceNAT to true if that is meant",
      holds: ({ gateway: routes, acknowledgeSourceNAT }) =>
        routes === undefined || routes.udpRoutes.length === 0 || acknowledgeSourceNAT,
    },
    {
      cel: "!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",
      message: 'loadBalancerClass is only for type LoadBalancer',
      holds: ({ loadBalancerClass, type }) => loadBalancerClass === undefined || type === 'LoadBalancer',
    },
  ],
  [
    {
      cel: "self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))",
      message:
        'loadBalancerClass is fixed while the type is LoadBalancer: change the type to ClusterIP first, then back',
    },
  ],
);

/** Who may connect to what inside the cluster. */
export const networkPolicy = z.strictObject({
  enabled: flag(true).describe(
    'Creates a NetworkPolicy: listeners are open to all, the rest as below. Without effect with topology HostNode.',
  ),
  apiFrom: listOf(networkPeer(), 32)
    .optional()
    .describe(
      "Who may connect to the REST API beside the operator; left out: pods of the tracker's namespace.",
    ),
  metricsFrom: listOf(networkPeer(), 32)
    .optional()
    .describe('Who may connect to the metrics beside the operator; left out: every pod of the cluster.'),
});

/** Objects for Prometheus and Grafana; each only where its API exists. */
export const monitoring = z.strictObject({
  serviceMonitor: z
    .strictObject({
      enabled: flag(false).describe('Creates a ServiceMonitor.'),
      interval: text(16)
        .regex(/^([0-9]+(ms|s|m|h))+$/)
        .default('30s')
        .describe('How often Prometheus asks.'),
      labels: textMap(63).default({}).describe('Labels by which Prometheus selects it.'),
    })
    .prefault({})
    .describe('For the Prometheus operator.'),
  rules: z
    .strictObject({
      enabled: flag(false).describe('Creates a PrometheusRule with the alerts of the tracker.'),
      labels: textMap(63).default({}).describe('Labels by which Prometheus selects it.'),
    })
    .prefault({})
    .describe('Alerts.'),
  dashboards: z
    .strictObject({
      enabled: flag(false).describe("Creates a ConfigMap that Grafana's sidecar picks up."),
      labels: textMap(63)
        .default({ grafana_dashboard: '1' })
        .describe('Labels by which the sidecar selects it.'),
    })
    .prefault({})
    .describe('Dashboards.'),
});

/** Traces and metrics by OTLP. */
export const telemetry = z.strictObject({
  otlp: z
    .strictObject({
      endpoint: text(512)
        .regex(/^https?:\/\/[^/?#@\s]+(\/[^\s]*)?$/)
        .describe('Where they are sent: the URL of a collector.'),
    })
    .optional()
    .describe('Sends telemetry to a collector; left out: nothing is sent.'),
  traceSampleRatio: z
    .number()
    .min(0)
    .max(1)
    .default(0.01)
    .describe('The part of requests that are traced, from 0 to 1.'),
});
