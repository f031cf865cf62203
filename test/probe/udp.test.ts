/**
 * Probing UDP trackers: a real one, and sockets that lose, refuse and garble what they should answer.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { connectUdp, probeUdp } from '../../tracker/probe/udp.ts';
import type { ProbeResult } from '../../tracker/probe/result.ts';
import type { UdpTarget } from '../../tracker/probe/target.ts';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { PacketMemory, readUrlData, UdpAction } from '../../tracker/protocol/udp.ts';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';
import { startForeignTracker, startUdpServer } from './trackers.ts';

const INFO_HASH = Buffer.from('9c38422213e30bff212b30c360d26f9a02136422', 'hex');
const CONNECTION_ID = Buffer.from('fedcba9876543210', 'hex');

function target(port: number, urlData = '', host = '127.0.0.1'): UdpTarget {
  return { kind: 'udp', host, port, urlData };
}

/** The steps by name, each with what it ended with. */
function summary(result: ProbeResult): string[] {
  return result.steps.map((step) => `${step.name} ${step.kind === 'ok' ? 'ok' : step.failure.kind}`);
}

function actionOf(request: Buffer): number {
  return request.readInt32BE(8);
}

function eventOf(request: Buffer): number {
  return request.readInt32BE(80);
}

function reply(action: number, request: Buffer, ...rest: Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.of(0, 0, 0, action), request.subarray(12, 16), ...rest]);
}

/** A right answer: interval 120, 2 leechers, 3 seeders and one peer; 3, 2 and 1 for each info hash of a scrape. */
function goodReply(request: Buffer): Buffer {
  switch (actionOf(request)) {
    case UdpAction.connect:
      return reply(UdpAction.connect, request, CONNECTION_ID);
    case UdpAction.announce:
      return reply(1, request, Buffer.from('000000780000000200000003c00002011ae1', 'hex'));
    default:
      return reply(
        2,
        request,
        Buffer.from('000000030000000200000001'.repeat((request.length - 16) / 20), 'hex'),
      );
  }
}

suite('a UDP tracker of another kind', () => {
  test('is asked everything, and the peer is gone afterwards', async (context) => {
    const { tracker, udpPort, events } = await startForeignTracker(context);
    const result = await probeUdp(target(udpPort), { infoHashes: [INFO_HASH] });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'announce ok', 'scrape ok', 'stop ok']);
    assert.equal(result.ok, true);
    assert.equal(result.url, `udp://127.0.0.1:${udpPort}`);
    assert.equal(result.remote, `127.0.0.1:${udpPort}`);
    const announce = result.steps[2];
    assert(announce?.name === 'announce' && announce.kind === 'ok');
    const { peers, transactionId, ...facts } = announce.announce;
    assert.deepEqual(
      { ...facts, addresses: peers.map((peer) => peer.address) },
      {
        // This tracker names the peer to itself.
        addresses: ['127.0.0.1'],
        intervalSeconds: 300,
        minIntervalSeconds: null,
        seeders: 1,
        leechers: 0,
        externalIp: null,
        warning: null,
      },
    );
    assert.equal(typeof transactionId, 'number');
    const scrape = result.steps[3];
    assert(scrape?.name === 'scrape' && scrape.kind === 'ok');
    assert.deepEqual(scrape.scrape.entries, [
      { infoHash: INFO_HASH.toString('hex'), seeders: 1, completed: 1, leechers: 0 },
    ]);
    assert.deepEqual(events, ['start', 'stop']);
    assert.equal(tracker.torrents[INFO_HASH.toString('hex')]?.complete, 0);
  });

  test('is asked in rounds, and left once', async (context) => {
    const { udpPort, events } = await startForeignTracker(context);
    const result = await probeUdp(target(udpPort), { rounds: 3, ask: 'announce' });
    assert.deepEqual(
      result.steps.map((step) => `${step.name} ${step.round}`),
      [
        'resolve 1',
        'connect 1',
        'announce 1',
        'connect 2',
        'announce 2',
        'connect 3',
        'announce 3',
        'stop 3',
      ],
    );
    assert.deepEqual(events, ['start', 'update', 'update', 'stop']);
  });

  test('is scraped without becoming a peer', async (context) => {
    const { udpPort, events } = await startForeignTracker(context);
    const result = await probeUdp(target(udpPort), {
      ask: 'scrape',
      infoHashes: [INFO_HASH, new Uint8Array(20)],
    });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'scrape ok']);
    const scrape = result.steps[2];
    assert(scrape?.name === 'scrape' && scrape.kind === 'ok');
    assert.deepEqual(
      scrape.scrape.entries.map((entry) => entry.infoHash),
      [INFO_HASH.toString('hex'), '00'.repeat(20)],
    );
    assert.deepEqual(events, []);
  });

  test('that refuses is quoted, and not asked to forget a peer that it never took', async (context) => {
    const { udpPort } = await startForeignTracker(context, { refuse: 'not here' });
    const result = await probeUdp(target(udpPort), { ask: 'announce' });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'announce refused']);
    const announce = result.steps[2];
    assert(announce?.kind === 'failed');
    assert.deepEqual(announce.failure, { kind: 'refused', reason: 'not here', retryIn: null });
    assert.notEqual(announce.transactionId, null);
    assert.equal(result.ok, false);
  });

  test('is reached over IPv6', needs('ipv6'), async (context) => {
    const { tracker } = await startForeignTracker(context);
    const { port } = tracker.udp6.address();
    const result = await connectUdp(target(port, '', '::1'));
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok']);
    assert.equal(result.remote, `[::1]:${port}`);
  });
});

