/** UDP over IPv6, over both families at once, from several addresses, and what is counted for each family. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { needs } from '../support/parts.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { announceBytes, newInfoHash, peerId, type Reply, UdpClient } from './udp-exchange.ts';

forEachSocketPath((sockets) => {
  describe(`UDP over IPv6 with ${sockets} sockets`, needs('ipv6'), () => {
    const suite = threadsOfSuite(sockets, { udp: [{ bind_address: '[::1]:0' }] });

    test('hands out peers of eighteen bytes', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0], '::1');
      const infoHash = newInfoHash();
      await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
      const request = announceBytes({
        connectionId: await client.connect(),
        infoHash,
        port: 1002,
        peerId: peerId(2),
      });
      const [reply] = await client.exchange(request);
      assert.equal(reply?.length, 38);
      assert.equal(reply?.toString('hex', 20), `${'00'.repeat(15)}0103e9`);
    });

    test('counts for IPv6', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0], '::1');
      const connectionId = await threads.expectCounts(
        { udp6_requests: 1, udp6_connections_handled: 1, udp6_responses: 1 },
        () => client.connect(),
      );
      const infoHash = newInfoHash();
      await threads.expectCounts({ udp6_requests: 1, udp6_announces_handled: 1, udp6_responses: 1 }, () =>
        client.announce(infoHash, { connectionId }),
      );
      await threads.expectCounts(
        {
          udp6_requests: 2,
          udp6_connections_handled: 1,
          udp6_scrapes_handled: 1,
          udp6_responses: 2,
        },
        () => client.scrape([infoHash]),
      );
      await threads.expectCounts(
        { udp6_requests: 1, udp6_errors_handled: 1, udp6_responses: 1, connection_id_forged: 1 },
        () => client.tryAnnounce(infoHash, { connectionId: 0n }),
      );
    });

    test('fits its replies into one packet', async (context) => {
      suite.threads.configure({ core: { announce_policy: { max_peers_per_announce: 1000 } } });
      const client = await UdpClient.open(context, suite.threads.udp[0], '::1');
      const infoHash = newInfoHash();
      // One address may have 64 peers in a swarm, which is short of the 79 that fit.
      const reply = await announceMany(client, infoHash, 70);
      assert.ok(reply.peers.length <= 79 && reply.peers.length >= 60);
    });
  });

  describe(`UDP over both families with ${sockets} sockets`, needs('ipv6'), () => {
    const suite = threadsOfSuite(sockets, { udp: [{ bind_address: '[::]:0' }] });

    test('takes an IPv4-mapped client for the IPv4 client that it is', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0], '127.0.0.1');
      const connectionId = await threads.expectCounts(
        { udp4_requests: 1, udp4_connections_handled: 1, udp4_responses: 1 },
        () => client.connect(),
      );
      const infoHash = newInfoHash();
      await client.announce(infoHash, { connectionId, port: 1001, peerId: peerId(1) });
      const reply = await client.announce(infoHash, { connectionId, port: 1002, peerId: peerId(2) });
      assert.deepEqual(reply.peers, [{ address: '127.0.0.1', port: 1001 }]);
      const [stored] = threads.store.peersOf(infoHash.toString('hex'));
      assert.equal(stored?.address.length, 4);
    });

    test('hands out the family of the client, counts both, and fills the list with its own', async (context) => {
      suite.threads.configure({ core: { announce_policy: { max_peers_per_announce: 5 } } });
      const { udp } = suite.threads;
      const [ipv4, ipv6] = [
        await UdpClient.open(context, udp[0]),
        await UdpClient.open(context, udp[0], '::1'),
      ];
      const infoHash = newInfoHash();
      await announceMany(ipv4, infoHash, 20);
      await announceMany(ipv6, infoHash, 6);
      for (const [client, address] of [
        [ipv4, '127.0.0.1'],
        [ipv6, '::1'],
      ] as const) {
        // prettier-ignore
        const reply = await client.announce(infoHash, { port: 9, peerId: peerId(9) });
        assert.equal(reply.peers.length, 5);
        assert.deepEqual(new Set(reply.peers.map((peer) => peer.address)), new Set([address]));
      }
      const { leechers } = await ipv4.announce(infoHash, { port: 9, peerId: peerId(9) });
      assert.equal(leechers, 28);
    });
  });

  describe(`UDP on every address with ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{ bind_address: '0.0.0.0:0' }] });

    test('is served', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      assert.equal((await client.announce(newInfoHash())).leechers, 1);
    });

    if (sockets === 'native') {
      test('answers from the address that was asked', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0], '127.0.0.1', '127.0.0.9');
        // The client refuses a reply from elsewhere.
        assert.equal((await client.ask(encodeConnectRequest(1))).kind, 'connect');
      });
    }
  });

  describe(`What a UDP tracker counts over ${sockets} sockets:`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{}, { tracker_usage_statistics: false }] });

    // The last row turns them off for good, since a reply is counted when it was sent, be it after its test.
    for (const [title, listener, statistics] of [
      ['requests where nothing else is said', 0, true],
      ['nothing where the listener has its own off', 1, true],
      ['nothing where statistics are off', 0, false],
    ] as const) {
      test(title, async (context) => {
        const { threads } = suite;
        threads.configure({ core: { tracker_usage_statistics: statistics } });
        const client = await UdpClient.open(context, threads.udp[listener]);
        const counts =
          statistics && listener === 0
            ? {
                udp4_requests: 4,
                udp4_connections_handled: 2,
                udp4_announces_handled: 1,
                udp4_scrapes_handled: 1,
                udp4_responses: 4,
              }
            : {};
        const before = threads.store.totals().leechers;
        await threads.expectCounts(counts, async () => {
          const infoHash = newInfoHash();
          await client.announce(infoHash);
          await client.scrape([infoHash]);
        });
        assert.equal(threads.store.totals().leechers, before + 1);
      });
    }
  });
});

/** Lets leechers announce from the ports 1000 on; resolves with the last reply. */
async function announceMany(
  client: UdpClient,
  infoHash: Uint8Array,
  count: number,
): Promise<Reply<'announce'>> {
  const connectionId = await client.connect();
  let last: Reply<'announce'> | undefined;
  for (let port = 1000; port < 1000 + count; port++) {
    last = await client.announce(infoHash, { connectionId, port, peerId: peerId(port) });
  }
  assert.ok(last);
  return last;
}
