/**
 * Queries of HTTP announces and scrapes: what each parameter means, and the failure reason of each mistake.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  decodeAnnounceQuery,
  decodeScrapeQuery,
  HttpAnnounce,
  HttpScrape,
  NO_QUERY,
} from '../../tracker/protocol/http-query.ts';
import { AnnounceEvent, AnnounceRequest, HASH_BYTES } from '../../tracker/protocol/model.ts';
import vectors from '../vectors/http-queries.json' with { type: 'json' };

const INFO_HASH = '%3B%24U%04%CF%5F%11%BB%DB%E1%20%1C%EA%6A%6B%F4%5A%EE%1B%C0';
const MANDATORY = `info_hash=${INFO_HASH}&peer_id=-qB00000000000000001&port=17548`;

/** Puts a query into the middle of other bytes, as it stands in a request, and decodes it there. */
function decodeAnnounce(query: string | null, announce = new HttpAnnounce()): string | null {
  const { bytes, start, end } = surround(query);
  return decodeAnnounceQuery(bytes, start, end, announce);
}

function decodeScrape(query: string | null, scrape: HttpScrape): string | null {
  const { bytes, start, end } = surround(query);
  return decodeScrapeQuery(bytes, start, end, scrape);
}

function surround(query: string | null): { bytes: Uint8Array; start: number; end: number } {
  const before = 'GET /announce?';
  const text = query ?? '';
  const bytes = Buffer.from(`${before}${text}&left=5 HTTP/1.1`, 'latin1');
  const start = query === null ? NO_QUERY : before.length;
  return { bytes, start, end: before.length + text.length };
}

function counter(request: AnnounceRequest, word: number): string {
  const high = BigInt.asUintN(32, BigInt(request.words[word]));
  return String((high << 32n) | BigInt.asUintN(32, BigInt(request.words[word + 1])));
}

function view(announce: HttpAnnounce, query: string): object {
  const request = announce.request;
  const bytes = Buffer.from(request.bytes);
  return {
    infoHash: bytes.toString('hex', 0, HASH_BYTES),
    peerId: bytes.toString('latin1', HASH_BYTES, 2 * HASH_BYTES),
    port: announce.port,
    downloaded: counter(request, AnnounceRequest.DOWNLOADED_WORD),
    uploaded: counter(request, AnnounceRequest.UPLOADED_WORD),
    left: counter(request, AnnounceRequest.LEFT_WORD),
    event: Object.entries(AnnounceEvent).find(([, value]) => value === request.event)?.[0],
    compact: announce.compact,
    numWant: request.numWant,
    ip: Buffer.from(surround(query).bytes).toString('latin1', announce.ipStart, announce.ipEnd),
  };
}

function hashesOf(scrape: HttpScrape): string[] {
  const bytes = Buffer.from(scrape.bytes);
  return Array.from(scrape.order.subarray(0, scrape.count), (place) =>
    bytes.toString('hex', place * HASH_BYTES, (place + 1) * HASH_BYTES),
  );
}

suite('an announce query is understood', () => {
  // One object for all: what one query said must not be heard in the next.
  const announce = new HttpAnnounce();
  for (const { name, query, value } of vectors.announce.accepted) {
    test(name, () => {
      decodeAnnounce(
        `${MANDATORY}&event=stopped&left=7&uploaded=8&downloaded=9&compact=1&numwant=3&ip=1.1.1.1`,
        announce,
      );
      announce.request.key = 'the key of another request';
      assert.equal(decodeAnnounce(query, announce), null);
      assert.deepEqual(view(announce, query), value);
      assert.equal(announce.request.key, '');
    });
  }
});

suite('an announce query is refused', () => {
  for (const { name, query, failure } of vectors.announce.refused) {
    test(name, () => assert.equal(decodeAnnounce(query), failure));
  }
});

suite('a scrape query is understood', () => {
  const scrape = new HttpScrape(10);
  for (const { name, query, hashes } of vectors.scrape.accepted) {
    test(name, () => {
      assert.equal(decodeScrape(query, scrape), null);
      assert.deepEqual(hashesOf(scrape), hashes);
    });
  }

  test('more info hashes than there is room for are left out, but still checked', () => {
    const small = new HttpScrape(2);
    const hashes = ['d', 'b', 'c', 'a', 'b'].map((letter) => `info_hash=${letter.repeat(20)}`).join('&');
    assert.equal(decodeScrape(hashes, small), null);
    assert.deepEqual(hashesOf(small), ['62'.repeat(20), '64'.repeat(20)]);
    assert.match(decodeScrape(`${hashes}&info_hash=short`, small) ?? '', /got 5 bytes/);
  });
});

