/**
 * Probing HTTP and HTTPS trackers: a real one, and servers that answer with everything but what they should.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { isHealthy, probeHealth } from '../../tracker/probe/health.ts';
import { probeHttp } from '../../tracker/probe/http.ts';
import type { ProbeFailure, ProbeResult } from '../../tracker/probe/result.ts';
import { parseTrackerUrl, type HttpTarget } from '../../tracker/probe/target.ts';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';
import { listen, startForeignTracker, startHttpServer } from './trackers.ts';

/** ASCII, because the foreign tracker writes the bytes above 127 of a scraped info hash as UTF-8. */
const INFO_HASH = Buffer.from('probe-test-info-hash');
const INFO_HASH_HEX = INFO_HASH.toString('hex');
const SELF_SIGNED = readFileSync(join(import.meta.dirname, 'fixtures/self-signed.pem'));
const ANNOUNCE_REPLY = 'd8:completei1e10:incompletei0e8:intervali120e12:min intervali60e5:peers0:6:peers60:e';

function target(port: number, path = '/announce', scheme = 'http', host = '127.0.0.1'): HttpTarget {
  const parsed = parseTrackerUrl(`${scheme}://${host}:${port}${path}`, '');
  assert(parsed.kind === 'http');
  return parsed;
}

function summary(result: ProbeResult): string[] {
  return result.steps.map((step) => `${step.name} ${step.kind === 'ok' ? 'ok' : step.failure.kind}`);
}

/** What probing with an announce, against a server that always answers so, fails with. */
async function failureOf(context: TestContext, listener: RequestListener): Promise<ProbeFailure> {
  const port = await startHttpServer(context, listener);
  const result = await probeHttp(target(port), { ask: 'announce' });
  const step = result.steps.find((candidate) => candidate.name === 'announce');
  assert(step?.kind === 'failed');
  return step.failure;
}

test('a probe says for whom it asks, if told to', async (context) => {
  const seen: unknown[] = [];
  const port = await startHttpServer(context, (request, response) => {
    seen.push(request.headers['x-forwarded-for']);
    response.end(ANNOUNCE_REPLY);
  });
  await probeHttp(target(port), { ask: 'announce', forwardedFor: '192.0.2.1' });
  await probeHttp(target(port), { ask: 'announce' });
  assert.deepEqual(seen, ['192.0.2.1', '192.0.2.1', undefined, undefined]);
});

