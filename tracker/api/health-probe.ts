/**
 * Whether a service of this tracker answers: an HTTP request to its health path, or a connect exchange over UDP (BEP
 * 15). The texts are Torrust's.
 */
import { createSocket } from 'node:dgram';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { decodeUdpReply, encodeConnectRequest } from '../protocol/udp-client.ts';

export type ServiceKind = 'udp_tracker' | 'http_tracker' | 'tracker_rest_api';

/** A service that the tracker has opened. */
export interface RegisteredService {
  readonly kind: ServiceKind;
  /** `IP:PORT` or `[IPv6]:PORT` as configured, with the real port. */
  readonly binding: string;
  /** The same with the scheme, such as `udp://0.0.0.0:6969`. */
  readonly url: string;
  readonly tls: boolean;
}

/** What a probe found: a text either way. */
export type ProbeResult = { readonly Ok: string } | { readonly Err: string };

const LIMIT_MILLIS = 2000;
const TIMED_OUT: ProbeResult = { Err: 'Timed Out' };
const TRANSACTION_ID = 123;

const HTTP_PATHS: Readonly<Record<Exclude<ServiceKind, 'udp_tracker'>, string>> = {
  http_tracker: '/health_check',
  tracker_rest_api: '/api/health_check',
};

/** What the probe of a service does, in words. */
export function probeInfo(service: RegisteredService): string {
  switch (service.kind) {
    case 'udp_tracker':
      return `checking the udp tracker health check at: ${service.binding}`;
    case 'http_tracker':
      return `checking http tracker health check at: ${httpProbeUrl(service, service.binding)}`;
    case 'tracker_rest_api':
      return `checking api health check at: ${httpProbeUrl(service, service.binding)}`;
  }
}

/** Probes a service; over HTTP with these headers. Resolves within two seconds or so, never rejects. */
export function probe(
  service: RegisteredService,
  headers: Readonly<Record<string, string>>,
): Promise<ProbeResult> {
  return service.kind === 'udp_tracker' ? probeUdp(service.binding) : probeHttp(service, headers);
}

function httpProbeUrl({ kind, tls }: RegisteredService, binding: string): string {
  return `${tls ? 'https' : 'http'}://${binding}${kind === 'udp_tracker' ? '' : HTTP_PATHS[kind]}`;
}

/** Any answer will do: the service lives. */
async function probeHttp(
  service: RegisteredService,
  headers: Readonly<Record<string, string>>,
): Promise<ProbeResult> {
  const url = httpProbeUrl(service, reachable(service.binding));
  const answered = Promise.withResolvers<IncomingMessage>();
  const signal = AbortSignal.timeout(LIMIT_MILLIS);
  // The certificate is our own, and made for the name that the world knows, not for this address.
  const request = service.tls
    ? httpsRequest(url, { agent: false, headers, signal, rejectUnauthorized: false })
    : httpRequest(url, { agent: false, headers, signal });
  request.once('response', answered.resolve).on('error', answered.reject).end();
  try {
    const response = await answered.promise;
    response.destroy();
    return { Ok: `${response.statusCode} ${response.statusMessage}` };
  } catch (error) {
    const cause = signal.aborted ? 'operation timed out' : describe(error);
    return { Err: `error sending request for url (${url}): ${cause}` };
  }
}

async function probeUdp(binding: string): Promise<ProbeResult> {
  const target = new URL(`udp://${reachable(binding)}`);
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const family = host.includes(':') ? 6 : 4;
  const socket = createSocket(`udp${family}`);
  const outcome = Promise.withResolvers<ProbeResult>();
  const timer = setTimeout(() => outcome.resolve(TIMED_OUT), LIMIT_MILLIS);
  socket.on('error', (error) => outcome.resolve({ Err: describe(error) }));
  socket.on('message', (bytes) => {
    const reply = decodeUdpReply(bytes, family);
    if (reply.kind === 'connect' && reply.transactionId === TRANSACTION_ID)
      outcome.resolve({ Ok: 'Connected' });
  });
  socket.once('connect', () => socket.send(encodeConnectRequest(TRANSACTION_ID)));
  // A connected socket takes replies of that address only, and hears at once that nobody listens there.
  socket.connect(Number(target.port), host);
  try {
    return await outcome.promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

/** A service that listens everywhere is asked on the loopback address. */
function reachable(binding: string): string {
  return binding.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
}

/** An error that stands for several attempts has no message of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return error instanceof Error ? error.message : String(error);
}
