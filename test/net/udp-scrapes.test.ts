/** What a UDP tracker answers to scrapes (BEP 15). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { decodeUdpReply } from '../../tracker/protocol/udp-client.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { newInfoHash, peerId, UdpClient } from './udp-exchange.ts';

forEachSocketPath((sockets) => {
  describe(`A UDP scrape over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{}] });

    test('tells seeders, downloads and leechers in the order of the request, repetitions too', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const known = newInfoHash();
      const unknown = newInfoHash();
      await client.announce(known, { port: 1001, peerId: peerId(1), leftBytes: 1n });
      const event = AnnounceEvent.completed;
      await client.announce(known, { port: 1001, peerId: peerId(1), leftBytes: 0n, event });
      await client.announce(known, { port: 1002, peerId: peerId(2), leftBytes: 0n });
      await client.announce(known, { port: 1003, peerId: peerId(3), leftBytes: 9n });
      const entry = { seeders: 2, completed: 1, leechers: 1 };
      const zero = { seeders: 0, completed: 0, leechers: 0 };
      const { entries } = await client.scrape([unknown, known, unknown, known]);
      assert.deepEqual(entries, [zero, entry, zero, entry]);
    });

    test('makes no torrent', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const before = suite.threads.swarms();
      await client.scrape([newInfoHash()]);
      assert.deepEqual(suite.threads.swarms(), before);
    });

    for (const count of [1, 73, 74, 75, 101, 102, 103, 300]) {
      test(`of ${count} info hashes is answered for ${Math.min(count, 74)}`, async (context) => {
        const client = await UdpClient.open(context, suite.threads.udp[0]);
        const known = newInfoHash();
        await client.announce(known);
        const head = Buffer.alloc(16);
        head.writeBigInt64BE(await client.connect());
        head.writeInt32BE(2, 8);
        const hashes = Array.from({ length: count }, (_, index) =>
          index === Math.min(count, 74) - 1 ? known : newInfoHash(),
        );
        const [reply] = await client.exchange(Buffer.concat([head, ...hashes]));
        assert.ok(reply !== undefined);
        const scrape = decodeUdpReply(reply, 4);
        assert.equal(scrape.kind, 'scrape', JSON.stringify(scrape));
        const entries = scrape.kind === 'scrape' ? scrape.entries : [];
        assert.equal(entries.length, Math.min(count, 74));
        assert.equal(entries.at(-1)?.leechers, 1);
      });
    }
  });
});
