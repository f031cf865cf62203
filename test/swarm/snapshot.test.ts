/** Swarms written to a snapshot and restored from it: nothing is lost, nothing comes twice, and nothing old comes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Announcer, RULES } from './announcing.ts';
import type { ModelAnnounce } from './model.ts';
import { contentOf, restore, snapshotOf } from './snapshot-bytes.ts';

const MEMORY_BYTES = 16 * 1024 * 1024;

function hex(value: number, bytes: number): string {
  return value.toString(16).padStart(bytes * 2, '0');
}

function announceOf(change: Partial<ModelAnnounce> = {}): ModelAnnounce {
  return {
    infoHash: hex(1, 20),
    address: hex(0x0a000001, 4),
    port: 6881,
    peerId: hex(1, 20),
    left: 0n,
    event: AnnounceEvent.none,
    ...change,
  };
}

/** A store whose clock stands still, so that ages can be compared. */
function makeStore(memoryBytes = MEMORY_BYTES, shards = 4): Store {
  const store = Store.create(memoryBytes, shards);
  const now = store.nowSeconds();
  store.nowSeconds = () => now;
  return store;
}

/** A swarm with so many peers, every third over IPv6, of ages from 0 to 99 seconds. */
function fillSwarm(store: Store, infoHash: string, peers: number): void {
  const announcer = new Announcer(store);
  for (let i = 0; i < peers; i++) {
    const announce = announceOf({
      infoHash,
      address: i % 3 === 0 ? hex(i, 16) : hex(i, 4),
      port: 1 + (i % 65535),
      peerId: hex(i, 20),
      left: BigInt(i % 5),
    });
    announcer.announce(announce, store.nowSeconds() - (i % 100));
  }
}

test('brings back every torrent, peer, counter and age, for any run of announces', () => {
  const announce = fc.record({
    infoHash: fc.integer({ min: 0, max: 20 }).map((n) => hex(n, 20)),
    address: fc.oneof(
      fc.integer({ min: 0, max: 60 }).map((n) => hex(n, 4)),
      fc.integer({ min: 0, max: 60 }).map((n) => hex(n, 16)),
    ),
    port: fc.integer({ min: 0, max: 65535 }),
    peerId: fc.integer({ min: 0, max: 80 }).map((n) => hex(n * 0x1010101, 20)),
    uploaded: fc.constantFrom(0n, 3n, 2n ** 32n, 2n ** 48n - 1n),
    downloaded: fc.constantFrom(0n, 5n, 2n ** 47n + 9n),
    left: fc.constantFrom(0n, 1n, 2n ** 40n, -1n, 2n ** 63n - 1n),
    event: fc.constantFrom(...Object.values(AnnounceEvent)),
    age: fc.integer({ min: 0, max: 898 }),
  });
  fc.assert(
    fc.property(
      fc.array(announce, { size: 'large', maxLength: 600 }),
      fc.constantFrom(1, 4),
      (steps, shards) => {
        const store = makeStore(MEMORY_BYTES, shards);
        const announcer = new Announcer(store);
        for (const { age, ...step } of steps) announcer.announce(step, store.nowSeconds() - age);
        const other = makeStore();
        const rules = { ...RULES, removePeerless: false };
        const { end, counts } = restore(snapshotOf(store), other, { rules, downSeconds: 1 });
        const { ipv4Peers, ipv6Peers } = store.totals();
        assert.equal(end, 'end');
        assert.deepEqual(counts, {
          kept: ipv4Peers + ipv6Peers,
          expired: 0,
          present: 0,
          unstored: 0,
          torrents: other.totals().torrents,
        });
        assert.deepEqual(contentOf(other), contentOf(store, 1));
      },
    ),
    { numRuns: 100 },
  );
});

test('brings back two peers of one address that came to have the same peer id', () => {
  const store = makeStore();
  const announcer = new Announcer(store);
  const now = store.nowSeconds() - 7;
  announcer.announce(announceOf({ port: 1, peerId: hex(1, 20) }), now);
  announcer.announce(announceOf({ port: 2, peerId: hex(2, 20) }), now);
  announcer.announce(announceOf({ port: 2, peerId: hex(1, 20) }), now);
  const other = makeStore();
  assert.equal(restore(snapshotOf(store), other).counts.kept, 2);
  assert.deepEqual(contentOf(other), contentOf(store));
});

test('brings back swarms that are cut into many parts and blocks', () => {
  const store = makeStore();
  fillSwarm(store, hex(1, 20), 20_000);
  fillSwarm(store, hex(2, 20), 600);
  for (let i = 3; i < 3000; i++) fillSwarm(store, hex(i, 20), 1 + (i % 4));
  const other = makeStore();
  assert.equal(restore(snapshotOf(store), other).end, 'end');
  assert.deepEqual(contentOf(other), contentOf(store));
  for (const _ of other.expire(2 ** 28, RULES));
  assert.equal(other.totals().usedBytes, 0, 'every byte can be given back');
});

