/**
 * An HTTP or HTTPS listener on `node:http` and `node:https`: the portable way to get requests to an `HttpService`, and
 * the only way for TLS.
 */
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
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
  // The handler demands it, and counts who has none.
  requireHostHeader: false,
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
  const connections = new WeakMap<Duplex, Connection>();
  const handler = createHandler(service, connections, (socket) => introduced.clientOf(socket));
  const tlsServer = tls === null ? null : createSecureServer(tls, bind, handler);
  const server: Server = tlsServer ?? createServer(SERVER_OPTIONS, handler);
  const introduced = new IntroducedConnections(server, service, readSource, HEAD_MILLIS);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // Always a socket, of TLS or plain. Behind an answer that is on its way there is no place for another.
    if (connections.get(socket)?.answer.writableFinished === false) (socket as Socket).destroySoon();
    else refuseBroken(error, socket as Socket, service, introduced.clientOf(socket as Socket));
  });
  // A request that waits for a go-ahead is refused, as there is no body to wait for. Left to itself, the server would write
  // the go-ahead for the second of two pipelined requests into the middle of a reply.
  server.on('checkContinue', handler).on('checkExpectation', handler);
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

/** What is remembered of a connection that has sent a request. */
interface Connection {
  /** Where it comes from. */
  readonly source: PeerAddress;
  /** The last answer. */
  answer: ServerResponse;
}

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
function createHandler(
  service: HttpService,
  connections: WeakMap<Duplex, Connection>,
  clientOf: (socket: Socket) => PeerAddress | undefined,
): Handler {
  const target = Buffer.alloc(MAX_TARGET_BYTES);
  const body = Buffer.from(service.body.buffer, service.body.byteOffset, service.body.byteLength);
  return (request, response) => {
    const { socket } = request;
    response.sendDate = false;
    const url = request.url ?? '';
    let connection = connections.get(socket);
    if (connection === undefined) {
      connection = { source: new PeerAddress(), answer: response };
      if (!readSource(socket, connection.source)) {
        // The client is gone already.
        response.destroy();
        return;
      }
      connections.set(socket, connection);
    }
    connection.answer = response;
    const source = clientOf(socket) ?? connection.source;
    const { family } = source;
    const countSent = () => service.countSent(family);
    service.readClock();
    const forwardedFor = request.headers['x-forwarded-for'] ?? '';
    const joined = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',');
    const fault = faultOf(request, url);
    if (fault !== null) {
      response.writeHead(service.refuse(source, joined, fault), REFUSAL_HEADERS).end(countSent);
      return;
    }
    const length = target.write(url, 'latin1');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const status = service.refuse(source, joined, service.knows(target, 0, length) ? 405 : 404);
      const allow = status === 405 && { allow: 'GET,HEAD' };
      response.writeHead(status, { ...REFUSAL_HEADERS, ...allow }).end(countSent);
      return;
    }
    if (service.isTraced) {
      service.traceparent = String(request.headers['traceparent'] ?? '');
      service.tracestate = String(request.headers['tracestate'] ?? '');
    }
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
    // As a text of one byte a letter: the server joins it to the head, and writes both at once.
    response.end(body.toString('latin1', 0, bodyBytes), 'latin1', countSent);
  };
}

/** Answers what the server can't read as a request, as it would by itself, and counts it. Any other trouble ends the connection. */
function refuseBroken(
  { code }: NodeJS.ErrnoException,
  socket: Socket,
  service: HttpService,
  client: PeerAddress | undefined,
): void {
  const source = client ?? new PeerAddress();
  // Of llhttp, which reads requests. Greetings of TLS that fail and connections that break come here as well.
  const isBroken = code?.startsWith('HPE_') === true;
  const isSlow = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (!socket.writable || !(isBroken || isSlow) || (client === undefined && !readSource(socket, source))) {
    socket.destroy();
    return;
  }
  service.readClock();
  // Who is too slow has sent no request.
  const status = isSlow ? 408 : service.refuse(source, '', code === 'HPE_HEADER_OVERFLOW' ? 431 : 400);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    () => {
      if (isBroken) service.countSent(source.family);
      socket.destroy();
    },
  );
}

/** The status of a request whose head is refused; null for a good one. */
function faultOf(request: IncomingMessage, url: string): number | null {
  if (url.length > MAX_TARGET_BYTES) return 414;
  if (headerBytes(request) > MAX_HEADER_BYTES) return 431;
  const { method, httpVersion, headers } = request;
  const lacksHost = headers.host === undefined && httpVersion !== '1.0';
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  // Other methods may have one: the answer that they are not served ends the connection.
  const isRead = method === 'GET' || method === 'HEAD';
  return lacksHost || headers.expect !== undefined || (isRead && hasBody) ? 400 : null;
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
