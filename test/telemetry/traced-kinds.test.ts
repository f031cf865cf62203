/**
 * Every kind of span that docs/tracing.md names and tracing.test.ts does not look at closely, and what the variables of
 * OpenTelemetry that it names do: each at a real tracker, by what a collector is sent.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { request as openTlsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { UDP_SAMPLE_EVERY } from '../../tracker/swarm/latencies.ts';
import { selfSigned } from '../api/certificates.ts';
import { announce, announceTarget, get, scrapeTarget } from '../net/http-exchange.ts';
import { newInfoHash, UdpClient } from '../net/udp-exchange.ts';
import { TOKEN } from '../reload/live-tracker.ts';
import {
  type Cleaner,
  type PartialConfig,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { type AttributeValue, openOtlpReceiver } from './otlp-receiver.ts';
import { newTrace, startTraced } from './traced-tracker.ts';

const ANY = { bind_address: '127.0.0.1:0' };

/** Something that makes a span. */
interface Case {
  readonly config?: (context: Cleaner) => PartialConfig;
  readonly ask: (tracker: TrackerProcess, traceparent: string, context: TestContext) => Promise<void>;
  readonly span: string;
  /** Server (2) or client (3). */
  readonly kind: 2 | 3;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

const OVER_HTTP = {
  'network.transport': 'tcp',
  'network.type': 'ipv4',
  'torrust.request.outcome': 'ok',
  'http.request.method': 'GET',
  'http.response.status_code': 200,
};
const OVER_UDP = { 'network.transport': 'udp', 'network.type': 'ipv4', 'torrust.request.outcome': 'ok' };

/** So many rounds of the same requests have each of them measured once, whatever their number: it is prime. */
const ROUNDS = UDP_SAMPLE_EVERY;

/** Spans of requests; over HTTP they belong to the trace of their caller. */
const REQUESTS: Readonly<Record<string, Case>> = {
  'a scrape over HTTP': {
    ask: async (tracker, traceparent) => {
      const target = scrapeTarget([newInfoHash()]);
      assert.equal((await get(tracker.http[0], target, { headers: { traceparent } })).status, 200);
    },
    span: 'GET /scrape',
    kind: 2,
    attributes: { ...OVER_HTTP, 'torrust.request.kind': 'scrape', 'http.route': '/scrape' },
  },
  'an announce over HTTPS': {
    config: (context) => ({ http_trackers: [{ ...ANY, tls_config: writePair(context) }] }),
    ask: (tracker, traceparent) => announceByTls(tracker.http[0], { traceparent }),
    span: 'GET /announce',
    kind: 2,
    attributes: { ...OVER_HTTP, 'torrust.request.kind': 'announce', 'http.route': '/announce' },
  },
  'an announce over UDP': {
    ask: async (tracker, _, context) => {
      const client = await UdpClient.open(context, tracker.udp[0]);
      for (let i = 0; i < ROUNDS; i++) await client.announce(newInfoHash());
    },
    span: 'UDP announce',
    kind: 2,
    attributes: { ...OVER_UDP, 'torrust.request.kind': 'announce' },
  },
  'a scrape over UDP': {
    ask: async (tracker, _, context) => {
      const client = await UdpClient.open(context, tracker.udp[0]);
      for (let i = 0; i < ROUNDS; i++) await client.scrape([newInfoHash()]);
    },
    span: 'UDP scrape',
    kind: 2,
    attributes: { ...OVER_UDP, 'torrust.request.kind': 'scrape' },
  },
};

/** Calls to the database, by their names, and the request to the REST API that makes each. */
const DATABASE_CALLS: Readonly<Record<string, readonly [method: string, path: string]>> = {
  addKey: ['POST', `key/60`],
  loadKeys: ['GET', 'keys/reload'],
  addToWhitelist: ['POST', `whitelist/${'ab'.repeat(20)}`],
  removeFromWhitelist: ['DELETE', `whitelist/${'ab'.repeat(20)}`],
  loadWhitelist: ['GET', 'whitelist/reload'],
};

describe('A trace shows', () => {
  for (const [what, { config, ask, span: name, kind, attributes }] of Object.entries(REQUESTS)) {
    test(what, async (context) => {
      const receiver = await openOtlpReceiver(context);
      const tracker = await startTraced(context, receiver, config?.(context));
      const trace = newTrace();
      await ask(tracker, trace.header, context);
      const span = await receiver.span(what, (each) => each.name === name);
      assert.equal(span.kind, kind);
      assert.deepEqual(span.attributes, attributes);
      // UDP has no place for the trace of a caller.
      const [traceId, parentId] = name.startsWith('GET')
        ? [trace.traceId, trace.parentId]
        : [span.traceId, ''];
      assert.deepEqual([span.traceId, span.parentId], [traceId, parentId]);
    });
  }

  test('calls to the database below the requests that make them', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver);
    for (const [operation, [method, path]] of Object.entries(DATABASE_CALLS)) {
      const trace = newTrace();
      const response = await fetch(`${tracker.api}/api/v1/${path}?token=${TOKEN}`, {
        method,
        headers: { traceparent: trace.header },
      });
      assert.equal(response.status, 200, operation);
      const ofTrace = ({ traceId }: { traceId: string }) => traceId === trace.traceId;
      const request = await receiver.span(path, (span) => ofTrace(span) && span.kind === 2);
      const call = await receiver.span(operation, (span) => ofTrace(span) && span.kind === 3);
      assert.deepEqual([call.name, call.parentId], [operation, request.spanId]);
      assert.deepEqual(call.attributes, { 'db.operation.name': operation });
    }
  });

