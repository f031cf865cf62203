/** What the tracker decides about a request, whatever protocol it came by. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { Access } from '../tracker/access.ts';
import type { TrackerConfigInput } from '../tracker/config/schema.ts';
import { validateConfig } from '../tracker/config/validation.ts';
import { Policy } from '../tracker/policy.ts';
import {
  AnnounceEvent,
  AnnounceReply,
  AnnounceRequest,
  PeerAddress,
  ScrapeEntry,
} from '../tracker/protocol/model.ts';
import { PROBE_INFO_HASH } from '../tracker/protocol/probe-hash.ts';
import { Store } from '../tracker/swarm/store.ts';
import { Tracker, Verdict } from '../tracker/tracker.ts';

const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const EXPIRED_KEY = 'xqUEH2yJqRa1tMmL0aXWBRN8UjgPnG2v';
const UNKNOWN_KEY = '0123456789abcdef0123456789ABCDEF';
const LISTED = randomBytes(20);
const UNLISTED = randomBytes(20);

type Core = Partial<TrackerConfigInput['core']>;

function createTracker(core: Core): { tracker: Tracker; store: Store; policy: Policy } {
  const store = Store.create(2 ** 22, 1);
  const access = Access.create();
  access.addInfoHash(LISTED.toString('hex'));
  access.addKey({ key: KEY, validUntilSeconds: null });
  access.addKey({ key: EXPIRED_KEY, validUntilSeconds: 1_000_000_000 });
  const policy = Policy.create(configOf(core));
  return { tracker: new Tracker(store, access, policy), store, policy };
}

function configOf(core: Core) {
  return validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: { listed: false, private: false, database: { driver: 'sqlite3' }, ...core },
    },
    () => 'the test',
  );
}

/** An announce of a leecher at a port of 192.0.2.1. */
function requestOf(infoHash: Uint8Array, key = '', port = 6881): AnnounceRequest {
  const request = new AnnounceRequest();
  request.bytes.set(infoHash);
  request.bytes.set(Buffer.from(`-TT0001-${String(port).padStart(12, '0')}`), 20);
  request.words[AnnounceRequest.LEFT_WORD + 1] = 1;
  const address = new PeerAddress();
  address.bytes.set([192, 0, 2, 1]);
  request.setEndpoint(address, port);
  request.key = key;
  return request;
}

function announce(tracker: Tracker, request: AnnounceRequest): { verdict: Verdict; peers: number } {
  const reply = new AnnounceReply(new Uint16Array(4096));
  const verdict = tracker.announce(request, reply);
  return { verdict, peers: reply.ipv4Peers };
}

describe('A tracker judges an announce:', () => {
  const open: Core = {};
  const priv: Core = { private: true };
  const listed: Core = { listed: true };
  const both: Core = { private: true, listed: true };
  const cases: Record<string, { core: Core; infoHash: Buffer; key: string; verdict: Verdict }> = {
    'open to all': { core: open, infoHash: UNLISTED, key: '', verdict: Verdict.done },
    'open to all, with any key': { core: open, infoHash: UNLISTED, key: UNKNOWN_KEY, verdict: Verdict.done },
    'private, with a key': { core: priv, infoHash: UNLISTED, key: KEY, verdict: Verdict.done },
    'private, without a key': { core: priv, infoHash: LISTED, key: '', verdict: Verdict.keyMissing },
    'private, with an unknown key': {
      core: priv,
      infoHash: LISTED,
      key: UNKNOWN_KEY,
      verdict: Verdict.keyUnknown,
    },
    'private, with an expired key': {
      core: priv,
      infoHash: LISTED,
      key: EXPIRED_KEY,
      verdict: Verdict.keyExpired,
    },
    'private without expiry, with an expired key': {
      core: { private: true, private_mode: { check_keys_expiration: false } },
      infoHash: LISTED,
      key: EXPIRED_KEY,
      verdict: Verdict.done,
    },
    'listed, and it is': { core: listed, infoHash: LISTED, key: '', verdict: Verdict.done },
    'listed, and it is not': { core: listed, infoHash: UNLISTED, key: KEY, verdict: Verdict.notListed },
    'private and listed, without both': {
      core: both,
      infoHash: UNLISTED,
      key: '',
      verdict: Verdict.keyMissing,
    },
    'private and listed, with a key alone': {
      core: both,
      infoHash: UNLISTED,
      key: KEY,
      verdict: Verdict.notListed,
    },
    'private and listed, with both': { core: both, infoHash: LISTED, key: KEY, verdict: Verdict.done },
  };
  for (const [title, { core, infoHash, key, verdict }] of Object.entries(cases)) {
    test(title, () => {
      const { tracker, store } = createTracker(core);
      const request = requestOf(infoHash, key);
      assert.equal(tracker.judge(request), verdict);
      assert.equal(store.totals().torrents, 0, 'a judgement changes nothing');
      assert.equal(announce(tracker, request).verdict, verdict);
      assert.equal(store.totals().torrents, verdict === Verdict.done ? 1 : 0);
    });
  }
});