test('brings back all who stay while others come and go during the writing', () => {
  const store = makeStore();
  for (let i = 0; i < 400; i++) fillSwarm(store, hex(i, 20), i % 20);
  fillSwarm(store, hex(500, 20), 3000);
  const before = contentOf(store);
  const announcer = new Announcer(store);
  let coming = 0;
  const bytes = snapshotOf(store, () => {
    // New torrents make the table grow, new peers of the large one split its pages; both go again.
    for (let i = 0; i < 50; i++) {
      coming++;
      const guest = announceOf({ infoHash: hex(10_000 + coming, 20) });
      const peer = announceOf({ infoHash: hex(500, 20), address: hex(100_000 + coming, 4) });
      announcer.announce(guest, store.nowSeconds());
      announcer.announce({ ...peer, peerId: hex(coming, 20) }, store.nowSeconds());
    }
  });
  assert.ok(coming > 500);
  const other = makeStore();
  assert.equal(restore(bytes, other).end, 'end');
  const after = new Set(contentOf(other));
  const isOfLarge = (line: string) => line.startsWith('sums') || line.startsWith(`${hex(500, 20)} `);
  const peersOfLarge = (lines: Iterable<string>) => [...lines].filter((line) => /age/.test(line));
  assert.deepEqual(
    before.filter((line) => !isOfLarge(line) && !after.has(line)),
    [],
  );
  assert.deepEqual(
    peersOfLarge(before).filter((line) => !after.has(line)),
    [],
  );
});

test('tells ages as of the making of the file, however long the writing takes', () => {
  const store = makeStore();
  for (let i = 0; i < 100; i++) fillSwarm(store, hex(i, 20), 1);
  const before = contentOf(store);
  let now = store.nowSeconds();
  store.nowSeconds = () => now;
  const bytes = snapshotOf(store, () => (now += 60));
  const other = makeStore();
  assert.equal(restore(bytes, other).end, 'end');
  assert.deepEqual(contentOf(other), before);
});

describe('time goes on while no tracker runs', () => {
  const cases: Record<string, { downSeconds: number; kept: readonly number[] }> = {
    'no time': { downSeconds: 0, kept: [0, 1, 500, 899] },
    'some of the timeout': { downSeconds: 399.9, kept: [399, 400, 899] },
    'all of the timeout but a second': { downSeconds: 899, kept: [899] },
    'the timeout': { downSeconds: 900, kept: [] },
    'a year': { downSeconds: 31_536_000, kept: [] },
    'a clock that was set back by a year': { downSeconds: -31_536_000, kept: [0, 1, 500, 899] },
  };
  for (const [title, { downSeconds, kept }] of Object.entries(cases)) {
    test(title, () => {
      const store = makeStore();
      const announcer = new Announcer(store);
      for (const age of [0, 1, 500, 899, 900, 5000]) {
        announcer.announce(
          announceOf({ address: hex(age, 4), peerId: hex(age, 20) }),
          store.nowSeconds() - age,
        );
      }
      const other = makeStore();
      const { counts } = restore(snapshotOf(store), other, { downSeconds });
      const ages = other.peersOf(hex(1, 20)).map((peer) => other.nowSeconds() - peer.updatedSeconds);
      assert.deepEqual(
        ages.toSorted((a, b) => a - b),
        [...kept],
      );
      assert.deepEqual(counts, {
        kept: kept.length,
        expired: 6 - kept.length,
        present: 0,
        unstored: 0,
        torrents: kept.length === 0 ? 0 : 1,
      });
      assert.equal(other.totals().torrents, kept.length === 0 ? 0 : 1, 'a torrent goes with its peers');
    });
  }
});

test('who announced since the start wins over the file', () => {
  const store = makeStore();
  const announcer = new Announcer(store);
  const left = announceOf({ left: 7n });
  announcer.announce(left, store.nowSeconds() - 50);
  announcer.announce({ ...left, address: hex(2, 4), peerId: hex(2, 20) }, store.nowSeconds() - 50);
  const bytes = snapshotOf(store);
  const cases = {
    'at its endpoint': announceOf({ peerId: hex(99, 20) }),
    'under its peer id at another port': announceOf({ port: 7000 }),
  };
  for (const [title, newer] of Object.entries(cases)) {
    const other = makeStore();
    new Announcer(other).announce(newer, other.nowSeconds());
    const { counts } = restore(bytes, other);
    assert.deepEqual(counts, { kept: 1, expired: 0, present: 1, unstored: 0, torrents: 0 }, title);
    const peer = other.peersOf(newer.infoHash).find(({ address }) => Buffer.from(address).readUInt8() === 10);
    assert.equal(peer?.left, 0n, title);
    assert.equal(peer.port, newer.port, title);
    assert.deepEqual([other.totals().seeders, other.totals().leechers], [1, 1], title);
  }
});

test('keeps at most as many peers of an address as a swarm does', () => {
  const store = makeStore();
  const announcer = new Announcer(store);
  for (let i = 0; i < 64; i++)
    announcer.announce(announceOf({ port: 1000 + i, peerId: hex(i, 20) }), store.nowSeconds());
  const other = makeStore();
  new Announcer(other).announce(announceOf({ port: 999, peerId: hex(999, 20) }), other.nowSeconds());
  assert.deepEqual(restore(snapshotOf(store), other).counts, {
    kept: 63,
    expired: 0,
    present: 1,
    unstored: 0,
    torrents: 0,
  });
  assert.ok(other.peersOf(hex(1, 20)).some(({ port }) => port === 999));
});

