/**
 * One GET request over a connection of its own, measured, as most BitTorrent clients make it. Follows no redirection,
 * keeps nothing alive, and reads no more than a tracker has reason to send.
 */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, isIPv6 } from 'node:net';
import { errorCode, microsSince } from './probe.ts';
import type { ProbeFailure } from './result.ts';

export interface HttpGetOptions {
  readonly secure: boolean;
  /** The name or address of the URL, without brackets: for the header, for TLS, and to connect to by default. */
  readonly host: string;
  readonly port: number;
  /** The address to connect to, if the name has been resolved already. */
  readonly address?: string;
  /** Path and query, in ASCII. */
  readonly path: string;
  readonly timeoutMillis: number;
  readonly insecure: boolean;
  /** Headers beside those that every request has. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | null;
}

export type HttpGetResult = {
  /** Until the connection stood, with its TLS handshake; null when it never did. */
  readonly connectMicros: number | null;
  /** From then on, or from the beginning when it never stood. */
  readonly micros: number;
} & (
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly statusText: string;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'failed'; readonly failure: ProbeFailure }
);

const MAX_BODY_BYTES = 1024 * 1024;
const USER_AGENT = 'torrust-tracker-probe';

type Outcome =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly statusText: string;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'failed'; readonly failure: ProbeFailure };

/** Makes the request. Never rejects for what the other side does. */
export async function httpGet(options: HttpGetOptions): Promise<HttpGetResult> {
  const { secure, host, port, signal } = options;
  const defaultPort = secure ? 443 : 80;
  const bracketed = isIPv6(host) ? `[${host}]` : host;
  let start = performance.now();
  let connectMicros: number | null = null;
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const fail = (failure: ProbeFailure): void => resolve({ kind: 'failed', failure });

  const request = (secure ? requestHttps : requestHttp)({
    host: options.address ?? host,
    port,
    path: options.path,
    agent: false,
    headers: {
      host: port === defaultPort ? bracketed : `${bracketed}:${port}`,
      'user-agent': USER_AGENT,
      accept: '*/*',
      ...options.headers,
    },
    // TLS verifies this name; for an address it takes `host`.
    ...(secure && isIP(host) === 0 && { servername: host }),
    ...(secure && { rejectUnauthorized: !options.insecure }),
  });
  request.on('socket', (socket) => {
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      connectMicros = microsSince(start);
      start = performance.now();
    });
  });
  request.on('error', (error) => fail({ kind: 'network', code: errorCode(error) }));
  request.on('response', (response) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    response.on('data', (chunk: Uint8Array) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_BODY_BYTES) fail({ kind: 'malformed', reason: `more than ${MAX_BODY_BYTES} bytes` });
    });
    response.on('error', (error) => fail({ kind: 'network', code: errorCode(error) }));
    response.on('end', () => {
      const { statusCode = 0, statusMessage = '' } = response;
      resolve({
        kind: 'answered',
        status: statusCode,
        statusText: statusMessage,
        body: Buffer.concat(chunks),
      });
    });
  });
  const onAbort = (): void => fail({ kind: 'aborted' });
  const timer = setTimeout(() => fail({ kind: 'timeout', tries: 1 }), options.timeoutMillis);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) onAbort();
  else request.end();

  const outcome = await promise;
  const micros = microsSince(start);
  clearTimeout(timer);
  signal?.removeEventListener('abort', onAbort);
  request.destroy();
  return { ...outcome, connectMicros, micros };
}
