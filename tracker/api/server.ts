/**
 * The HTTP or HTTPS server under an API, with the limits of time that keep slow clients from holding connections, and
 * certificates that can be changed while it runs.
 */
import { createServer as createHttpServer, type RequestListener, type ServerOptions } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ListenError } from '../listen-error.ts';
import { closeServer } from '../server-close.ts';

/** A client has so long to send the head of a request (and to finish a TLS handshake). */
const HEAD_LIMIT_MILLIS = 5000;
/** A connection on which nothing is asked is closed after so long. */
const IDLE_LIMIT_MILLIS = 5000;
/** A client has so long to send a whole request. */
const REQUEST_LIMIT_MILLIS = 30_000;
/** How often those limits are looked at. */
const CHECK_INTERVAL_MILLIS = 500;
/** Said here, so that no option of Node.js brings an older one back. */
const TLS_OPTIONS = { minVersion: 'TLSv1.2' } as const;

/** On every answer: it holds keys and figures, which no cache is to keep and no browser to take for what they are not. */
const GUARDING_HEADERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' } as const;

/** A certificate with its chain, and the key that belongs to it; both PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

export interface ApiServerOptions {
  /** What the server is to its users, as an error names it: `The REST API`. */
  readonly name: string;
  /** Usually a Koa application. */
  readonly app: { callback(): RequestListener };
  /** `host` is an IP address without brackets; port 0 lets the kernel choose. */
  readonly bindAddress: { readonly host: string; readonly port: number };
  /** Serves HTTPS; absent: plain HTTP. */
  readonly tls?: TlsPair | undefined;
}

/** A server that listens. */
export interface ApiServer {
  /** Where it listens; `port` is the real one. */
  readonly address: { readonly host: string; readonly port: number };
  /** New connections use this pair. Throws `ListenError`, and keeps the old one, when it can't be used. */
  updateTls(tls: TlsPair): void;
  /** Takes no new connections, lets requests end that have come or are coming, then cuts off what is left. */
  close(graceMillis: number): Promise<void>;
}

/** Opens a server. Rejects with `ListenError`. */
export async function openApiServer({ name, app, bindAddress, tls }: ApiServerOptions): Promise<ApiServer> {
  const { host, port } = bindAddress;
  const options: ServerOptions = {
    headersTimeout: HEAD_LIMIT_MILLIS,
    requestTimeout: REQUEST_LIMIT_MILLIS,
    keepAliveTimeout: IDLE_LIMIT_MILLIS,
    connectionsCheckingInterval: CHECK_INTERVAL_MILLIS,
  };
  const listener = guarded(app.callback());
  const secure =
    tls === undefined
      ? undefined
      : withCertificate(name, () =>
          createHttpsServer(
            { ...options, ...tls, ...TLS_OPTIONS, handshakeTimeout: HEAD_LIMIT_MILLIS },
            listener,
          ),
        );
  const server = secure ?? createHttpServer(options, listener);

  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ host, port }, listening.resolve);
  try {
    await listening.promise;
  } catch (error) {
    throw ListenError.from(name, bindAddress, error);
  }
  server.off('error', listening.reject);
  // A connection that can't be taken, for want of descriptors, must not end the tracker.
  server.on('error', () => undefined);
  // A TCP server that listens has an address of this form.
  const bound = server.address() as AddressInfo;

  return {
    address: { host, port: bound.port },
    updateTls(pair) {
      withCertificate(name, () => secure?.setSecureContext({ ...pair, ...TLS_OPTIONS }));
    },
    close: (graceMillis) => closeServer(server, graceMillis),
  };
}

function guarded(listener: RequestListener): RequestListener {
  return (request, response) => {
    for (const [name, value] of Object.entries(GUARDING_HEADERS)) response.setHeader(name, value);
    listener(request, response);
  };
}

/** Does what needs a certificate; the errors of OpenSSL become `ListenError`. */
function withCertificate<Result>(name: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const text = error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
    throw new ListenError(`${name} can't use its certificate or key: ${text}`, 'bad-certificate', {
      cause: error,
    });
  }
}
