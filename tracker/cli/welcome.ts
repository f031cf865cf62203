/** The friendly lines after the start: where everything is, and what to try next. Never a secret. */
import { relative } from 'node:path';
import type { LoadedConfig } from '../config/load.ts';
import type { RunningService, RunningTracker } from '../main.ts';
import type { colorsFor } from './terminal.ts';

const LABELS = {
  udp_tracker: 'UDP tracker',
  http_tracker: 'HTTP tracker',
  tracker_rest_api: 'REST API',
} as const;

/** How this command is called here: by its name where it was compiled, to be installed; else as in a checkout. */
const COMMAND = import.meta.url.endsWith('.js')
  ? 'torrust-tracker'
  : 'node_modules/.bin/node tracker/cli/main.ts';

/** The lines, each ended. */
export function welcome(
  loaded: LoadedConfig,
  tracker: RunningTracker,
  colors: ReturnType<typeof colorsFor>,
): string {
  const { bold, cyan, dim } = colors;
  const health = urlFor('http', tracker.health.host, tracker.health.port);
  const rows: [string, string][] = tracker.services.map((service) => [
    LABELS[service.kind],
    service.publicUrl === null ? announceUrl(service) : `${announceUrl(service)}, ${service.publicUrl}`,
  ]);
  const metrics = urlFor('http', tracker.metrics.host, tracker.metrics.port);
  rows.push(['Health check', `${health}/health_check`], ['Metrics', `${metrics}/metrics`]);
  rows.push(['Configuration', describeConfig(loaded)]);
  const lines = rows.map(([label, value]) => `  ${label.padEnd(14)} ${cyan(value)}`);
  const hints = suggestions(loaded, tracker).map((hint) => `  ${hint}`);
  return [
    '',
    bold('The tracker is up.'),
    ...lines,
    '',
    ...(hints.length === 0 ? [] : ['Try next:', ...hints, '']),
    dim('Ctrl-C stops it.'),
    '',
    '',
  ].join('\n');
}

function describeConfig({ source }: LoadedConfig): string {
  switch (source.kind) {
    case 'file':
      return shorten(source.path);
    case 'generated':
      return `${shorten(source.path)} (just written for you, with an API token of its own)`;
    case 'environment':
      return `the environment variable ${source.variable}`;
    case 'defaults':
      return 'the built-in defaults';
  }
}

function suggestions(loaded: LoadedConfig, tracker: RunningTracker): string[] {
  const hints: string[] = [];
  const first = tracker.services.find((service) => service.kind !== 'tracker_rest_api');
  if (first !== undefined) {
    hints.push(`${COMMAND} probe ${announceUrl(first)}`);
  }
  const api = tracker.services.find((service) => service.kind === 'tracker_rest_api');
  const { source } = loaded;
  if (api !== undefined && (source.kind === 'file' || source.kind === 'generated')) {
    const file = shorten(source.path);
    hints.push(
      `TOKEN=$(sed -n 's/^admin = "\\(.*\\)"/\\1/p' ${file})    # the API token is in [http_api.access_tokens]`,
      `curl -H "Authorization: Bearer $TOKEN" ${announceUrl(api)}/api/v1/stats`,
    );
  }
  return hints;
}

/** The URL that a program on this machine uses. */
function announceUrl(service: RunningService): string {
  const scheme = service.url.slice(0, service.url.indexOf(':'));
  const base = urlFor(scheme, service.address.host, service.address.port);
  return service.kind === 'tracker_rest_api' ? base : `${base}/announce`;
}

function urlFor(scheme: string, host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

function shorten(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
