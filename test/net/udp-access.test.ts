/** Who a UDP tracker serves: keys in the announce URL (BEP 41) when private, the whitelist when listed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeUdpReply } from '../../tracker/protocol/udp-client.ts';
import { type Counts, forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { announceBytes, newInfoHash, UdpClient, withMarker } from './udp-exchange.ts';

const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const EXPIRED_KEY = 'xqUEH2yJqRa1tMmL0aXWBRN8UjgPnG2v';
const UNKNOWN_KEY = '0123456789abcdef0123456789ABCDEF';
const PRIVATE = { listed: false, private: true };
const LISTED = { listed: true, private: false };
const MISSING = 'Authentication error: Missing authentication key param for private tracker.';
const MALFORMED = 'Authentication error: Invalid format for authentication key param.';
const REFUSED: Counts = { udp4_requests: 1, udp4_errors_handled: 1, udp4_responses: 1 };
const SERVED: Counts = { udp4_requests: 1, udp4_announces_handled: 1, udp4_responses: 1 };

interface Case {
  /** What stands behind the announce; a text is sent as URL data. */
  readonly url: string | Uint8Array;
  /** The error text; null when it is served. */
  readonly refusal: string | null;
}

function option(text: string): Buffer {
  return Buffer.concat([Buffer.of(2, text.length), Buffer.from(text)]);
}

const KEYS: Record<string, Case> = {
  'no URL data': { url: '', refusal: MISSING },
  'a URL without a key': { url: '/announce', refusal: MISSING },
  'a key as the second segment': { url: `/announce/${KEY}`, refusal: null },
  'a key as the only segment': { url: `/${KEY}`, refusal: null },
  'a key in the query': { url: `/announce?key=${KEY}`, refusal: null },
  'a key in a query without a path': { url: `?key=${KEY}`, refusal: null },
  'a key among other parameters': { url: `/announce?a=b&key=${KEY}&c=d`, refusal: null },
  'a key in the path before a query': { url: `/announce/${KEY}?a=b`, refusal: null },
  'a key split over two options': {
    url: Buffer.concat([option('/announce/YZSl4l'), option(KEY.slice(6))]),
    refusal: null,
  },
  'a key between padding': {
    url: Buffer.concat([Buffer.of(1, 1), option(`/${KEY}`), Buffer.of(1, 0, 9)]),
    refusal: null,
  },
  'a key behind the end of the options': {
    url: Buffer.concat([Buffer.of(0), option(`/${KEY}`)]),
    refusal: MISSING,
  },
  'an option that is cut short': { url: option(`/${KEY}`).subarray(0, 20), refusal: MISSING },
  'a key that nobody was given': {
    url: `/announce/${UNKNOWN_KEY}`,
    refusal: `Authentication error: Failed to read key: ${UNKNOWN_KEY}`,
  },
  'a key in other letters': {
    url: `/announce/${KEY.toUpperCase()}`,
    refusal: `Authentication error: Failed to read key: ${KEY.toUpperCase()}`,
  },
  'a second segment that is no key': { url: '/announce/zz', refusal: MALFORMED },
  'an only segment that is no key': { url: '/zz', refusal: MALFORMED },
  'a query whose key is none': { url: '/announce?key=zz', refusal: MALFORMED },
  'an empty key in the query': { url: '/announce?key=', refusal: MISSING },
  'a key in the query behind a path that has none': { url: `/tracker?key=${KEY}`, refusal: null },
  'an expired key': {
    url: `/announce/${EXPIRED_KEY}`,
    refusal: 'Authentication error: Key has expired',
  },
};