describe('A tracker', () => {
  test('takes over a changed policy with the next request', () => {
    const { tracker, policy } = createTracker({});
    assert.equal(announce(tracker, requestOf(UNLISTED)).verdict, Verdict.done);
    policy.apply(configOf({ listed: true }));
    assert.equal(announce(tracker, requestOf(UNLISTED)).verdict, Verdict.notListed);
  });

  test('hands out what is wanted, up to its maximum', () => {
    const { tracker } = createTracker({ announce_policy: { max_peers_per_announce: 5 } });
    for (let port = 1; port <= 20; port++) announce(tracker, requestOf(LISTED, '', port));
    for (const [numWant, peers] of [
      [-1, 5],
      [0, 0],
      [3, 3],
      [5, 5],
      [6, 5],
      [2 ** 31 - 1, 5],
    ] as const) {
      // prettier-ignore
      const request = requestOf(LISTED, '', 99);
      request.numWant = numWant;
      assert.deepEqual([numWant, announce(tracker, request).peers], [numWant, peers]);
    }
  });

  test('scrapes zeroes of what is not listed and of what it does not know', () => {
    const { tracker, policy } = createTracker({});
    announce(tracker, requestOf(LISTED));
    announce(tracker, requestOf(UNLISTED));
    const leechersOf = (infoHash: Buffer) => {
      const entry = new ScrapeEntry();
      entry.leechers = 77;
      tracker.scrape(new Int32Array(Uint8Array.from(infoHash).buffer), 0, entry);
      return entry.leechers;
    };
    assert.deepEqual([LISTED, UNLISTED, randomBytes(20)].map(leechersOf), [1, 1, 0]);
    policy.apply(configOf({ listed: true }));
    assert.deepEqual([LISTED, UNLISTED].map(leechersOf), [1, 0]);
  });

  test('answers the info hash of probes, where an announce may be made, and keeps nothing', () => {
    const { tracker, store, policy } = createTracker({});
    for (const port of [1, 2]) {
      const request = requestOf(PROBE_INFO_HASH, '', port);
      request.event = AnnounceEvent.completed;
      const reply = new AnnounceReply(new Uint16Array(4096));
      // What the reply before it said is not said again.
      Object.assign(reply, { seeders: 7, ipv4Peers: 7, change: 15 });
      assert.equal(tracker.announce(request, reply), Verdict.done);
      const { seeders, leechers, ipv4Peers, change } = reply;
      assert.deepEqual(
        { seeders, leechers, ipv4Peers, change },
        { seeders: 0, leechers: 0, ipv4Peers: 0, change: 0 },
      );
    }
    assert.deepEqual(store.totals().torrents, 0);
    policy.apply(configOf({ listed: true }));
    assert.equal(announce(tracker, requestOf(PROBE_INFO_HASH)).verdict, Verdict.notListed);
  });

  test('tells the truth about scrapes to all, and when private to those with a key', () => {
    const mayScrape = (core: Core) => {
      const { tracker } = createTracker(core);
      return ['', UNKNOWN_KEY, EXPIRED_KEY, KEY].map((key) => tracker.mayScrape(key));
    };
    assert.deepEqual(mayScrape({}), [true, true, true, true]);
    assert.deepEqual(mayScrape({ listed: true }), [true, true, true, true]);
    assert.deepEqual(mayScrape({ private: true }), [false, false, false, true]);
  });
});
