/**
 * What the operator tells about itself over HTTP: its metrics, that it is alive, and that it is ready, in the words that the
 * API server uses for the same (`/healthz?verbose`).
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

/** Something that has to be in order. */
export interface Check {
  readonly name: string;
  /** What is wrong, as a sentence; undefined when nothing is. */
  problem(): string | undefined;
}

/** What a server serves; what is absent is not found. */
export interface StatusServerOptions {
  /** Undefined: every address, IPv6 and IPv4 where the machine has both. */
  readonly host: string | undefined;
  /** 0 for any that is free. */
  readonly port: number;
  /** Under `/metrics`. */
  readonly registry?: Registry;
  /** Under `/healthz`. */
  readonly alive?: readonly Check[];
  /** Under `/readyz`. */
  readonly ready?: readonly Check[];
}

/** A server that listens. */
export interface StatusServer {
  readonly port: number;
  /** Takes nothing more, and ends what is under way after the grace. */
  close(graceMillis: number): Promise<void>;
}

/** A request has a line and a few headers. */
const REQUEST_MILLIS = 5_000;
const PLAIN_TEXT = 'text/plain; charset=utf-8';

/** Listens. Rejects when the address can't be had. */
export async function openStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { host, port } = options;
  const server = createServer(
    { requestTimeout: REQUEST_MILLIS, headersTimeout: REQUEST_MILLIS },
    (request, response) => {
      serve(options, request, response).catch(() => response.destroy());
    },
  );
  try {
    server.listen({ ...(host !== undefined && { host }), port });
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`cannot listen on ${host ?? 'every address'} port ${port}: ${String(error)}`, {
      cause: error,
    });
  }
  // A connection that can't be taken, for want of descriptors, must not end the operator.
  server.on('error', () => undefined);
  return {
    // A listening TCP server has an address object, never a path.
    port: (server.address() as AddressInfo).port,
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

async function serve(
  { registry, alive, ready }: StatusServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://operator');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    answer(response, 405, PLAIN_TEXT, 'only GET is answered\n', { allow: 'GET, HEAD' });
  } else if (pathname === '/metrics' && registry !== undefined) {
    answer(response, 200, registry.contentType, await registry.metrics());
  } else if (pathname === '/healthz' && alive !== undefined) {
    answerChecks(response, 'healthz', alive, searchParams.has('verbose'));
  } else if (pathname === '/readyz' && ready !== undefined) {
    answerChecks(response, 'readyz', ready, searchParams.has('verbose'));
  } else {
    answer(response, 404, PLAIN_TEXT, 'not found\n');
  }
}

function answerChecks(
  response: ServerResponse,
  path: string,
  checks: readonly Check[],
  isVerbose: boolean,
): void {
  const results = checks.map((check) => ({ name: check.name, problem: check.problem() }));
  const isWell = results.every(({ problem }) => problem === undefined);
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  );
  const verdict = `${path} check ${isWell ? 'passed' : 'failed'}`;
  const body = isWell && !isVerbose ? 'ok' : [...lines, verdict, ''].join('\n');
  answer(response, isWell ? 200 : 500, PLAIN_TEXT, body);
}

function answer(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
  headers: Record<string, string> = {},
): void {
  response
    .writeHead(status, {
      'content-type': contentType,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    })
    .end(body);
}
