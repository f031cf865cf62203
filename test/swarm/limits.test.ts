/** Limits on what the store keeps: who is beyond one is answered and not kept, and nobody is for the peers of others. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { SwarmLimit, type SwarmLimitSettings } from '../../tracker/swarm/swarm-limits.ts';
import { Announcer, RULES } from './announcing.ts';

const NO_LIMITS: SwarmLimitSettings = {
  maxSwarms: 0,
  maxPeersPerSwarm: 0,
  maxPeersPerAddress: 0,
  isLimitDryRun: false,
};

function open(settings: Partial<SwarmLimitSettings>) {
  const store = Store.create(2 ** 24, 4);
  store.limits.configure({ ...NO_LIMITS, ...settings });
  const announcer = new Announcer(store);
  let now = 10;
  return {
    store,
    /** Announces a peer of a torrent, both by their numbers, from an address in hex. */
    announce: (
      torrent: number,
      peer: number,
      address = `0a00${hex(peer, 4)}`,
      event: AnnounceEvent = AnnounceEvent.none,
    ) =>
      announcer.announce(
        {
          infoHash: hex(torrent, 40),
          address,
          port: 1000 + (peer % 60_000),
          peerId: hex(peer, 40),
          left: 1n,
          event,
        },
        now,
      ),
    later: (seconds: number) => (now += seconds),
    expire: () => {
      for (const _ of store.expire(now - 1, RULES));
    },
  };
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

describe('Swarms in all', () => {
  test('are as many as allowed; peers of those that are there still come', () => {
    const { store, announce } = open({ maxSwarms: 100 });
    for (let torrent = 0; torrent < 100; torrent++)
      assert.equal(announce(torrent, 1).beyond, SwarmLimit.none);
    const beyond = announce(100, 1);
    assert.deepEqual([beyond.beyond, beyond.stored, beyond.leechers], [SwarmLimit.swarms, false, 1]);
    assert.equal(announce(7, 2).stored, true);
    assert.deepEqual(store.totals(), { ...store.totals(), torrents: 100, unstoredAnnounces: 0 });
  });

  test('make room when some are gone, within a second', () => {
    const { announce, later, expire } = open({ maxSwarms: 2 });
    announce(1, 1);
    announce(2, 1);
    assert.equal(announce(3, 1).stored, false);
    later(10);
    expire();
    assert.equal(announce(3, 1).stored, true);
    assert.equal(announce(4, 1).stored, true);
    assert.equal(announce(5, 1).stored, false);
  });
});

test('Swarms in all are passed by a few for each thread, whatever the others had room for before', () => {
  const maxSwarms = 16_000;
  const { store } = open({ maxSwarms });
  const threads = [0, 1, 2].map(() => {
    const attached = Store.attach(store.memory);
    attached.limits.configure({ ...NO_LIMITS, maxSwarms });
    return new Announcer(attached);
  });
  const add = (announcer: Announcer, torrent: number): void => {
    const peer = { address: '0a000001', port: 1, peerId: hex(1, 40), left: 1n, event: AnnounceEvent.none };
    announcer.announce({ ...peer, infoHash: hex(torrent, 40) }, 10);
  };
  // Each begins with an empty store, the first alone fills it, and then the others go on.
  for (const [thread, announcer] of threads.entries()) add(announcer, 100_000 * (thread + 1));
  for (const [thread, announcer] of threads.entries()) {
    for (let torrent = 1; torrent <= 18_000; torrent++) add(announcer, 100_000 * (thread + 1) + torrent);
  }
  const { torrents } = store.totals();
  assert.ok(torrents >= maxSwarms && torrents <= maxSwarms + 7 * threads.length, String(torrents));
});

describe('Peers of a swarm', () => {
  test('are as many as allowed, of both families together; further ones are told of them', () => {
    const { store, announce } = open({ maxPeersPerSwarm: 5 });
    for (let peer = 1; peer <= 4; peer++) announce(1, peer);
    announce(1, 5, `20010db8${'0'.repeat(23)}1`);
    const beyond = announce(1, 6);
    assert.deepEqual([beyond.beyond, beyond.stored], [SwarmLimit.peersPerSwarm, false]);
    assert.equal(beyond.peers.length, 5);
    assert.equal(announce(1, 3).stored, true);
    assert.equal(announce(2, 6).stored, true);
    assert.equal(store.totals().leechers, 6);
    announce(1, 1, undefined, AnnounceEvent.stopped);
    assert.equal(announce(1, 6).stored, true);
  });
});