suite('a scrape query is refused', () => {
  for (const { name, query, failure } of vectors.scrape.refused) {
    test(name, () => assert.equal(decodeScrape(query, new HttpScrape(10)), failure));
  }
});

test('every cut of a valid announce is answered with a failure reason or is valid itself', () => {
  const query = `${MANDATORY}&uploaded=1&left=12&event=started&compact=1&numwant=30`;
  const failures = new Set<string>();
  for (let length = 0; length < query.length; length++) {
    const failure = decodeAnnounce(query.slice(0, length));
    if (failure === null) continue;
    assert.match(failure, /^Cannot parse query params(:| for announce request:) /);
    failures.add(failure.replace(/(invalid param |value ).*/, '$1'));
  }
  assert.ok(failures.size >= 4, `only ${[...failures].join(', ')}`);
});

test('any bytes are either understood or refused with a bounded text', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      '&',
      '=',
      '%',
      'info_hash=',
      'peer_id=',
      'port=1',
      'left=',
      INFO_HASH,
      '-qB00000000000000001',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const query = Buffer.from(pieces.join('')).toString('latin1');
      for (const failure of [decodeAnnounce(query), decodeScrape(query, new HttpScrape(4))]) {
        assert.ok(failure === null || failure.length < 400);
      }
    }),
  );
});

test('any info hash and peer id survive percent-encoding', () => {
  const hash = fc.uint8Array({ minLength: HASH_BYTES, maxLength: HASH_BYTES });
  fc.assert(
    fc.property(hash, hash, fc.integer({ min: 0, max: 3 }), (infoHash, peerId, style) => {
      const query = `info_hash=${percentEncode(infoHash, style)}&peer_id=${percentEncode(peerId, 3 - style)}&port=1`;
      const announce = new HttpAnnounce();
      assert.equal(decodeAnnounce(query, announce), null);
      assert.deepEqual(announce.request.bytes.subarray(0, 20), infoHash);
      assert.deepEqual(announce.request.bytes.subarray(20, 40), peerId);
    }),
  );
});

test('any counter is read exactly, or refused beyond its range', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 65n }), (value) => {
      const announce = new HttpAnnounce();
      const failure = decodeAnnounce(`${MANDATORY}&left=${value}`, announce);
      if (value < 1n << 63n) {
        assert.equal(failure, null);
        assert.equal(counter(announce.request, AnnounceRequest.LEFT_WORD), String(value));
      } else {
        assert.match(failure ?? '', value < 1n << 64n ? /param value overflow/ : /invalid param value/);
      }
    }),
  );
});

test('any set of info hashes comes out sorted and without duplicates', () => {
  // Few distinct bytes, so that hashes often share a beginning and sometimes are the same.
  const hash = fc.array(fc.constantFrom(0, 1, 255), { minLength: HASH_BYTES, maxLength: HASH_BYTES });
  fc.assert(
    fc.property(fc.array(hash, { minLength: 1, maxLength: 40 }), (hashes) => {
      const scrape = new HttpScrape(hashes.length);
      const query = hashes.map((bytes) => `info_hash=${percentEncode(Uint8Array.from(bytes), 0)}`).join('&');
      assert.equal(decodeScrape(query, scrape), null);
      const expected = [...new Set(hashes.map((bytes) => Buffer.from(bytes).toString('hex')))].toSorted();
      assert.deepEqual(hashesOf(scrape), expected);
    }),
  );
});

/** Style 0 escapes every byte in lower case, 1 in upper case, others only what can't stand in a query. */
function percentEncode(bytes: Uint8Array, style: number): string {
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    const hex = byte.toString(16).padStart(2, '0');
    if (style < 2) return `%${style === 0 ? hex : hex.toUpperCase()}`;
    return /[%&=\s]/.test(character) || byte <= 0x20 ? `%${hex}` : character;
  }).join('');
}
