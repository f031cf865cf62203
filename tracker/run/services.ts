/** The services of a running tracker, and the lines of the log that tell of them. */
import type { ListenerTally } from '../api/context.ts';
import type { RegisteredService } from '../api/health-app.ts';
import type { SocketAddress } from '../config/address.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { formatSocketAddress } from '../listen-error.ts';
import type { ListenerSetup } from '../net/listener.ts';
import type { TlsFiles } from './certificate-files.ts';
import type { OpenListener } from './network-threads.ts';
import type { CounterRows } from '../swarm/counters.ts';
import type { Logger } from '../telemetry/log.ts';

/** A service of a running tracker. */
export interface RunningService extends RegisteredService {
  readonly address: SocketAddress;
  /** How users reach it, as the configuration says (`public_url`); null where it says nothing. */
  readonly publicUrl: string | null;
}

/** The service of a listener that is open. */
export function trackerService(
  setup: ListenerSetup,
  address: SocketAddress,
  publicUrl: string | null,
): RunningService {
  const binding = formatSocketAddress(address);
  const tls = setup.kind === 'http' && setup.live.tls !== null;
  const scheme = setup.kind === 'udp' ? 'udp' : tls ? 'https' : 'http';
  const url = `${scheme}://${binding}`;
  return { kind: `${setup.kind}_tracker`, address, binding, url, tls, publicUrl };
}

/** What each tracker of `services`, which are in the order of the configuration, has counted so far. */
export function tallyListeners(services: readonly RunningService[], counters: CounterRows): ListenerTally[] {
  return services.map(({ kind, tls, address }, place) => ({
    protocol: kind === 'udp_tracker' ? 'udp' : tls ? 'https' : 'http',
    ...address,
    tally: counters.totalOf(place),
  }));
}

/** The public URLs of the trackers that a configuration opens, in the order of `listenerSetups`. */
export function publicUrls(config: TrackerConfig): (string | null)[] {
  return [...config.udp_trackers, ...config.http_trackers].map((tracker) => tracker.public_url ?? null);
}

/** The service of the REST API. */
export function apiService(address: SocketAddress, tls: boolean, publicUrl: string | null): RunningService {
  const binding = formatSocketAddress(address);
  const url = `${tls ? 'https' : 'http'}://${binding}`;
  return { kind: 'tracker_rest_api', address, binding, url, tls, publicUrl };
}

/**
 * Says that a service listens, in the words of Torrust Tracker, which programs that start one look for, and where its
 * users reach it.
 */
export function announceService(logger: Logger, { kind, url, publicUrl }: RunningService): void {
  switch (kind) {
    case 'udp_tracker':
      logger.info(`UDP TRACKER: Started on: ${url}`);
      break;
    case 'http_tracker':
      logger.info(`HTTP TRACKER: Started on: ${url}`);
      break;
    case 'tracker_rest_api':
      logger.info(`API: Started on ${url}`);
      break;
  }
  if (publicUrl !== null) logger.info(`${url} is for the public: ${publicUrl}`);
}

/** Says which files a service over HTTPS is known by, in the words of Torrust Tracker. */
export function announceCertificate(logger: Logger, tls: TlsFiles | undefined): void {
  if (tls === undefined) return;
  logger.info(`Using https: cert path: ${tls.ssl_cert_path}.`);
  logger.info(`Using https: key path: ${tls.ssl_key_path}.`);
}

/** Says which services the configuration leaves out, in the words of Torrust Tracker. */
export function announceMissing(logger: Logger, config: TrackerConfig): void {
  const missing = [
    ...(config.udp_trackers.length === 0 ? ['No UDP blocks in configuration'] : []),
    ...(config.http_trackers.length === 0 ? ['No HTTP blocks in configuration'] : []),
    ...(config.http_api === undefined ? ['No API block in configuration'] : []),
  ];
  if (missing.length === 3) logger.warn('No services enabled in configuration');
  for (const line of missing) logger.info(line);
}

/** Says how packets are moved, and once when the kernel grants less memory for them than was asked. */
export function announceSockets(
  logger: Logger,
  { isNative, threads }: { readonly isNative: boolean; readonly threads: number },
  setups: readonly ListenerSetup[],
  listeners: readonly OpenListener[],
): void {
  const count = `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  const hasTls = setups.some((setup) => setup.kind === 'http' && setup.live.tls !== null);
  if (!isNative) logger.info(`Network: portable sockets, ${count}`);
  else logger.info(`Network: native sockets, ${count}${hasTls ? `; portable ones for HTTPS, ${count}` : ''}`);

  const granted = setups.flatMap((setup, index) => {
    const { receiveBufferBytes } = listeners[index];
    if (setup.kind !== 'udp' || receiveBufferBytes === null) return [];
    return [{ asked: setup.receiveBufferBytes, granted: ownBytes(receiveBufferBytes) }];
  });
  const short = granted.find((each) => each.granted < each.asked);
  if (short === undefined) return;
  const remedy = process.platform === 'linux' ? '; the sysctl net.core.rmem_max allows more' : '';
  logger.warn(
    `The receive buffer of UDP sockets has ${short.granted} bytes of the ${short.asked} of network.receive_buffer_bytes, and bursts of requests may be lost${remedy}`,
  );
}

/** Linux reports twice what it grants, since it counts its own overhead (socket(7), SO_RCVBUF). */
function ownBytes(reportedBytes: number): number {
  return process.platform === 'linux' ? reportedBytes / 2 : reportedBytes;
}