test('counts those who come back for the limit of peers per address, until they go', () => {
  const store = makeStore();
  const announcer = new Announcer(store);
  for (const swarm of [1, 2])
    announcer.announce(announceOf({ infoHash: hex(swarm, 20) }), store.nowSeconds());
  const other = makeStore();
  other.limits.configure({
    maxSwarms: 0,
    maxPeersPerSwarm: 0,
    maxPeersPerAddress: 2,
    isLimitDryRun: false,
  });
  assert.equal(restore(snapshotOf(store), other).counts.kept, 2);
  const third = announceOf({ infoHash: hex(3, 20) });
  assert.equal(new Announcer(other).announce(third, other.nowSeconds()).stored, false);
  for (const _ of other.expire(other.nowSeconds(), RULES));
  assert.equal(new Announcer(other).announce(third, other.nowSeconds()).stored, true);
});

describe('completed downloads', () => {
  const infoHash = hex(1, 20);

  function complete(store: Store, times: number, rules = RULES): void {
    const announcer = new Announcer(store);
    for (let i = 0; i < times; i++) {
      const peer = announceOf({ address: hex(1000 + i, 4), peerId: hex(1000 + i, 20) });
      announcer.announce({ ...peer, left: 9n }, store.nowSeconds(), 10, rules);
      announcer.announce({ ...peer, event: AnnounceEvent.completed }, store.nowSeconds(), 10, rules);
    }
  }
  const completed = (store: Store) => [...store.torrents()].flat()[0]?.completed;

  test('come back, once, and add to those since the start', () => {
    const store = makeStore();
    fillSwarm(store, infoHash, 5000);
    complete(store, 3);
    const bytes = snapshotOf(store);
    const other = makeStore();
    complete(other, 2);
    restore(bytes, other);
    assert.equal(completed(other), 5);
    assert.equal(other.totals().completed, 5);
  });

  const persistent = { ...RULES, persistCompleted: true };

  test('are those of the database where it keeps them', () => {
    const store = makeStore();
    complete(store, 3, persistent);
    store.takeNews(10);
    store.addBase(infoHash, 40);
    const other = makeStore();
    restore(snapshotOf(store), other, { rules: persistent });
    assert.equal(completed(other), 0);
    assert.deepEqual(other.takeNews(10), [{ infoHash, wantsBase: true, completions: 0 }]);
    other.addBase(infoHash, 43);
    assert.equal(completed(other), 43);
  });

  test('are not counted twice when the database begins to keep them again', () => {
    const store = makeStore();
    complete(store, 3, persistent);
    store.takeNews(10);
    store.addBase(infoHash, 40);
    const other = makeStore();
    restore(snapshotOf(store), other);
    assert.equal(completed(other), 43);
    for (const _ of other.wantBases());
    assert.deepEqual(other.takeNews(10), []);
  });

  test('of torrents without peers come back where these are kept', () => {
    const store = makeStore();
    complete(store, 2);
    for (const _ of store.expire(store.nowSeconds(), { ...RULES, removePeerless: false }));
    const bytes = snapshotOf(store);
    const [keeping, forgetting] = [makeStore(), makeStore()];
    restore(bytes, keeping, { rules: { ...RULES, removePeerless: false } });
    restore(bytes, forgetting);
    assert.deepEqual([completed(keeping), completed(forgetting)], [2, undefined]);
  });
});

test('leaves out what a smaller memory has no room for, and nobody who announced', () => {
  const store = makeStore();
  for (let i = 0; i < 400; i++) fillSwarm(store, hex(i, 20), 30);
  const other = makeStore(128 * 1024, 1);
  const announcer = new Announcer(other);
  const early = Array.from({ length: 50 }, (_, i) =>
    announceOf({ infoHash: hex(i, 20), address: hex(0x0b000000 + i, 4), peerId: hex(9000 + i, 20) }),
  );
  for (const announce of early) announcer.announce(announce, other.nowSeconds());
  const { end, counts } = restore(snapshotOf(store), other);
  assert.equal(end, 'end');
  const { ipv4Peers, ipv6Peers, usedBytes } = other.totals();
  assert.ok(counts.kept > 500 && counts.unstored > 1000, JSON.stringify(counts));
  assert.equal(counts.kept + counts.unstored, 12_000);
  assert.equal(counts.kept + early.length, ipv4Peers + ipv6Peers);
  assert.ok(usedBytes <= 128 * 1024);
  for (const { infoHash, peerId } of early) {
    assert.ok(
      other.peersOf(infoHash).some((peer) => Buffer.from(peer.peerId).toString('hex') === peerId),
      infoHash,
    );
  }
  for (const _ of other.expire(2 ** 28, RULES));
  assert.deepEqual([other.totals().usedBytes, other.totals().torrents], [0, 0]);
});
