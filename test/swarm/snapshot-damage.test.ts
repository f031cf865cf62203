/** Snapshots that are cut, changed, of another program or of another time: told apart, and used as far as they are whole. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { SNAPSHOTS } from '../fuzz/snapshot-trial.ts';
import { AnnounceEvent } from '../../tracker/protocol/model.ts';
import {
  IPV4_PEER_WORDS,
  IPV6_PEER_WORDS,
  PART_IPV4_PEERS,
  PART_WORDS,
  SnapshotDecoder,
} from '../../tracker/swarm/snapshot-format.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Announcer } from './announcing.ts';
import {
  BLOCK_HEAD_BYTES,
  contentOf,
  HEADER_BYTES,
  reader,
  restore,
  sealBlock,
  snapshotOf,
} from './snapshot-bytes.ts';

/** Keeps everything, so that all that is wrongly read is seen. */
const FOR_EVER = { timeoutSeconds: 2 ** 28 };

function makeStore(): Store {
  const store = Store.create(64 * 1024, 1);
  const now = store.nowSeconds();
  store.nowSeconds = () => now;
  return store;
}

/** How reading ended, and what was restored; the sums apart. */
function read(bytes: Uint8Array): { readonly end: string; readonly content: readonly string[] } {
  const store = makeStore();
  const { end } = restore(bytes, store, FOR_EVER);
  return { end, content: contentOf(store).slice(1) };
}

describe('A snapshot of version 1', () => {
  for (const [title, bytes] of SNAPSHOTS) {
    test(`is read for ever: ${title}`, () => {
      const store = makeStore();
      const rules = { persistCompleted: false, removePeerless: false, staleAfterSeconds: 0 };
      assert.equal(restore(bytes, store, { ...FOR_EVER, rules }).end, 'end');
      const again = snapshotOf(store);
      const other = makeStore();
      restore(again, other, { ...FOR_EVER, rules });
      assert.deepEqual(contentOf(other), contentOf(store));
      assert.equal(again.length, bytes.length);
    });
  }

  test('says of each peer what it announced', () => {
    const peerId = Buffer.from('-qB4650-abcdefghijkl').toString('hex');
    const aa = 'aa'.repeat(20);
    assert.deepEqual(read(bytesOf('both families and a completed download')).content, [
      `${aa} 0a000001 6881 ${peerId} age 8 0 0 0 1`,
      `${aa} 0a000002 1 ${peerId} age 899 0 0 -1 2`,
      `${aa} 2 1 1`,
      `${aa} 20010db8000000000000000000000002 6881 ${peerId} age 700 0 0 1 2`,
    ]);
  });
});

test('A snapshot says nothing that no peer said: the bytes behind a port are zero', () => {
  const store = makeStore();
  const announcer = new Announcer(store);
  for (let i = 0; i < 100; i++) {
    const address = i % 2 === 0 ? '0a000001' : 'ff'.repeat(16);
    const infoHash = i.toString(16).padStart(40, '0');
    announcer.announce(
      { infoHash, address, port: 65_535, peerId: 'bb'.repeat(20), left: 0n, event: AnnounceEvent.none },
      store.nowSeconds(),
    );
  }
  const decoder = new SnapshotDecoder(reader(snapshotOf(store)));
  assert.equal(decoder.open(), null);
  const isIpv4: boolean[] = [];
  while (decoder.next() === 'part') {
    isIpv4.push(decoder.words[decoder.part + PART_IPV4_PEERS] === 1);
    const peerWords = isIpv4.at(-1) === true ? IPV4_PEER_WORDS : IPV6_PEER_WORDS;
    const port = decoder.part + PART_WORDS + peerWords - 1;
    assert.deepEqual([...new Uint8Array(decoder.words.buffer, 4 * port, 4)], [255, 255, 0, 0]);
  }
  assert.equal(isIpv4.filter(Boolean).length, 50);
});

test('A snapshot that is cut is never taken for a whole one, at any length', () => {
  for (const bytes of SNAPSHOTS.values()) {
    const whole = new Set(read(bytes).content);
    for (let length = 0; length < bytes.length; length++) {
      const { end, content } = read(bytes.subarray(0, length));
      assert.equal(end, length < 8 ? 'foreign' : 'damaged', `${length} of ${bytes.length}`);
      // The only block of a small snapshot is there or not.
      assert.ok(content.length === 0 || content.length === whole.size, `${length} of ${bytes.length}`);
      assert.deepEqual(
        content.filter((line) => !whole.has(line)),
        [],
      );
    }
  }
});

test('A snapshot with a flipped bit is never taken for a whole one, whichever it is', () => {
  for (const bytes of SNAPSHOTS.values()) {
    const whole = new Set(read(bytes).content);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] ^= 1 << (bit & 7);
      const { end, content } = read(changed);
      assert.notEqual(end, 'end', `bit ${bit}`);
      assert.deepEqual(
        content.filter((line) => !whole.has(line)),
        [],
      );
    }
  }
});

describe('is told apart:', () => {
  const sound = bytesOf('a seeder');
  const withVersion = (version: number) => {
    const bytes = Buffer.from(sound);
    bytes.writeUInt32LE(version, 8);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 28)), 28);
    return bytes;
  };
  const second = Buffer.concat([sound, sound.subarray(HEADER_BYTES)]);
  const torrents = sound.subarray(HEADER_BYTES, -24);
  const twice = Buffer.concat([sound.subarray(0, HEADER_BYTES), torrents, sound.subarray(HEADER_BYTES)]);
  const without = Buffer.concat([sound.subarray(0, HEADER_BYTES), sound.subarray(-24)]);
  const renumbered = Buffer.from(sound);
  renumbered.writeUInt32LE(1, HEADER_BYTES + 8);
  sealBlock(renumbered, HEADER_BYTES);
  const stopped = Buffer.from(sound);
  // The event is in the lowest bits of a peer, which follows the 36 bytes of its torrent.
  stopped[HEADER_BYTES + BLOCK_HEAD_BYTES + 36] |= 3;
  sealBlock(stopped, HEADER_BYTES);
  const cases: Record<string, { bytes: Uint8Array; end: string }> = {
    'blocks in another order': { bytes: renumbered, end: 'damaged' },
    'a peer that has left': { bytes: stopped, end: 'damaged' },
    'an empty file': { bytes: Buffer.alloc(0), end: 'foreign' },
    'a text': {
      bytes: Buffer.from('SQLite format 3\0 and more than that, to be long enough'),
      end: 'foreign',
    },
    'a file of zeroes': { bytes: Buffer.alloc(4096), end: 'foreign' },
    'a file of the next version': { bytes: withVersion(2), end: 'newer' },
    'a file of version zero': { bytes: withVersion(0), end: 'damaged' },
    'bytes behind the end': { bytes: Buffer.concat([sound, Buffer.alloc(1)]), end: 'damaged' },
    'a file behind the end': { bytes: second, end: 'damaged' },
    'a block that comes twice': { bytes: twice, end: 'damaged' },
    'a block that is missing': { bytes: without, end: 'damaged' },
  };
  for (const [title, { bytes, end }] of Object.entries(cases)) {
    test(title, () => assert.equal(read(bytes).end, end));
  }
});

function bytesOf(title: string): Buffer {
  const bytes = SNAPSHOTS.get(title);
  assert.ok(bytes, title);
  return bytes;
}