  test('calls to the database that no request waits for, each in a trace of its own', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const folder = temporaryFolder(context);
    const tracker = await startTraced(context, receiver, {
      core: {
        database: { driver: 'sqlite3', path: join(folder, 'tracker.db') },
        tracker_policy: { persistent_torrent_completed_stat: true },
      },
    });
    const infoHash = newInfoHash();
    await announce(tracker.http[0], infoHash, { left: 1 });
    await announce(tracker.http[0], infoHash, { event: 'completed' });
    const call = await receiver.span('the count', ({ name }) => name === 'addCompleted');
    assert.deepEqual([call.kind, call.parentId], [3, '']);
  });
});

test('One UDP request in `udp_every` is traced where that is rarer than they are measured', async (context) => {
  const receiver = await openOtlpReceiver(context);
  const udpEvery = 2 * UDP_SAMPLE_EVERY;
  const tracker = await startTraced(context, receiver, {
    telemetry: { otlp_endpoint: receiver.url, udp_every: udpEvery },
  });
  const client = await UdpClient.open(context, tracker.udp[0]);
  for (let i = 0; i < 2 * udpEvery; i++) await client.connect();
  // The one network thread tells of requests in their order, so that this comes last.
  await announce(tracker.http[0], newInfoHash());
  await receiver.span('the announce', ({ name }) => name === 'GET /announce');
  assert.equal(receiver.spans.filter(({ name }) => name === 'UDP connect').length, 2);
});

describe('The variables of OpenTelemetry', () => {
  test('have spans sent as JSON, with headers', async (context) => {
    const collector = await openCollector(context);
    const env = {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=torrents,authorization=Bearer%20of-the-test',
    };
    const tracker = await startTraced(context, collector, {}, env);
    await announce(tracker.http[0], newInfoHash());
    const { url, headers, body } = await waitFor('the span', () =>
      collector.requests.find((request) => request.body.includes('GET /announce')),
    );
    assert.equal(url, '/v1/traces');
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['x-tenant'], 'torrents');
    assert.equal(headers.authorization, 'Bearer of-the-test');
    // The mapping of OTLP to JSON has these names.
    const { resourceSpans } = JSON.parse(body) as {
      resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[];
    };
    const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).flatMap((scope) => scope.spans);
    assert.ok(
      spans.some(({ name }) => name === 'GET /announce'),
      body,
    );
    assert.ok(!tracker.stdout().includes('of-the-test'), 'a header is no matter of the log');
  });

  test('name another sampler, which may keep nothing', async (context) => {
    const receiver = await openOtlpReceiver(context);
    const tracker = await startTraced(context, receiver, {}, { OTEL_TRACES_SAMPLER: 'always_off' });
    assert.ok(tracker.log().some(({ msg }) => msg === 'Traces: on'));
    for (const headers of [{}, { traceparent: newTrace().header }]) {
      await announce(tracker.http[0], newInfoHash(), {}, { headers });
    }
    // What waits is sent before the end.
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
    assert.equal(receiver.requests(), 0);
  });
});

