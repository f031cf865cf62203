/**
 * Traces by OpenTelemetry. The SDK, which takes longer to load than the tracker to start, is imported only when traces
 * are on; the standard variables `OTEL_*` (OpenTelemetry specification, "SDK environment variables") win over the
 * table `[telemetry]`. A collector that is down, slow or refusing costs spans, never a request: spans wait in a bounded
 * queue and are sent behind everybody's back.
 */
import type * as OpenTelemetry from '@opentelemetry/api';
import type { Attributes, DiagLogger, Span, Tracer } from '@opentelemetry/api';
import * as z from 'zod';
import type { RefusalReasonName, RequestKindName } from '../swarm/refusals.ts';
import type { Logger } from './log.ts';
import type { SpanReadings } from './readings.ts';
import { SDK_METRICS_VARIABLE, SpanFigures } from './span-figures.ts';
import { readVersion } from './version.ts';

type Api = typeof OpenTelemetry;

/** What `[telemetry]` says. */
export interface TracingSettings {
  /** The collector; absent: what the variables say. */
  readonly endpoint?: string | undefined;
  readonly serviceName: string;
  readonly sampleRatio: number;
}

/** A request of a tracker that was answered, as `net/request-traces.ts` offers it. */
export interface OfferedRequest {
  readonly protocol: 'udp' | 'http';
  readonly kind: RequestKindName;
  readonly family: 4 | 6;
  readonly outcome: 'ok' | RefusalReasonName;
  readonly startMillis: number;
  readonly durationMillis: number;
  readonly traceparent: string;
  readonly tracestate: string;
}

/** A request of an API: `headers` in lower case. */
export interface ServedRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What came of it. */
export interface ServedOutcome {
  readonly status: number;
  /** The path with parameters instead of values; null when nobody has it. */
  readonly route: string | null;
}

/** Traces that are on. */
export interface Tracing {
  /** Makes a span of a request that is over. */
  addRequest(request: OfferedRequest): void;
  /** Does `work` in a span of a request, whose caller's trace goes on. Passes its result on. */
  serve<Outcome extends ServedOutcome>(
    request: ServedRequest,
    work: () => Promise<Outcome>,
  ): Promise<Outcome>;
  /** Does `work` in a span of its own, in which what it waits for has spans below. Passes its result on. */
  within<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** Begins a span of a database call. What is returned ends it; `outcome` other than `ok` is an error. */
  beginDatabaseCall(operation: string): (outcome: string) => void;
  /** The headers by which what runs now tells others of its trace. */
  outgoingHeaders(): Readonly<Record<string, string>>;
  /** The ids of what runs now, for lines of the log; none outside of traces. */
  logFields(): Readonly<Record<string, string>>;
  /** What became of the spans so far. */
  figures(): Promise<Omit<SpanReadings, 'unwritten'>>;
  /** Sends what waits, for a bounded time, and ends. */
  stop(): Promise<void>;
}

/** Whether anything asks for traces: an endpoint of ours or of the variables, which can also turn all off. */
export function wantsTracing({ endpoint }: TracingSettings, env: NodeJS.ProcessEnv): boolean {
  const says = (name: string) => (env[name] ?? '').trim();
  if (says('OTEL_SDK_DISABLED').toLowerCase() === 'true') return false;
  const exporter = says('OTEL_TRACES_EXPORTER');
  if (exporter !== '') return exporter !== 'none';
  return [
    endpoint ?? '',
    says('OTEL_EXPORTER_OTLP_ENDPOINT'),
    says('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'),
  ].some((each) => each !== '');
}

/** What waits at the end is given up after this. */
const STOP_LIMIT_MILLIS = 2_000;
/** A trouble of the exporter is told once in so long. */
const TROUBLE_EVERY_MILLIS = 60_000;
const SCOPE = 'torrust-tracker';

/** The variables that a pod template fills from the downward API, and the attributes that they become. */
const KUBERNETES_ATTRIBUTES: Readonly<Record<string, string>> = {
  POD_NAME: 'k8s.pod.name',
  POD_UID: 'k8s.pod.uid',
  POD_NAMESPACE: 'k8s.namespace.name',
  NODE_NAME: 'k8s.node.name',
};

/** Loads and starts the SDK. `env` is that of the process, where the SDK reads the rest of its variables. */
export async function startTracing(
  settings: TracingSettings,
  env: NodeJS.ProcessEnv,
  logger: Logger,
): Promise<Tracing> {
  const api = await import('@opentelemetry/api');
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  setDefaults(settings, env);
  const figures = new SpanFigures();
  // Metrics are for Prometheus to fetch, those of the SDK itself among them, and the log goes to stdout.
  const sdk = new NodeSDK({ metricReaders: [figures], logRecordProcessors: [] });
  api.diag.setLogger(troubleLogger(api, logger), {
    logLevel: api.DiagLogLevel.WARN,
    suppressOverrideMessage: true,
  });
  sdk.start();
  return createTracing(api, figures, () => sdk.shutdown());
}

/** Fills in for variables that are not set. The SDK reads them from the environment alone. */
function setDefaults({ endpoint, serviceName, sampleRatio }: TracingSettings, env: NodeJS.ProcessEnv): void {
  if (endpoint !== undefined) env['OTEL_EXPORTER_OTLP_ENDPOINT'] ||= endpoint;
  env['OTEL_SERVICE_NAME'] ||= serviceName;
  env[SDK_METRICS_VARIABLE] = 'true';
  if (!env['OTEL_TRACES_SAMPLER']) {
    env['OTEL_TRACES_SAMPLER'] = 'parentbased_traceidratio';
    env['OTEL_TRACES_SAMPLER_ARG'] ||= String(sampleRatio);
  }
  // Not the process's command line, user or host name, which tell more than a reader of traces needs.
  env['OTEL_NODE_RESOURCE_DETECTORS'] ||= 'env,serviceinstance';
  const kubernetes = Object.entries(KUBERNETES_ATTRIBUTES).flatMap(([variable, attribute]) => {
    const value = env[variable];
    return value ? [`${attribute}=${encodeURIComponent(value)}`] : [];
  });
  // Of an attribute that comes twice, the last counts: what the user says.
  const attributes = [
    `service.version=${readVersion()}`,
    ...kubernetes,
    env['OTEL_RESOURCE_ATTRIBUTES'] ?? '',
  ];
  env['OTEL_RESOURCE_ATTRIBUTES'] = attributes.filter((each) => each !== '').join(',');
}

