/** What is read out of the swarm store: torrents and peers as plain values. The caller holds the segment's lock. */
import { type AnnounceEvent, AnnounceRequest, HASH_WORDS } from '../protocol/model.ts';
import type { PeerPages } from './peer-page.ts';
import { SET_PEERS } from './peer-set.ts';
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
export function readPeer(pages: PeerPages, page: number, slot: number): StoredPeer {
  const { words, bytes } = announced;
  const stamp = pages.read(page, slot, announced);
  const idByte = 4 * AnnounceRequest.PEER_ID_WORD;
  const portByte = AnnounceRequest.ENDPOINT_BYTE + pages.endpointHalves * 2 - 2;
  return {
    peerId: bytes.slice(idByte, idByte + 4 * HASH_WORDS),
    address: bytes.slice(AnnounceRequest.ENDPOINT_BYTE, portByte),
    port: (bytes[portByte] << 8) | bytes[portByte + 1],
    updatedSeconds: stamp >>> 2,
    uploaded: readNumber(words, AnnounceRequest.UPLOADED_WORD),
    downloaded: readNumber(words, AnnounceRequest.DOWNLOADED_WORD),
    left: readNumber(words, AnnounceRequest.LEFT_WORD),
    // Two bits of the stamp hold 0 to 2, which are events.
    event: (stamp & 3) as AnnounceEvent,
  };
}

/** What the peer at hand announced; a thread never reads two at a time. */
const announced = new AnnounceRequest();

/** A torrent's info hash, as 40 lowercase hex digits. */
export function infoHashOf(words: Int32Array, torrent: number): string {
  const first = words.byteOffset + 4 * (torrent + TORRENT_INFO_HASH);
  return Buffer.from(words.buffer, first, 4 * HASH_WORDS).toString('hex');
}

function readNumber(words: Int32Array, upper: number): bigint {
  return (BigInt(words[upper]) << 32n) | BigInt(words[upper + 1] >>> 0);
}