describe('The SDK of OpenTelemetry', () => {
  const cases = { 'is not loaded while nothing is traced': false, 'is loaded for traces': true };
  for (const [title, isTraced] of Object.entries(cases)) {
    test(title, async (context) => {
      const receiver = await openOtlpReceiver(context);
      const { env, loaded } = recordModules(context);
      const config = isTraced ? {} : { telemetry: {} };
      const tracker = await startTraced(context, receiver, config, env);
      await announce(tracker.http[0], newInfoHash(), {}, { headers: { traceparent: newTrace().header } });
      assert.equal((await fetch(`${tracker.api}/api/v1/keys/reload?token=${TOKEN}`)).status, 200);
      assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
      const urls = loaded();
      // The threads' modules as well.
      for (const path of ['/tracker/main.ts', '/tracker/worker.ts', '/tracker/db/worker.ts']) {
        assert.ok(
          urls.some((url) => url.endsWith(path)),
          path,
        );
      }
      // The library of the metrics brings the interfaces along, behind which nothing is.
      const theirs = urls.filter((url) => /\/@opentelemetry\/(?!api\/)/.test(url));
      if (isTraced) assert.ok(theirs.length > 0);
      else assert.deepEqual(theirs, []);
    });
  }
});

/** Variables by which a process and its threads write down each module that they load, and what they wrote. */
function recordModules(context: Cleaner): {
  readonly env: Readonly<Record<string, string>>;
  loaded(): string[];
} {
  const folder = temporaryFolder(context);
  const list = join(folder, 'loaded');
  const hook = join(folder, 'hook.mjs');
  writeFileSync(
    hook,
    `import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
registerHooks({
  load(url, about, next) {
    appendFileSync(${JSON.stringify(list)}, url + '\\n');
    return next(url, about);
  },
});
`,
  );
  return {
    env: { NODE_OPTIONS: `--import ${pathToFileURL(hook).href}` },
    loaded: () => (existsSync(list) ? readFileSync(list, 'utf8').trim().split('\n') : []),
  };
}

interface CollectedRequest {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A collector that keeps what it is sent as it came. */
async function openCollector(
  context: Cleaner,
): Promise<{ readonly url: string; readonly requests: readonly CollectedRequest[] }> {
  const requests: CollectedRequest[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      requests.push({ url: request.url, headers: request.headers, body });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, requests };
}

function writePair(context: Cleaner): { readonly ssl_cert_path: string; readonly ssl_key_path: string } {
  const folder = temporaryFolder(context);
  const { cert, key } = selfSigned('tracker.example');
  const paths = { ssl_cert_path: join(folder, 'tracker.crt'), ssl_key_path: join(folder, 'tracker.key') };
  writeFileSync(paths.ssl_cert_path, cert);
  writeFileSync(paths.ssl_key_path, key, { mode: 0o600 });
  return paths;
}

async function announceByTls({ port }: SocketAddress, headers: Record<string, string>): Promise<void> {
  const path = announceTarget(newInfoHash());
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  openTlsRequest({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false }, (response) => {
    response.resume().on('end', () => resolve(response.statusCode));
  })
    .on('error', reject)
    .end();
  assert.equal(await promise, 200);
}
