/** Info hashes and addresses that somebody chose so that they collide, had the tables no secret key. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
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

const PER_CHOICE = TORRENTS / CHOSEN.length;

/** The shards of a store that has torrents with such info hashes. */
function shardsWith(word: (number: number, index: number) => number): Segment[] {
  const store = Store.create(512 * 2 ** 20, SHARDS);
  const request = new AnnounceRequest();
  const reply = new AnnounceReply(new Uint16Array(0));
  const source = new PeerAddress();
  source.words[0] = 0x0100007f;
  request.setEndpoint(source, 6881);
  for (let number = 0; number < PER_CHOICE; number++) {
    for (let index = 0; index < 5; index++) request.words[index] = word(number, index);
    store.announce(request, reply, 1, RULES);
  }
  return store.memory.segments.map((buffer) => Segment.attach(buffer));
}

describe(`${PER_CHOICE} info hashes that somebody chose`, () => {
  const random = new Int32Array(new Uint8Array(randomBytes(4 * 5 * PER_CHOICE)).buffer);
  const randomSteps = stepsOf(shardsWith((number, index) => random[5 * number + index]));

  for (const { name, word } of CHOSEN) {
    test(`${name} are spread, and found in as many steps, as random ones`, () => {
      const segments = shardsWith(word);
      const perShard = segments.map(({ words }) => words[TORRENTS_WORD]);
      const mean = PER_CHOICE / SHARDS;
      assert.equal(
        perShard.reduce((sum, count) => sum + count),
        PER_CHOICE,
      );
      // Twelve standard deviations of an even spread.
      const tolerance = 12 * Math.sqrt(mean);
      assert.ok(
        perShard.every((count) => Math.abs(count - mean) < tolerance),
        `torrents by shard: ${perShard.join(' ')}`,
      );
      // With two torrents for three buckets, a random chain of 16 would be seen once in many billions of runs.
      const longest = segments.flatMap(chainsOf).reduce((most, length) => Math.max(most, length), 0);
      assert.ok(longest < 16, `a chain of ${longest}`);
      // One in a thousand is a standard deviation, about.
      const steps = stepsOf(segments);
      assert.ok(Math.abs(steps / randomSteps - 1) < 0.02, `${steps} steps, ${randomSteps} for random ones`);
    });
  }
});

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

/** The lengths of all chains of a table. */
function chainsOf({ words, bucketsWord }: Segment): number[] {
  return Array.from({ length: words[BUCKETS_WORD] }, (_, bucket) => {
    let length = 0;
    for (let torrent = words[bucketsWord + bucket]; torrent !== 0; torrent = words[torrent + TORRENT_NEXT]) {
      length++;
    }
    return length;
  });
}

/** The torrents that are looked at when each is looked for once: one for the first of a chain, two for the second... */
function stepsOf(segments: readonly Segment[]): number {
  return segments.flatMap(chainsOf).reduce((steps, length) => steps + (length * (length + 1)) / 2, 0);
}
