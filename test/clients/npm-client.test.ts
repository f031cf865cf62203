/** The client of the npm package bittorrent-tracker, which every machine has, over loopback and both socket paths. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { Client, type Update } from 'bittorrent-tracker';
import { SOCKET_PATHS, threadsOfSuite } from '../net/tracker-threads.ts';
import { waitFor } from '../support/waiting.ts';

interface Peer {
  readonly client: Client;
  readonly peers: Set<string>;
  /** The last answer to an announce. */
  last(): Update | undefined;
}

function openPeer(context: TestContext, announceUrl: string, infoHash: Uint8Array, port: number): Peer {
  const client = new Client({
    infoHash,
    peerId: randomBytes(20),
    announce: [announceUrl],
    port,
    wrtc: false,
  });
  const peers = new Set<string>();
  let last: Update | undefined;
  client.on('update', (update) => (last = update));
  client.on('peer', (peer) => peers.add(peer));
  client.on('error', (error) => assert.fail(error));
  client.on('warning', (error) => assert.fail(error));
  context.after(() => new Promise<void>((resolve) => client.destroy(resolve)));
  return { client, peers, last: () => last };
}

for (const sockets of SOCKET_PATHS) {
  describe(`bittorrent-tracker's client, ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { udp: [{}], http: [{}] });
    for (const protocol of ['udp', 'http'] as const) {
      test(`finds a seeder, completes, scrapes and leaves over ${protocol}`, async (context) => {
        const { threads } = suite;
        const [address] = threads[protocol];
        assert(address);
        const url = `${protocol}://127.0.0.1:${address.port}/announce`;
        const infoHash = randomBytes(20);
        const seeder = openPeer(context, url, infoHash, 1001);
        seeder.client.start({ left: 0 });
        await waitFor('the seeder is answered', () => seeder.last()?.complete === 1);
        const leecher = openPeer(context, url, infoHash, 1002);
        leecher.client.start({ left: 100 });
        await waitFor('the leecher knows the seeder', () => leecher.peers.has('127.0.0.1:1001'));
        assert.deepEqual([leecher.last()?.complete, leecher.last()?.incomplete], [1, 1]);
        leecher.client.complete();
        await waitFor('both are seeders', () => leecher.last()?.complete === 2);
        const scraped = once(leecher.client, 'scrape');
        leecher.client.scrape();
        const [scrape] = (await scraped) as [{ complete: number; incomplete: number; downloaded: number }]; // its type
        assert.deepEqual([scrape.complete, scrape.incomplete, scrape.downloaded], [2, 0, 1]);
        leecher.client.stop();
        await waitFor(
          'the leecher has left',
          () => threads.store.peersOf(infoHash.toString('hex')).length === 1,
        );
      });
    }
  });
}
