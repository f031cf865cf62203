/** Who an HTTP tracker serves: keys in the path when private, the whitelist when listed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { announce, announceTarget, failureOf, get, scrapeTarget } from './http-exchange.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';
import { newInfoHash } from './udp-exchange.ts';

const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const EXPIRED_KEY = 'xqUEH2yJqRa1tMmL0aXWBRN8UjgPnG2v';
const UNKNOWN_KEY = '0123456789abcdef0123456789ABCDEF';
const PRIVATE = { listed: false, private: true };
const KEYS = [
  { key: KEY, validUntilSeconds: null },
  { key: EXPIRED_KEY, validUntilSeconds: 1_000_000_000 },
];

forEachSocketPath((sockets) => {
  describe(`A private HTTP tracker over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { core: PRIVATE, http: [{}] });

    const refusals: Record<string, { key: string; reason: string }> = {
      'no key': {
        key: '',
        reason: 'Authentication error: Missing authentication key param for private tracker.',
      },
      'a key that nobody was given': {
        key: UNKNOWN_KEY,
        reason: `Authentication error: Failed to read key: ${UNKNOWN_KEY}`,
      },
      'an expired key': { key: EXPIRED_KEY, reason: 'Authentication error: Key has expired' },
      'a malformed key': {
        key: 'short',
        reason: 'Authentication error: Invalid format for authentication key param.',
      },
    };
    for (const [title, { key, reason }] of Object.entries(refusals)) {
      test(`refuses an announce with ${title}, for good`, async () => {
        const { threads } = suite;
        threads.access.replaceKeys(KEYS);
        const before = threads.swarms();
        const failure = await threads.expectCounts({ tcp4_errors_handled: 1, tcp4_responses: 1 }, () =>
          failureOf(threads.http[0], announceTarget(newInfoHash(), {}, key)),
        );
        assert.deepEqual(failure, { reason, retryIn: 'never' });
        assert.deepEqual(threads.swarms(), before);
      });
    }

    test('serves an announce with a key, be it percent-encoded', async () => {
      suite.threads.access.replaceKeys(KEYS);
      for (const key of [KEY, `%59${KEY.slice(1)}`]) {
        assert.equal((await announce(suite.threads.http[0], newInfoHash(), {}, { key })).complete, 1);
      }
    });

    test('serves an expired key, and no unknown one, where expiry is not checked', async () => {
      const { threads } = suite;
      threads.configure({ core: { ...PRIVATE, private_mode: { check_keys_expiration: false } } });
      threads.access.replaceKeys(KEYS);
      await announce(threads.http[0], newInfoHash(), {}, { key: EXPIRED_KEY });
      const { reason } = await failureOf(threads.http[0], announceTarget(newInfoHash(), {}, UNKNOWN_KEY));
      assert.match(reason, /^Authentication error: Failed to read key/);
    });

    test('tells a scrape the truth with a good key and zeroes otherwise, counted as served', async () => {
      const { threads } = suite;
      threads.access.replaceKeys(KEYS);
      const infoHash = newInfoHash();
      await announce(threads.http[0], infoHash, {}, { key: KEY });
      for (const [key, complete] of [
        [KEY, 1],
        ['', 0],
        [UNKNOWN_KEY, 0],
        [EXPIRED_KEY, 0],
      ] as const) {
        // prettier-ignore
        const { body } = await threads.expectCounts(
          { tcp4_connections_handled: 1, tcp4_scrapes_handled: 1, tcp4_responses: 1 },
          () => get(threads.http[0], scrapeTarget([infoHash], key)),
        );
        assert.match(body, new RegExp(`8:completei${complete}e`), key);
      }
    });

    test('speaks of the query before it speaks of the key', async () => {
      const { reason } = await failureOf(suite.threads.http[0], `/announce/${UNKNOWN_KEY}?a=b`);
      assert.match(reason, /missing param info_hash$/);
    });

    test('asks for the key before it looks at the whitelist', async () => {
      const { threads } = suite;
      threads.configure({ core: { listed: true, private: true } });
      threads.access.replaceKeys(KEYS);
      const infoHash = newInfoHash();
      const keyless = await failureOf(threads.http[0], announceTarget(infoHash));
      const unlisted = await failureOf(threads.http[0], announceTarget(infoHash, {}, KEY));
      assert.match(keyless.reason, /^Authentication error: Missing/);
      assert.match(unlisted.reason, /is not whitelisted$/);
    });
  });

  describe(`A listed HTTP tracker over ${sockets} sockets`, () => {
    const suite = threadsOfSuite(sockets, { core: { listed: true, private: false }, http: [{}] });

    test('refuses a torrent that is not on the whitelist, for good', async () => {
      const { threads } = suite;
      const infoHash = newInfoHash();
      const before = threads.swarms();
      const failure = await threads.expectCounts({ tcp4_errors_handled: 1, tcp4_responses: 1 }, () =>
        failureOf(threads.http[0], announceTarget(infoHash)),
      );
      const reason = `Tracker error: The torrent: ${infoHash.toString('hex')}, is not whitelisted`;
      assert.deepEqual(failure, { reason, retryIn: 'never' });
      assert.deepEqual(threads.swarms(), before);
    });

    test('serves what is on the whitelist, with any well-formed key or none', async () => {
      const { threads } = suite;
      const infoHash = newInfoHash();
      threads.access.addInfoHash(infoHash.toString('hex'));
      for (const key of ['', UNKNOWN_KEY]) {
        assert.equal((await announce(threads.http[0], infoHash, {}, { key })).complete, 1);
      }
    });

    test('tells a scrape zeroes of a torrent that is not listed', async () => {
      const { threads } = suite;
      const infoHash = newInfoHash();
      threads.access.addInfoHash(infoHash.toString('hex'));
      await announce(threads.http[0], infoHash);
      const scrape = async () => (await get(threads.http[0], scrapeTarget([infoHash]))).body;
      assert.match(await scrape(), /8:completei1e/);
      threads.access.removeInfoHash(infoHash.toString('hex'));
      assert.match(await scrape(), /8:completei0e/);
    });
  });
});
