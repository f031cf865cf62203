/** From the configuration to what the network threads open, with the certificates read. */
import { readFileSync } from 'node:fs';
import { parseSocketAddress } from './config/address.ts';
import type { TrackerConfig } from './config/schema.ts';
import type { HttpListenerSetup, ListenerSetup, TlsPair, UdpListenerSetup } from './net/listener.ts';
import { parseConnectionKeys } from './connection-keys.ts';
import { readPemFile } from './database-options.ts';
import { StartError } from './start-error.ts';

/** The listeners of a configuration, UDP first, in its order. Throws `StartError` for an unreadable certificate. */
export function listenerSetups(config: TrackerConfig): ListenerSetup[] {
  const setups: ListenerSetup[] = [
    ...config.udp_trackers.map((tracker) => udpSetup(tracker, config.network.receive_buffer_bytes)),
    ...config.http_trackers.map((tracker) => httpSetup(tracker)),
  ];
  return setups.map((setup) => ({ ...setup, ipv6Only: setup.ipv6Only || hasIpv4Twin(setup, setups) }));
}

/** Reads a certificate and its key. Throws `StartError`. */
export function readTlsPair(tls: { ssl_cert_path: string; ssl_key_path: string }): TlsPair {
  return { certificate: readPemFile(tls.ssl_cert_path), key: readPemFile(tls.ssl_key_path) };
}

function udpSetup(
  tracker: TrackerConfig['udp_trackers'][number],
  receiveBufferBytes: number,
): UdpListenerSetup {
  return {
    kind: 'udp',
    bind: parseSocketAddress(tracker.bind_address),
    ipv6Only: tracker.network.ipv6_v6only,
    externalIp: tracker.network.external_ip ?? null,
    receiveBufferBytes,
    live: {
      cookieLifetimeSeconds: tracker.cookie_lifetime,
      countsRequests: tracker.tracker_usage_statistics,
    },
  };
}

function httpSetup(tracker: TrackerConfig['http_trackers'][number]): HttpListenerSetup {
  return {
    kind: 'http',
    bind: parseSocketAddress(tracker.bind_address),
    ipv6Only: tracker.network.ipv6_v6only,
    externalIp: tracker.network.external_ip ?? null,
    onReverseProxy: tracker.network.on_reverse_proxy,
    live: {
      trustedProxies: tracker.network.trusted_proxies,
      usesQueryIp: tracker.use_ip_from_query_string,
      tellsExternalIp: tracker.external_ip_in_reply,
      countsRequests: tracker.tracker_usage_statistics,
      tls: tracker.tls_config === undefined ? null : readTlsPair(tracker.tls_config),
    },
  };
}

/** Whether an IPv6 wildcard stands beside an IPv4 one on the same port: the second must then be for IPv6 alone. */
function hasIpv4Twin(setup: ListenerSetup, all: readonly ListenerSetup[]): boolean {
  const { bind, kind } = setup;
  if (bind.family === 4 || bind.port === 0) return false;
  return all.some((other) => other.kind === kind && other.bind.family === 4 && other.bind.port === bind.port);
}

/** Reads the keys of connection ids. Throws `StartError`. */
export function readConnectionKeys(path: string): Buffer[] {
  try {
    return parseConnectionKeys(readFileSync(path, 'latin1'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StartError(`The connection-id keys in ${path} can't be used: ${reason}`, {
      cause,
      isUsage: true,
    });
  }
}
