/** What a UDP tracker answers to announces (BEP 15): bytes, counts, and which peers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { PROBE_INFO_HASH } from '../../tracker/protocol/probe-hash.ts';
import { decodeUdpReply, encodeConnectRequest, type UdpAnnounce } from '../../tracker/protocol/udp-client.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { announceBytes, newInfoHash, peerId, type Reply, UdpClient } from './udp-exchange.ts';

const { none, completed, started, stopped } = AnnounceEvent;

forEachSocketPath((sockets) => {
  describe(`A UDP announce over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{}, { network: { external_ip: '203.0.113.7' } }] });
    test('is answered with these bytes when it is the first', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const connectionId = await client.connect();
      const [reply] = await client.exchange(announceBytes({ connectionId, transactionId: 0x01020304 }));
      assert.equal(reply?.toString('hex'), '0000000101020304000000780000000100000000');
    });

    test('for the info hash of probes is answered and leaves nothing behind', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const before = suite.threads.swarms();
      for (const event of [started, completed, none]) {
        const reply = await client.announce(PROBE_INFO_HASH, { event, peerId: peerId(event) });
        assert.deepEqual(seen(reply), { seeders: 0, leechers: 0, peers: [] });
      }
      assert.deepEqual(suite.threads.swarms(), before);
    });

    test('is answered with the interval of the configuration', async (context) => {
      suite.threads.configure({ core: { announce_policy: { interval: 1800, interval_min: 900 } } });
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      assert.equal((await client.announce(newInfoHash())).intervalSeconds, 1800);
    });

    test('counts the announcer and never names it', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      const first = await client.announce(infoHash, { leftBytes: 0n, port: 1001, peerId: peerId(1) });
      assert.deepEqual(seen(first), { seeders: 1, leechers: 0, peers: [] });
      const second = await client.announce(infoHash, { port: 1002, peerId: peerId(2) });
      assert.deepEqual(seen(second), { seeders: 1, leechers: 1, peers: ['127.0.0.1:1001'] });
      const again = await client.announce(infoHash, { port: 1002, peerId: peerId(2) });
      assert.deepEqual(seen(again), { seeders: 1, leechers: 1, peers: ['127.0.0.1:1001'] });
      const third = await client.announce(infoHash, { port: 1001, peerId: peerId(1), leftBytes: 0n });
      assert.deepEqual(seen(third), { seeders: 1, leechers: 1, peers: ['127.0.0.1:1002'] });
    });

    test('takes the address from the datagram, whatever the ip field says', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      const bytes = announceBytes({ infoHash, connectionId: await client.connect(), port: 1001 });
      bytes.set([8, 8, 8, 8], 84);
      assert.equal((await client.ask(bytes)).kind, 'announce');
      const reply = await client.announce(infoHash, { port: 1002, peerId: peerId(2) });
      assert.deepEqual(seen(reply).peers, ['127.0.0.1:1001']);
    });

    test('may be longer than its fields', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const connectionId = await client.connect();
      const bytes = Buffer.concat([announceBytes({ connectionId }), Buffer.alloc(1800, 0xfe)]);
      assert.equal((await client.ask(bytes)).kind, 'announce');
    });

    test('may be one of a thousand with one connection id', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const connectionId = await client.connect();
      const { torrents } = suite.threads.store.totals();
      const hashes = Array.from({ length: 1000 }, newInfoHash);
      // Fifty at a time, so that no buffer of a small machine overflows.
      for (let at = 0; at < hashes.length; at += 50) {
        const datagrams = hashes
          .slice(at, at + 50)
          .map((infoHash) => announceBytes({ infoHash, connectionId }));
        const replies = await client.exchange(...datagrams);
        assert.deepEqual(
          replies.map((reply) => reply.length),
          Array<number>(50).fill(20),
        );
      }
      assert.equal(suite.threads.store.totals().torrents, torrents + 1000);
    });

    describe('gets as many peers as it wants, up to the maximum:', () => {
      const cases: readonly { maxPeers: number; numWant: number; peers: number }[] = [
        { maxPeers: 74, numWant: -1, peers: 10 },
        { maxPeers: 74, numWant: -2_147_483_648, peers: 10 },
        { maxPeers: 74, numWant: 0, peers: 10 },
        { maxPeers: 74, numWant: 1, peers: 1 },
        { maxPeers: 74, numWant: 9, peers: 9 },
        { maxPeers: 74, numWant: 2_147_483_647, peers: 10 },
        { maxPeers: 5, numWant: -1, peers: 5 },
        { maxPeers: 5, numWant: 0, peers: 5 },
        { maxPeers: 5, numWant: 3, peers: 3 },
        { maxPeers: 5, numWant: 6, peers: 5 },
      ];
      for (const { maxPeers, numWant, peers } of cases) {
        test(`${peers} of ten when ${numWant} are wanted and ${maxPeers} are allowed`, async (context) => {
          suite.threads.configure({ core: { announce_policy: { max_peers_per_announce: maxPeers } } });
          const client = await UdpClient.open(context, suite.threads.udp[0]);
          const infoHash = newInfoHash();
          await announceMany(client, infoHash, 10);
          const reply = await client.announce(infoHash, { numWant, port: 9, peerId: peerId(99) });
          assert.equal(new Set(seen(reply).peers).size, peers);
          assert.equal(reply.leechers, 11);
        });
      }
    });

    test('gets no more peers than cross a network in one packet', async (context) => {
      suite.threads.configure({ core: { announce_policy: { max_peers_per_announce: 1000 } } });
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      // One address may have 64 peers in a swarm.
      for (const from of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6']) {
        await announceMany(await UdpClient.open(context, suite.threads.udp[0], from), infoHash, 60);
      }
      for (const numWant of [-1, 0, 300, 1000]) {
        const connectionId = await client.connect();
        const request = announceBytes({ connectionId, infoHash, numWant, port: 9, peerId: peerId(999) });
        const [reply] = await client.exchange(request);
        assert.equal(reply?.length, 20 + 6 * 242);
      }
    });

    test('gets other peers each time, until all were named', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      await announceMany(client, infoHash, 40);
      const named = new Set<string>();
      for (let round = 0; round < 500 && named.size < 40; round++) {
        const reply = await client.announce(infoHash, { numWant: 8, port: 9, peerId: peerId(99) });
        assert.equal(reply.peers.length, 8);
        for (const peer of seen(reply).peers) named.add(peer);
      }
      assert.deepEqual([...named].toSorted(), ports(40).map((port) => `127.0.0.1:${port}`).toSorted()); // prettier-ignore
    });

    describe('makes a seeder of a peer', () => {
      const cases: readonly { left: bigint; isSeeder: boolean }[] = [
        { left: 0n, isSeeder: true },
        { left: -1n, isSeeder: true },
        { left: -(2n ** 63n), isSeeder: true },
        { left: 1n, isSeeder: false },
        { left: 2n ** 32n, isSeeder: false },
        { left: 2n ** 63n - 1n, isSeeder: false },
      ];
      test('that has nothing left', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        for (const { left, isSeeder } of cases) {
          const { seeders, leechers } = await client.announce(newInfoHash(), { leftBytes: left });
          assert.deepEqual({ left, seeders, leechers }, { left, seeders: Number(isSeeder), leechers: Number(!isSeeder) }); // prettier-ignore
        }
      });
      test('when it has got the rest', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        const infoHash = newInfoHash();
        await client.announce(infoHash, { leftBytes: 5n });
        const { seeders, leechers } = await client.announce(infoHash, { leftBytes: 0n });
        assert.deepEqual({ seeders, leechers }, { seeders: 1, leechers: 0 });
      });
    });

    describe('counts a download', () => {
      const cases: Record<string, { events: readonly AnnounceEvent[]; downloads: number }> = {
        'not when "completed" comes first': { events: [completed], downloads: 0 },
        'when a known peer says so': { events: [started, completed], downloads: 1 },
        'when the peer had said nothing before': { events: [none, completed], downloads: 1 },
        'once when it is said twice': { events: [started, completed, completed], downloads: 1 },
        'again after something else': { events: [started, completed, none, completed], downloads: 2 },
        'not for a peer that has left': { events: [started, stopped, completed], downloads: 0 },
      };
      for (const [title, { events, downloads }] of Object.entries(cases)) {
        test(title, async (context) => {
          const client = await UdpClient.open(context, suite.threads.udp[0]);
          const infoHash = newInfoHash();
          for (const event of events) await client.announce(infoHash, { event, leftBytes: 0n });
          const { entries } = await client.scrape([infoHash]);
          assert.equal(entries[0]?.completed, downloads);
        });
      }
    });

    test('with event 4, "paused", is an announce without an event', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      const bytes = announceBytes({ infoHash, connectionId: await client.connect() });
      new DataView(bytes.buffer).setInt32(80, 4);
      const reply = await client.ask(bytes);
      assert.equal(reply.kind === 'announce' && reply.leechers, 1);
    });

    describe('that says "stopped"', () => {
      test('removes the peer and still gets peers', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        const infoHash = newInfoHash();
        await announceMany(client, infoHash, 2);
        await client.announce(infoHash, { port: 9, peerId: peerId(9) });
        const reply = await client.announce(infoHash, { port: 9, peerId: peerId(9), event: stopped });
        assert.equal(reply.leechers, 2);
        assert.deepEqual(seen(reply).peers.toSorted(), ['127.0.0.1:1000', '127.0.0.1:1001']);
        const { leechers, peers } = await client.announce(infoHash, { port: 8, peerId: peerId(8) });
        assert.deepEqual([leechers, peers.length], [3, 2]);
      });
      test('removes the same peer id at that address when the port is another', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        const infoHash = newInfoHash();
        await client.announce(infoHash, { port: 1001 });
        const { leechers } = await client.announce(infoHash, { port: 1002, event: stopped });
        assert.equal(leechers, 0);
      });
      test('leaves others alone', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        const infoHash = newInfoHash();
        await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
        const { leechers } = await client.announce(infoHash, { port: 1002, peerId: peerId(2), event: stopped }); // prettier-ignore
        assert.equal(leechers, 1);
      });
      test('is answered for a torrent that nobody knows', async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        const infoHash = newInfoHash();
        const reply = await client.announce(infoHash, { event: stopped });
        assert.deepEqual(seen(reply), { seeders: 0, leechers: 0, peers: [] });
        assert.deepEqual(suite.threads.store.peersOf(infoHash.toString('hex')), []);
      });
    });

    describe('tells peers apart by their addresses:', () => {
      const cases: Record<
        string,
        { second: Partial<UdpAnnounce>; from?: string; leechers: number; peers: readonly string[] }
      > = {
        'another peer id at the same address is the same peer': {
          second: { port: 1001, peerId: peerId(2) },
          leechers: 1,
          peers: ['127.0.0.1:1001'],
        },
        'the same peer id at another port of the address has moved': {
          second: { port: 1002, peerId: peerId(1) },
          leechers: 1,
          peers: ['127.0.0.1:1002'],
        },
        'the same peer id at another address is another peer': {
          second: { port: 1001, peerId: peerId(1) },
          from: '127.0.0.2',
          leechers: 2,
          peers: ['127.0.0.1:1001', '127.0.0.2:1001'],
        },
        'another peer id at another port is another peer': {
          second: { port: 1002, peerId: peerId(2) },
          leechers: 2,
          peers: ['127.0.0.1:1001', '127.0.0.1:1002'],
        },
      };
      for (const [title, { second, from = '127.0.0.1', leechers, peers }] of Object.entries(cases)) {
        test(title, async (context) => {
          const client = await UdpClient.open(context, suite.threads.udp[0]);
          const infoHash = newInfoHash();
          await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
          const other = await UdpClient.open(context, suite.threads.udp[0], from);
          const reply = await other.announce(infoHash, second);
          assert.equal(reply.leechers, leechers);
          const watcher = await client.announce(infoHash, { port: 9, peerId: peerId(9) });
          assert.deepEqual(seen(watcher).peers.toSorted(), peers);
        });
      }
    });

    test('of a client on the loopback interface keeps its address', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const infoHash = newInfoHash();
      await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
      const reply = await client.announce(infoHash, { port: 1002, peerId: peerId(2) });
      assert.deepEqual(seen(reply).peers, ['127.0.0.1:1001']);
    });

    test('of a client on the loopback interface gets the external address where one is set', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[1]);
      const infoHash = newInfoHash();
      await client.announce(infoHash, { port: 1001, peerId: peerId(1) });
      const reply = await client.announce(infoHash, { port: 1002, peerId: peerId(2) });
      assert.deepEqual(seen(reply).peers, ['203.0.113.7:1001']);
    });
  });

  describe(`A connect request over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{}, { network: { external_ip: '203.0.113.7' } }] });
    test('is answered with sixteen bytes, however long it is', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const long = Buffer.concat([encodeConnectRequest(-2), Buffer.alloc(100)]);
      for (const request of [encodeConnectRequest(-2), long]) {
        const replies = await client.exchange(request);
        assert.equal(replies.length, 1);
        assert.equal(replies[0]?.length, 16);
        assert.equal(replies[0]?.toString('hex', 0, 8), '00000000fffffffe');
        assert.equal(decodeUdpReply(replies[0], 4).kind, 'connect');
      }
    });

    test('gives each port and address an id of its own', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const sameAddress = await UdpClient.open(context, suite.threads.udp[0]);
      const samePort = await UdpClient.open(
        context,
        suite.threads.udp[0],
        '127.0.0.2',
        '127.0.0.1',
        client.port,
      );
      const ids = [await client.connect(), await sameAddress.connect(), await samePort.connect()];
      assert.equal(new Set(ids).size, 3);
    });
  });
});

function seen({ seeders, leechers, peers }: Reply<'announce'>) {
  return { seeders, leechers, peers: peers.map(({ address, port }) => `${address}:${port}`) };
}

function ports(count: number): number[] {
  return Array.from({ length: count }, (_, index) => 1000 + index);
}

/** Lets leechers announce from the ports 1000 on. */
async function announceMany(client: UdpClient, infoHash: Uint8Array, count: number): Promise<void> {
  const connectionId = await client.connect();
  const replies = await client.exchange(
    ...ports(count).map((port) =>
      announceBytes({ connectionId, infoHash, port, peerId: peerId(port), numWant: 1 }),
    ),
  );
  assert.equal(replies.length, count);
}
