/**
 * Requests the health check of a service over HTTP. Only the status says how it is; the body is not looked at.
 */
import { httpGet } from './http-get.ts';
import { PROBE_DEFAULTS, type ProbeOptions } from './probe.ts';
import type { HealthResult } from './result.ts';

/** Whether a health check says that all is well. */
export function isHealthy(result: HealthResult): boolean {
  const { outcome } = result;
  return outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300;
}

/** Requests `url`, which must be of http or https. */
export async function probeHealth(
  url: URL,
  options: Partial<Pick<ProbeOptions, 'timeoutMillis' | 'insecure' | 'signal'>> = {},
): Promise<HealthResult> {
  const { timeoutMillis, insecure, signal } = { ...PROBE_DEFAULTS, ...options };
  const secure = url.protocol === 'https:';
  const got = await httpGet({
    secure,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    timeoutMillis,
    insecure,
    signal,
  });
  const outcome =
    got.kind === 'failed'
      ? { kind: got.kind, failure: got.failure }
      : { kind: got.kind, status: got.status, statusText: got.statusText };
  const micros = (got.connectMicros ?? 0) + got.micros;
  return { protocol: 'health', url: `${url.origin}${url.pathname}`, micros, outcome };
}
