/** From the configuration to what the network threads open. */
import { readTlsPair } from './certificate-files.ts';
import { parseSocketAddress } from '../config/address.ts';
import type { TrackerConfig } from '../config/schema.ts';
import type { HttpListenerSetup, ListenerSetup, TlsPair, UdpListenerSetup } from '../net/listener.ts';

type HttpTrackerConfig = TrackerConfig['http_trackers'][number];

/** Reads the certificate of an HTTP tracker; null for plain HTTP. Throws `StartError`. */
export function readTrackerCertificate({ tls_config: tls }: HttpTrackerConfig): TlsPair | null {
  return tls === undefined ? null : readTlsPair('The HTTPS tracker', tls);
}

/** Reads those of all HTTP trackers, in their order. Throws `StartError`. */
export function readTrackerCertificates(config: TrackerConfig): (TlsPair | null)[] {
  return config.http_trackers.map((tracker) => readTrackerCertificate(tracker));
}

/** The listeners of a configuration, UDP first, in its order, with the certificates of its HTTP trackers. */
export function listenerSetups(
  config: TrackerConfig,
  certificates: readonly (TlsPair | null)[] = readTrackerCertificates(config),
): ListenerSetup[] {
  const setups: ListenerSetup[] = [
    ...config.udp_trackers.map((tracker) => udpSetup(tracker, config)),
    ...config.http_trackers.map((tracker, index) => httpSetup(tracker, config, certificates[index])),
  ];
  return setups.map((setup) => ({ ...setup, ipv6Only: setup.ipv6Only || hasIpv4Twin(setup, setups) }));
}

function udpSetup(
  tracker: TrackerConfig['udp_trackers'][number],
  { network, proxy_protocol: proxies }: TrackerConfig,
): UdpListenerSetup {
  return {
    kind: 'udp',
    bind: parseSocketAddress(tracker.bind_address),
    ipv6Only: tracker.network.ipv6_v6only,
    externalIp: tracker.network.external_ip ?? null,
    receiveBufferBytes: network.receive_buffer_bytes,
    live: {
      cookieLifetimeSeconds: tracker.cookie_lifetime,
      readsProxyHeaders: proxies.udp && proxies.trusted_proxies.length > 0,
      countsRequests: tracker.tracker_usage_statistics,
    },
  };
}

function httpSetup(
  tracker: HttpTrackerConfig,
  { proxy_protocol: proxies }: TrackerConfig,
  tls: TlsPair | null,
): HttpListenerSetup {
  return {
    kind: 'http',
    bind: parseSocketAddress(tracker.bind_address),
    ipv6Only: tracker.network.ipv6_v6only,
    externalIp: tracker.network.external_ip ?? null,
    onReverseProxy: tracker.network.on_reverse_proxy,
    live: {
      trustedProxies: tracker.network.trusted_proxies,
      readsProxyHeaders: proxies.http && proxies.trusted_proxies.length > 0,
      usesQueryIp: tracker.use_ip_from_query_string,
      tellsExternalIp: tracker.external_ip_in_reply,
      countsRequests: tracker.tracker_usage_statistics,
      tls,
    },
  };
}

/** Whether an IPv6 wildcard stands beside an IPv4 one on the same port: the second must then be for IPv6 alone. */
function hasIpv4Twin(setup: ListenerSetup, all: readonly ListenerSetup[]): boolean {
  const { bind, kind } = setup;
  if (bind.family === 4 || bind.port === 0) return false;
  return all.some((other) => other.kind === kind && other.bind.family === 4 && other.bind.port === bind.port);
}
