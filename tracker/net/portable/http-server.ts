/**
 * An HTTP or HTTPS listener on `node:http` and `node:https`: the portable way to get requests to an `HttpService`, and
 * the only way for TLS.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { PeerAddress } from '../../protocol/model.ts';
import { readIpText } from '../../protocol/ip-text.ts';
import { type HttpService, MAX_TARGET_BYTES } from '../http-service.ts';
import { ListenError } from '../../listen-error.ts';
import type { HttpListenerSetup, Listener, TlsPair } from '../listener.ts';

/** Torrust Tracker's limits: the time for a request's head, and for the next request on a connection. */
const HEAD_MILLIS = 5_000;
const IDLE_MILLIS = 5_000;
const SERVER_OPTIONS = {
  headersTimeout: HEAD_MILLIS,
  requestTimeout: HEAD_MILLIS,
  keepAliveTimeout: IDLE_MILLIS,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 2 * MAX_TARGET_BYTES,
  noDelay: true,
};

/** Opens the listener. `sharesPort`: other threads open the same port. Throws `ListenError`. */
export async function openHttpServer(
  setup: HttpListenerSetup,
  service: HttpService,
  sharesPort: boolean,
): Promise<Listener> {
  const { bind } = setup;
  const { tls } = setup.live;
  const handler = createHandler(service);
  const tlsServer = tls === null ? null : createSecureServer(tls, bind, handler);
  const server = tlsServer ?? createServer(SERVER_OPTIONS, handler);
  let certificate = tls?.certificate;
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
  // A listening TCP server has an address object, never a path.
  const { port } = server.address() as AddressInfo;
  return {
    setup,
    address: { ...bind, port },
    receiveBufferBytes: null,
    update: (live) => {
      if (!('trustedProxies' in live)) return;
      service.update(live);
      if (tlsServer === null || live.tls === null || live.tls.certificate === certificate) return;
      certificate = live.tls.certificate;
      tlsServer.setSecureContext({ cert: live.tls.certificate, key: live.tls.key });
    },
    close: async (graceMillis) => {
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), graceMillis);
      await closed;
      clearTimeout(timer);
    },
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function createSecureServer(tls: TlsPair, bind: HttpListenerSetup['bind'], handler: Handler): TlsServer {
  try {
    return createTlsServer(
      { ...SERVER_OPTIONS, cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' },
      handler,
    );
  } catch (error) {
    throw ListenError.from('The HTTPS tracker', bind, error);
  }
}

function createHandler(service: HttpService): Handler {
  const target = Buffer.alloc(2 * MAX_TARGET_BYTES);
  const source = new PeerAddress();
  return (request, response) => {
    response.sendDate = false;
    const url = request.url ?? '';
    if (url.length > MAX_TARGET_BYTES) {
      response.writeHead(414, { 'content-length': 0, connection: 'close' }).end();
      return;
    }
    if (!readSource(request, source)) {
      // The client is gone already.
      response.destroy();
      return;
    }
    service.readClock();
    const length = target.write(url, 'latin1');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const status = service.knows(target, 0, length) ? 405 : 404;
      response.writeHead(status, { 'content-length': 0, ...(status === 405 && { allow: 'GET,HEAD' }) }).end();
      return;
    }
    const forwardedFor = request.headers['x-forwarded-for'] ?? '';
    const joined = typeof forwardedFor === 'string' ? forwardedFor : forwardedFor.join(',');
    const bodyBytes = service.answer(target, 0, length, source, joined);
    const type = service.contentType === '' ? {} : { 'content-type': service.contentType };
    response.writeHead(service.status, { ...type, 'content-length': bodyBytes });
    // The server sends later, when the body may hold another reply already.
    response.end(Buffer.from(service.body.subarray(0, bodyBytes)));
  };
}

function readSource(request: IncomingMessage, source: PeerAddress): boolean {
  const { remoteAddress, remotePort } = request.socket;
  if (remoteAddress === undefined || remotePort === undefined) return false;
  const zone = remoteAddress.indexOf('%');
  const text = Buffer.from(zone < 0 ? remoteAddress : remoteAddress.slice(0, zone), 'latin1');
  source.port = remotePort;
  return readIpText(text, 0, text.length, source);
}
