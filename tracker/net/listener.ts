/**
 * What a network thread listens on: the settings of each listener, and what every kind of socket, native or portable,
 * gives back. All of it can be posted to a worker.
 */
import type { SocketAddress } from '../config/address.ts';

/** Settings of a UDP listener that can change while it is open. */
export interface UdpLiveSettings {
  readonly cookieLifetimeSeconds: number;
  /** Whether load balancers put PROXY protocol headers in front of datagrams. */
  readonly readsProxyHeaders: boolean;
  readonly countsRequests: boolean;
}

export interface UdpListenerSetup {
  readonly kind: 'udp';
  readonly bind: SocketAddress;
  readonly ipv6Only: boolean;
  /** Stands for clients with a loopback address; null: they keep theirs. */
  readonly externalIp: string | null;
  readonly receiveBufferBytes: number;
  readonly live: UdpLiveSettings;
}

/** PEM texts. */
export interface TlsPair {
  readonly certificate: string;
  readonly key: string;
}

/** Settings of an HTTP listener that can change while it is open. */
export interface HttpLiveSettings {
  /** CIDR ranges whose `X-Forwarded-For` is believed; empty: whoever connects. */
  readonly trustedProxies: readonly string[];
  readonly usesQueryIp: boolean;
  /** Whether load balancers put PROXY protocol headers in front of connections. */
  readonly readsProxyHeaders: boolean;
  readonly tellsExternalIp: boolean;
  readonly countsRequests: boolean;
  /** Absent for plain HTTP. */
  readonly tls: TlsPair | null;
}

export interface HttpListenerSetup {
  readonly kind: 'http';
  readonly bind: SocketAddress;
  readonly ipv6Only: boolean;
  readonly externalIp: string | null;
  readonly onReverseProxy: boolean;
  readonly live: HttpLiveSettings;
}

export type ListenerSetup = UdpListenerSetup | HttpListenerSetup;

/** An open listener, however it is closed. */
export interface OpenedListener {
  readonly setup: ListenerSetup;
  /** Where it listens, with the port that the kernel chose for port 0. */
  readonly address: SocketAddress;
  /** The receive buffer that the kernel granted; null where there is none to set. */
  readonly receiveBufferBytes: number | null;
  /** Takes over changed live settings. */
  update(live: ListenerSetup['live']): void;
}

/** A listener that closes by itself. */
export interface Listener extends OpenedListener {
  /** Takes no more requests, answers those that are there, and closes, within `graceMillis`. */
  close(graceMillis: number): Promise<void>;
}
