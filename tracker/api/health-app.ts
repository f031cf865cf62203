/**
 * The health check API: whether the services of this tracker answer, as Torrust Tracker tells it, and the two questions
 * of Kubernetes. It has a port of its own, needs no token, and waits for neither the database nor a lock.
 */
import Koa from 'koa';
import type { RequestObserver } from './context.ts';
import { probe, probeInfo, type ProbeResult, type RegisteredService } from './health-probe.ts';
import { answerFaults, answerNotFound, identifyRequest, observeRequests, silenceHangups } from './layers.ts';
import { JSON_TYPE, jsonReply, type Reply } from './reply.ts';
import { createRouter, queryOf } from './routes.ts';

export type { RegisteredService } from './health-probe.ts';

/** Whether traffic should come here. */
export interface Readiness {
  readonly ready: boolean;
  /** What is in the way, a sentence each; empty when ready. */
  readonly reasons: readonly string[];
}

export interface HealthContext {
  /** The services that were opened, in the order in which they are to be reported. */
  services(): readonly RegisteredService[];
  readiness(): Readiness;
  /** A sentence about a database that does not answer; null when all is well with it, or there is none. */
  databaseTrouble(): string | null;
  /** A sentence about a snapshot of the swarms that can't be written; null when all is well with it, or there is none. */
  snapshotTrouble(): string | null;
  /** Follows each request; absent: nobody does. */
  readonly observe?: RequestObserver;
  /** Headers for requests to the services; absent: none. */
  outgoingHeaders?(): Readonly<Record<string, string>>;
}

/** One service in the report; the names are Torrust's. */
interface CheckReport {
  readonly service_binding: string;
  readonly binding: string;
  readonly service_type: string;
  readonly info: string;
  readonly result: ProbeResult;
}

/**
 * Makes the application:
 * - `/health_check` probes every service; status 200 whatever it finds, 503 for an error when asked with `?strict=1`
 * - `/livez` answers as long as this thread runs
 * - `/readyz` answers 200 or 503 with the reasons, and what is wrong with the database
 *
 * Its `fault` event tells of mistakes in the code behind it.
 */
export function createHealthApp(context: HealthContext): Koa {
  const router = createRouter([
    { path: '/', handlers: { GET: () => jsonReply('{}') } },
    {
      path: '/health_check',
      handlers: { GET: (ctx) => checkServices(context, queryOf(ctx).get('strict') === '1') },
    },
    { path: '/livez', handlers: { GET: () => jsonReply('{"status":"ok"}') } },
    { path: '/readyz', handlers: { GET: () => showReadiness(context) } },
  ]);
  const app = new Koa();
  silenceHangups(app);
  if (context.observe !== undefined) app.use(observeRequests(context.observe));
  app.use(identifyRequest);
  app.use(answerFaults);
  app.use(router.routes());
  app.use(answerNotFound);
  return app;
}

async function checkServices(context: HealthContext, isStrict: boolean): Promise<Reply> {
  const services = context.services();
  const details = await Promise.all(
    services.map((service) => check(service, context.outgoingHeaders?.() ?? {})),
  );
  const troubles = troublesOf(context);
  const hasFailed = troubles.length > 0 || details.some(({ result }) => 'Err' in result);
  const status = hasFailed ? 'Error' : services.length === 0 ? 'None' : 'Ok';
  // The database and the snapshot are no services with an address: told in the message and not in the details.
  const message =
    troubles.length === 0 ? 'health check failed' : `health check failed: ${troubles.join('; ')}`;
  const report = { status, message: hasFailed ? message : '', details };
  return jsonReply(JSON.stringify(report), JSON_TYPE, hasFailed && isStrict ? 503 : 200);
}

async function check(
  service: RegisteredService,
  headers: Readonly<Record<string, string>>,
): Promise<CheckReport> {
  return {
    // As a URL is written in full: with the slash of its empty path.
    service_binding: new URL(service.url).href,
    binding: service.binding,
    service_type: service.kind,
    info: probeInfo(service),
    result: await probe(service, headers),
  };
}

/** What is wrong with what keeps data: a sentence each. */
function troublesOf(context: HealthContext): string[] {
  return [context.databaseTrouble(), context.snapshotTrouble()].filter((trouble) => trouble !== null);
}

function showReadiness(context: HealthContext): Reply {
  const { ready, reasons: obstacles } = context.readiness();
  const trouble = context.databaseTrouble();
  // Announces go on without database and snapshots, so their trouble is told and does not keep traffic away.
  const reasons = [...obstacles, ...troublesOf(context)];
  // Told apart from the reasons once more, for programs that watch over the database.
  return jsonReply(
    JSON.stringify({ ready, reasons, database_trouble: trouble }),
    JSON_TYPE,
    ready ? 200 : 503,
  );
}