forEachSocketPath((sockets) => {
  describe(`A private UDP tracker over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { core: PRIVATE, udp: [{}] });

    for (const [title, { url, refusal }] of Object.entries(KEYS)) {
      test(`${refusal === null ? 'serves' : 'refuses'} an announce with ${title}`, async (context) => {
        const { threads } = suite;
        threads.access.replaceKeys([
          { key: KEY, validUntilSeconds: null },
          { key: EXPIRED_KEY, validUntilSeconds: 1_000_000_000 },
        ]);
        const client = await UdpClient.open(context, threads.udp[0]);
        const infoHash = newInfoHash();
        const urlData = typeof url === 'string' ? url : '';
        const request = announceBytes({ infoHash, connectionId: await client.connect(), urlData });
        const options = typeof url === 'string' ? Buffer.alloc(0) : url;
        const [reply] = await threads.expectCounts(withMarker(refusal === null ? SERVED : REFUSED), () =>
          client.exchange(Buffer.concat([request, options])),
        );
        assert.ok(reply !== undefined);
        const read = decodeUdpReply(reply, 4);
        assert.equal(read.kind === 'error' ? read.message : null, refusal);
        const peers = threads.store.peersOf(infoHash.toString('hex'));
        assert.equal(peers.length, refusal === null ? 1 : 0);
      });
    }

    test('serves a key until the moment that it expires', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0]);
      const urlData = `/${KEY}`;
      threads.access.replaceKeys([{ key: KEY, validUntilSeconds: Math.floor(Date.now() / 1000) + 3600 }]);
      assert.equal((await client.tryAnnounce(newInfoHash(), { urlData })).kind, 'announce');
      threads.access.replaceKeys([{ key: KEY, validUntilSeconds: Math.floor(Date.now() / 1000) - 1 }]);
      assert.equal((await client.tryAnnounce(newInfoHash(), { urlData })).kind, 'error');
    });

    test('serves an expired key, and no unknown one, where expiry is not checked', async (context) => {
      const { threads } = suite;
      threads.configure({ core: { ...PRIVATE, private_mode: { check_keys_expiration: false } } });
      threads.access.replaceKeys([{ key: EXPIRED_KEY, validUntilSeconds: 1_000_000_000 }]);
      const client = await UdpClient.open(context, threads.udp[0]);
      const served = await client.tryAnnounce(newInfoHash(), { urlData: `/${EXPIRED_KEY}` });
      const refused = await client.tryAnnounce(newInfoHash(), { urlData: `/${UNKNOWN_KEY}` });
      assert.deepEqual([served.kind, refused.kind], ['announce', 'error']);
    });

    test('says nothing about keys to those who have no connection id', async (context) => {
      const client = await UdpClient.open(context, suite.threads.udp[0]);
      const reply = await client.tryAnnounce(newInfoHash(), { connectionId: 0n });
      assert.equal(reply.kind === 'error' && reply.message, 'connection id could not be verified');
    });

    test('tells a scrape, which has no room for a key, zeroes', async (context) => {
      const { threads } = suite;
      threads.access.replaceKeys([{ key: KEY, validUntilSeconds: null }]);
      const client = await UdpClient.open(context, threads.udp[0]);
      const infoHash = newInfoHash();
      await client.announce(infoHash, { urlData: `/${KEY}` });
      const { entries } = await client.scrape([infoHash]);
      assert.deepEqual(entries, [{ seeders: 0, completed: 0, leechers: 0 }]);
    });

    test('asks for the key before it looks at the whitelist', async (context) => {
      const { threads } = suite;
      threads.configure({ core: { listed: true, private: true } });
      threads.access.replaceKeys([{ key: KEY, validUntilSeconds: null }]);
      const client = await UdpClient.open(context, threads.udp[0]);
      const infoHash = newInfoHash();
      const keyless = await client.tryAnnounce(infoHash);
      const unlisted = await client.tryAnnounce(infoHash, { urlData: `/${KEY}` });
      threads.access.addInfoHash(infoHash.toString('hex'));
      const listed = await client.tryAnnounce(infoHash, { urlData: `/${KEY}` });
      assert.equal(keyless.kind === 'error' && keyless.message, MISSING);
      assert.match(unlisted.kind === 'error' ? unlisted.message : '', /is not whitelisted/);
      assert.equal(listed.kind, 'announce');
    });
  });

  describe(`A listed UDP tracker over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { core: LISTED, udp: [{}] });

    test('refuses a torrent that is not on the whitelist', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0]);
      const infoHash = newInfoHash();
      const connectionId = await client.connect();
      const before = threads.swarms();
      const reply = await threads.expectCounts(REFUSED, () => client.tryAnnounce(infoHash, { connectionId }));
      const text = `tracker server error: The torrent: ${infoHash.toString('hex')}, is not whitelisted`;
      assert.equal(reply.kind === 'error' && reply.message, text);
      assert.deepEqual(threads.swarms(), before);
    });

    test('serves what is on the whitelist, as soon and as long as it is there', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0]);
      const infoHash = newInfoHash();
      threads.access.addInfoHash(infoHash.toString('hex'));
      assert.equal((await client.tryAnnounce(infoHash)).kind, 'announce');
      assert.equal((await client.scrape([infoHash])).entries[0]?.leechers, 1);
      threads.access.removeInfoHash(infoHash.toString('hex'));
      assert.equal((await client.tryAnnounce(infoHash)).kind, 'error');
    });

    test('tells a scrape zeroes of a torrent that is not listed, in its place', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0]);
      const [listed, unlisted] = [newInfoHash(), newInfoHash()];
      for (const infoHash of [listed, unlisted]) {
        threads.access.addInfoHash(infoHash.toString('hex'));
        await client.announce(infoHash);
      }
      threads.access.removeInfoHash(unlisted.toString('hex'));
      const { entries } = await client.scrape([unlisted, listed]);
      assert.deepEqual(
        entries.map(({ leechers }) => leechers),
        [0, 1],
      );
    });

    test('takes no notice of keys', async (context) => {
      const { threads } = suite;
      const client = await UdpClient.open(context, threads.udp[0]);
      const infoHash = newInfoHash();
      threads.access.addInfoHash(infoHash.toString('hex'));
      const reply = await client.tryAnnounce(infoHash, { urlData: `/${UNKNOWN_KEY}` });
      assert.equal(reply.kind, 'announce');
    });
  });
});
