/** The health check API: what it reports of services that answer, are stuck, or are gone. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { test, type TestContext } from 'node:test';
import Koa from 'koa';
import { createHealthApp, type HealthContext, type RegisteredService } from '../../tracker/api/health-app.ts';
import { openApiServer, type TlsPair } from '../../tracker/api/server.ts';
import { needs } from '../support/parts.ts';
import { type Answer, ask } from './asking.ts';
import { selfSigned } from './certificates.ts';
import { openRestServer } from './rest-server.ts';

interface Report {
  readonly status: string;
  readonly message: string;
  readonly details: readonly {
    readonly service_binding: string;
    readonly binding: string;
    readonly service_type: string;
    readonly info: string;
    readonly result: { readonly Ok?: string; readonly Err?: string };
  }[];
}

async function openHealth(
  context: TestContext,
  health: Partial<HealthContext>,
): Promise<(path: string, method?: string) => Promise<Answer>> {
  const app = createHealthApp({
    services: () => [],
    readiness: () => ({ ready: true, reasons: [] }),
    databaseTrouble: () => null,
    snapshotTrouble: () => null,
    ...health,
  });
  const server = await openApiServer({ name: 'The test', app, bindAddress: { host: '127.0.0.1', port: 0 } });
  context.after(() => server.close(0));
  return (path, method = 'GET') => ask(server.address.port, method, path);
}

async function checkServices(context: TestContext, ...services: RegisteredService[]): Promise<Report> {
  const health = await openHealth(context, { services: () => services });
  const answer = await health('/health_check');
  assert.deepEqual([answer.status, answer.type], [200, 'application/json']);
  // The shape is compared with what is expected below.
  return JSON.parse(answer.body) as Report;
}

function httpTracker(port: number, changes: Partial<RegisteredService> = {}): RegisteredService {
  const binding = `127.0.0.1:${port}`;
  return { kind: 'http_tracker', binding, url: `http://${binding}`, tls: false, ...changes };
}

function udpTracker(port: number, host = '127.0.0.1'): RegisteredService {
  const binding = `${host}:${port}`;
  return { kind: 'udp_tracker', binding, url: `udp://${binding}`, tls: false };
}

/** An HTTP service that answers every path with `status`. Returns its port. */
async function openHttpService(
  context: TestContext,
  status = 200,
  host = '127.0.0.1',
  tls?: TlsPair,
): Promise<number> {
  const app = new Koa().use((ctx) => {
    ctx.status = status;
  });
  const server = await openApiServer({ name: 'The test', app, bindAddress: { host, port: 0 }, tls });
  context.after(() => server.close(0));
  return server.address.port;
}

/** A UDP service that answers what `reply` makes of a datagram. Returns its port. */
async function openUdpService(
  context: TestContext,
  reply: (request: Buffer) => Buffer | undefined,
  host = '127.0.0.1',
): Promise<number> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (request, from) => {
    const answer = reply(request);
    if (answer !== undefined) socket.send(answer, from.port, from.address);
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  context.after(() => socket.close());
  return socket.address().port;
}

/** A connect reply with the transaction id of the request. */
function connectReply(request: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(4), request.subarray(12, 16), Buffer.from('12345678')]);
}

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

test('answers the root with an empty object', async (context) => {
  const health = await openHealth(context, {});
  const answer = await health('/');
  assert.deepEqual([answer.status, answer.type, answer.body], [200, 'application/json', '{}']);
  assert.ok(answer.headers['x-request-id']);
});

test('answers other paths and methods with nothing', async (context) => {
  const health = await openHealth(context, {});
  const missing = await health('/nowhere');
  assert.deepEqual([missing.status, missing.body, missing.type], [404, '', undefined]);
  const refusal = await health('/health_check', 'POST');
  assert.deepEqual([refusal.status, refusal.body, refusal.headers.allow], [405, '', 'GET,HEAD']);
});

