/** The swarm store against a plain Map, on one thread. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Announcer, RULES } from './announcing.ts';
import { type ModelAnnounce, ModelStore, seedersOf } from './model.ts';

const MEMORY_BYTES = 64 * 1024 * 1024;

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

/** The groups that have torrents, and how many. */
function groupsOf(store: Store): Map<number, number> {
  return new Map([...store.countTorrents().entries()].filter(([, count]) => count !== 0));
}

function groupsOfModel(model: ModelStore): Map<number, number> {
  const groups = new Map<number, number>();
  for (const infoHash of [...model.torrents.keys()].toSorted()) {
    const group = Number.parseInt(infoHash.slice(0, 4), 16) >> 6;
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  return groups;
}

/** Compares all that the store shows with all that the model holds. */
function assertSame(store: Store, model: ModelStore): void {
  const listed = new Map([...store.torrents()].flat().map((torrent) => [torrent.infoHash, torrent]));
  assert.deepEqual([...listed.keys()].toSorted(), [...model.torrents.keys()].toSorted());
  let seeders = 0;
  let peers = 0;
  for (const [infoHash, torrent] of model.torrents) {
    assert.deepEqual(listed.get(infoHash), {
      infoHash,
      seeders: seedersOf(torrent),
      leechers: torrent.peers.size - seedersOf(torrent),
      completed: torrent.completed,
    });
    const stored = store.peersOf(infoHash).map((peer) => ({
      infoHash,
      address: Buffer.from(peer.address).toString('hex'),
      port: peer.port,
      peerId: Buffer.from(peer.peerId).toString('hex'),
      left: peer.left,
      event: peer.event,
      updatedSeconds: peer.updatedSeconds,
    }));
    const key = (peer: { address: string; port: number }) => `${peer.address}:${peer.port}`;
    assert.deepEqual(
      stored.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
      [...torrent.peers.values()].toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
    );
    seeders += seedersOf(torrent);
    peers += torrent.peers.size;
  }
  const totals = store.totals();
  assert.equal(totals.torrents, model.torrents.size);
  assert.deepEqual(groupsOf(store), groupsOfModel(model), 'torrents are counted by their leading bits');
  assert.equal(totals.seeders, seeders);
  assert.equal(totals.leechers, peers - seeders);
  assert.equal(totals.ipv4Peers + totals.ipv6Peers, peers);
}

test('does what a plain Map would do, for any run of announces and expiries', () => {
  const announce = fc.record({
    infoHash: fc.integer({ min: 0, max: 5 }).map((n) => hex(n * 0x1234_5678, 4) + hex(n, 16)),
    address: fc.oneof(
      fc.integer({ min: 0, max: 40 }).map((n) => hex(n, 4)),
      fc.integer({ min: 0, max: 40 }).map((n) => hex(n, 16)),
    ),
    port: fc.integer({ min: 1, max: 5 }),
    peerId: fc.integer({ min: 0, max: 8 }).map((n) => hex(n, 20)),
    left: fc.constantFrom(0n, 1n, 2n ** 40n, -1n),
    event: fc.constantFrom(...Object.values(AnnounceEvent)),
  });
  const step = fc.oneof(
    { weight: 30, arbitrary: announce },
    { weight: 1, arbitrary: fc.record({ expireAge: fc.integer({ min: 0, max: 60 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { size: 'large', maxLength: 400 }), (steps) => {
      const store = Store.create(MEMORY_BYTES, 4);
      const announcer = new Announcer(store);
      const model = new ModelStore();
      let nowSeconds = 10;
      for (const next of steps) {
        nowSeconds++;
        if ('expireAge' in next) {
          for (const _ of store.expire(nowSeconds - next.expireAge, RULES));
          model.expire(nowSeconds - next.expireAge, true);
          continue;
        }
        const reply = announcer.announce(next, nowSeconds);
        const torrent = model.announce(next, nowSeconds);
        assert.equal(reply.seeders, seedersOf(torrent));
        assert.equal(reply.leechers, torrent.peers.size - seedersOf(torrent));
        assert.equal(reply.completed, torrent.completed);
      }
      assertSame(store, model);
    }),
    { numRuns: 150 },
  );
});

test('keeps a swarm whole while it grows to 6,000 peers and shrinks again', () => {
  const store = Store.create(MEMORY_BYTES, 1);
  const announcer = new Announcer(store);
  const model = new ModelStore();
  const usedBefore = store.totals().usedBytes;
  for (let i = 0; i < 6_000; i++) {
    const announce = announceOf({ address: hex(i * 7, 4), peerId: hex(i, 20), left: BigInt(i % 3) });
    announcer.announce(announce, 1 + (i >> 4));
    model.announce(announce, 1 + (i >> 4));
  }
  assertSame(store, model);
  for (let i = 0; i < 6_000; i += 2) {
    const announce = announceOf({ address: hex(i * 7, 4), peerId: hex(i, 20), event: AnnounceEvent.stopped });
    announcer.announce(announce, 2000);
    model.announce(announce, 2000);
  }
  assertSame(store, model);
  for (const _ of store.expire(900, RULES));
  model.expire(900, true);
  assertSame(store, model);
  for (const _ of store.expire(5000, RULES));
  assert.deepEqual(store.totals(), { ...store.totals(), torrents: 0, seeders: 0, leechers: 0 });
  assert.equal(store.totals().usedBytes, usedBefore, 'every byte comes back');
});

test('hands out each other peer, never the announcer, and no more than wanted', () => {
  const store = Store.create(MEMORY_BYTES, 1);
  const announcer = new Announcer(store);
  const swarm = Array.from({ length: 300 }, (_, i) =>
    announceOf({ address: i % 3 === 0 ? hex(i, 16) : hex(i, 4), peerId: hex(i, 20) }),
  );
  for (const announce of swarm) announcer.announce(announce, 1);
  const told = new Set<string>();
  for (let round = 0; round < 20; round++) {
    for (const announce of swarm) {
      const self = `${announce.address}:${announce.port}`;
      const { peers, peerIds } = announcer.announce(announce, 2, 30);
      assert.equal(peers.length, 30);
      assert.equal(new Set(peers).size, 30, 'no peer twice');
      assert.ok(!peers.includes(self));
      for (const [index, peer] of peers.entries()) {
        const [address = ''] = peer.split(':');
        assert.equal(
          Number.parseInt(address, 16),
          Number.parseInt(peerIds[index] ?? '', 16),
          'the id of that peer',
        );
        told.add(peer);
      }
    }
  }
  assert.equal(told.size, 300);
});

test('gives both families their share, and its own family to an announcer that wants one peer', () => {
  const store = Store.create(MEMORY_BYTES, 1);
  const announcer = new Announcer(store);
  for (let i = 0; i < 100; i++) {
    announcer.announce(announceOf({ address: hex(i, 4), peerId: hex(i, 20) }), 1);
    if (i < 10) announcer.announce(announceOf({ address: hex(i, 16), peerId: hex(i + 1000, 20) }), 1);
  }
  const ipv4 = (peers: string[]) => peers.filter((peer) => peer.length < 20).length;
  const asked = announceOf({ address: hex(500, 4), peerId: hex(500, 20) });
  assert.equal(ipv4(announcer.announce(asked, 1, 22).peers), 20);
  assert.equal(ipv4(announcer.announce(asked, 1, 1).peers), 1);
  const asked6 = announceOf({ address: hex(500, 16), peerId: hex(501, 20) });
  assert.equal(ipv4(announcer.announce(asked6, 1, 1).peers), 0);
  assert.equal(announcer.announce(asked6, 1, 0).peers.length, 0);
});

test('keeps what a peer says of its traffic: exactly up to 48 bits, and of what is left exactly', () => {
  const most = 2n ** 48n - 1n;
  const cases = [
    { uploaded: 0n, downloaded: most, left: 2n ** 63n - 1n },
    { uploaded: most, downloaded: 0n, left: -1n },
    { uploaded: 2n ** 32n - 1n, downloaded: 2n ** 32n, left: 2n ** 48n + 3n },
    { uploaded: 0x1234_89ab_cdefn, downloaded: 0xfedc_ba98_7654n, left: 0n },
    { uploaded: most + 1n, downloaded: 5n, left: 1n, kept: { uploaded: most, downloaded: 5n } },
    { uploaded: 7n, downloaded: -1n, left: 1n, kept: { uploaded: 7n, downloaded: most } },
  ];
  for (const { kept, ...said } of cases) {
    const store = Store.create(MEMORY_BYTES, 1);
    new Announcer(store).announce(announceOf(said), 1);
    const [{ uploaded, downloaded, left }] = store.peersOf(announceOf().infoHash);
    assert.deepEqual({ uploaded, downloaded, left }, { ...said, ...kept });
    assert.equal(store.totals().seeders, said.left <= 0n ? 1 : 0);
  }
});

test('keeps at most 64 peers of one address in a swarm, early and late ones', () => {
  const store = Store.create(MEMORY_BYTES, 1);
  const announcer = new Announcer(store);
  const others = Array.from({ length: 30 }, (_, i) => hex(1000 + i, 4));
  for (const address of others) announcer.announce(announceOf({ address, peerId: hex(9, 20) }), 1);
  for (let i = 0; i < 200; i++) {
    announcer.announce(announceOf({ port: 1000 + i, peerId: hex(i, 20) }), 1 + i);
    assert.ok(portsOfOne().has(1000 + i), 'who announces is there');
  }
  const ports = [...portsOfOne()];
  assert.equal(ports.length, 64);
  assert.ok(ports.some((port) => port < 1100) && ports.some((port) => port >= 1150), 'anyone gives place');
  assert.equal(store.totals().ipv4Peers, 64 + others.length, 'other addresses lose nobody');
  announcer.announce(announceOf({ port: 5000, peerId: hex(5000, 20), event: AnnounceEvent.stopped }), 200);
  assert.equal(store.totals().seeders, 64 + others.length, 'a stranger that stops removes nobody');

  function portsOfOne(): Set<number> {
    const { address } = announceOf({});
    const peers = store.peersOf(hex(1, 20));
    return new Set(
      peers.filter((peer) => Buffer.from(peer.address).toString('hex') === address).map((peer) => peer.port),
    );
  }
});

test('stays within its memory: torrents without peers go first, then stale peers, then nothing is stored', () => {
  const store = Store.create(64 * 1024, 1);
  const announcer = new Announcer(store);
  let stored = 0;
  for (let i = 0; i < 2000; i++) {
    if (announcer.announce(announceOf({ infoHash: hex(i, 20), peerId: hex(i, 20) }), 10).stored) stored++;
  }
  assert.ok(stored > 200 && stored < 2000, `${stored} fitted`);
  assert.equal(store.totals().unstoredAnnounces, 2000 - stored);
  assert.ok(store.totals().usedBytes <= store.memoryBytes);
  const newcomerOf = (i: number) =>
    announceOf({ infoHash: hex(0, 20), address: hex(77 + i, 4), peerId: hex(77 + i, 20) });
  // What was too little for a torrent may be enough for a peer, and each try looks for torrents without peers elsewhere.
  const refused = Array.from({ length: 50 }, (_, i) => newcomerOf(i)).filter(
    (newcomer) => !announcer.announce(newcomer, 20).stored,
  );
  const newcomer = refused.at(-1);
  assert.ok(newcomer, 'nobody is stale yet');
  assert.equal(announcer.announce(newcomer, 500).stored, true, 'the stale peer gave way');
  assert.equal(store.totals().evictedPeers, 1);
  for (let i = 1; i < 100; i++) {
    announcer.announce(announceOf({ infoHash: hex(i, 20), event: AnnounceEvent.stopped }), 600);
  }
  assert.equal(announcer.announce(announceOf({ infoHash: hex(9999, 20) }), 600).stored, true);
  assert.ok(store.totals().evictedTorrents > 0);
});

test('loses no memory and no count when a full store evicts while it adds', () => {
  const store = Store.create(64 * 1024, 1);
  const announcer = new Announcer(store);
  const recent: ModelAnnounce[] = [];
  let state = 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let i = 0; i < 60_000; i++) {
    const leaves = recent.length > 50 && random(3) === 0;
    const [known] = leaves ? recent.splice(random(recent.length), 1) : [];
    const shared = random(2) === 0 ? recent[random(recent.length)] : undefined;
    const infoHash = shared?.infoHash ?? hex(i, 20);
    const fresh = announceOf({
      infoHash,
      address: hex(random(2 ** 24), random(2) === 0 ? 4 : 16),
      peerId: hex(i, 20),
    });
    announcer.announce(known ? { ...known, event: AnnounceEvent.stopped } : fresh, 100 + (i >> 8));
    if (!known) recent.push(fresh);
    if (recent.length > 2000) recent.splice(0, 500);
  }
  assert.ok(store.totals().evictedTorrents > 100, 'the store was full, and evicted');
  for (const _ of store.expire(1_000_000, RULES));
  const { torrents, seeders, ipv4Peers, ipv6Peers, usedBytes } = store.totals();
  assert.deepEqual([torrents, seeders, ipv4Peers, ipv6Peers, usedBytes], [0, 0, 0, 0, 0]);
});

test('tells the database once of each new torrent and each completion', () => {
  const store = Store.create(MEMORY_BYTES, 2);
  const announcer = new Announcer(store);
  const rules = { ...RULES, persistCompleted: true };
  const one = announceOf({ left: 5n });
  announcer.announce(one, 1, 10, rules);
  const infoHash = one.infoHash;
  assert.deepEqual(store.takeNews(10), [{ infoHash, wantsBase: true, completions: 0 }]);
  assert.deepEqual(store.takeNews(10), []);
  announcer.announce({ ...one, left: 0n, event: AnnounceEvent.completed }, 2, 10, rules);
  announcer.announce({ ...one, left: 0n, event: AnnounceEvent.completed }, 3, 10, rules);
  for (const _ of store.expire(100, rules));
  assert.equal(store.totals().torrents, 1, 'what the database has not heard of stays');
  assert.deepEqual(store.takeNews(10), [{ infoHash, wantsBase: false, completions: 1 }]);
  store.addBase(infoHash, 41);
  store.addBase(infoHash, 41);
  assert.equal(store.totals().completed, 42);
  assert.equal([...store.torrents()].flat()[0]?.completed, 42);
});
