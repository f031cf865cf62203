/**
 * The UDP tracker protocol, client side: requests to bytes, bytes to replies (BEP 15; URL data of BEP 41). Pure. Layouts
 * are drawn at the head of udp.ts. Made for probes and tests, which send few packets: everything is a fresh value.
 */
import assert from 'node:assert/strict';
import {
  type AnnounceEvent,
  HASH_BYTES,
  IPV4_ENDPOINT_BYTES,
  IPV6_ENDPOINT_BYTES,
  type AddressFamily,
} from './model.ts';
import { writeIpv4Text, writeIpv6Text } from './ip-text.ts';
import {
  ANNOUNCE_REPLY_HEAD_BYTES,
  ANNOUNCE_REQUEST_BYTES,
  CONNECT_REPLY_BYTES,
  ERROR_REPLY_HEAD_BYTES,
  MAX_SCRAPE_HASHES,
  PROTOCOL_ID_HIGH,
  PROTOCOL_ID_LOW,
  REQUEST_HEAD_BYTES,
  SCRAPE_REPLY_ENTRY_BYTES,
  SCRAPE_REPLY_HEAD_BYTES,
  UdpAction,
} from './udp.ts';

/** A peer as a reply names it; the address is canonical text without brackets. */
export interface UdpPeer {
  readonly address: string;
  readonly port: number;
}

/** What a scrape reply tells of one torrent, at the place of its info hash in the request. */
export interface UdpScrapeEntry {
  readonly seeders: number;
  readonly completed: number;
  readonly leechers: number;
}

/** A reply of a tracker; `malformed` is anything that is none. */
export type UdpReply =
  | { readonly kind: 'connect'; readonly transactionId: number; readonly connectionId: bigint }
  | {
      readonly kind: 'announce';
      readonly transactionId: number;
      readonly intervalSeconds: number;
      readonly leechers: number;
      readonly seeders: number;
      readonly peers: readonly UdpPeer[];
    }
  | { readonly kind: 'scrape'; readonly transactionId: number; readonly entries: readonly UdpScrapeEntry[] }
  | { readonly kind: 'error'; readonly transactionId: number; readonly message: string }
  | { readonly kind: 'malformed'; readonly reason: string };

/** What an announce says. Info hash and peer id have 20 bytes; counters are 64-bit. */
export interface UdpAnnounce {
  /** As the connect reply gave it, a signed 64-bit number. */
  readonly connectionId: bigint;
  readonly transactionId: number;
  readonly infoHash: Uint8Array;
  readonly peerId: Uint8Array;
  readonly downloadedBytes: bigint;
  readonly leftBytes: bigint;
  readonly uploadedBytes: bigint;
  readonly event: AnnounceEvent;
  /** Identifies the peer when its address changes (BEP 15); any 32 bits. */
  readonly clientKey: number;
  /** Negative leaves it to the tracker. */
  readonly numWant: number;
  readonly port: number;
  /** Path and query of the announce URL, in latin1 characters; `''` sends no option (BEP 41). */
  readonly urlData: string;
}

const OPTION_URL_DATA = 0x2;
/** One option carries its length in a byte; longer URL data is split over several. */
const MAX_OPTION_BYTES = 255;

/** A connect request. `transactionId` is a signed 32-bit number here and everywhere. */
export function encodeConnectRequest(transactionId: number): Uint8Array {
  const bytes = new Uint8Array(REQUEST_HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, PROTOCOL_ID_HIGH);
  view.setInt32(4, PROTOCOL_ID_LOW);
  view.setInt32(8, UdpAction.connect);
  view.setInt32(12, transactionId);
  return bytes;
}

/** An announce request, with its URL data behind it. */
export function encodeAnnounceRequest(announce: UdpAnnounce): Uint8Array {
  assert.equal(announce.infoHash.length, HASH_BYTES);
  assert.equal(announce.peerId.length, HASH_BYTES);
  const options = encodeUrlData(announce.urlData);
  const bytes = new Uint8Array(ANNOUNCE_REQUEST_BYTES + options.length);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, announce.connectionId);
  view.setInt32(8, UdpAction.announce);
  view.setInt32(12, announce.transactionId);
  bytes.set(announce.infoHash, 16);
  bytes.set(announce.peerId, 36);
  view.setBigInt64(56, announce.downloadedBytes);
  view.setBigInt64(64, announce.leftBytes);
  view.setBigInt64(72, announce.uploadedBytes);
  view.setInt32(80, announce.event);
  // The address at 84 stays zero: the tracker takes the one that the datagram came from.
  view.setInt32(88, announce.clientKey);
  view.setInt32(92, announce.numWant);
  view.setUint16(96, announce.port);
  bytes.set(options, ANNOUNCE_REQUEST_BYTES);
  return bytes;
}