test('reports None without services', async (context) => {
  const health = await openHealth(context, {});
  for (const path of ['/health_check', '/health_check?strict=1']) {
    const answer = await health(path);
    assert.deepEqual(
      [answer.status, answer.type, answer.body],
      [200, 'application/json', '{"status":"None","message":"","details":[]}'],
    );
  }
});

test('reports a healthy HTTP tracker to the letter', async (context) => {
  const port = await openHttpService(context);
  const health = await openHealth(context, { services: () => [httpTracker(port)] });
  assert.equal(
    (await health('/health_check')).body,
    `{"status":"Ok","message":"","details":[{"service_binding":"http://127.0.0.1:${port}/",` +
      `"binding":"127.0.0.1:${port}","service_type":"http_tracker",` +
      `"info":"checking http tracker health check at: http://127.0.0.1:${port}/health_check",` +
      `"result":{"Ok":"200 OK"}}]}`,
  );
});

test('reports all services in their order, and the real REST API and a UDP tracker among them', async (context) => {
  const rest = await openRestServer(context, { database: null });
  const udp = await openUdpService(context, connectReply);
  const binding = `127.0.0.1:${rest.port}`;
  const report = await checkServices(
    context,
    udpTracker(udp),
    { kind: 'tracker_rest_api', binding, url: `http://${binding}`, tls: false },
    httpTracker(await openHttpService(context)),
  );
  assert.equal(report.status, 'Ok');
  assert.deepEqual(
    report.details.map(({ service_type: type, info, result }) => [type, info, result]).slice(0, 2),
    [
      ['udp_tracker', `checking the udp tracker health check at: 127.0.0.1:${udp}`, { Ok: 'Connected' }],
      [
        'tracker_rest_api',
        `checking api health check at: http://${binding}/api/health_check`,
        { Ok: '200 OK' },
      ],
    ],
  );
  assert.deepEqual(
    report.details.map((detail) => detail.service_binding.replace(/\d+\/?$/, '')),
    ['udp://127.0.0.1:', 'http://127.0.0.1:', 'http://127.0.0.1:'],
  );
});

test('takes any answer over HTTP for life', async (context) => {
  const report = await checkServices(context, httpTracker(await openHttpService(context, 404)));
  assert.deepEqual([report.status, report.details[0].result], ['Ok', { Ok: '404 Not Found' }]);
});

test('asks a service with a certificate of its own over HTTPS', async (context) => {
  const port = await openHttpService(context, 200, '127.0.0.1', selfSigned('tracker.example'));
  const binding = `127.0.0.1:${port}`;
  const report = await checkServices(context, httpTracker(port, { url: `https://${binding}`, tls: true }));
  assert.deepEqual(report.details[0].result, { Ok: '200 OK' });
  assert.equal(
    report.details[0].info,
    `checking http tracker health check at: https://${binding}/health_check`,
  );
});

test('asks a service that listens everywhere on the loopback address', async (context) => {
  const http = await openHttpService(context, 200, '0.0.0.0');
  const udp = await openUdpService(context, connectReply, '0.0.0.0');
  const everywhere = httpTracker(http, { binding: `0.0.0.0:${http}` });
  const report = await checkServices(context, everywhere, udpTracker(udp, '0.0.0.0'));
  assert.deepEqual(
    report.details.map(({ binding, result }) => [binding, result]),
    [
      [`0.0.0.0:${http}`, { Ok: '200 OK' }],
      [`0.0.0.0:${udp}`, { Ok: 'Connected' }],
    ],
  );
});

test('asks services of IPv6', needs('ipv6'), async (context) => {
  const http = await openHttpService(context, 200, '::1');
  const udp = await openUdpService(context, connectReply, '::');
  const report = await checkServices(
    context,
    httpTracker(http, { binding: `[::1]:${http}`, url: `http://[::1]:${http}` }),
    udpTracker(udp, '[::]'),
  );
  assert.deepEqual(
    report.details.map(({ result }) => result),
    [{ Ok: '200 OK' }, { Ok: 'Connected' }],
  );
});

