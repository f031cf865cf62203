/** Snapshots in memory, and the content of a store in a form that two stores can be compared by. */
import { crc32 } from 'node:zlib';
import { exportStore } from '../../tracker/swarm/snapshot-export.ts';
import { SnapshotDecoder, SnapshotEncoder, type SnapshotFault } from '../../tracker/swarm/snapshot-format.ts';
import { type ImportCounts, SnapshotImport } from '../../tracker/swarm/snapshot-import.ts';
import type { Store } from '../../tracker/swarm/store.ts';
import type { SwarmRules } from '../../tracker/swarm/swarm-rules.ts';
import { RULES } from './announcing.ts';

/** A time at which snapshots are made. */
const MADE_MILLIS = 1_790_000_000_000;
export const HEADER_BYTES = 32;
export const BLOCK_HEAD_BYTES = 16;

/** The snapshot of a store. `between` is called between its slices. */
export function snapshotOf(
  store: Store,
  between: () => void = () => undefined,
  madeMillis = MADE_MILLIS,
): Buffer {
  const chunks: Buffer[] = [];
  const encoder = new SnapshotEncoder((bytes) => chunks.push(Buffer.from(bytes)), madeMillis);
  for (const _ of exportStore(store, encoder)) between();
  encoder.end();
  return Buffer.concat(chunks);
}

export interface Restored {
  readonly end: SnapshotFault | 'end';
  readonly counts: ImportCounts;
}

export interface RestoreOptions {
  readonly downSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly rules?: SwarmRules;
  /** Called after each part. */
  readonly between?: () => void;
}

/** Restores a snapshot into a store, as far as it is sound. */
export function restore(bytes: Uint8Array, store: Store, options: RestoreOptions = {}): Restored {
  const { downSeconds = 0, timeoutSeconds = 900, rules = RULES, between = () => undefined } = options;
  const decoder = new SnapshotDecoder(reader(bytes));
  const loading = new SnapshotImport(store, downSeconds, timeoutSeconds, rules);
  const fault = decoder.open();
  if (fault !== null) return { end: fault, counts: loading.counts };
  for (;;) {
    const next = decoder.next();
    if (next !== 'part') return { end: next, counts: loading.counts };
    loading.add(decoder.words, decoder.part);
    between();
  }
}

/** Reads from bytes as from a file. */
export function reader(bytes: Uint8Array): (target: Uint8Array) => number {
  let at = 0;
  return (target) => {
    const count = Math.min(target.length, bytes.length - at);
    target.set(bytes.subarray(at, at + count));
    at += count;
    return count;
  };
}

/** Writes the checksum of the block at `at` anew. */
export function sealBlock(bytes: Buffer, at: number): void {
  const payload = bytes.subarray(
    at + BLOCK_HEAD_BYTES,
    at + BLOCK_HEAD_BYTES + 4 * bytes.readUInt32LE(at + 4),
  );
  bytes.writeUInt32LE(crc32(payload, crc32(bytes.subarray(at, at + 12))), at + 12);
}

/** A line for each torrent and each peer of a store, sorted, with ages on its own clock, as they are some time later. */
export function contentOf(store: Store, laterSeconds = 0): string[] {
  const now = store.nowSeconds() + laterSeconds;
  const lines = [...store.torrents()]
    .flat()
    .flatMap(({ infoHash, seeders, leechers, completed }) => [
      `${infoHash} ${seeders} ${leechers} ${completed}`,
      ...store
        .peersOf(infoHash)
        .map((peer) =>
          [
            infoHash,
            Buffer.from(peer.address).toString('hex'),
            peer.port,
            Buffer.from(peer.peerId).toString('hex'),
            `age ${now - peer.updatedSeconds}`,
            peer.uploaded,
            peer.downloaded,
            peer.left,
            peer.event,
          ].join(' '),
        ),
    ]);
  const { torrents, seeders, leechers, completed, ipv4Peers, ipv6Peers } = store.totals();
  return [
    `sums ${torrents} ${seeders} ${leechers} ${completed} ${ipv4Peers} ${ipv6Peers}`,
    ...lines.toSorted(),
  ];
}
