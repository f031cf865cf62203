/** What an HTTP tracker says to announces and scrapes that it does not serve: every text of Torrust Tracker. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { failureOf, get } from './http-exchange.ts';
import { forEachSocketPath, threadsOfSuite } from './tracker-threads.ts';

const HASH = 'info_hash=%01%02%03%04%05%06%07%08%09%0a%0b%0c%0d%0e%0f%10%11%12%13%14';
const ID = 'peer_id=-TT0001-000000000001';
const GOOD = `${HASH}&${ID}&port=6881`;
const ANNOUNCE = 'Cannot parse query params for announce request: ';
const SCRAPE = 'Cannot parse query params for scrape request: ';
const PIECE = 'Cannot parse query params: invalid param ';
const KEY = 'Authentication error: Invalid format for authentication key param.';

/** Targets, and the reasons of their failures. */
const FAILURES: Record<string, string> = {
  '/announce': `${ANNOUNCE}missing query params for announce request`,
  '/announce?': PIECE,
  '/announce?flag': `${PIECE}flag`,
  [`/announce?${GOOD}&`]: PIECE,
  [`/announce?${GOOD}&&compact=1`]: PIECE,
  [`/announce?${GOOD}&a=b=c`]: `${PIECE}a=b=c`,
  [`/announce?a=b=c&info_hash=short`]: `${PIECE}a=b=c`,
  '/announce?a=b': `${ANNOUNCE}missing param info_hash`,
  [`/announce?INFO_HASH=${HASH.slice(10)}&${ID}&port=1`]: `${ANNOUNCE}missing param info_hash`,
  [`/announce?info%5fhash=${HASH.slice(10)}&${ID}&port=1`]: `${ANNOUNCE}missing param info_hash`,
  [`/announce?${HASH}&port=1`]: `${ANNOUNCE}missing param peer_id`,
  [`/announce?${HASH}&${ID}`]: `${ANNOUNCE}missing param port`,
  [`/announce?info_hash=short&${ID}&port=1`]: `${ANNOUNCE}invalid param value short for info_hash in not enough bytes for infohash: got 5 bytes, expected 20`,
  [`/announce?${HASH}%15&${ID}&port=1`]: `${ANNOUNCE}invalid param value ${HASH.slice(10)}%15 for info_hash in too many bytes for infohash: got 21 bytes, expected 20`,
  [`/announce?info_hash=&${ID}&port=1`]: `${ANNOUNCE}invalid param value  for info_hash in not enough bytes for infohash: got 0 bytes, expected 20`,
  [`/announce?${HASH}&peer_id=short&port=1`]: `${ANNOUNCE}invalid param value short for peer_id in not enough bytes for peer id: got 5 bytes, expected 20`,
  [`/announce?${HASH}&${ID}2&port=1`]: `${ANNOUNCE}invalid param value ${ID.slice(8)}2 for peer_id in too many bytes for peer id: got 21 bytes, expected 20`,
  ...Object.fromEntries(
    (
      [
        ['port', ['', 'x', '-1', '65536', '6881.0', '%36881', '0x10']],
        ['downloaded', ['', 'x', '-1', '1.5', '18446744073709551616']],
        ['uploaded', ['', 'x', '-1']],
        ['left', ['', 'x', '-1', '99999999999999999999999']],
        ['event', ['Started', '%73tarted', 'nonsense', 'completed%20']],
        ['compact', ['', '2', '-1', 'true', '01']],
        ['numwant', ['', 'x', '1.5', '4294967296', '--1', '-+1']],
      ] as const
    ).flatMap(([name, values]) =>
      values.map((value) => [
        `/announce?${name}=${value}&${GOOD}`,
        `${ANNOUNCE}invalid param value ${value} for ${name}`,
      ]),
    ),
  ),
  ...Object.fromEntries(
    (['downloaded', 'uploaded', 'left'] as const).flatMap((name) =>
      ['9223372036854775808', '18446744073709551615'].map((value) => [
        `/announce?${name}=${value}&${GOOD}`,
        `${ANNOUNCE}param value overflow ${value} for ${name}`,
      ]),
    ),
  ),
  '/scrape': `${SCRAPE}missing query params for scrape request`,
  '/scrape?': PIECE,
  '/scrape?a=b': `${SCRAPE}missing param info_hash`,
  [`/scrape?${HASH}&flag`]: `${PIECE}flag`,
  '/scrape?info_hash=short': `${SCRAPE}invalid param value short for info_hash in not enough bytes for infohash: got 5 bytes, expected 20`,
  [`/scrape?${HASH}&info_hash=short`]: `${SCRAPE}invalid param value short for info_hash in not enough bytes for infohash: got 5 bytes, expected 20`,
  [`/scrape?${HASH}x`]: `${SCRAPE}invalid param value ${HASH.slice(10)}x for info_hash in too many bytes for infohash: got 21 bytes, expected 20`,
};

/** Bad keys in the path, which fail a request in every mode, and only after its query. */
const KEY_FAILURES: Record<string, string> = {
  [`/announce/short?${GOOD}`]: KEY,
  [`/announce/YZSl4lMZupRuOpSRC3krIKR5BPB14nr?${GOOD}`]: KEY,
  [`/announce/YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ0?${GOOD}`]: KEY,
  [`/announce/YZSl4lMZupRuOpSRC3krIKR5BPB14nr-?${GOOD}`]: KEY,
  [`/announce/%00?${GOOD}`]: KEY,
  [`/scrape/short?${HASH}`]: KEY,
};

forEachSocketPath((sockets) => {
  describe(`A failure over HTTP with ${sockets} sockets:`, () => {
    const suite = threadsOfSuite(sockets, { http: [{}] });

    for (const [target, reason] of Object.entries({ ...FAILURES, ...KEY_FAILURES })) {
      test(target, async () => {
        const { threads } = suite;
        const before = threads.swarms();
        const failure = await threads.expectCounts({ tcp4_errors_handled: 1, tcp4_responses: 1 }, () =>
          failureOf(threads.http[0], target),
        );
        assert.deepEqual(failure, { reason, retryIn: target in KEY_FAILURES ? 'never' : undefined });
        assert.deepEqual(threads.swarms(), before);
      });
    }

    test('is one bencoded dictionary with its reason', async () => {
      const { status, headers, body } = await get(suite.threads.http[0], '/scrape?a=b');
      const reason = `${SCRAPE}missing param info_hash`;
      assert.equal(body, `d14:failure reason${reason.length}:${reason}e`);
      assert.equal(status, 200);
      assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
      assert.equal(headers['cache-control'], undefined);
    });

    test('that of the query comes before that of the key', async () => {
      const { reason } = await failureOf(suite.threads.http[0], '/announce/short?a=b');
      assert.equal(reason, `${ANNOUNCE}missing param info_hash`);
    });

    test('repeats only the beginning of a long value', async () => {
      const { reason } = await failureOf(
        suite.threads.http[0],
        `/announce?${GOOD}&event=${'x'.repeat(5000)}`,
      );
      assert.ok(reason.length < 400);
    });
  });
});