/** Passes troubles of the SDK on to the log: each text once in a while, since an exporter repeats itself. */
function troubleLogger({ context, ROOT_CONTEXT }: Api, logger: Logger): DiagLogger {
  const lastMillis = new Map<string, number>();
  const tell = (message: string, ...details: readonly unknown[]) => {
    const parts = [message, ...details].map((each) => describeDetail(each)).filter((part) => part !== '');
    const text = parts.join(' ').slice(0, 300);
    const nowMillis = performance.now();
    if (nowMillis - (lastMillis.get(text) ?? -Infinity) < TROUBLE_EVERY_MILLIS) return;
    if (lastMillis.size > 100) lastMillis.clear();
    lastMillis.set(text, nowMillis);
    // Whatever request began the timer of the exporter, it has nothing to do with this.
    context.with(ROOT_CONTEXT, () => logger.warn(`Traces: ${text}`));
  };
  const ignore = () => undefined;
  return { error: tell, warn: tell, info: ignore, debug: ignore, verbose: ignore };
}

/** What of an error of the SDK, which it often hands on as JSON, is shown. */
const errorSchema = z.looseObject({
  message: z.string().default(''),
  code: z.union([z.string(), z.number()]).optional(),
});

/** One line of what the SDK says: of an error its message, without the stack. */
function describeDetail(detail: unknown): string {
  if (detail instanceof Error) return detail.message;
  if (typeof detail !== 'string') return '';
  if (!detail.startsWith('{')) return detail;
  let json: unknown;
  try {
    json = JSON.parse(detail);
  } catch {
    return detail;
  }
  const error = errorSchema.safeParse(json);
  if (!error.success) return detail;
  // An error that stands for several has no message of its own.
  return `spans could not be sent: ${error.data.message || (error.data.code ?? 'for no reason that was told')}`;
}

function createTracing(api: Api, figures: SpanFigures, shutdown: () => Promise<void>): Tracing {
  const { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = api;
  const tracer: Tracer = trace.getTracer(SCOPE, readVersion());
  const fail = (span: Span, type: string) => {
    span.setAttribute('error.type', type);
    span.setStatus({ code: SpanStatusCode.ERROR });
  };
  return {
    addRequest({ protocol, kind, family, outcome, startMillis, durationMillis, traceparent, tracestate }) {
      const attributes: Attributes = {
        'network.transport': protocol === 'udp' ? 'udp' : 'tcp',
        'network.type': family === 4 ? 'ipv4' : 'ipv6',
        'torrust.request.kind': kind,
        'torrust.request.outcome': outcome,
        ...(protocol === 'http' && {
          'http.request.method': 'GET',
          'http.route': `/${kind}`,
          'http.response.status_code': 200,
        }),
      };
      const name = protocol === 'udp' ? `UDP ${kind}` : `GET /${kind}`;
      const headers = { traceparent, tracestate };
      const parent = traceparent === '' ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, headers);
      const span = tracer.startSpan(
        name,
        { kind: SpanKind.SERVER, startTime: startMillis, attributes },
        parent,
      );
      // A client that asks for what it may not have is no failure of the tracker.
      if (outcome !== 'ok') span.setAttribute('error.type', outcome);
      span.end(startMillis + durationMillis);
    },
    serve({ method, headers }, work) {
      const parent = propagation.extract(ROOT_CONTEXT, headers);
      const attributes = { 'http.request.method': method };
      return tracer.startActiveSpan(method, { kind: SpanKind.SERVER, attributes }, parent, async (span) => {
        try {
          const outcome = await work();
          span.setAttribute('http.response.status_code', outcome.status);
          if (outcome.route !== null) {
            span.setAttribute('http.route', outcome.route);
            span.updateName(`${method} ${outcome.route}`);
          }
          if (outcome.status >= 500) fail(span, String(outcome.status));
          return outcome;
        } finally {
          span.end();
        }
      });
    },
    within(name, work) {
      return tracer.startActiveSpan(name, async (span) => {
        try {
          return await work();
        } catch (error) {
          fail(span, error instanceof Error ? error.name : 'unknown');
          throw error;
        } finally {
          span.end();
        }
      });
    },
    beginDatabaseCall(operation) {
      const span = tracer.startSpan(operation, {
        kind: SpanKind.CLIENT,
        attributes: { 'db.operation.name': operation },
      });
      return (outcome) => {
        if (outcome !== 'ok') fail(span, outcome);
        span.end();
      };
    },
    outgoingHeaders() {
      const headers: Record<string, string> = {};
      propagation.inject(context.active(), headers);
      return headers;
    },
    logFields() {
      const span = trace.getSpanContext(context.active());
      if (span === undefined || !trace.isSpanContextValid(span)) return {};
      return { trace_id: span.traceId, span_id: span.spanId };
    },
    figures: () => figures.read(),
    async stop() {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, STOP_LIMIT_MILLIS);
      // What can't be sent is told by the SDK's own log.
      await Promise.race([shutdown().catch(() => undefined), limit.promise]);
      clearTimeout(timer);
    },
  };
}