describe('Peers of an address', () => {
  test('are as many as allowed over all swarms; the others of the address stay, and so do strangers', () => {
    const { store, announce } = open({ maxPeersPerAddress: 10 });
    for (let torrent = 1; torrent <= 10; torrent++) assert.equal(announce(torrent, 1).stored, true);
    const begun = announce(11, 1);
    assert.deepEqual([begun.beyond, begun.stored], [SwarmLimit.peersPerAddress, false]);
    announce(12, 2);
    const joined = announce(12, 1);
    assert.deepEqual(
      [joined.beyond, joined.stored, joined.peers.length],
      [SwarmLimit.peersPerAddress, false, 1],
    );
    // A torrent that is not kept leaves nothing behind.
    assert.equal(store.totals().torrents, 11);
    assert.equal(announce(3, 1).beyond, SwarmLimit.none);
  });

  for (const [how, address] of [
    ['IPv4', '0a000001'],
    ['IPv6', `20010db8${'0'.repeat(23)}1`],
  ] as const) {
    test(`are counted down as they go, over ${how}: by a stop, by expiry, for a newer one of theirs`, () => {
      const { announce, later, expire } = open({ maxPeersPerAddress: 70 });
      for (let torrent = 1; torrent <= 70; torrent++) announce(torrent, 1, address);
      assert.equal(announce(71, 1, address).stored, false);
      announce(1, 1, address, AnnounceEvent.stopped);
      assert.equal(announce(71, 1, address).stored, true);
      assert.equal(announce(72, 1, address).stored, false);
      later(10);
      expire();
      // One swarm keeps 64 peers of an address; the next ones replace each other and add nothing.
      for (let peer = 1; peer <= 100; peer++) assert.equal(announce(1, peer, address).stored, true);
      for (let torrent = 2; torrent <= 7; torrent++) assert.equal(announce(torrent, 1, address).stored, true);
      assert.equal(announce(8, 1, address).stored, false);
    });
  }

  test('are counted for all threads together', () => {
    const { store, announce } = open({ maxPeersPerAddress: 2 });
    const other = Store.attach(store.memory);
    other.limits.configure({ ...NO_LIMITS, maxPeersPerAddress: 2 });
    announce(1, 1);
    announce(2, 1);
    const peer = { address: '0a000001', port: 1, peerId: hex(9, 40), left: 1n, event: AnnounceEvent.none };
    assert.equal(new Announcer(other).announce({ ...peer, infoHash: hex(3, 40) }, 10).stored, false);
  });

  describe('after the limit was off for a while', () => {
    const limits = { ...NO_LIMITS, maxPeersPerAddress: 3 };

    test('are those that came since', () => {
      const { store, announce, later, expire } = open(limits);
      for (let torrent = 1; torrent <= 3; torrent++) announce(torrent, 1);
      store.limits.configure(NO_LIMITS);
      later(10);
      expire();
      assert.equal(store.totals().leechers, 0);
      store.limits.configure(limits);
      for (let torrent = 1; torrent <= 3; torrent++) assert.equal(announce(torrent, 1).stored, true);
      assert.equal(announce(4, 1).stored, false);
    });

    test('are not less than none when those go that came before', () => {
      const { store, announce } = open(limits);
      for (let torrent = 1; torrent <= 3; torrent++) announce(torrent, 1);
      store.limits.configure(NO_LIMITS);
      store.limits.configure(limits);
      announce(4, 1);
      for (let torrent = 1; torrent <= 3; torrent++) announce(torrent, 1, undefined, AnnounceEvent.stopped);
      for (let torrent = 5; torrent <= 7; torrent++) assert.equal(announce(torrent, 1).stored, true);
      assert.equal(announce(8, 1).stored, false);
    });

    test('are counted down by a thread that has not looked at the limits since', () => {
      const { store, announce } = open({});
      const other = Store.attach(store.memory);
      other.limits.configure(NO_LIMITS);
      store.limits.configure(limits);
      for (let torrent = 1; torrent <= 3; torrent++) announce(torrent, 1);
      const stop = { address: '0a000001', port: 1001, peerId: hex(1, 40), left: 1n };
      const announcer = new Announcer(other);
      for (let torrent = 1; torrent <= 3; torrent++) {
        announcer.announce({ ...stop, infoHash: hex(torrent, 40), event: AnnounceEvent.stopped }, 10);
      }
      assert.equal(store.totals().leechers, 0);
      for (let torrent = 1; torrent <= 3; torrent++) assert.equal(announce(torrent, 1).stored, true);
    });
  });

  test('are never too many of somebody else: none of 400,000 addresses with one peer each is refused', () => {
    const store = Store.create(2 ** 26, 4);
    store.limits.configure({ ...NO_LIMITS, maxPeersPerAddress: 1 });
    const announcer = new Announcer(store);
    let refused = 0;
    for (let i = 0; i < 400_000; i++) {
      const reply = announcer.announce(
        {
          infoHash: hex(i % 1000, 40),
          address: hex(0x08000000 + i, 8),
          port: 1,
          peerId: hex(i, 40),
          left: 1n,
          event: AnnounceEvent.none,
        },
        10,
        0,
      );
      if (reply.beyond !== 0) refused++;
    }
    // Two addresses share one 32-bit hash about nineteen times among so many.
    assert.ok(refused < 60, String(refused));
    assert.equal(store.memory.addressCounts.byteLength, 2 ** 21 + 64);
  });
});

test('refuses nothing when limits are tried out, and tells what it would', () => {
  const { store, announce } = open({
    maxSwarms: 1,
    maxPeersPerSwarm: 1,
    maxPeersPerAddress: 1,
    isLimitDryRun: true,
  });
  assert.equal(announce(1, 1).beyond, SwarmLimit.none);
  assert.equal(announce(1, 2).beyond, SwarmLimit.peersPerSwarm);
  assert.equal(announce(2, 1).beyond, SwarmLimit.swarms | SwarmLimit.peersPerAddress);
  assert.deepEqual(store.totals(), { ...store.totals(), torrents: 2, leechers: 3 });
});
