/** What an HTTP tracker answers to scrapes (BEP 48). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { announce, get, percentEncode, scrapeTarget } from './http-exchange.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { newInfoHash, peerId } from './udp-exchange.ts';

forEachSocketPath((sockets) => {
  describe(`An HTTP scrape over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { http: [{}] });

    test('is answered with these bytes', async () => {
      const [http] = suite.threads.http;
      const infoHash = Buffer.from('aaaaaaaaaaaaaaaaaaaa');
      await announce(http, infoHash, { port: 1001, left: 5, peer_id: percentEncode(peerId(1)) });
      const done = { port: 1001, left: 0, event: 'completed', peer_id: percentEncode(peerId(1)) };
      await announce(http, infoHash, done);
      await announce(http, infoHash, { port: 1002, left: 5, peer_id: percentEncode(peerId(2)) });
      const answer = await get(http, scrapeTarget([infoHash]));
      assert.equal(
        answer.body,
        'd5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi1e10:incompletei1eeee',
      );
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-type'], 'application/octet-stream');
      assert.equal(answer.headers['content-length'], String(answer.body.length));
    });

    test('names each torrent once, sorted, with zeroes for the unknown, and makes none', async () => {
      const before = suite.threads.swarms();
      const hashes = [
        'cccccccccccccccccccc',
        'bbbbbbbbbbbbbbbbbbbb',
        'cccccccccccccccccccc',
        '\u00ff'.repeat(20),
      ];
      const { body } = await get(
        suite.threads.http[0],
        scrapeTarget(hashes.map((text) => Buffer.from(text, 'latin1'))),
      );
      const zero = 'd8:completei0e10:downloadedi0e10:incompletei0ee';
      const entry = (letter: string) => `20:${letter.repeat(20)}${zero}`;
      assert.equal(body, `d5:filesd${entry('b')}${entry('c')}${entry('\u00ff')}ee`);
      assert.deepEqual(suite.threads.swarms(), before);
    });

    for (const count of [1, 74, 75, 120, 900]) {
      test(`of ${count} info hashes is answered for all of them`, async () => {
        const { body } = await get(
          suite.threads.http[0],
          scrapeTarget(Array.from({ length: count }, newInfoHash)),
        );
        assert.equal(body.split('8:complete').length - 1, count);
      });
    }

    test('counts as a connection and as a scrape', async () => {
      await suite.threads.expectCounts(
        { tcp4_connections_handled: 1, tcp4_scrapes_handled: 1, tcp4_responses: 1 },
        () => get(suite.threads.http[0], scrapeTarget([newInfoHash()])),
      );
    });
  });
});
