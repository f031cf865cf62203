/**
 * What can go wrong between the operator and the API server: it answered with a refusal (`ApiError`), or there was no
 * answer (`ConnectionError`). A call that its caller aborted ends with the reason of the abort.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
import { isRecord } from './kube-object.ts';

/** The reasons of Kubernetes that decisions hang on; others come as they are. */
export const REASON = {
  alreadyExists: 'AlreadyExists',
  conflict: 'Conflict',
  expired: 'Expired',
  forbidden: 'Forbidden',
  gone: 'Gone',
  invalid: 'Invalid',
  notFound: 'NotFound',
} as const;

/** For answers without a Status of Kubernetes, such as those of a proxy. */
const REASON_OF_STATUS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: REASON.forbidden,
  404: REASON.notFound,
  409: REASON.conflict,
  410: REASON.gone,
  422: REASON.invalid,
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};
/** A server calls an apply with a field that it does not know an error of its own. It is one of who applies. */
const UNKNOWN_FIELD = /failed to create typed patch object/;
const MAX_TEXT_CHARS = 300;

/** Why there was no answer. */
export type ConnectionErrorCode = 'timeout' | 'credentials' | 'connection' | 'malformed' | 'not-leader';

/** The API server refused, or an ERROR event came over a watch. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** The status of HTTP. */
  readonly status: number;
  /** In CamelCase, as Kubernetes names it. */
  readonly reason: string;
  /** How long the server asks to be left alone; undefined when it doesn't. */
  readonly retryAfterSeconds: number | undefined;

  /** `call` is the method and the path, `detail` the server's own sentence. */
  constructor(
    call: string,
    status: number,
    reason: string,
    detail: string,
    retryAfterSeconds: number | undefined,
  ) {
    super(`${call}: ${status} ${reason}: ${detail}`);
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** No answer of the API server came, none that can be read, or nothing was sent. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ConnectionErrorCode;

  constructor(code: ConnectionErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Reads a refusal: `body` is the text of the answer, which should be a Status, `retryAfter` the header. */
export function readApiError(
  call: string,
  status: number,
  body: string,
  retryAfter: string | undefined,
): ApiError {
  return apiErrorOf(call, parsed(body), { status, text: body.trim(), retryAfter });
}

/** Reads the object of an ERROR event of a watch. */
export function readErrorEvent(call: string, object: unknown): ApiError {
  return apiErrorOf(call, object, { status: 500, text: 'an ERROR event', retryAfter: undefined });
}

/** Whether what was caught is a refusal with one of the reasons. */
export function isApiError(error: unknown, ...reasons: string[]): error is ApiError {
  return error instanceof ApiError && (reasons.length === 0 || reasons.includes(error.reason));
}

/** Whether a resource version, or the rest of a list, is no longer there to continue from. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 410 || error.reason === REASON.expired);
}

/** How long the server asks to be left alone; 0 when it doesn't. */
export function retryAfterSecondsOf(error: unknown): number {
  return error instanceof ApiError ? (error.retryAfterSeconds ?? 0) : 0;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

function apiErrorOf(call: string, object: unknown, { status, text, retryAfter }: Answer): ApiError {
  const fields = isRecord(object) && object['kind'] === 'Status' ? object : {};
  const { code, reason, message, details } = fields;
  const inDetails = isRecord(details) ? details['retryAfterSeconds'] : undefined;
  const detail = typeof message === 'string' && message !== '' ? message : text.slice(0, MAX_TEXT_CHARS);
  const isUnknownField = status === 500 && UNKNOWN_FIELD.test(detail);
  const realStatus = isUnknownField ? 422 : typeof code === 'number' && code >= 400 ? code : status;
  const isNamed = typeof reason === 'string' && reason !== '' && !isUnknownField;
  return new ApiError(
    call,
    realStatus,
    isNamed ? reason : (REASON_OF_STATUS[realStatus] ?? 'Unknown'),
    detail,
    readRetryAfter(retryAfter) ?? (typeof inDetails === 'number' ? inDetails : undefined),
  );
}

/** The header of RFC 9110 (10.2.3) in seconds: a number, or a date. */
function readRetryAfter(header: string | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
