/** The bytes by which a page of peers tells most of them apart: nobody outside can choose who has the same. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AnnounceEvent, AnnounceRequest, PeerAddress } from '../../tracker/protocol/model.ts';
import { PeerPages } from '../../tracker/swarm/peer-page.ts';
import { Segment } from '../../tracker/swarm/segment.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Announcer } from './announcing.ts';

const PEERS = 256;
/** Of 256 random bytes about 162 are different. */
const LEAST_DIFFERENT = 120;
const PORT = 6881;

interface Peer {
  /** Words of an IPv6 address, and of a peer id. */
  readonly address: readonly number[];
  readonly id: readonly number[];
  readonly port: number;
}

function requestOf({ address, id, port }: Peer): AnnounceRequest {
  const request = new AnnounceRequest();
  const source = new PeerAddress();
  source.family = 6;
  source.words.set(address);
  request.setEndpoint(source, port);
  request.words.set(id, AnnounceRequest.PEER_ID_WORD);
  return request;
}

const USUAL: Peer = { address: [0xb80d0120, 0, 0, 1], id: [1, 2, 3, 4, 5], port: PORT };

/** The tags of peers in a page of their own: of endpoints, of ids, of addresses. */
function tagsOf(peers: readonly Peer[], key: readonly [number, number]): Uint8Array[] {
  const segment = Segment.create(2 ** 23);
  const pages = new PeerPages(segment, 6, ...key);
  const page = pages.create(peers.length);
  for (const [slot, peer] of peers.entries()) pages.write(page, slot, requestOf(peer), 0);
  return [0, 1, 2].map((kind) => {
    const first = 4 * (page + 1 + kind * Math.ceil(peers.length / 4));
    return segment.bytes.slice(first, first + peers.length);
  });
}

function multiplied(number: number): number {
  return Math.imul(number, 0x9e3779b1);
}

/** The upper eight bits of an address's words, mixed by the golden ratio and no key. */
function unkeyedTag(words: readonly number[]): number {
  return words.reduce((mixed, word) => multiplied(mixed ^ word), 0) >>> 24;
}

/** Addresses of a /64 whose tags are all the same when they have no key. */
function colliding(count: number, tag: number): number[][] {
  const addresses: number[][] = [];
  for (let number = 1; addresses.length < count; number++) {
    const address = [0xb80d0120, 0, multiplied(number), number];
    if (unkeyedTag(address) === tag) addresses.push(address);
  }
  return addresses;
}

/** Addresses that differ in the upper bits of two words alone, which a multiplication never spreads. */
function twoBits(index: number): number[] {
  return [0xb80d0120, 0, (index & 15) << 28, (index >> 4) << 28];
}

describe('Tags of peers that somebody chose', () => {
  const chosen = colliding(PEERS, 7);
  const cases: readonly [string, number, (index: number) => Partial<Peer>][] = [
    ['addresses', 2, (index) => ({ address: chosen[index] })],
    ['addresses that differ in the upper bits of two words', 2, (index) => ({ address: twoBits(index) })],
    ['endpoints', 0, (index) => ({ address: chosen[index] })],
    ['ports', 0, (index) => ({ port: index })],
    [
      'peer ids that end alike, of many addresses',
      1,
      (index) => ({ address: chosen[index], id: [index, 0, 0, 0, 0] }),
    ],
    ['peer ids that end alike in part', 1, (index) => ({ id: [0, 0, index, 0, 7] })],
  ];
  for (const [what, kind, peer] of cases) {
    test(`are spread: ${what}`, () => {
      const peers = Array.from({ length: PEERS }, (_, index) => ({ ...USUAL, ...peer(index) }));
      // A key that is bad for one choice is chosen by nobody.
      const spreads = Array.from({ length: 9 }, (_, key) => {
        return new Set(tagsOf(peers, [multiplied(key + 1), multiplied(key + 100)])[kind]).size;
      });
      const median = spreads.toSorted((one, other) => one - other)[4];
      assert.ok(median >= LEAST_DIFFERENT, spreads.join(' '));
    });
  }

  test('depend on the key', () => {
    const peers = chosen.map((address) => ({ ...USUAL, address }));
    const [one, other] = [tagsOf(peers, [1, 2]), tagsOf(peers, [1, 3])];
    for (const kind of [0, 1, 2]) {
      const same = one[kind].filter((tag, slot) => tag === other[kind][slot]).length;
      assert.ok(same < PEERS / 8, `${same} of ${PEERS} tags of kind ${kind} are the same`);
    }
  });
});

test('addresses keep all their peers among strangers that were chosen for their tag', () => {
  const store = Store.create(2 ** 24, 1);
  const announcer = new Announcer(store);
  const announce = (address: readonly number[], port: number) =>
    announcer.announce(
      {
        infoHash: '1'.repeat(40),
        address: Buffer.from(Int32Array.from(address).buffer).toString('hex'),
        port,
        peerId: port.toString(16).padStart(40, '0'),
        left: 1n,
        event: AnnounceEvent.none,
      },
      1,
    );
  // So many that a third of the pages have more than 64 of them.
  const addresses = colliding(2300, 7);
  for (const address of addresses) announce(address, 1);
  for (const address of addresses.slice(0, 200)) announce(address, 2);
  assert.equal(store.totals().ipv6Peers, 2500);
});

describe('In a page of peers that all have the tag of one address', () => {
  const KEY = [1, 2] as const;
  const LIMIT = 64;
  const candidates = Array.from({ length: 60_000 }, (_, number) => ({
    ...USUAL,
    address: [0xb80d0120, 0, 0, number + 2],
  }));
  const [ownTag, ...otherTags] = tagsOf([USUAL, ...candidates], KEY)[2];
  const strangers = candidates.filter((_, index) => otherTags[index] === ownTag);

  for (const [owned, isFull] of [
    [0, false],
    [LIMIT - 1, false],
    [LIMIT, true],
  ] as const) {
    test(`${owned} of its own ${isFull ? 'are' : 'are not'} as many as it may have`, () => {
      assert.ok(strangers.length > LIMIT);
      const pages = new PeerPages(Segment.create(2 ** 23), 6, ...KEY);
      const peers = [
        ...strangers.slice(0, LIMIT),
        ...Array.from({ length: owned }, (_, port) => ({ ...USUAL, port })),
        ...strangers.slice(LIMIT, LIMIT + 20),
      ];
      const page = pages.create(peers.length);
      pages.setCount(page, peers.length);
      for (const [slot, peer] of peers.entries()) pages.write(page, slot, requestOf(peer), 0);
      for (let part = 0; part < 8; part++) {
        const slot = pages.findNeighbour(page, requestOf({ ...USUAL, port: 999 }), LIMIT, part * 2 ** 28);
        assert.equal(slot >= LIMIT && slot < LIMIT + owned, isFull, String(slot));
      }
    });
  }
});
