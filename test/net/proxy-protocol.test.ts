/**
 * Clients behind load balancers that speak the PROXY protocol, on every kind of listener: the client's address is the
 * one that counts, replies go to the load balancer, and nobody else may speak for others.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { decodeUdpReply, encodeConnectRequest, type UdpReply } from '../../tracker/protocol/udp-client.ts';
import { selfSigned } from '../api/certificates.ts';
import { headerV1, headerV2 } from '../support/proxy-headers.ts';
import { announceTarget } from './http-exchange.ts';
import { forEachSocketPath, startThreads, threadsOfSuite } from './tracker-threads.ts';
import { announceBytes, newInfoHash } from './udp-exchange.ts';

/** The load balancer, and an address that is none. */
const PROXY = '127.0.0.2';
const STRANGER = '127.0.0.3';
const PROTOCOL = { trusted_proxies: [`${PROXY}/32`] };
const SOURCE_GUARD = { exempt: ['0.0.0.0/0', '::/0'] };

const folder = mkdtempSync(join(tmpdir(), 'tracker-proxy-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const TLS = { ssl_cert_path: join(folder, 'cert.pem'), ssl_key_path: join(folder, 'key.pem') };
const { cert, key } = selfSigned('localhost');
writeFileSync(TLS.ssl_cert_path, cert);
writeFileSync(TLS.ssl_key_path, key);

/** A datagram socket of a load balancer, or of somebody who plays one. */
async function openUdp(context: TestContext, tracker: SocketAddress, from: string) {
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.bind(0, from);
  await once(socket, 'listening');
  const send = (...parts: Uint8Array[]) => socket.send(Buffer.concat(parts), tracker.port, '127.0.0.1');
  const ask = async (family: 4 | 6, ...parts: Uint8Array[]): Promise<UdpReply> => {
    const received = once(socket, 'message', { signal: AbortSignal.timeout(10_000) });
    send(...parts);
    const [reply] = (await received) as [Buffer]; // so does a datagram socket
    return decodeUdpReply(reply, family);
  };
  return { send, ask };
}

/** Sends pieces on a connection of its own, and resolves with all that comes until its end, latin1. */
async function exchange(tracker: SocketAddress, from: string, pieces: readonly Uint8Array[], tls = false) {
  const socket = connect({ host: '127.0.0.1', port: tracker.port, localAddress: from });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.setNoDelay();
  const [first, ...others] = pieces;
  socket.write(first);
  let stream: Socket = socket;
  if (tls) stream = connectTls({ socket, rejectUnauthorized: false }).on('error', () => undefined);
  let text = '';
  const ended = new Promise<void>((resolve) => {
    stream.on('data', (data: Buffer) => (text += data.toString('latin1')));
    stream.on('close', resolve);
  });
  for (const piece of others) {
    await sleep(5);
    stream.write(piece);
  }
  await ended;
  return text;
}

/** A request for a compact list of peers, which ends the connection. */
function request(infoHash: Uint8Array, port: number, connection = 'close'): Buffer {
  const target = announceTarget(infoHash, { port, compact: 0, left: 1 });
  return Buffer.from(`GET ${target} HTTP/1.1\r\nHost: tracker\r\nConnection: ${connection}\r\n\r\n`);
}

/** The addresses of the peers in a reply that is not compact, and their ports. */
function peersOf(reply: string): string[] {
  return [...reply.matchAll(/2:ip\d+:(.*?)7:peer id.*?4:porti(\d+)e/gs)].map(
    ([, ip, port]) => `${ip} ${port}`,
  );
}

forEachSocketPath((sockets) => {
  describe(`UDP behind a load balancer, with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      udp: [{}],
      proxy_protocol: PROTOCOL,
      source_guard: SOURCE_GUARD,
    });
    const clients = [
      ['203.0.113.1', 4],
      ['203.0.113.2', 4],
      ['2001:db8::1', 6],
    ] as const;

    test('serves each client under its own address', async (context) => {
      const { udp } = suite.threads;
      const proxy = await openUdp(context, udp[0], PROXY);
      const infoHash = newInfoHash();
      const found: string[][] = [];
      for (const [client, family] of [...clients, clients[0]] as const) {
        // A header of odd length, so that the request behind it lies anywhere.
        const header = headerV2('datagram', client, 50_000, { tlvs: Buffer.alloc(3 + found.length) });
        const connected = await proxy.ask(family, header, encodeConnectRequest(1));
        assert.equal(connected.kind, 'connect');
        const { connectionId } = connected;
        const reply = await proxy.ask(family, header, announceBytes({ connectionId, infoHash, port: 7000 }));
        assert.equal(reply.kind, 'announce');
        found.push(reply.peers.map(({ address, port }) => `${address} ${port}`));
      }
      assert.deepEqual(found, [[], ['203.0.113.1 7000'], [], ['203.0.113.2 7000']]);
    });

    test('takes a connection id from the client that it was given to, and from no other', async (context) => {
      const { udp } = suite.threads;
      const proxy = await openUdp(context, udp[0], PROXY);
      const [one, other] = ['203.0.113.1', '203.0.113.2'].map((text) => headerV2('datagram', text, 1));
      const connected = await proxy.ask(4, one, encodeConnectRequest(1));
      assert.equal(connected.kind, 'connect');
      const announce = announceBytes({ connectionId: connected.connectionId, infoHash: newInfoHash() });
      assert.equal((await proxy.ask(4, other, announce)).kind, 'error');
      assert.equal((await proxy.ask(4, one, announce)).kind, 'announce');
    });

    test('serves the load balancer itself, which checks whether the tracker is well', async (context) => {
      const proxy = await openUdp(context, suite.threads.udp[0], PROXY);
      const header = headerV2('datagram', '203.0.113.1', 1, { command: 0 });
      assert.equal((await proxy.ask(4, header, encodeConnectRequest(1))).kind, 'connect');
    });

    test('drops what has no good header, and headers from anybody else', async (context) => {
      const { udp, expectCounts } = suite.threads;
      const proxy = await openUdp(context, udp[0], PROXY);
      const stranger = await openUdp(context, udp[0], STRANGER);
      const good = headerV2('datagram', '203.0.113.1', 1);
      const connectRequest = encodeConnectRequest(1);
      await expectCounts(
        { proxy_headers_refused: 6, udp4_requests: 1, udp4_connections_handled: 1, udp4_responses: 1 },
        async () => {
          proxy.send(connectRequest);
          proxy.send(headerV2('stream', '203.0.113.1', 1), connectRequest);
          proxy.send(headerV1('203.0.113.1', 1), connectRequest);
          proxy.send(good.subarray(0, 27));
          proxy.send(new Uint8Array(0));
          stranger.send(good, connectRequest);
          assert.equal((await stranger.ask(4, connectRequest)).kind, 'connect');
        },
      );
      await expectCounts({ udp_requests_discarded: 2 }, async () => {
        proxy.send(good);
        proxy.send(headerV2('datagram', '203.0.113.1', 0), connectRequest);
        await Promise.resolve();
      });
    });
  });

  for (const tls of [false, true]) {
    // TLS is served by portable sockets alone.
    if (tls && sockets === 'native') continue;
    describe(`${tls ? 'HTTPS' : 'HTTP'} behind a load balancer, with ${sockets} sockets`, () => {
      const suite = threadsOfSuite(sockets, {
        http: [{ ...(tls && { tls_config: TLS }) }],
        proxy_protocol: PROTOCOL,
        source_guard: SOURCE_GUARD,
      });
      const ask = (from: string, ...pieces: Uint8Array[]) =>
        tls
          ? exchange(suite.threads.http[0], from, pieces, true)
          : exchange(suite.threads.http[0], from, pieces);

      test('serves each client under its own address, by either version', async () => {
        const infoHash = newInfoHash();
        const clients = [
          headerV1('203.0.113.1', 1),
          headerV2('stream', '203.0.113.2', 1, { tlvs: Buffer.alloc(1000) }),
          headerV2('stream', '2001:db8::1', 1),
        ];
        for (const [index, header] of clients.entries())
          await ask(PROXY, header, request(infoHash, 7001 + index));
        const reply = await ask(PROXY, headerV1('203.0.113.9', 1), request(infoHash, 7009));
        assert.deepEqual(peersOf(reply).toSorted(), [
          '2001:db8::1 7003',
          '203.0.113.1 7001',
          '203.0.113.2 7002',
        ]);
      });

      test('serves a stranger without a header under its own address', async () => {
        const infoHash = newInfoHash();
        if (tls) await exchangeTls(suite.threads.http[0], STRANGER, request(infoHash, 7001));
        else await ask(STRANGER, request(infoHash, 7001));
        assert.deepEqual(peersOf(await ask(PROXY, headerV1('203.0.113.9', 1), request(infoHash, 7009))), [
          '127.0.0.3 7001',
        ]);
      });

      test('serves the load balancer itself, which checks whether the tracker is well', async () => {
        const health = Buffer.from(
          'GET /health_check HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n',
        );
        for (const header of [
          headerV2('stream', '203.0.113.1', 1, { command: 0 }),
          Buffer.from('PROXY UNKNOWN\r\n'),
        ]) {
          assert.match(await ask(PROXY, header, health), /^HTTP\/1\.1 200 OK\r\n/);
        }
      });

      test('closes connections without a good header, and those of a stranger with one', async () => {
        const { awaitCounts, counts } = suite.threads;
        const before = counts().proxy_headers_refused;
        const good = headerV1('203.0.113.1', 1);
        const bad = [
          [PROXY, request(newInfoHash(), 1)],
          [PROXY, headerV2('datagram', '203.0.113.1', 1)],
          [PROXY, Buffer.from('PROXY TCP4 203.0.113.1 203.0.113.1 1 x\r\n')],
          [STRANGER, good],
          [STRANGER, headerV2('stream', '203.0.113.1', 1)],
        ] as const;
        for (const [from, first] of bad) assert.equal(await ask(from, first), '');
        await awaitCounts('five are refused', (now) => now.proxy_headers_refused - before === 5);
      });

      if (tls) return;

      test('reads a header that comes byte by byte, and serves all requests behind it', async () => {
        const infoHash = newInfoHash();
        const header = headerV2('stream', '203.0.113.1', 1);
        const requests = Buffer.concat([request(infoHash, 7001, 'keep-alive'), request(infoHash, 7002)]);
        const bytes = Buffer.concat([header, requests]);
        const pieces = Array.from({ length: 30 }, (_, i) => bytes.subarray(i, i + 1));
        const reply = await ask(PROXY, ...pieces, bytes.subarray(30));
        assert.deepEqual(reply.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
        const all = await ask(PROXY, headerV1('203.0.113.9', 1), request(infoHash, 7009));
        assert.deepEqual(peersOf(all).toSorted(), ['203.0.113.1 7002']);
      });

      test('takes header and request in one piece', async () => {
        const infoHash = newInfoHash();
        await ask(PROXY, Buffer.concat([headerV1('203.0.113.1', 1), request(infoHash, 7001)]));
        const all = await ask(PROXY, headerV1('203.0.113.9', 1), request(infoHash, 7009));
        assert.deepEqual(peersOf(all), ['203.0.113.1 7001']);
      });

      test('tells connections from one port to two addresses of the tracker apart', async () => {
        const threads = await startThreads(sockets, {
          http: [{ bind_address: '0.0.0.0:0' }],
          proxy_protocol: PROTOCOL,
          source_guard: SOURCE_GUARD,
        });
        const open: Socket[] = [];
        try {
          const [{ port }] = threads.http;
          const infoHash = newInfoHash();
          let localPort: number | undefined;
          for (const [index, host] of ['127.0.0.1', '127.0.0.4'].entries()) {
            const socket = connect({ host, port, localAddress: PROXY, ...(localPort && { localPort }) });
            open.push(socket);
            await once(socket, 'connect');
            ({ localPort } = socket);
            socket.write(headerV1(`203.0.113.${index + 1}`, 1));
            socket.write(request(infoHash, 7001 + index, 'keep-alive'));
            await once(socket, 'data');
          }
          open[0].write(request(infoHash, 7003, 'keep-alive'));
          const [reply] = (await once(open[0], 'data')) as [Buffer]; // so does a socket
          assert.deepEqual(peersOf(reply.toString('latin1')), ['203.0.113.2 7002']);
        } finally {
          for (const socket of open) socket.destroy();
          await threads.close();
        }
      });

      test('closes a connection whose header does not come, as one whose request does not', async () => {
        const begin = performance.now();
        assert.equal(await ask(PROXY, Buffer.from('PROXY TCP4 ')), '');
        assert.ok(performance.now() - begin > 4_000);
      });
    });
  }
});

/** As `exchange`, for a connection that begins with TLS. */
async function exchangeTls(tracker: SocketAddress, from: string, bytes: Uint8Array): Promise<void> {
  const own = connect({ host: '127.0.0.1', port: tracker.port, localAddress: from });
  const socket = connectTls({ socket: own, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.write(bytes);
  socket.resume();
  await once(socket, 'close');
}
