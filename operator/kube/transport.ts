/**
 * Sends requests to the API server and reads the answers: deadlines, refusals and the counting of both.
 */
import type { Dispatcher } from 'undici';
import type { Connection, Purpose } from './connection.ts';
import { ConnectionError, readApiError } from './kube-error.ts';
import type { ClientMetrics } from './metrics.ts';

/** One request. */
export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Begins with a slash, below the server's address. */
  readonly path: string;
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly contentType?: string;
}

/** How long to wait, and for whom. */
export interface Deadline {
  readonly signal: AbortSignal;
  readonly timeoutMillis?: number;
}

/** What calls are for. */
export type CallPurpose = Exclude<Purpose, 'watch'>;

type Body = Dispatcher.ResponseData['body'];

const TIMEOUT_MILLIS = 30_000;
const USER_AGENT = 'torrust-operator';
/** Lists of 500 big objects stay far below; what is longer is no answer of an API server. */
const MAX_REFUSAL_CHARS = 100_000;

/** The way that requests take. */
export class Transport {
  readonly #connection: Connection;
  readonly #metrics: ClientMetrics;
  readonly #purpose: CallPurpose;

  /** `purpose` is that of the calls; watches have their own. */
  constructor(connection: Connection, metrics: ClientMetrics, purpose: CallPurpose) {
    this.#connection = connection;
    this.#metrics = metrics;
    this.#purpose = purpose;
  }

  /** The answer to a request, as a value of JSON. Rejects as `KubeClient` says. */
  async call(request: KubeRequest, deadline: Deadline): Promise<unknown> {
    return withDeadline(callOf(request), deadline, async (signal) => {
      const body = await this.#send(request, this.#purpose, signal);
      const text = await body.text();
      try {
        return JSON.parse(text) as unknown;
      } catch (error) {
        throw new ConnectionError('malformed', `${callOf(request)}: the answer is no JSON`, error);
      }
    });
  }

  /**
   * The body of an answer that goes on for long. The deadline is for its beginning alone; then the body is the caller's, who
   * destroys it.
   */
  async open(request: KubeRequest, deadline: Deadline): Promise<Body> {
    return withDeadline(callOf(request), deadline, async (signal) => this.#send(request, 'watch', signal));
  }

  async #send(request: KubeRequest, purpose: Purpose, signal: AbortSignal): Promise<Body> {
    const { method, path, query = {}, body, contentType } = request;
    const { server } = this.#connection;
    const { host } = server;
    const verb = purpose === 'watch' ? 'WATCH' : method;
    const { dispatcher, headers } = await this.#connection.access(purpose);
    const present = Object.entries(query).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    const search = present.length === 0 ? '' : `?${new URLSearchParams(present).toString()}`;
    const since = performance.now();
    let answer: Dispatcher.ResponseData;
    try {
      answer = await dispatcher.request({
        origin: server.origin,
        path: `${server.pathname.replace(/\/$/, '')}${path}${search}`,
        method,
        headers: {
          accept: 'application/json',
          'user-agent': USER_AGENT,
          ...headers,
          ...(contentType !== undefined && { 'content-type': contentType }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      });
    } catch (error) {
      this.#metrics.requests.inc({ code: '<error>', method, host });
      throw error;
    }
    this.#metrics.requests.inc({ code: String(answer.statusCode), method, host });
    this.#metrics.requestSeconds.observe({ verb, host }, (performance.now() - since) / 1000);
    if (answer.statusCode < 300) return answer.body;
    const text = await answer.body.text();
    const retryAfter = answer.headers['retry-after'];
    throw readApiError(
      callOf(request),
      answer.statusCode,
      text.slice(0, MAX_REFUSAL_CHARS),
      typeof retryAfter === 'string' ? retryAfter : retryAfter?.[0],
    );
  }
}

/** How a request is called in errors. */
function callOf({ method, path }: KubeRequest): string {
  return `${method} ${path}`;
}

/**
 * Runs something that ends when the caller's signal is aborted or the time is over. The signal that it gets is its own, so
 * that nothing stays behind on the caller's, which lives as long as the process.
 */
async function withDeadline<T>(
  call: string,
  { signal, timeoutMillis = TIMEOUT_MILLIS }: Deadline,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const passOn = () => controller.abort(signal.reason);
  const timer = setTimeout(() => {
    const seconds = timeoutMillis / 1000;
    controller.abort(new ConnectionError('timeout', `${call}: no answer within ${seconds} s`));
  }, timeoutMillis);
  signal.addEventListener('abort', passOn, { once: true });
  try {
    return await run(controller.signal);
  } catch (error) {
    // Whatever it was that broke, the reason is the abort.
    controller.signal.throwIfAborted();
    if (error instanceof Error && ['ApiError', 'ConnectionError'].includes(error.name)) throw error;
    throw new ConnectionError('connection', `${call}: ${describe(error)}`, error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', passOn);
  }
}

/** The system's code says more than undici's own message, where there is one. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code} ` : '';
  return `${code}${error.message}`;
}
