/**
 * The HTTP or HTTPS server under an API, with the limits of time that keep slow clients from holding connections, and
 * certificates that can be changed while it runs.
 */
import { createServer as createHttpServer, type RequestListener, type ServerOptions } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A client has so long to send the head of a request (and to finish a TLS handshake). */
const HEAD_LIMIT_MILLIS = 5000;
/** A connection on which nothing is asked is closed after so long. */
const IDLE_LIMIT_MILLIS = 5000;
/** A client has so long to send a whole request. */
const REQUEST_LIMIT_MILLIS = 30_000;
/** How often those limits are looked at. */
const CHECK_INTERVAL_MILLIS = 500;

/** A certificate with its chain, and the key that belongs to it; both PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

export interface ApiServerOptions {
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
  /** Takes no new connections, lets requests end for `graceMillis`, then cuts off what is left. */
  close(graceMillis: number): Promise<void>;
}

/** The address can't be listened on, or the certificate not be used. Its message is one line. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** The system's code, such as `EADDRINUSE`, or `bad-certificate`. */
  readonly code: string;

  constructor(code: string, message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** What the usual codes mean to the one who wrote the address. */
const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EACCES: 'no permission for that port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EAFNOSUPPORT: 'this machine does not speak that kind of address',
};

/** Opens a server. Rejects with `ListenError`. */
export async function openApiServer({ app, bindAddress, tls }: ApiServerOptions): Promise<ApiServer> {
  const { host, port } = bindAddress;
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const options: ServerOptions = {
    headersTimeout: HEAD_LIMIT_MILLIS,
    requestTimeout: REQUEST_LIMIT_MILLIS,
    keepAliveTimeout: IDLE_LIMIT_MILLIS,
    connectionsCheckingInterval: CHECK_INTERVAL_MILLIS,
  };
  const secure =
    tls === undefined
      ? undefined
      : withCertificate(place, () =>
          createHttpsServer({ ...options, ...tls, handshakeTimeout: HEAD_LIMIT_MILLIS }, app.callback()),
        );
  const server = secure ?? createHttpServer(options, app.callback());

  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ host, port }, listening.resolve);
  try {
    await listening.promise;
  } catch (error) {
    const { code, text } = readFault(error);
    throw new ListenError(code, `can't listen on ${place} (TCP): ${LISTEN_FAULTS[code] ?? text}`, error);
  }
  server.off('error', listening.reject);
  // A TCP server that listens has an address of this form.
  const bound = server.address() as AddressInfo;

  return {
    address: { host, port: bound.port },
    updateTls(pair) {
      withCertificate(place, () => secure?.setSecureContext(pair));
    },
    async close(graceMillis) {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      const patience = setTimeout(() => server.closeAllConnections(), graceMillis);
      await closed.promise;
      clearTimeout(patience);
    },
  };
}

/** Does what needs a certificate; the errors of OpenSSL become `ListenError`. */
function withCertificate<Result>(place: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const { text } = readFault(error);
    throw new ListenError(
      'bad-certificate',
      `the certificate or key of ${place} can't be used: ${text}`,
      error,
    );
  }
}

function readFault(error: unknown): { code: string; text: string } {
  if (!(error instanceof Error)) return { code: 'unknown', text: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
  return { code, text: error.message.replace(/\s+/g, ' ') };
}