/** A scrape request for 1 to 74 info hashes of 20 bytes. */
export function encodeScrapeRequest(
  connectionId: bigint,
  transactionId: number,
  infoHashes: readonly Uint8Array[],
): Uint8Array {
  assert.ok(infoHashes.length > 0 && infoHashes.length <= MAX_SCRAPE_HASHES);
  const bytes = new Uint8Array(REQUEST_HEAD_BYTES + infoHashes.length * HASH_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, connectionId);
  view.setInt32(8, UdpAction.scrape);
  view.setInt32(12, transactionId);
  for (const [i, infoHash] of infoHashes.entries()) {
    assert.equal(infoHash.length, HASH_BYTES);
    bytes.set(infoHash, REQUEST_HEAD_BYTES + i * HASH_BYTES);
  }
  return bytes;
}

/** Reads a reply of a tracker that was asked over `family`, which decides how long its peers are. Never throws. */
export function decodeUdpReply(bytes: Uint8Array, family: AddressFamily): UdpReply {
  if (bytes.length < ERROR_REPLY_HEAD_BYTES)
    return malformed(`${bytes.length} bytes are too few for a reply`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const transactionId = view.getInt32(4);
  switch (view.getInt32(0)) {
    case UdpAction.connect:
      if (bytes.length < CONNECT_REPLY_BYTES) return malformed('a connect reply is cut short');
      return { kind: 'connect', transactionId, connectionId: view.getBigInt64(8) };
    case UdpAction.announce:
      return decodeAnnounceReply(bytes, view, family);
    case UdpAction.scrape:
      return decodeScrapeReply(bytes, view);
    case UdpAction.error: {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(
        'utf8',
        ERROR_REPLY_HEAD_BYTES,
      );
      // Some trackers end the text with a NUL, which is no part of it.
      return { kind: 'error', transactionId, message: text.replace(/\0+$/, '') };
    }
    default:
      return malformed(`action ${view.getInt32(0)} is unknown`);
  }
}

function decodeAnnounceReply(bytes: Uint8Array, view: DataView, family: AddressFamily): UdpReply {
  const peerBytes = bytes.length - ANNOUNCE_REPLY_HEAD_BYTES;
  const endpointBytes = family === 4 ? IPV4_ENDPOINT_BYTES : IPV6_ENDPOINT_BYTES;
  if (peerBytes < 0) return malformed('an announce reply is cut short');
  if (peerBytes % endpointBytes !== 0) return malformed('the peers of an announce reply are cut short');
  return {
    kind: 'announce',
    transactionId: view.getInt32(4),
    intervalSeconds: view.getInt32(8),
    leechers: view.getInt32(12),
    seeders: view.getInt32(16),
    peers: decodeCompactPeers(bytes.subarray(ANNOUNCE_REPLY_HEAD_BYTES), family),
  };
}

function decodeScrapeReply(bytes: Uint8Array, view: DataView): UdpReply {
  const entryBytes = bytes.length - SCRAPE_REPLY_HEAD_BYTES;
  if (entryBytes % SCRAPE_REPLY_ENTRY_BYTES !== 0)
    return malformed('the entries of a scrape reply are cut short');
  const entries: UdpScrapeEntry[] = [];
  for (let at = SCRAPE_REPLY_HEAD_BYTES; at < bytes.length; at += SCRAPE_REPLY_ENTRY_BYTES) {
    entries.push({
      seeders: view.getInt32(at),
      completed: view.getInt32(at + 4),
      leechers: view.getInt32(at + 8),
    });
  }
  return { kind: 'scrape', transactionId: view.getInt32(4), entries };
}

/** Reads compact endpoints of one family (BEP 23, BEP 7). The length of `bytes` must be a multiple of theirs. */
export function decodeCompactPeers(bytes: Uint8Array, family: AddressFamily): UdpPeer[] {
  const endpointBytes = family === 4 ? IPV4_ENDPOINT_BYTES : IPV6_ENDPOINT_BYTES;
  const write = family === 4 ? writeIpv4Text : writeIpv6Text;
  const text = Buffer.alloc(64);
  const peers: UdpPeer[] = [];
  for (let at = 0; at + endpointBytes <= bytes.length; at += endpointBytes) {
    const address = text.toString('latin1', 0, write(text, 0, bytes, at));
    const portByte = at + endpointBytes - 2;
    peers.push({ address, port: (bytes[portByte] << 8) | bytes[portByte + 1] });
  }
  return peers;
}

function encodeUrlData(urlData: string): Uint8Array {
  const text = Buffer.from(urlData, 'latin1');
  const options: Uint8Array[] = [];
  for (let at = 0; at < text.length; at += MAX_OPTION_BYTES) {
    const part = text.subarray(at, at + MAX_OPTION_BYTES);
    options.push(Uint8Array.of(OPTION_URL_DATA, part.length), part);
  }
  return Buffer.concat(options);
}

function malformed(reason: string): UdpReply {
  return { kind: 'malformed', reason };
}