suite('an HTTP tracker of another kind', () => {
  test('is asked everything, and the peer is gone afterwards', async (context) => {
    const { tracker, httpPort, events } = await startForeignTracker(context);
    const other = `info_hash=${escape(INFO_HASH)}&peer_id=-XX0000-000000000000&port=6881&left=5&event=started`;
    await fetch(`http://127.0.0.1:${httpPort}/announce?${other}`);
    const result = await probeHttp(target(httpPort), { infoHashes: [INFO_HASH] });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'announce ok', 'scrape ok', 'stop ok']);
    assert.equal(result.ok, true);
    assert.equal(result.url, `http://127.0.0.1:${httpPort}/`);
    const announce = result.steps[2];
    assert(announce?.name === 'announce' && announce.kind === 'ok');
    const { peers, ...facts } = announce.announce;
    assert.deepEqual(facts, {
      transactionId: null,
      intervalSeconds: 300,
      minIntervalSeconds: null,
      seeders: 1,
      leechers: 1,
      externalIp: null,
      warning: null,
    });
    assert.ok(
      peers.some((peer) => peer.address === '127.0.0.1' && peer.port === 6881 && peer.peerId === null),
    );
    const scrape = result.steps[3];
    assert(scrape?.name === 'scrape' && scrape.kind === 'ok');
    assert.deepEqual(scrape.scrape.entries, [
      { infoHash: INFO_HASH_HEX, seeders: 1, completed: 1, leechers: 1 },
    ]);
    assert.deepEqual(events, ['start', 'start', 'stop']);
    assert.equal(tracker.torrents[INFO_HASH_HEX]?.complete, 0);
  });

  test('is asked for peers in the long form', async (context) => {
    const { httpPort } = await startForeignTracker(context);
    const other = `info_hash=${escape(INFO_HASH)}&peer_id=-XX0000-000000000000&port=6881&left=5&event=started`;
    await fetch(`http://127.0.0.1:${httpPort}/announce?${other}`);
    const result = await probeHttp(target(httpPort), {
      infoHashes: [INFO_HASH],
      ask: 'announce',
      compact: false,
    });
    const announce = result.steps[2];
    assert(announce?.name === 'announce' && announce.kind === 'ok');
    const peerId = Buffer.from('-XX0000-000000000000').toString('hex');
    assert.deepEqual(
      announce.announce.peers.filter((peer) => peer.port === 6881),
      [{ address: '127.0.0.1', port: 6881, peerId }],
    );
  });

  test('is asked in rounds over connections of their own, and left once', async (context) => {
    const { httpPort, events } = await startForeignTracker(context);
    const result = await probeHttp(target(httpPort), { rounds: 2 });
    assert.deepEqual(
      result.steps.map((step) => `${step.name} ${step.round}`),
      ['resolve 1', 'connect 1', 'announce 1', 'scrape 1', 'connect 2', 'announce 2', 'scrape 2', 'stop 2'],
    );
    assert.deepEqual(events, ['start', 'update', 'stop']);
  });

  test('that refuses is quoted, and not asked to forget a peer that it never took', async (context) => {
    const { httpPort } = await startForeignTracker(context, { refuse: 'not here' });
    const result = await probeHttp(target(httpPort), { ask: 'announce' });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'announce refused']);
    const announce = result.steps[2];
    assert(announce?.kind === 'failed');
    assert.deepEqual(announce.failure, { kind: 'refused', reason: 'not here', retryIn: null });
  });

  test('is reached over IPv6', needs('ipv6'), async (context) => {
    const { httpPort } = await startForeignTracker(context, { hostname: '::1' });
    const result = await probeHttp(target(httpPort, '', 'http', '[::1]'), { ask: 'scrape' });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'scrape ok']);
    assert.equal(result.remote, `[::1]:${httpPort}`);
  });
});

