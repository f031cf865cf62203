/** Traces of a running tracker: started when they are wanted, and handed to all who make spans. */
import type { RequestObserver } from '../api/context.ts';
import type { TrackerConfig } from '../config/schema.ts';
import type { DatabaseHooks } from '../db/client.ts';
import { type RequestTraceSettings, requestTraceSettings } from '../net/request-traces.ts';
import { attachTraceRings } from '../net/trace-ring.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { SpanReadings } from '../telemetry/readings.ts';
import { startTracing, type Tracing, type TracingSettings, wantsTracing } from '../telemetry/tracing.ts';

/** Starts traces, whose ids the log tells from then on; null when nobody wants them. */
export async function openTracing({ telemetry }: TrackerConfig, log: Log): Promise<Tracing | null> {
  const settings: TracingSettings = {
    endpoint: telemetry.otlp_endpoint,
    serviceName: telemetry.service_name,
    sampleRatio: telemetry.sample_ratio,
  };
  if (!wantsTracing(settings, process.env)) return null;
  const tracing = await startTracing(settings, process.env, log.logger);
  log.addFields(() => tracing.logFields());
  log.logger.info('Traces: on');
  return tracing;
}

/** What the metrics show where nothing is traced. */
export const NO_SPANS: SpanReadings = {
  sent: 0,
  failed: 0,
  crowdedOut: 0,
  unwritten: 0,
  waiting: 0,
  waitingLimit: 0,
};

/** How often the main thread looks for requests that network threads offer. */
const LOOK_MILLIS = 100;

/** The requests of network threads on their way into traces. */
export interface RequestFollower {
  /** How threads choose requests, and where they put them; undefined: nothing is traced. */
  readonly settings: RequestTraceSettings | undefined;
  /** What became of all spans so far. */
  spans(): Promise<SpanReadings>;
  /** Looks for the last ones, when the threads have ended. */
  stop(): void;
}

/** Makes spans of what up to so many `threads` offer; of nothing where `tracing` is null. */
export function followRequests(
  { telemetry }: TrackerConfig,
  tracing: Tracing | null,
  threads: number,
): RequestFollower {
  if (tracing === null) {
    return { settings: undefined, spans: () => Promise.resolve(NO_SPANS), stop: () => undefined };
  }
  const settings = requestTraceSettings(telemetry.udp_every, threads);
  const rings = attachTraceRings(settings.rings);
  const look = () => {
    for (const ring of rings) ring.read((request) => tracing.addRequest(request));
  };
  const looks = setInterval(look, LOOK_MILLIS).unref();
  return {
    settings,
    async spans() {
      const unwritten = rings.reduce((sum, { lost }) => sum + lost, 0);
      return { ...(await tracing.figures()), unwritten };
    },
    stop() {
      clearInterval(looks);
      look();
    },
  };
}

/** What the database tells the metrics and the traces. */
export function databaseHooks(
  metrics: Metrics,
  tracing: Tracing | null,
): Required<Pick<DatabaseHooks, 'onCall'>> {
  return {
    onCall: (operation) => {
      const beganMillis = performance.now();
      const endSpan = tracing?.beginDatabaseCall(operation);
      return (outcome) => {
        metrics.count('databaseCalls', { operation, outcome });
        metrics.observe('databaseCallSeconds', { operation }, (performance.now() - beganMillis) / 1000);
        endSpan?.(outcome);
      };
    },
  };
}

/** What follows the requests of the REST API. */
export function apiObserver(tracing: Tracing): RequestObserver {
  return async (request, work) => void (await tracing.serve(request, work));
}

/** What the health check needs to be followed, and to be seen as the caller of the services that it asks. */
export function healthObserver(tracing: Tracing): {
  readonly observe: RequestObserver;
  outgoingHeaders(): Readonly<Record<string, string>>;
} {
  return {
    // The probes of a cluster, which belong to no trace, would make many.
    observe: async (request, work) =>
      void (await (request.headers['traceparent'] === undefined ? work() : tracing.serve(request, work))),
    outgoingHeaders: () => tracing.outgoingHeaders(),
  };
}
