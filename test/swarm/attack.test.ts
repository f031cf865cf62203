/** Info hashes and addresses that somebody chose so that they collide, had the tables no secret key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnounceReply, AnnounceRequest, PeerAddress } from '../../tracker/protocol/model.ts';
import { BUCKETS_WORD, Segment, TORRENTS_WORD } from '../../tracker/swarm/segment.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { TORRENT_NEXT } from '../../tracker/swarm/torrent-table.ts';
import { RULES } from './announcing.ts';

const TORRENTS = 1_000_000;
const SHARDS = 16;

/** Five words of an info hash, of which tables without a key would make one bucket, or a few. */
const CHOSEN: readonly { readonly name: string; readonly word: (number: number, index: number) => number }[] =
  [
    { name: 'that differ in the last word only', word: (number, index) => (index === 4 ? number : 0) },
    { name: 'whose lower bits are the same', word: (number, index) => (index === 0 ? number << 12 : 7) },
    {
      name: 'whose words cancel each other out',
      word: (number, index) => (index < 2 ? Math.imul(number, 0x9e3779b1) : 0),
    },
    { name: 'that count up in every word', word: (number) => number },
  ];

for (const { name, word } of CHOSEN) {
  test(`spreads ${TORRENTS / CHOSEN.length} info hashes ${name} as it spreads random ones`, () => {
    const store = Store.create(512 * 2 ** 20, SHARDS);
    const request = new AnnounceRequest();
    const reply = new AnnounceReply(new Uint16Array(0));
    const source = new PeerAddress();
    source.words[0] = 0x0100007f;
    request.setEndpoint(source, 6881);
    const torrents = TORRENTS / CHOSEN.length;
    for (let number = 0; number < torrents; number++) {
      for (let index = 0; index < 5; index++) request.words[index] = word(number, index);
      store.announce(request, reply, 1, RULES);
    }
    const segments = store.memory.segments.map((buffer) => Segment.attach(buffer));
    const perShard = segments.map(({ words }) => words[TORRENTS_WORD]);
    const mean = torrents / SHARDS;
    assert.equal(
      perShard.reduce((sum, count) => sum + count),
      torrents,
    );
    // Twelve standard deviations of an even spread.
    const tolerance = 12 * Math.sqrt(mean);
    assert.ok(
      perShard.every((count) => Math.abs(count - mean) < tolerance),
      `torrents by shard: ${perShard.join(' ')}`,
    );
    // With two torrents for three buckets, a random chain of 16 would be seen once in many billions of runs.
    const longest = Math.max(...segments.map(longestChain));
    assert.ok(longest < 16, `a chain of ${longest}`);
  });
}

test('spreads the addresses of one swarm over its pages whoever chose them', () => {
  const store = Store.create(64 * 2 ** 20, 1);
  const request = new AnnounceRequest();
  const reply = new AnnounceReply(new Uint16Array(0));
  const source = new PeerAddress();
  const peers = 50_000;
  for (let number = 0; number < peers; number++) {
    // A /16 after the other, and in each the same few hosts.
    source.words[0] = ((number & 0xff) << 8) | ((number >>> 8) << 24) | 10;
    request.setEndpoint(source, 6881);
    store.announce(request, reply, 1, RULES);
  }
  const listed = store.peersOf('0'.repeat(40));
  assert.equal(listed.length, peers);
  assert.equal(store.totals().unstoredAnnounces, 0, 'no page is so full that it takes no more');
});

function longestChain({ words, bucketsWord }: Segment): number {
  let longest = 0;
  for (let bucket = 0; bucket < words[BUCKETS_WORD]; bucket++) {
    let length = 0;
    for (let torrent = words[bucketsWord + bucket]; torrent !== 0; torrent = words[torrent + TORRENT_NEXT]) {
      length++;
    }
    longest = Math.max(longest, length);
  }
  return longest;
}
