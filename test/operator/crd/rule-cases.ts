/**
 * Every rule between fields, broken once and kept once, by resources that differ in little else. The operator's own reader
 * is tested with them (rules.test.ts), and a real API server (test/apiserver).
 */

/** One rule. */
export interface RuleCase {
  /** The beginning of the sentence. */
  readonly says: string;
  /** A spec that breaks the rule and no other. */
  readonly broken: object;
  /** A spec that keeps all. */
  readonly kept: object;
  /** The name of the resource that breaks the rule. */
  readonly name?: string;
}

const tls = { secretName: 's' };
const gateway = { parentRefs: [{ name: 'edge' }] };
const trusting = { name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] };

/** By what a rule is for. */
export const RULE_CASES: Record<string, RuleCase> = {
  'a tracker serves something': {
    says: 'udp and http are both empty',
    broken: { udp: [], http: [] },
    kept: { udp: [] },
  },
  'listeners are told apart by their names': {
    says: 'two listeners in udp, or two in http, have the same name',
    broken: {
      udp: [
        { name: 'a', port: 2001 },
        { name: 'a', port: 2002 },
      ],
    },
    kept: { udp: [{ name: 'a', port: 2001 }], http: [{ name: 'a', port: 2001 }] },
  },
  'nodes share no volume': {
    says: 'topology HostNode runs a pod on every chosen node',
    broken: { topology: 'HostNode', database: { sqlite: {} } },
    kept: { topology: 'HostNode' },
  },
  'pods do not share swarms yet': {
    says: 'replicas is 0 or 1',
    broken: { replicas: 2 },
    kept: { replicas: 0 },
  },
  'nodes are not counted': {
    says: 'replicas has no meaning with topology HostNode',
    broken: { topology: 'HostNode', replicas: 3 },
    kept: { topology: 'HostNode', replicas: 1 },
  },
  'a client may announce when it is asked to': {
    says: 'minIntervalSeconds is above intervalSeconds',
    broken: { announce: { intervalSeconds: 60, minIntervalSeconds: 61 } },
    kept: { announce: { intervalSeconds: 60, minIntervalSeconds: 60 } },
  },
  'a peer lives until its next announce': {
    says: 'policy.maxPeerTimeoutSeconds is not above announce.intervalSeconds',
    broken: { policy: { maxPeerTimeoutSeconds: 300 } },
    kept: { policy: { maxPeerTimeoutSeconds: 301 } },
  },
  'a UDP port has one listener': {
    says: 'two listeners in udp have the same port: ',
    broken: {
      udp: [
        { name: 'a', port: 6969 },
        { name: 'b', port: 6969, servicePort: 1 },
      ],
    },
    kept: { udp: [{ name: 'a', port: 6969 }], http: [{ name: 'a', port: 6969 }] },
  },
  'a TCP port has one listener, the API among them': {
    says: 'two listeners in http, or one of them and the api, have the same port: ',
    broken: { http: [{ name: 'a', port: 1212 }] },
    kept: { http: [{ name: 'a', port: 1212 }], api: { port: 1213 } },
  },
  'health and metrics keep their ports': {
    says: 'the ports 1313 and 1314 are taken',
    broken: { api: { port: 1314 } },
    kept: { udp: [{ name: 'a', port: 1313 }] },
  },
  'a UDP port of the Service leads to one listener': {
    says: 'two listeners in udp have the same port in the Service',
    broken: {
      udp: [
        { name: 'a', port: 6969 },
        { name: 'b', port: 6970, servicePort: 6969 },
      ],
    },
    kept: {
      udp: [
        { name: 'a', port: 6969, servicePort: 6970 },
        { name: 'b', port: 6970, servicePort: 6969 },
      ],
    },
  },
  'a TCP port of the Service leads to one listener': {
    says: 'two listeners in http, or one of them and the exposed api, have the same port in the Service',
    broken: { http: [{ name: 'a', port: 7070, servicePort: 1212 }], api: { expose: true } },
    kept: { http: [{ name: 'a', port: 7070, servicePort: 1212 }] },
  },
  'a port of nodes needs a Service that has such': {
    says: 'nodePort needs exposure.type NodePort or LoadBalancer',
    broken: { udp: [{ name: 'a', port: 6969, nodePort: 30000 }] },
    kept: { udp: [{ name: 'a', port: 6969, nodePort: 30000 }], exposure: { type: 'NodePort' } },
  },
  'a gateway is trusted by name': {
    says: 'exposure.gateway leads to a plain HTTP listener with trustedProxies',
    broken: {
      http: [
        { name: 'web', port: 7070 },
        { ...trusting, name: 'tls', port: 7443, tls },
      ],
      exposure: { gateway },
    },
    kept: { http: [trusting], exposure: { gateway } },
  },
  'a route leads to a listener that is there': {
    says: 'exposure.gateway.udpRoutes names a listener',
    broken: {
      exposure: { acknowledgeSourceNAT: true, gateway: { udpRoutes: [{ listener: 'x', ...gateway }] } },
    },
    kept: {
      exposure: { acknowledgeSourceNAT: true, gateway: { udpRoutes: [{ listener: 'main', ...gateway }] } },
    },
  },
  'an ingress is trusted by name': {
    says: 'exposure.ingress leads to a plain HTTP listener with trustedProxies',
    broken: { http: [trusting], exposure: { ingress: { host: 'a.example', listener: 'other' } } },
    kept: { http: [trusting], exposure: { ingress: { host: 'a.example', listener: 'web' } } },
  },
  'hiding clients is said aloud, by Services': {
    says: 'externalTrafficPolicy Cluster hides',
    broken: { exposure: { externalTrafficPolicy: 'Cluster' } },
    kept: { exposure: { externalTrafficPolicy: 'Cluster', acknowledgeSourceNAT: true } },
  },
  'hiding clients is said aloud, by routes': {
    says: 'a UDPRoute hides',
    broken: { exposure: { gateway: { udpRoutes: [{ listener: 'main', ...gateway }] } } },
    kept: {
      exposure: { acknowledgeSourceNAT: true, gateway: { udpRoutes: [{ listener: 'main', ...gateway }] } },
    },
  },
  'only a load balancer has a class': {
    says: 'loadBalancerClass is only for type LoadBalancer',
    broken: { exposure: { loadBalancerClass: 'example.com/metal' } },
    kept: { exposure: { loadBalancerClass: 'example.com/metal', type: 'LoadBalancer' } },
  },
  'a gateway has routes': {
    says: 'gateway needs parentRefs, udpRoutes or both',
    broken: { exposure: { gateway: {} } },
    kept: { http: [trusting], exposure: { gateway } },
  },
  'there is one database': {
    says: 'sqlite and mysql exclude each other',
    broken: {
      database: { sqlite: {}, mysql: { host: 'h', database: 'd', credentialsSecretRef: { name: 's' } } },
    },
    kept: { database: { mysql: { host: 'h', database: 'd', credentialsSecretRef: { name: 's' } } } },
  },
  'a certificate has one source': {
    says: 'give exactly one of secretName, certManager and selfSigned',
    broken: { api: { tls: {} } },
    kept: { api: { tls: { selfSigned: {} } } },
  },
  'an address is one': {
    says: 'is not an IP address',
    broken: { externalIP: '203.0.113.256' },
    kept: { externalIP: '2001:db8::1' },
  },
  'a range is one': {
    says: 'is not a range of addresses',
    broken: { http: [{ ...trusting, trustedProxies: ['10.0.0.0'] }] },
    kept: { http: [{ ...trusting, trustedProxies: ['fd00::/8'] }] },
  },
  'a name fits into names': {
    says: 'metadata.name becomes part of the names of Services',
    broken: {},
    kept: {},
    name: 'my.tracker',
  },
};
