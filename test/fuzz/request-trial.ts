/**
 * HTTP requests against the request reader and the `HttpService`, without sockets: whatever the bytes are, the answer is
 * a whole one within its bounds, and one counter moves.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { HttpService, MAX_BODY_BYTES, MAX_TARGET_BYTES } from '../../tracker/net/http-service.ts';
import type { HttpListenerSetup } from '../../tracker/net/listener.ts';
import { decodeBencode, dictionaryEntry } from '../../tracker/protocol/bencode.ts';
import { HeadState, HttpMethod, readRequestHead, RequestHead } from '../../tracker/protocol/http-request.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { makeTracker } from './in-process-listeners.ts';
import { mutate, type Random } from './random.ts';
import { makeStream } from './request-streams.ts';
import { COUNTERS } from '../../tracker/swarm/counters.ts';

const CONFIG = {
  http_trackers: [
    { bind_address: '127.0.0.1:0', use_ip_from_query_string: true, external_ip_in_reply: true },
    {
      bind_address: '127.0.0.1:0',
      network: { on_reverse_proxy: true, trusted_proxies: ['10.0.0.0/8', 'fd00::/8'] },
    },
  ],
};
const STORE_BYTES = 2 ** 22;
/** Bytes of other requests before and behind the one that is read. */
const MARGIN_BYTES = 64;
const MAX_REQUEST_BYTES = 20_000;
/** A failure repeats two hundred characters of its request at most. */
const MAX_REASON_BYTES = 500;

const TARGETS = readTargets();
const PIECES = [
  '&info_hash=%00',
  '&peer_id=-TT0001-000000000001',
  '&port=6881',
  '&port=65536',
  '&left=18446744073709551616',
  '&left=9223372036854775808',
  '&left=-1',
  '&event=stopped',
  '&compact=1',
  '&compact=0',
  '&numwant=4294967296',
  '&numwant=-1',
  '&ip=192.0.2.1',
  '&ip=::ffff:192.0.2.1',
  '%',
  '%0',
  '%zz',
  '&',
  '=',
  '&&',
  '?',
  '/',
  '+',
  '#',
].map((text) => Buffer.from(text, 'latin1'));

export class RequestTrial {
  /** What the requests were. */
  readonly counts = { served: 0, failed: 0, unknown: 0, refused: 0 };
  readonly #parts = makeTracker(CONFIG, STORE_BYTES);
  readonly #services = this.#parts.setups.map(
    // The configuration has HTTP listeners only.
    (setup) => new HttpService(setup as HttpListenerSetup, this.#parts),
  );
  readonly #bytes = Buffer.alloc(MAX_REQUEST_BYTES + 2 * MARGIN_BYTES, 'x');
  readonly #head = new RequestHead();
  readonly #source = new PeerAddress();

  judge(random: Random): void {
    const request = makeRequest(random);
    const bytes = this.#bytes;
    bytes.set(request, MARGIN_BYTES);
    const end = MARGIN_BYTES + request.length;
    const head = this.#head;
    const state = readRequestHead(bytes, MARGIN_BYTES, end, MAX_TARGET_BYTES, head);
    if (state !== HeadState.complete || head.method === HttpMethod.other) {
      this.counts.refused++;
      return;
    }
    assert.ok(MARGIN_BYTES < head.targetStart && head.targetStart < head.targetEnd && head.end <= end);
    const forwarded = Array.from({ length: head.forwardedCount }, (_, i) => {
      const [from, to] = head.forwarded.subarray(2 * i, 2 * i + 2);
      assert.ok(head.targetEnd < from && from <= to && to < head.end);
      return bytes.toString('latin1', from, to);
    });
    this.#setSource(random);
    const { counters } = this.#parts;
    const before = answersOf(counters);
    const service = random.pick(this.#services);
    if (random.oneIn(100)) service.readClock();
    const bodyBytes = service.answer(
      bytes,
      head.targetStart,
      head.targetEnd,
      this.#source,
      forwarded.join(','),
    );
    const moved = answersOf(counters) - before;
    assert.ok(bodyBytes <= MAX_BODY_BYTES);
    const body = service.body.subarray(0, bodyBytes);
    if (service.status === 404 || service.contentType === 'application/json') {
      assert.equal(moved, 0);
      this.counts.unknown++;
      return;
    }
    assert.equal(service.status, 200);
    const result = decodeBencode(body);
    assert.ok(result.kind === 'value', `a reply is bencoded: ${Buffer.from(body).toString('latin1')}`);
    const reason = dictionaryEntry(result.value, 'failure reason');
    if (reason === undefined) {
      // The connection and the announce or scrape are counted, and a completed download, when it is one.
      assert.ok(moved === 2 || moved === 3);
      this.counts.served++;
    } else {
      assert.equal(moved, 1);
      assert.ok(reason instanceof Uint8Array && reason.length <= MAX_REASON_BYTES);
      this.counts.failed++;
    }
  }

  #setSource(random: Random): void {
    const source = this.#source;
    source.family = random.oneIn(4) ? 6 : 4;
    source.words.fill(0);
    source.bytes.set(
      source.family === 4 ? [random.pick([10, 127, 192]), 0, 2, random.below(9)] : [0xfd, random.below(9)],
    );
    source.port = random.below(65_536);
  }
}

function makeRequest(random: Random): Buffer {
  if (random.oneIn(8)) return makeStream(random).bytes.subarray(0, MAX_REQUEST_BYTES);
  const target = mutateSome(random, random.pick(TARGETS));
  const forwarded = random.pick([
    '',
    '',
    'X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n',
    'X-Forwarded-For: ::1,,fd00::1\r\n',
  ]);
  return Buffer.concat([
    Buffer.from(random.oneIn(9) ? 'HEAD ' : 'GET '),
    target.subarray(0, MAX_TARGET_BYTES + 10),
    Buffer.from(` HTTP/1.1\r\nHost: a\r\n${forwarded}\r\n`),
  ]);
}

function mutateSome(random: Random, target: Buffer): Buffer {
  return random.oneIn(3) ? target : mutate(random, target, PIECES, MAX_TARGET_BYTES + 10);
}

/** The targets of the vectors: every query that the tests of the reader know, good and bad. */
function readTargets(): Buffer[] {
  const text = readFileSync(new URL('../vectors/http-queries.json', import.meta.url), 'utf8');
  // The file is ours; what is read of it are the queries, null for none.
  const vectors = JSON.parse(text) as Record<
    'announce' | 'scrape',
    Record<'accepted' | 'refused', { query: string | null }[]>
  >;
  return (['announce', 'scrape'] as const).flatMap((route) =>
    [...vectors[route].accepted, ...vectors[route].refused].map(({ query }) =>
      Buffer.from(`/${route}${query === null ? '' : `?${query}`}`, 'latin1'),
    ),
  );
}

/** The sum of what counts answers over HTTP, and completed downloads; beside them go counters of where clients are. */
function answersOf(counters: Float64Array): number {
  return counters.reduce(
    (sum, count, place) =>
      /^(?:tcp[46]_(?:connections|announces|scrapes|errors)_handled|completed_downloads)$/.test(
        COUNTERS[place] ?? '',
      )
        ? sum + count
        : sum,
    0,
  );
}