suite('over UDP', () => {
  test('a lost request is sent again', async (context) => {
    const lost = new Set<number>();
    const server = await startUdpServer(context, (request) => {
      const action = actionOf(request);
      if (lost.has(action)) return [goodReply(request)];
      lost.add(action);
      return [];
    });
    const result = await probeUdp(target(server.port), { timeoutMillis: 700 });
    assert.deepEqual(
      result.steps.map((step) => `${step.name} ${step.kind} ${step.tries}`),
      ['resolve ok 1', 'connect ok 2', 'announce ok 2', 'scrape ok 2', 'stop ok 1'],
    );
    assert.ok(
      result.steps.every((step) => step.name === 'resolve' || step.name === 'stop' || step.micros >= 99_000),
    );
  });

  test('silence ends after three tries, and the time that was given', async (context) => {
    const times: number[] = [];
    const server = await startUdpServer(context, () => {
      times.push(performance.now());
      return [];
    });
    const result = await connectUdp(target(server.port), { timeoutMillis: 140 });
    assert.deepEqual(result.steps[1]?.kind === 'failed' && result.steps[1].failure, {
      kind: 'timeout',
      tries: 3,
    });
    assert.equal(times.length, 3);
    assert.ok((result.steps[1]?.micros ?? 0) >= 139_000);
  });

  test('a peer whose announce was not answered is taken out all the same', async (context) => {
    const events: number[] = [];
    const server = await startUdpServer(context, (request) => {
      if (actionOf(request) !== UdpAction.announce) return [goodReply(request)];
      events.push(eventOf(request));
      return eventOf(request) === AnnounceEvent.stopped ? [goodReply(request)] : [];
    });
    const result = await probeUdp(target(server.port), { timeoutMillis: 70 });
    assert.deepEqual(summary(result), [
      'resolve ok',
      'connect ok',
      'announce timeout',
      'scrape ok',
      'stop ok',
    ]);
    assert.equal(events.at(-1), AnnounceEvent.stopped);
  });

  test('the announce carries what the tracker needs, and the key of the URL', async (context) => {
    const announces: Buffer[] = [];
    const sources: number[] = [];
    const server = await startUdpServer(context, (request, from) => {
      if (actionOf(request) === UdpAction.announce) {
        announces.push(request);
        sources.push(from.port);
      }
      return [goodReply(request)];
    });
    await probeUdp(target(server.port, '/announce/KEY'), { infoHashes: [INFO_HASH], ask: 'announce' });
    assert.equal(announces.length, 2);
    for (const [i, announce] of announces.entries()) {
      const memory = PacketMemory.allocate(256);
      memory.bytes.set(announce);
      assert.deepEqual(announce.subarray(0, 8), CONNECTION_ID);
      assert.deepEqual(announce.subarray(16, 36), INFO_HASH);
      assert.match(announce.toString('latin1', 36, 56), /^-TT\d{4}-[0-9a-f]{12}$/);
      assert.equal(announce.readUInt16BE(96), sources[i]);
      assert.equal(readUrlData(memory, 0, announce.length), '/announce/KEY');
      assert.equal(eventOf(announce), i === 0 ? AnnounceEvent.started : AnnounceEvent.stopped);
    }
  });

  test('replies to other requests are not taken for the own', async (context) => {
    const server = await startUdpServer(context, (request) => {
      const other = Buffer.from(request);
      other.writeInt32BE(~request.readInt32BE(12), 12);
      return [reply(UdpAction.error, other, Buffer.from('not for you')), goodReply(request)];
    });
    const result = await probeUdp(target(server.port));
    assert.equal(result.ok, true);
  });

  test('an error with transaction id 0 is taken for the own, as Torrust sends it', async (context) => {
    const server = await startUdpServer(context, () => [
      Buffer.concat([Buffer.from('0000000300000000', 'hex'), Buffer.from('bad request')]),
    ]);
    const result = await connectUdp(target(server.port));
    const step = result.steps[1];
    assert(step?.kind === 'failed');
    assert.deepEqual(step.failure, { kind: 'refused', reason: 'bad request', retryIn: null });
    assert.equal(step.transactionId, 0);
  });

  const garbled: [name: string, answer: (request: Buffer) => Buffer, reason: string][] = [
    ['no reply at all', () => Buffer.from('hello'), '5 bytes are too few for a reply'],
    ['another action', (request) => reply(2, request), 'scrape reply to connect'],
    ['a cut reply', (request) => goodReply(request).subarray(0, 15), 'a connect reply is cut short'],
  ];
  for (const [name, answer, reason] of garbled) {
    test(`${name} is told as a bad reply`, async (context) => {
      const server = await startUdpServer(context, (request) => [answer(request)]);
      const result = await connectUdp(target(server.port));
      const step = result.steps[1];
      assert.deepEqual(step?.kind === 'failed' && step.failure, { kind: 'malformed', reason });
    });
  }

  test('a scrape with too few entries is told as a bad reply', async (context) => {
    const server = await startUdpServer(context, (request) => [
      actionOf(request) === UdpAction.scrape ? reply(2, request) : goodReply(request),
    ]);
    const result = await probeUdp(target(server.port), { ask: 'scrape' });
    assert.deepEqual(summary(result), ['resolve ok', 'connect ok', 'scrape malformed']);
  });

  test('a closed port is told at once', async () => {
    // The port was free a moment ago, and the kernel gives the same one out again only much later.
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    await once(socket, 'close');
    const result = await connectUdp(target(port), { timeoutMillis: 60_000 });
    const step = result.steps[1];
    assert.deepEqual(step?.kind === 'failed' && step.failure, { kind: 'network', code: 'ECONNREFUSED' });
  });

  test('an address of the other family is not asked', async () => {
    const result = await probeUdp(target(6969, '', '::1'), { family: 4 });
    assert.deepEqual(summary(result), ['resolve unresolved']);
    assert.equal(result.remote, null);
    assert.equal(result.url, 'udp://[::1]:6969');
  });

  test('an abort ends the probe and still takes the peer out', async (context) => {
    const controller = new AbortController();
    const events: number[] = [];
    const server = await startUdpServer(context, (request) => {
      if (actionOf(request) === UdpAction.announce) events.push(eventOf(request));
      if (actionOf(request) !== UdpAction.scrape) return [goodReply(request)];
      controller.abort();
      return [];
    });
    const result = await probeUdp(target(server.port), {
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
    await waitFor('the tracker hears of the stop', () => events.includes(AnnounceEvent.stopped));
  });
});
