/**
 * The gate as clients meet it on the real sockets: who asks too much is met with silence over UDP, and told when to come
 * again over HTTP; announces from addresses that nobody can reach are counted, and refused where that is wanted.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { PROBE_INFO_HASH } from '../../tracker/protocol/probe-hash.ts';
import { encodeConnectRequest, encodeScrapeRequest } from '../../tracker/protocol/udp-client.ts';
import { announce, announceTarget, failureOf, get, scrapeTarget } from './http-exchange.ts';
import { headerV1 } from '../support/proxy-headers.ts';
import { waitFor } from '../support/waiting.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { announceBytes, newInfoHash, UdpClient } from './udp-exchange.ts';

const UDP = [{}];

/** Sends datagrams without waiting for anything. */
async function send(context: TestContext, tracker: SocketAddress, from: string, datagrams: Uint8Array[]) {
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.bind(0, from);
  await once(socket, 'listening');
  for (const datagram of datagrams) socket.send(datagram, tracker.port, '127.0.0.1');
}

const connects = (count: number) => Array.from({ length: count }, (_, i) => encodeConnectRequest(i));

forEachSocketPath((sockets) => {
  describe(`A limit for each address, with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      udp: UDP,
      http: [{}],
      limits: {
        exempt_private: false,
        exempt: ['127.0.0.9/32'],
        per_ip: { requests_per_second: 1, burst: 5 },
      },
    });

    test('meets what is beyond it with silence over UDP', async (context) => {
      const { udp, expectCounts } = suite.threads;
      await expectCounts(
        {
          udp4_requests: 30,
          udp4_connections_handled: 15,
          udp4_responses: 15,
          requests_beyond_ip_limit: 15,
        },
        async () => {
          await send(context, udp[0], '127.0.0.2', connects(20));
          await send(context, udp[0], '127.0.0.9', connects(10));
        },
      );
    });

    test('has a client that proves its address served while somebody forges it', async (context) => {
      const { udp } = suite.threads;
      const client = await UdpClient.open(context, udp[0], '127.0.0.3');
      const connectionId = await client.connect();
      await send(context, udp[0], '127.0.0.3', connects(100));
      await client.announce(newInfoHash(), { connectionId });
    });

    test('covers what is malformed and what has a wrong id', async (context) => {
      const { udp } = suite.threads;
      const before = suite.threads.counts();
      const wrongIds = Array.from({ length: 5 }, () => announceBytes({ connectionId: 1n }));
      const scrapes = Array.from({ length: 5 }, () => encodeScrapeRequest(1n, 1, [newInfoHash()]));
      const broken = Array.from({ length: 5 }, () => announceBytes({}).subarray(0, 97));
      await send(context, udp[0], '127.0.0.4', [...wrongIds, ...scrapes, ...broken]);
      await suite.threads.awaitCounts(
        'ten are beyond the limit',
        (counts) => counts.requests_beyond_ip_limit - before.requests_beyond_ip_limit === 10,
      );
      assert.equal(suite.threads.counts().udp4_errors_handled - before.udp4_errors_handled, 5);
    });

    test('tells an HTTP client when to come again', async () => {
      const { http } = suite.threads;
      const asking = { from: '127.0.0.5' };
      for (let i = 0; i < 3; i++) await announce(http[0], newInfoHash(), {}, asking);
      for (let i = 0; i < 2; i++) await get(http[0], scrapeTarget([newInfoHash()]), asking);
      for (const target of [announceTarget(newInfoHash()), scrapeTarget([newInfoHash()]), '/announce']) {
        const failure = await failureOf(http[0], target, asking);
        assert.deepEqual(failure, { reason: 'Too many requests', retryIn: 1 });
      }
      // What is no announce or scrape has no reason to fail with.
      const others = [
        { target: '/health_check' },
        { target: '/nowhere' },
        { target: '/announce', method: 'POST' },
      ];
      for (const { target, method = 'GET' } of others) {
        const { status, body } = await get(http[0], target, { ...asking, method });
        assert.deepEqual([status, body], [429, '']);
      }
      await announce(http[0], newInfoHash(), {}, { from: '127.0.0.6' });
    });
  });

  describe(`A limit for what is no announce, with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      http: [{}],
      limits: { exempt_private: false, per_ip: { requests_per_second: 1, burst: 4 } },
    });
    const broken = 'GET /announce\r\n\r\n';
    const say = async (from: string, request: string) => {
      const socket = connect({ host: '127.0.0.1', port: suite.threads.http[0].port, localAddress: from });
      socket.end(request);
      return (await text(socket)).slice(0, 12);
    };

    test('counts health checks, paths that are not there and heads that are broken', async () => {
      const from = '127.0.0.2';
      const { http } = suite.threads;
      assert.equal((await get(http[0], '/health_check', { from })).status, 200);
      assert.equal((await get(http[0], '/', { from })).status, 404);
      assert.equal(await say(from, broken), 'HTTP/1.1 400');
      assert.equal((await get(http[0], '/announce', { from, method: 'PUT' })).status, 405);
      assert.equal(await say(from, broken), 'HTTP/1.1 429');
      assert.equal((await get(http[0], '/', { from })).status, 429);
      assert.equal((await get(http[0], '/health_check', { from: '127.0.0.3' })).status, 200);
      assert.equal(suite.threads.counts().requests_beyond_ip_limit, 2);
    });
  });

  describe(`A limit on the connections of an address, with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      http: [{}, { network: { on_reverse_proxy: true } }],
      limits: { exempt_private: false, exempt: ['127.0.0.9/32'], max_connections_per_ip: 3 },
      proxy_protocol: { trusted_proxies: ['127.0.0.8/32'] },
    });

    /** Opens connections that send half a request, behind a head of the proxy's, and waits until so many are left. */
    async function hold(
      context: TestContext,
      from: string,
      { open, left, place = 0, head = '' }: { open: number; left: number; place?: number; head?: string },
    ): Promise<Socket[]> {
      const clients = Array.from({ length: open }, () => {
        const { port } = suite.threads.http[place];
        const socket = connect({ host: '127.0.0.1', port, localAddress: from });
        context.after(() => socket.destroy());
        return socket.on('error', () => undefined).on('data', () => undefined);
      });
      await Promise.all(clients.map((socket) => once(socket, 'connect')));
      // The head comes in two parts: the connection waits before its client is known.
      for (const socket of clients) if (head !== '') socket.write(head.slice(0, 10));
      await get(suite.threads.http[place], '/health_check', { from: '127.0.0.9' });
      for (const socket of clients) socket.write(`${head.slice(10)}GET /health_check HTTP/1.1\r\n`);
      const remaining = () => clients.filter(({ closed }) => !closed);
      await waitFor(`${left} of ${open} connections`, () => remaining().length === left);
      return remaining();
    }

    test('closes those beyond it, of that address alone, until others end', async (context) => {
      const held = await hold(context, '127.0.0.2', { open: 8, left: 3 });
      for (const [from, place] of [
        ['127.0.0.3', 0],
        ['127.0.0.9', 0],
        ['127.0.0.2', 1],
      ] as const) {
        const open = from === '127.0.0.3' ? 3 : 8;
        await hold(context, from, { open, left: open, place });
      }
      assert.equal(suite.threads.counts().connections_beyond_limit, 5);
      for (const socket of held) socket.destroy();
      // When these are answered, the tracker has seen the ends that came before them.
      for (let i = 0; i < 3; i++) await get(suite.threads.http[0], '/health_check', { from: '127.0.0.9' });
      await hold(context, '127.0.0.2', { open: 8, left: 3 });
    });

    test('counts the clients that a load balancer speaks for', async (context) => {
      const head = headerV1('203.0.113.7', 6881).toString('latin1');
      await hold(context, '127.0.0.8', { open: 8, left: 3, head });
      const other = headerV1('203.0.113.8', 6881).toString('latin1');
      await hold(context, '127.0.0.8', { open: 3, left: 3, head: other });
    });
  });

  describe(`Limits that are tried out, with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      udp: UDP,
      limits: { dry_run: true, exempt_private: false, per_network: { requests_per_second: 1, burst: 5 } },
    });

    test('refuse nothing and count what they would refuse', async (context) => {
      const { udp, expectCounts } = suite.threads;
      await expectCounts(
        {
          udp4_requests: 20,
          udp4_connections_handled: 20,
          udp4_responses: 20,
          requests_beyond_network_limit: 15,
        },
        () => send(context, udp[0], '127.0.0.2', connects(20)),
      );
    });
  });

  describe(`Limits on what is kept, with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, {
      udp: UDP,
      http: [{}],
      limits: { max_swarms: 1, max_peers_per_swarm: 2, max_peers_per_ip: 1 },
    });

    test('answer who is beyond them with peers, and count them', async (context) => {
      const { udp, http, counts, swarms } = suite.threads;
      const infoHash = newInfoHash();
      await (await UdpClient.open(context, udp[0], '127.0.0.1')).announce(infoHash);
      await announce(http[0], infoHash, {}, { from: '127.0.0.2' });
      const before = swarms();
      const third = await (await UdpClient.open(context, udp[0], '127.0.0.3')).announce(infoHash);
      assert.equal(third.peers.length, 2);
      await (await UdpClient.open(context, udp[0], '127.0.0.3')).announce(newInfoHash());
      await announce(http[0], newInfoHash(), {}, { from: '127.0.0.2' });
      assert.deepEqual(swarms(), before);
      const now = counts();
      assert.equal(now.announces_beyond_swarm_peer_limit, 1);
      assert.equal(now.announces_beyond_swarm_limit, 2);
      assert.equal(now.announces_beyond_ip_peer_limit, 1);
    });
  });

  describe(`Announces from local addresses, with ${sockets} sockets`, () => {
    const flagging = threadsOfSuite(sockets, {
      udp: UDP,
      http: [{}],
      source_guard: { cluster_ranges: ['127.1.0.0/16'], exempt: ['127.0.0.9/32'] },
    });
    const refusing = threadsOfSuite(sockets, {
      udp: UDP,
      http: [{}],
      source_guard: { policy: 'refuse', exempt: ['127.0.0.9/32'] },
    });

    test('are counted by the kind of address, and stored', async (context) => {
      const { udp, http } = flagging.threads;
      const before = flagging.threads.counts();
      const infoHash = newInfoHash();
      for (const from of ['127.0.0.1', '127.1.2.3', '127.0.0.9']) {
        await (await UdpClient.open(context, udp[0], from)).announce(infoHash);
      }
      const client = await UdpClient.open(context, udp[0], '127.1.0.9');
      const { peers } = await announce(http[0], infoHash, {}, { from: '127.1.0.1' });
      assert.deepEqual(peers.toSorted(), ['127.0.0.1:6881', '127.0.0.9:6881', '127.1.2.3:6881']);
      await client.announce(PROBE_INFO_HASH);
      const counts = flagging.threads.counts();
      assert.equal(counts.announces_from_loopback - before.announces_from_loopback, 1);
      assert.equal(counts.announces_from_cluster - before.announces_from_cluster, 2);
      assert.equal(counts.announces_refused_for_source, 0);
    });

    test('are refused where that is wanted, and nothing is stored', async (context) => {
      const { udp, http, swarms } = refusing.threads;
      const before = swarms();
      const client = await UdpClient.open(context, udp[0]);
      const reason = 'The address of this announce is one that other clients cannot reach';
      const reply = await client.tryAnnounce(newInfoHash());
      assert.deepEqual([reply.kind, reply.kind === 'error' && reply.message], ['error', reason]);
      assert.deepEqual(await failureOf(http[0], announceTarget(newInfoHash())), { reason, retryIn: 'never' });
      assert.deepEqual(swarms(), before);
      assert.equal(refusing.threads.counts().announces_refused_for_source, 2);
      await (await UdpClient.open(context, udp[0], '127.0.0.9')).announce(newInfoHash());
      await client.scrape([newInfoHash()]);
    });
  });
});
