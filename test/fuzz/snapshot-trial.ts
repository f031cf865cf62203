/**
 * Snapshots of the corpus, changed, most of them with checksums that are right again, so that what is behind a checksum
 * is read as well: none may be more than refused, and the store that takes them in must stay whole.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { Store } from '../../tracker/swarm/store.ts';
import { RULES } from '../swarm/announcing.ts';
import { BLOCK_HEAD_BYTES, HEADER_BYTES, restore, sealBlock } from '../swarm/snapshot-bytes.ts';
import { mutate, type Random } from './random.ts';

const STORE_BYTES = 64 * 1024;
const MAX_BYTES = 4_000;

/** Snapshots by what is in them, as the tracker writes them in version 1. */
export const SNAPSHOTS: ReadonlyMap<string, Buffer> = readCorpus();

const ALL = [...SNAPSHOTS.values()];
const PIECES = [
  ...['00000000', '01000000', 'ffffffff', 'ffffff7f', '00000080', '544f5252', '444f4e45'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
  ...ALL.map((bytes) => bytes.subarray(HEADER_BYTES, -BLOCK_HEAD_BYTES)),
];

/** Restores changed snapshots into one store, which is emptied after each. */
export class SnapshotTrial {
  readonly counts = { whole: 0, foreign: 0, newer: 0, damaged: 0, peers: 0 };
  readonly #store = Store.create(STORE_BYTES, 1);

  judge(random: Random): void {
    const store = this.#store;
    const bytes = makeSnapshot(random);
    const removePeerless = random.oneIn(2);
    try {
      const { end, counts } = restore(bytes, store, {
        rules: { ...RULES, removePeerless },
        downSeconds: random.pick([0, 0, 500, 2 ** 31, -(2 ** 31)]),
        timeoutSeconds: random.pick([1, 900, 2 ** 31 - 2]),
      });
      const sums = store.totals();
      assert.equal(counts.kept, sums.ipv4Peers + sums.ipv6Peers);
      const torrents = [...store.torrents()].flat();
      assert.equal(torrents.length, sums.torrents);
      for (const { infoHash, seeders, leechers } of torrents) {
        assert.equal(store.peersOf(infoHash).length, seeders + leechers);
        assert.ok(seeders >= 0 && leechers >= 0);
      }
      for (const _ of store.expire(2 ** 29, RULES));
      const { usedBytes, torrents: left, seeders, leechers, completed } = store.totals();
      assert.deepEqual([usedBytes, left, seeders, leechers, completed], [0, 0, 0, 0, 0]);
      this.counts[end === 'end' ? 'whole' : end]++;
      this.counts.peers += counts.kept;
    } catch (cause) {
      throw new Error(`the snapshot ${bytes.toString('hex')}`, { cause });
    }
  }
}

/** A snapshot of the corpus, as it is, or changed, or a few random bytes. */
function makeSnapshot(random: Random): Buffer {
  if (random.oneIn(20)) return random.bytes(random.below(200));
  const known = random.pick(ALL);
  if (random.oneIn(10)) return known;
  const isHeaderKept = !random.oneIn(10);
  const body = isHeaderKept ? known.subarray(HEADER_BYTES) : known;
  const mutant = mutate(random, body, PIECES, MAX_BYTES);
  const bytes = isHeaderKept ? Buffer.concat([known.subarray(0, HEADER_BYTES), mutant]) : mutant;
  if (!random.oneIn(8)) sealAll(bytes);
  return bytes;
}

/** Makes all checksums right, as far as there are blocks. */
function sealAll(bytes: Buffer): void {
  if (bytes.length < HEADER_BYTES) return;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4);
  for (let at = HEADER_BYTES; at + BLOCK_HEAD_BYTES <= bytes.length;) {
    const next = at + BLOCK_HEAD_BYTES + 4 * bytes.readUInt32LE(at + 4);
    if (next > bytes.length) return;
    sealBlock(bytes, at);
    at = next;
  }
}

function readCorpus(): Map<string, Buffer> {
  const text = readFileSync(new URL('./corpus/snapshots.json', import.meta.url), 'utf8');
  // The file is ours: an object of texts.
  const corpus = JSON.parse(text) as Record<string, string>;
  return new Map(Object.entries(corpus).map(([title, hex]) => [title, Buffer.from(hex, 'hex')]));
}