suite('over HTTP', () => {
  test('the request is what a client would send, with the key and the query of the URL', async (context) => {
    const urls: string[] = [];
    const hosts = new Set<string | undefined>();
    const port = await startHttpServer(context, (request, response) => {
      urls.push(request.url ?? '');
      hosts.add(request.headers.host);
      response.end(request.url?.startsWith('/bt/scrape') ? 'd5:filesdee' : ANNOUNCE_REPLY);
    });
    const infoHash = Uint8Array.from({ length: 20 }, (_, i) => i * 13);
    const result = await probeHttp(target(port, '/bt/announce/KEY?pass=x'), { infoHashes: [infoHash] });
    assert.equal(result.ok, true);
    assert.deepEqual([...hosts], [`127.0.0.1:${port}`]);
    const hash = '%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7';
    const parameters = `info_hash=${hash}&peer_id=-TT0100-[0-9a-f]{12}&port=\\d{5}&uploaded=0&downloaded=0&left=0&compact=1`;
    const expected = [
      `^/bt/announce/KEY\\?pass=x&${parameters}&event=started$`,
      `^/bt/scrape/KEY\\?pass=x&info_hash=${hash}$`,
      `^/bt/announce/KEY\\?pass=x&${parameters}&event=stopped&numwant=0$`,
    ];
    assert.equal(urls.length, 3);
    for (const [i, pattern] of expected.entries()) assert.match(urls[i] ?? '', new RegExp(pattern));
    assert.equal(
      new Set(urls.map((url) => /port=(\d+)/.exec(url)?.[1])).size,
      2,
      'one port, and none in the scrape',
    );
    assert.ok(!JSON.stringify(result).includes('KEY'), 'the result has no key');
    assert.ok(!JSON.stringify(result).includes('pass'));
  });

  test('everything that an announce reply can say is reported', async (context) => {
    const port = await startHttpServer(context, (_request, response) => {
      const peers6 = `${'i'.repeat(16)}pp`;
      response.end(
        `d8:completei7e11:external ip4:ABCD10:incompletei8e8:intervali9e12:min intervali6e5:peers6:iiiipp6:peers618:${peers6}15:warning message4:hey!e`,
      );
    });
    const result = await probeHttp(target(port), { ask: 'announce' });
    const step = result.steps[2];
    assert(step?.name === 'announce' && step.kind === 'ok');
    assert.deepEqual(step.announce, {
      transactionId: null,
      intervalSeconds: 9,
      minIntervalSeconds: 6,
      seeders: 7,
      leechers: 8,
      externalIp: '65.66.67.68',
      warning: 'hey!',
      peers: [
        { address: '105.105.105.105', port: 28784, peerId: null },
        { address: '6969:6969:6969:6969:6969:6969:6969:6969', port: 28784, peerId: null },
      ],
    });
  });

  const failures: [name: string, status: number, body: string, failure: ProbeFailure][] = [
    ['a failure', 200, 'd14:failure reason3:bade', { kind: 'refused', reason: 'bad', retryIn: null }],
    ['a failure with minutes', 200, 'd14:failure reason3:bad8:retry ini5ee', { kind: 'refused', reason: 'bad', retryIn: 5 }],
    ['a failure for ever', 200, 'd14:failure reason3:bad8:retry in5:nevere', { kind: 'refused', reason: 'bad', retryIn: 'never' }],
    ['a failure with another status', 403, 'd14:failure reason3:bade', { kind: 'refused', reason: 'bad', retryIn: null }],
    ['another status', 404, 'not found', { kind: 'status', status: 404 }],
    ['a reply with another status', 500, ANNOUNCE_REPLY, { kind: 'status', status: 500 }],
    ['a page', 200, '<html>', { kind: 'malformed', reason: 'no bencoding (unexpectedByte at byte 0)' }],
    ['nothing', 200, '', { kind: 'malformed', reason: 'no bencoding (unexpectedEnd at byte 0)' }],
    ['a list', 200, 'le', { kind: 'malformed', reason: 'no dictionary' }],
    ['no interval', 200, 'd5:peers0:e', { kind: 'malformed', reason: 'no interval' }],
    ['peers cut short', 200, 'd8:intervali1e5:peers5:aaaaae', { kind: 'malformed', reason: 'peers that are neither a list nor compact' }],
    ['a peer without a port', 200, 'd8:intervali1e5:peersld2:ip1:aeee', { kind: 'malformed', reason: 'peers that are neither a list nor compact' }],
    ['too much', 200, 'x'.repeat(2 ** 20 + 1), { kind: 'malformed', reason: 'more than 1048576 bytes' }],
  ]; // prettier-ignore
  for (const [name, status, body, failure] of failures) {
    test(`${name} is told for what it is`, async (context) => {
      const found = await failureOf(context, (_request, response) => response.writeHead(status).end(body));
      assert.deepEqual(found, failure);
    });
  }

  test('a redirection is not followed', async (context) => {
    const urls: string[] = [];
    const found = await failureOf(context, (request, response) => {
      urls.push(request.url ?? '');
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    assert.deepEqual(found, { kind: 'status', status: 302 });
    assert.equal(urls.length, 1);
  });

  test('silence ends after the time that was given, and the peer is taken out all the same', async (context) => {
    const urls: string[] = [];
    const port = await startHttpServer(context, (request, response) => {
      urls.push(request.url ?? '');
      if (request.url?.includes('event=stopped')) response.end(ANNOUNCE_REPLY);
    });
    const result = await probeHttp(target(port), { ask: 'announce', timeoutMillis: 200 });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'announce timeout', 'stop ok']);
    assert.equal(urls.length, 2);
  });

  test('a connection that breaks off is told by the code of the system', async (context) => {
    const found = await failureOf(context, (request) => request.socket.resetAndDestroy());
    assert.deepEqual(found, { kind: 'network', code: 'ECONNRESET' });
  });

  test('a closed port is told at once', async (context) => {
    const ports: number[] = [];
    await context.test('a port that was free', async (inner) => {
      ports.push(await startHttpServer(inner, () => undefined));
    });
    const result = await probeHttp(target(ports[0] ?? 0), { timeoutMillis: 60_000 });
    assert.deepEqual(summary(result), ['resolve ok', 'connect network']);
    const step = result.steps[1];
    assert.deepEqual(step?.kind === 'failed' && step.failure, { kind: 'network', code: 'ECONNREFUSED' });
  });

  test('an abort ends the probe and still takes the peer out', async (context) => {
    const controller = new AbortController();
    const urls: string[] = [];
    const port = await startHttpServer(context, (request, response) => {
      urls.push(request.url ?? '');
      if (request.url?.startsWith('/scrape')) controller.abort();
      else response.end(ANNOUNCE_REPLY);
    });
    const result = await probeHttp(target(port), {
      signal: controller.signal,
      rounds: 10,
      timeoutMillis: 60_000,
    });
    assert.deepEqual(summary(result), [
      'resolve ok',
      'connect ok',
      'announce ok',
      'scrape aborted',
      'stop ok',
    ]);
    await waitFor('the tracker hears of the stop', () => urls.some((url) => url.includes('event=stopped')));
  });
});

