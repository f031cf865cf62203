/**
 * The listeners of a tracker (UDP, HTTP, HTTPS, the REST API) and where their certificates come from.
 */
import * as z from 'zod';
import {
  anyPort,
  cidr,
  dnsName,
  flag,
  labelName,
  listOf,
  objectName,
  port,
  textLike,
  wholeNumber,
  withRules,
} from './fields.ts';
import { issuerReference, secretKeyReference } from './kubernetes-fields.ts';

/** The port of the health check in every pod. */
export const HEALTH_PORT = 1313;
/** The port of the metrics in every pod. */
export const METRICS_PORT = 1314;
/** The port of the REST API unless `api.port` says another. */
const DEFAULT_API_PORT = 1212;
/** The most listeners of one protocol. */
export const MAX_LISTENERS = 16;
/** Short enough to be part of the name of every object that belongs to a listener. */
const MAX_LISTENER_NAME = 15;

/** Exactly one of three ways to a certificate. */
function tls() {
  return withRules(
    z.strictObject({
      secretName: objectName()
        .optional()
        .describe(
          'A Secret of type kubernetes.io/tls. It is never changed; a renewed one is served without a restart.',
        ),
      certManager: z
        .strictObject({
          issuerRef: issuerReference().describe('Who issues the certificate.'),
          dnsNames: listOf(dnsName(), 32).min(1).describe('The names that the certificate is for.'),
        })
        .optional()
        .describe('cert-manager issues the certificate: a Certificate is created.'),
      selfSigned: z
        .strictObject({
          dnsNames: listOf(dnsName(), 32)
            .default([])
            .describe('Names beside those of the Service and of publicURL.'),
        })
        .optional()
        .describe(
          'The operator issues the certificate, by an authority of its own, and renews it before it expires.',
        ),
    }),
    [
      {
        cel: '[has(self.secretName), has(self.certManager), has(self.selfSigned)].filter(given, given).size() == 1',
        message:
          'give exactly one of secretName, certManager and selfSigned: each is a source of the certificate',
        holds: ({ secretName, certManager, selfSigned }) =>
          [secretName, certManager, selfSigned].filter((source) => source !== undefined).length === 1,
      },
    ],
  );
}

const listenerName = () =>
  labelName(MAX_LISTENER_NAME).describe('Name of the listener. It is part of the names of objects.');
const servicePort = () => anyPort().optional().describe('The port of the Service; left out: the same port.');
const nodePort = () =>
  wholeNumber(1, 65535)
    .optional()
    .describe('The port on every node, for types NodePort and LoadBalancer; left out: the cluster chooses.');
const publicUrl = (pattern: RegExp) =>
  textLike(pattern, 512)
    .optional()
    .describe('The announce URL that clients are told, shown in the status; left out: made of the address.');

/** A UDP listener. */
export const udpListener = z.strictObject({
  name: listenerName(),
  port: port().describe('The port in the pod.'),
  servicePort: servicePort(),
  nodePort: nodePort(),
  publicURL: publicUrl(/^udp:\/\/[^/?#@\s]+(\/[^\s]*)?$/),
});

/** An HTTP listener; HTTPS with `tls`. */
export const httpListener = z.strictObject({
  name: listenerName(),
  port: port().describe('The port in the pod.'),
  servicePort: servicePort(),
  nodePort: nodePort(),
  publicURL: publicUrl(/^https?:\/\/[^/?#@\s]+(\/[^\s]*)?$/),
  trustedProxies: listOf(cidr(), 32)
    .default([])
    .describe(
      "Proxies whose X-Forwarded-For is believed; needed behind a gateway or an ingress. Empty: the connection's own address is the client.",
    ),
  tls: tls().optional().describe('Serves HTTPS; left out: plain HTTP.'),
});

/** The REST API. */
export const api = z.strictObject({
  port: port().default(DEFAULT_API_PORT).describe('The port in the pod and of its Service.'),
  expose: flag(false).describe(
    'Puts the API on the public Service too; it always has a ClusterIP Service of its own.',
  ),
  tokenSecretRef: secretKeyReference('admin')
    .optional()
    .describe('The token of the label admin; left out: a token is generated in the Secret NAME-api-token.'),
  tls: tls().optional().describe('Serves the API by HTTPS; left out: plain HTTP.'),
});

/** Where a certificate comes from. */
export type TlsSource = z.output<ReturnType<typeof tls>>;
