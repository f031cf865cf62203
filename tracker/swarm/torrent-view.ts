/** What is read out of the swarm store: torrents and peers as plain values. The caller holds the segment's lock. */
import { type AnnounceEvent, HASH_WORDS } from '../protocol/model.ts';
import { DETAIL_DOWNLOADED, DETAIL_LEFT, DETAIL_UPLOADED, type PeerPages } from './peer-page.ts';
import { SET_PEERS } from './peer-set.ts';
import type { Segment } from './segment.ts';
import {
  TORRENT_COMPLETED,
  TORRENT_INFO_HASH,
  TORRENT_IPV4_PEERS,
  TORRENT_IPV6_PEERS,
  TORRENT_SEEDERS,
} from './torrent-table.ts';

/** A torrent as the REST API lists it. */
export interface TorrentSummary {
  /** 40 lowercase hex digits. */
  readonly infoHash: string;
  readonly seeders: number;
  readonly leechers: number;
  readonly completed: number;
}

/** A peer as the REST API shows it. */
export interface StoredPeer {
  /** 20 raw bytes. */
  readonly peerId: Uint8Array;
  /** 4 or 16 raw bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** On the clock of the store. */
  readonly updatedSeconds: number;
  readonly uploaded: bigint;
  readonly downloaded: bigint;
  readonly left: bigint;
  readonly event: AnnounceEvent;
}

/** The peers of a torrent, of both families. */
export function peersOf(words: Int32Array, torrent: number): number {
  return words[torrent + TORRENT_IPV4_PEERS + SET_PEERS] + words[torrent + TORRENT_IPV6_PEERS + SET_PEERS];
}

/** Reads what the REST API lists of a torrent. */
export function readSummary(words: Int32Array, torrent: number): TorrentSummary {
  return {
    infoHash: infoHashOf(words, torrent),
    seeders: words[torrent + TORRENT_SEEDERS],
    leechers: peersOf(words, torrent) - words[torrent + TORRENT_SEEDERS],
    completed: words[torrent + TORRENT_COMPLETED] >>> 0,
  };
}

/** Reads the peer in a slot of a page. */
export function readPeer(segment: Segment, pages: PeerPages, page: number, slot: number): StoredPeer {
  const { words, halves } = segment;
  const endpoint = Uint8Array.from(
    new Uint8Array(halves.buffer, pages.endpointAt(page, slot) * 2, pages.endpointHalves * 2),
  );
  const portByte = endpoint.length - 2;
  const peerId = new Int32Array(HASH_WORDS);
  pages.copyPeerIds(page, slot, 1, peerId, 0);
  const stamp = words[pages.stampAt(page, slot)];
  const detail = pages.detailAt(page, slot);
  return {
    peerId: new Uint8Array(peerId.buffer),
    address: endpoint.subarray(0, portByte),
    port: (endpoint[portByte] << 8) | endpoint[portByte + 1],
    updatedSeconds: stamp >>> 2,
    uploaded: readCounter(words, detail + DETAIL_UPLOADED),
    downloaded: readCounter(words, detail + DETAIL_DOWNLOADED),
    left: readCounter(words, detail + DETAIL_LEFT),
    // Two bits of the stamp hold 0 to 2, which are events.
    event: (stamp & 3) as AnnounceEvent,
  };
}

/** A torrent's info hash, as 40 lowercase hex digits. */
export function infoHashOf(words: Int32Array, torrent: number): string {
  const first = words.byteOffset + 4 * (torrent + TORRENT_INFO_HASH);
  return Buffer.from(words.buffer, first, 4 * HASH_WORDS).toString('hex');
}

function readCounter(words: Int32Array, high: number): bigint {
  return (BigInt(words[high]) << 32n) | BigInt(words[high + 1] >>> 0);
}
