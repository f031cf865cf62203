/** `GET /api/v1/stats` and `GET /api/v1/metrics`, each as JSON or, with `format=prometheus`, as lines of text. */
import type { RouterContext } from '@koa/router';
import type { ApiContext } from './context.ts';
import { jsonReply, type Reply, textReply } from './reply.ts';
import { queryOf, type Route } from './routes.ts';
import { readStats, STAT_NAMES } from './stats.ts';
import { SwarmTurnover } from './swarm-turnover.ts';
import { type TorrustMetric, torrustMetrics, type TorrustSample } from './torrust-metrics.ts';

export function metricsRoutes(context: ApiContext): Route[] {
  const turnover = new SwarmTurnover();
  const metrics = () => torrustMetrics(context, turnover.read(context));
  return [
    {
      path: '/api/v1/stats',
      handlers: {
        GET: (ctx) =>
          inFormat(ctx, {
            json: () => JSON.stringify(readStats(context), [...STAT_NAMES]),
            prometheus: () => {
              const stats = readStats(context);
              return STAT_NAMES.map((name) => `${name} ${Number(stats[name])}\n`).join('');
            },
          }),
      },
    },
    {
      path: '/api/v1/metrics',
      handlers: {
        GET: (ctx) =>
          inFormat(ctx, {
            json: () => metricsJson(metrics(), new Date()),
            prometheus: () => metricsText(metrics()),
          }),
      },
    },
  ];
}

function inFormat(
  ctx: RouterContext,
  formats: { readonly json: () => string; readonly prometheus: () => string },
): Reply {
  const asked = queryOf(ctx).getAll('format');
  if (asked.length > 1) return refuse('duplicate field `format`');
  const [format = 'json'] = asked;
  if (format === 'json') return jsonReply(formats.json());
  if (format === 'prometheus') return textReply(200, formats.prometheus());
  return refuse(`unknown variant \`${format}\`, expected \`json\` or \`prometheus\``);
}

function refuse(fault: string): Reply {
  return textReply(400, `Failed to deserialize query string: ${fault}`);
}

function metricsJson(metrics: readonly TorrustMetric[], now: Date): string {
  const recordedAt = now.toISOString().replace(/\.\d+Z$/, '+00:00');
  return JSON.stringify({
    metrics: metrics.map(({ samples, ...facts }) => ({
      ...facts,
      samples: samples.map(({ value, labels }) => ({
        value,
        recorded_at: recordedAt,
        labels: sorted(labels).map(([name, text]) => ({ name, value: text })),
      })),
    })),
  });
}

function metricsText(metrics: readonly TorrustMetric[]): string {
  return metrics
    .map(({ type, name, description, samples }) =>
      [
        `# HELP ${name} ${description}`,
        `# TYPE ${name} ${type}`,
        ...samples.map((sample) => `${name}${labelText(sample.labels)} ${sample.value}`),
      ].join('\n'),
    )
    .join('\n\n')
    .concat('\n');
}

function labelText(labels: TorrustSample['labels']): string {
  const pairs = sorted(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function sorted(labels: TorrustSample['labels']): [string, string][] {
  return Object.entries(labels).toSorted(([one], [other]) => (one < other ? -1 : 1));
}