suite('over HTTPS', () => {
  const startTls = (context: TestContext): Promise<number> =>
    listen(
      context,
      createTlsServer({ key: SELF_SIGNED, cert: SELF_SIGNED }, (_request, response) =>
        response.end(ANNOUNCE_REPLY),
      ),
    );

  test('a certificate that nobody vouches for is an error', async (context) => {
    const port = await startTls(context);
    const result = await probeHttp(target(port, '', 'https'), { ask: 'announce' });
    assert.equal(result.protocol, 'https');
    const step = result.steps[1];
    assert.deepEqual(step?.kind === 'failed' && step.failure, {
      kind: 'network',
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
  });

  for (const host of ['127.0.0.1', 'localhost']) {
    test(`it is accepted when the user says so, for ${host}`, async (context) => {
      const port = await startTls(context);
      const result = await probeHttp(target(port, '', 'https', host), {
        ask: 'announce',
        insecure: true,
        family: 4,
      });
      assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'announce ok', 'stop ok']);
      assert.equal(result.url, `https://${host}:${port}/`);
    });
  }
});

suite('a health check', () => {
  for (const [status, healthy] of [
    [200, true],
    [204, true],
    [302, false],
    [500, false],
    [503, false],
  ] as const) {
    // prettier-ignore
    test(`with status ${status} is ${healthy ? 'good' : 'bad'}`, async (context) => {
      const port = await startHttpServer(context, (_request, response) => response.writeHead(status).end());
      const result = await probeHealth(new URL(`http://127.0.0.1:${port}/health_check?token=secret`));
      assert.equal(result.outcome.kind === 'answered' && result.outcome.status, status);
      assert.equal(isHealthy(result), healthy);
      assert.equal(result.url, `http://127.0.0.1:${port}/health_check`);
      assert.ok(result.micros > 0);
    });
  }

  test('that nobody answers is bad', async (context) => {
    const port = await startHttpServer(context, () => undefined);
    const result = await probeHealth(new URL(`http://127.0.0.1:${port}/`), { timeoutMillis: 100 });
    assert.deepEqual(result.outcome, { kind: 'failed', failure: { kind: 'timeout', tries: 1 } });
    assert.equal(isHealthy(result), false);
  });
});

function escape(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
