/**
 * An HTTP or HTTPS listener on `node:http` and `node:https`: the portable way to get requests to an `HttpService`, and
 * the only way for TLS.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { PeerAddress } from '../../protocol/model.ts';
import { MAX_HEADER_BYTES } from '../../protocol/http-request.ts';
import { readIpText } from '../../protocol/ip-text.ts';
import { type HttpService, MAX_HEAD_BYTES, MAX_TARGET_BYTES } from '../http-service.ts';
import { ListenError } from '../../listen-error.ts';
import { closeServer } from '../../server-close.ts';
import { IntroducedConnections } from './introduced-connections.ts';
import type { HttpListenerSetup, Listener, TlsPair } from '../listener.ts';

/** Torrust Tracker's limits: the time for a request's head, and for the next request on a connection. */
const HEAD_MILLIS = 5_000;
const IDLE_MILLIS = 5_000;
const SERVER_OPTIONS = {
  headersTimeout: HEAD_MILLIS,
  requestTimeout: HEAD_MILLIS,
  keepAliveTimeout: IDLE_MILLIS,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: MAX_HEAD_BYTES,
  noDelay: true,
};
/** The same for the greetings of TLS, which come before any request. */
const TLS_OPTIONS = { handshakeTimeout: HEAD_MILLIS, minVersion: 'TLSv1.2' } as const;
/** An option of the `Connection` header (RFC 9110, 7.6.1). */
const UPGRADE_OPTION = /(^|[,\s])upgrade([,\s]|$)/i;
/** Only a connection whose requests are served is kept, as by the native listener. */
const REFUSAL_HEADERS = { 'content-length': 0, connection: 'close' };

/** Opens the listener. `sharesPort`: other threads open the same port. Throws `ListenError`. */
export async function openHttpServer(
  setup: HttpListenerSetup,
  service: HttpService,
  sharesPort: boolean,
): Promise<Listener> {
  const { bind } = setup;
  const { tls } = setup.live;
  const handler = createHandler(service, (socket) => introduced.clientOf(socket));
  const tlsServer = tls === null ? null : createSecureServer(tls, bind, handler);
  const server: Server = tlsServer ?? createServer(SERVER_OPTIONS, handler);
  const introduced = new IntroducedConnections(server, service.introduction, readSource, HEAD_MILLIS);
  server.on('checkContinue', refuseExpectation).on('checkExpectation', refuseExpectation);
  // A client that doesn't take its replies has no more time than one that doesn't send its request.
  server.setTimeout(IDLE_MILLIS);
  let current = tls;
  try {
    server.listen({
      host: bind.host,
      port: bind.port,
      ipv6Only: setup.ipv6Only,
      reusePort: sharesPort,
      backlog: 4096,
    });
    await once(server, 'listening');
  } catch (error) {
    throw ListenError.from('The HTTP tracker', bind, error);
  }
  // A connection that can't be taken, for want of descriptors, must not end the tracker.
  server.on('error', () => undefined);
  // A listening TCP server has an address object, never a path.
  const { port } = server.address() as AddressInfo;
  return {
    setup,
    address: { ...bind, port },
    receiveBufferBytes: null,
    update: (live) => {
      if (!('trustedProxies' in live)) return;
      service.update(live);
      if (tlsServer === null || live.tls === null || isDeepStrictEqual(live.tls, current)) return;
      current = live.tls;
      // The main thread made sure that the pair can be used. Connections that are open keep the old one.
      tlsServer.setSecureContext(secureOptions(live.tls));
    },
    close: (graceMillis) => {
      introduced.endWaiting();
      return closeServer(server, graceMillis);
    },
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function createSecureServer(tls: TlsPair, bind: HttpListenerSetup['bind'], handler: Handler): TlsServer {
  try {
    return createTlsServer({ ...SERVER_OPTIONS, ...secureOptions(tls) }, handler);
  } catch (error) {
    throw ListenError.from('The HTTPS tracker', bind, error);
  }
}

function secureOptions(tls: TlsPair): SecureContextOptions & typeof TLS_OPTIONS {
  return { cert: tls.certificate, key: tls.key, ...TLS_OPTIONS };
}

/** `clientOf` names the client that a proxy speaks for. */
function createHandler(service: HttpService, clientOf: (socket: Socket) => PeerAddress | undefined): Handler {
  const target = Buffer.alloc(MAX_TARGET_BYTES);
  const ownSource = new PeerAddress();
  return (request, response) => {
    response.sendDate = false;
    const url = request.url ?? '';
    const client = clientOf(request.socket);
    if (client === undefined && !readSource(request.socket, ownSource)) {
      // The client is gone already.
      response.destroy();
      return;
    }
    const source = client ?? ownSource;
    const { family } = source;
    const countSent = () => service.countSent(family);
    if (url.length > MAX_TARGET_BYTES || headerBytes(request) > MAX_HEADER_BYTES) {
      service.countUnserved(family);
      response.writeHead(url.length > MAX_TARGET_BYTES ? 414 : 431, REFUSAL_HEADERS).end(countSent);
      return;
    }
    service.readClock();
    const length = target.write(url, 'latin1');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      service.countUnserved(family);
      const status = service.knows(target, 0, length) ? 405 : 404;
      const allow = status === 405 && { allow: 'GET,HEAD' };
      response.writeHead(status, { ...REFUSAL_HEADERS, ...allow }).end(countSent);
      return;
    }
    const forwardedFor = request.headers['x-forwarded-for'] ?? '';
    const joined = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',');
    if (service.isTraced) service.traceparent = String(request.headers['traceparent'] ?? '');
    const bodyBytes = service.answer(target, 0, length, source, joined);
    if (service.status !== 200) {
      response.writeHead(service.status, REFUSAL_HEADERS).end(countSent);
      return;
    }
    // Behind a request to upgrade may come bytes of another protocol, which nobody is to take for requests.
    const isLast = UPGRADE_OPTION.test(request.headers.connection ?? '');
    const close = isLast && { connection: 'close' };
    const headers = { 'content-type': service.contentType, 'content-length': bodyBytes, ...close };
    response.writeHead(200, headers);
    // The server sends later, when the body may hold another reply already.
    response.end(Buffer.from(service.body.subarray(0, bodyBytes)), countSent);
  };
}

/**
 * Refuses a request that waits for a go-ahead, as there is no body to wait for. Left to itself, the server would write
 * the go-ahead for the second of two pipelined requests into the middle of a reply.
 */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false;
  response.writeHead(400, REFUSAL_HEADERS).end();
}

/** The bytes of the headers and of the empty line behind them; the server has only a limit for the whole head. */
function headerBytes({ rawHeaders }: IncomingMessage): number {
  let bytes = 2;
  // Names and values in turn, with a colon, a space or the end of the line behind each.
  for (const text of rawHeaders) bytes += text.length + 2;
  return bytes;
}

function readSource(socket: Socket, source: PeerAddress): boolean {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return false;
  const zone = remoteAddress.indexOf('%');
  const text = Buffer.from(zone < 0 ? remoteAddress : remoteAddress.slice(0, zone), 'latin1');
  source.port = remotePort;
  return readIpText(text, 0, text.length, source);
}
