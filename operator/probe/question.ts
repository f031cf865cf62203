/**
 * Asks the questions of a probe: real announces and scrapes of the info hash that trackers answer and never keep, the
 * REST API's health, and the health check for what the tracker says of its database.
 *
 * Certificates are not judged here: a pod is asked by its address, and `CertificatesReady` looks at the certificates.
 */
import { isIPv6 } from 'node:net';
import { printable } from '../../tracker/probe/format.ts';
import { probeHealth, isHealthy } from '../../tracker/probe/health.ts';
import { httpGet } from '../../tracker/probe/http-get.ts';
import { probeHttp } from '../../tracker/probe/http.ts';
import { describeFailure, type ProbeResult } from '../../tracker/probe/result.ts';
import { probeUdp } from '../../tracker/probe/udp.ts';
import { PROBE_INFO_HASH } from '../../tracker/protocol/probe-hash.ts';
import { textAt } from '../json-path.ts';
import { METRICS_PORT } from '../crd/listeners.ts';
import type { SourceFacts } from '../status.ts';
import type { Target } from './plan.ts';

/** An address of the documentation ranges (RFC 5737), for listeners that want a proxy to name its client. */
const FORWARDED_FOR = '192.0.2.1';
const TIMEOUT_MILLIS = 3000;
/** What a pod says of itself is no longer in a status. */
const MAX_SAID_CHARS = 300;

/** What came of a question; undefined when all is well, else the end of a sentence. */
export type Complaint = string | undefined;

/** Asks a target. Never rejects for what the other side does. */
export async function ask(
  target: Target,
  expectedRefusal: RegExp | undefined,
  signal: AbortSignal,
): Promise<Complaint> {
  const options = { infoHashes: [PROBE_INFO_HASH], timeoutMillis: TIMEOUT_MILLIS, insecure: true, signal };
  const { host, port } = target;
  switch (target.kind) {
    case 'udp':
      return complaintOf(await probeUdp({ kind: 'udp', host, port, urlData: '' }, options), expectedRefusal);
    case 'http': {
      const { secure, isBehindProxy } = target;
      const paths = { announcePath: '/announce', scrapePath: '/scrape', query: '' };
      const forwardedFor = isBehindProxy ? FORWARDED_FOR : null;
      const result = await probeHttp(
        { kind: 'http', secure, host, port, ...paths },
        { ...options, forwardedFor },
      );
      return complaintOf(result, expectedRefusal);
    }
    case 'api': {
      const bracketed = isIPv6(host) ? `[${host}]` : host;
      const url = new URL(`${target.secure ? 'https' : 'http'}://${bracketed}:${port}/api/health_check`);
      const result = await probeHealth(url, options);
      if (isHealthy(result)) return undefined;
      const { outcome } = result;
      return outcome.kind === 'answered' ? `HTTP status ${outcome.status}` : describeFailure(outcome.failure);
    }
  }
}

/** The first step that failed and should not have. */
function complaintOf({ steps }: ProbeResult, expectedRefusal: RegExp | undefined): Complaint {
  for (const step of steps) {
    if (step.kind === 'ok') {
      if (step.name === 'announce' && expectedRefusal !== undefined) {
        return 'an announce without a key, or of a torrent that is not listed, was answered';
      }
      continue;
    }
    const { failure } = step;
    const isExpected =
      step.name === 'announce' &&
      failure.kind === 'refused' &&
      expectedRefusal?.test(failure.reason) === true;
    if (!isExpected) return `${step.name}: ${quoted(describeFailure(failure))}`;
  }
  return undefined;
}

/** What the health check of a pod says. */
export type HealthAnswer =
  | { readonly kind: 'unreachable'; readonly why: string }
  | {
      readonly kind: 'answered';
      /** A sentence about a database that does not answer; null when all is well with it. */
      readonly databaseTrouble: string | null;
    };

/** Asks the health check of a pod. Never rejects for what the other side does. */
export async function askHealth(
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<HealthAnswer> {
  const got = await httpGet({
    secure: false,
    host,
    port,
    path: '/readyz',
    timeoutMillis: TIMEOUT_MILLIS,
    insecure: false,
    signal,
  });
  if (got.kind === 'failed') return { kind: 'unreachable', why: describeFailure(got.failure) };
  return { kind: 'answered', databaseTrouble: readTrouble(got.body) };
}

/**
 * What the metrics of a pod say of where announces came from, the operator's own probes apart; undefined when they do not
 * answer or do not tell.
 */
export async function askSources(host: string, signal: AbortSignal): Promise<SourceFacts | undefined> {
  const common = { secure: false, insecure: false, timeoutMillis: TIMEOUT_MILLIS, signal };
  const got = await httpGet({ ...common, host, port: METRICS_PORT, path: '/metrics' });
  if (got.kind === 'failed' || got.status !== 200) return undefined;
  const text = Buffer.from(got.body).toString();
  const announces = sumOf(text, 'torrust_tracker_requests_total', ['kind="announce"', 'outcome="ok"']);
  const fromCluster = sumOf(text, 'torrust_tracker_local_source_announces_total', ['source="cluster"']);
  const ofProbes = sumOf(text, 'torrust_tracker_probe_announces_total', []);
  if (announces === undefined || fromCluster === undefined || ofProbes === undefined) return undefined;
  return { announces: Math.max(0, announces - ofProbes), fromCluster };
}

/** The sum of the samples of a metric that have all these labels; undefined when there is none. */
function sumOf(text: string, name: string, labels: readonly string[]): number | undefined {
  const values = text
    .split('\n')
    .filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)))
    .filter((line) => labels.every((label) => line.includes(label)))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

function readTrouble(body: Uint8Array): string | null {
  try {
    const answer: unknown = JSON.parse(Buffer.from(body).toString());
    const trouble = textAt(answer, 'database_trouble');
    return trouble === undefined ? null : quoted(trouble);
  } catch {
    return null;
  }
}

/**
 * Text of a pod, for a status and its events: whoever chose the image chose the text, and other people read it on their
 * terminals.
 */
function quoted(text: string): string {
  return printable(text.slice(0, MAX_SAID_CHARS));
}