test('reports services that are gone or do not answer, beside those that do', async (context) => {
  const gone = await closedPort();
  const mute = createServer(() => {}).listen(0, '127.0.0.1');
  context.after(() => mute.close());
  await once(mute, 'listening');
  const silent = await openUdpService(context, () => undefined);
  const confused = await openUdpService(context, (request) => connectReply(request.fill(7)));
  const report = await checkServices(
    context,
    httpTracker(gone),
    httpTracker(portOf(mute)),
    udpTracker(silent),
    udpTracker(confused),
    udpTracker(await openUdpService(context, connectReply)),
  );
  assert.deepEqual([report.status, report.message], ['Error', 'health check failed']);
  const [refusal, timeout, ...udp] = report.details.map(({ result }) => result);
  assert.match(
    String(refusal.Err),
    RegExp(
      `^error sending request for url \\(http://127\\.0\\.0\\.1:${gone}/health_check\\): .*ECONNREFUSED`,
    ),
  );
  assert.match(String(timeout.Err), /^error sending request for url \(.*\): operation timed out$/);
  assert.deepEqual(udp, [{ Err: 'Timed Out' }, { Err: 'Timed Out' }, { Ok: 'Connected' }]);
});

test('answers 503 for a failure only when asked strictly', async (context) => {
  const services = (): RegisteredService[] => [httpTracker(1)];
  const health = await openHealth(context, { services });
  const statuses: [string, number][] = [
    ['/health_check', 200],
    ['/health_check?strict=0', 200],
    ['/health_check?strict=1', 503],
  ];
  for (const [path, status] of statuses) {
    const answer = await health(path);
    assert.deepEqual([answer.status, answer.type], [status, 'application/json']);
    assert.match(answer.body, /^{"status":"Error"/);
  }
});

test('tells of a database that does not answer, and keeps taking traffic', async (context) => {
  const health = await openHealth(context, { databaseTrouble: () => 'the database does not answer: gone' });
  const { status, body } = await health('/health_check?strict=1');
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(body), {
    status: 'Error',
    message: 'health check failed: the database does not answer: gone',
    details: [],
  });
  const ready = await health('/readyz');
  assert.equal(ready.status, 200);
  const trouble = 'the database does not answer: gone';
  assert.deepEqual(JSON.parse(ready.body), { ready: true, reasons: [trouble], database_trouble: trouble });
});

test('tells of a snapshot that cannot be written beside the database, and keeps taking traffic', async (context) => {
  const snapshotTrouble = () => "Swarms can't be written";
  const databaseTrouble = () => 'the database is gone';
  const health = await openHealth(context, { databaseTrouble, snapshotTrouble });
  const ready = await health('/readyz');
  assert.equal(ready.status, 200);
  assert.deepEqual(JSON.parse(ready.body), {
    ready: true,
    reasons: ['the database is gone', "Swarms can't be written"],
    database_trouble: 'the database is gone',
  });
  const { body } = await health('/health_check');
  assert.match(body, /"health check failed: the database is gone; Swarms can't be written"/);
});

test('lives, whatever its services do', async (context) => {
  const readiness = (): { ready: boolean; reasons: string[] } => ({ ready: false, reasons: ['stopping'] });
  const health = await openHealth(context, { services: () => [httpTracker(1)], readiness });
  assert.equal((await health('/livez')).status, 200);
});

test('is ready or tells why not', async (context) => {
  let reasons: string[] = [];
  const health = await openHealth(context, {
    readiness: () => ({ ready: reasons.length === 0, reasons }),
    databaseTrouble: () => null,
  });
  const ready = await health('/readyz');
  assert.deepEqual(
    [ready.status, ready.type, ready.body],
    [200, 'application/json', '{"ready":true,"reasons":[],"database_trouble":null}'],
  );
  reasons = ['the tracker is stopping'];
  const unready = await health('/readyz');
  assert.deepEqual(
    [unready.status, unready.body],
    [503, '{"ready":false,"reasons":["the tracker is stopping"],"database_trouble":null}'],
  );
});
