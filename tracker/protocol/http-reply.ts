/**
 * The replies of the HTTP tracker, written as bencoded bytes (BEP 3, 7, 23, 24, 31, 48). Pure; nothing is allocated,
 * and dictionary keys are in the order of their bytes. The caller sees to it that `out` has the room that the bound
 * beside each encoder names.
 *
 *   announce  d 8:complete i 10:incomplete i 8:interval i 12:min interval i 5:peers ... [6:peers6 ...] e
 *   scrape    d 5:files d (20:hash d 8:complete i 10:downloaded i 10:incomplete i e)* e e
 *   failure   d 14:failure reason ... [8:retry in ...] e
 */
import { asciiBytes, writeInteger, writeLiteral, writeStringHead } from './bencode.ts';
import { MAX_IPV6_TEXT_BYTES, writeIpv4Text, writeIpv6Text } from './ip-text.ts';
import {
  AnnounceReply,
  HASH_BYTES,
  HASH_WORDS,
  IPV4_ENDPOINT_BYTES,
  IPV6_ENDPOINT_BYTES,
  type PeerAddress,
  type ScrapeEntry,
} from './model.ts';

/** Content types of Torrust Tracker: every failure is text, though its status is 200 too. */
export const SUCCESS_CONTENT_TYPE = 'application/octet-stream';
export const FAILURE_CONTENT_TYPE = 'text/plain; charset=utf-8';

/** When a client may try again after a failure (BEP 31): minutes, or `never` when only an operator can change it. */
export type RetryIn = number | 'never';

const LETTER_E = 0x65;
const LETTER_L = 0x6c;

const ANNOUNCE_HEAD = asciiBytes('d8:complete');
const EXTERNAL_IP = asciiBytes('11:external ip');
const INCOMPLETE = asciiBytes('10:incomplete');
const INTERVAL = asciiBytes('8:interval');
const MIN_INTERVAL = asciiBytes('12:min interval');
const PEERS = asciiBytes('5:peers');
const PEERS6 = asciiBytes('6:peers6');
const PEER_HEAD = asciiBytes('d2:ip');
const PEER_ID = asciiBytes('7:peer id20:');
const PORT = asciiBytes('4:port');
const SCRAPE_HEAD = asciiBytes('d5:filesd');
const SCRAPE_HASH = asciiBytes('20:');
const SCRAPE_COMPLETE = asciiBytes('d8:complete');
const DOWNLOADED = asciiBytes('10:downloaded');
const FAILURE_HEAD = asciiBytes('d14:failure reason');
const RETRY_IN = asciiBytes('8:retry in');
const NEVER = asciiBytes('5:never');

/** Bytes of the longest bencoded integer: sixteen digits between `i` and `e`. */
const MAX_INTEGER_BYTES = 18;
/** Bytes of an announce reply apart from its peers: keys, four integers, an external address, lengths, brackets. */
const ANNOUNCE_REPLY_HEAD_BYTES = 192;
/** Bytes of the longest peer in the long form: `d2:ip39:…7:peer id20:…4:porti65535ee`. */
const MAX_PEER_BYTES =
  PEER_HEAD.length + 3 + MAX_IPV6_TEXT_BYTES + PEER_ID.length + HASH_BYTES + PORT.length + 7 + 1;
const SCRAPE_ENTRY_BYTES =
  SCRAPE_HASH.length +
  HASH_BYTES +
  SCRAPE_COMPLETE.length +
  DOWNLOADED.length +
  INCOMPLETE.length +
  3 * MAX_INTEGER_BYTES +
  1;

/**
 * An HTTP announce reply in the making: the protocol-independent reply, the memory where the tracker puts the peers
 * that it hands out, and what only HTTP says. Made once per thread; `prepare` comes before each use.
 */
export class HttpAnnounceReply {
  /** What the tracker fills; its peers go to the memory below. */
  readonly reply: AnnounceReply;
  /** Endpoints: those of IPv4 from byte 0, those of IPv6 from `ipv6Byte` on. */
  readonly endpoints: Uint8Array;
  readonly ipv6Byte: number;
  /** Peer ids, 20 bytes each. */
  readonly peerIds: Uint8Array;
  /** The most peers that there is room for, of each family and in all. */
  readonly capacity: number;

  compact = false;
  intervalSeconds = 0;
  minIntervalSeconds = 0;
  /** The address that the announce came from, told to the peer (BEP 24); null when it is not to be told. */
  externalIp: PeerAddress | null = null;

  readonly #halves: Uint16Array;
  readonly #peerIdWords: Int32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.ipv6Byte = capacity * IPV4_ENDPOINT_BYTES;
    this.#halves = new Uint16Array((capacity * (IPV4_ENDPOINT_BYTES + IPV6_ENDPOINT_BYTES)) >> 1);
    this.endpoints = new Uint8Array(this.#halves.buffer);
    this.#peerIdWords = new Int32Array(capacity * HASH_WORDS);
    this.peerIds = new Uint8Array(this.#peerIdWords.buffer);
    this.reply = new AnnounceReply(this.#halves);
  }

  /** Makes the reply ready for one announce; peer ids are collected for the long form only. */
  prepare(compact: boolean, peersWanted: number): void {
    const reply = this.reply;
    this.compact = compact;
    this.externalIp = null;
    reply.halves = this.#halves;
    reply.ipv4Half = 0;
    reply.ipv6Half = this.ipv6Byte >> 1;
    reply.peerIds = compact ? null : this.#peerIdWords;
    reply.families = 3;
    reply.peersWanted = Math.min(peersWanted, this.capacity);
  }
}

/** Bytes that the reply to an announce with `peers` peers takes at most, in either form. */
export function announceReplyBound(peers: number): number {
  return ANNOUNCE_REPLY_HEAD_BYTES + peers * MAX_PEER_BYTES;
}

/** Bytes that the reply to a scrape of `hashes` info hashes takes at most. */
export function scrapeReplyBound(hashes: number): number {
  return SCRAPE_HEAD.length + hashes * SCRAPE_ENTRY_BYTES + 2;
}

/** Bytes that a failure takes at most whose text has `characters` characters. */
export function failureBound(characters: number): number {
  return FAILURE_HEAD.length + MAX_INTEGER_BYTES + characters + RETRY_IN.length + MAX_INTEGER_BYTES + 1;
}

/** Writes an announce reply at `offset` of `out`. Returns its bytes. */
export function encodeAnnounceReply(out: Uint8Array, offset: number, http: HttpAnnounceReply): number {
  const reply = http.reply;
  let at = writeLiteral(out, offset, ANNOUNCE_HEAD);
  at = writeInteger(out, at, reply.seeders);
  if (http.externalIp !== null) at = writeExternalIp(out, at, http.externalIp);
  at = writeLiteral(out, at, INCOMPLETE);
  at = writeInteger(out, at, reply.leechers);
  at = writeLiteral(out, at, INTERVAL);
  at = writeInteger(out, at, http.intervalSeconds);
  at = writeLiteral(out, at, MIN_INTERVAL);
  at = writeInteger(out, at, http.minIntervalSeconds);
  at = writeLiteral(out, at, PEERS);
  at = http.compact ? writeCompactPeers(out, at, http) : writePeerList(out, at, http);
  out[at] = LETTER_E;
  return at + 1 - offset;
}

/** Writes the begin of a scrape reply. Returns its bytes; entries follow, by ascending info hash. */
export function encodeScrapeReplyHead(out: Uint8Array, offset: number): number {
  return writeLiteral(out, offset, SCRAPE_HEAD) - offset;
}

/** Writes an entry of a scrape reply: the info hash at `hashByte` of `hashes`, and its numbers. Returns its bytes. */
export function encodeScrapeReplyEntry(
  out: Uint8Array,
  offset: number,
  hashes: Uint8Array,
  hashByte: number,
  entry: ScrapeEntry,
): number {
  let at = writeLiteral(out, offset, SCRAPE_HASH);
  at = copyBytes(out, at, hashes, hashByte, HASH_BYTES);
  at = writeLiteral(out, at, SCRAPE_COMPLETE);
  at = writeInteger(out, at, entry.seeders);
  at = writeLiteral(out, at, DOWNLOADED);
  at = writeInteger(out, at, entry.completed);
  at = writeLiteral(out, at, INCOMPLETE);
  at = writeInteger(out, at, entry.leechers);
  out[at] = LETTER_E;
  return at + 1 - offset;
}

/** Writes the end of a scrape reply. Returns its bytes. */
export function encodeScrapeReplyTail(out: Uint8Array, offset: number): number {
  out[offset] = LETTER_E;
  out[offset + 1] = LETTER_E;
  return 2;
}

/** Writes a failure with its reason in latin1 characters, and when to try again if that is known. Returns its bytes. */
export function encodeFailure(out: Uint8Array, offset: number, reason: string, retryIn?: RetryIn): number {
  let at = writeLiteral(out, offset, FAILURE_HEAD);
  at = writeStringHead(out, at, reason.length);
  for (let i = 0; i < reason.length; i++) out[at++] = reason.charCodeAt(i);
  if (retryIn !== undefined) {
    at = writeLiteral(out, at, RETRY_IN);
    at = retryIn === 'never' ? writeLiteral(out, at, NEVER) : writeInteger(out, at, retryIn);
  }
  out[at] = LETTER_E;
  return at + 1 - offset;
}

function writeExternalIp(out: Uint8Array, offset: number, address: PeerAddress): number {
  const length = address.family === 4 ? 4 : 16;
  const at = writeStringHead(out, writeLiteral(out, offset, EXTERNAL_IP), length);
  return copyBytes(out, at, address.bytes, 0, length);
}

/** Writes the value of `peers`, and `peers6` with its value; both are there even when they are empty. */
function writeCompactPeers(out: Uint8Array, offset: number, http: HttpAnnounceReply): number {
  const ipv4Bytes = http.reply.ipv4Peers * IPV4_ENDPOINT_BYTES;
  const ipv6Bytes = http.reply.ipv6Peers * IPV6_ENDPOINT_BYTES;
  let at = writeStringHead(out, offset, ipv4Bytes);
  at = copyBytes(out, at, http.endpoints, 0, ipv4Bytes);
  at = writeLiteral(out, at, PEERS6);
  at = writeStringHead(out, at, ipv6Bytes);
  return copyBytes(out, at, http.endpoints, http.ipv6Byte, ipv6Bytes);
}

/** Writes the value of `peers` in the long form: both families in one list. */
function writePeerList(out: Uint8Array, offset: number, http: HttpAnnounceReply): number {
  const { endpoints, peerIds, ipv6Byte } = http;
  const { ipv4Peers, ipv6Peers } = http.reply;
  let at = offset;
  out[at++] = LETTER_L;
  for (let i = 0; i < ipv4Peers; i++) {
    const endpoint = i * IPV4_ENDPOINT_BYTES;
    const textAt = writeLiteral(out, at, PEER_HEAD) + 3;
    const textEnd = writeIpv4Text(out, textAt, endpoints, endpoint);
    at = writePeerTail(out, textAt, textEnd, peerIds, i, endpoints, endpoint + 4);
  }
  for (let i = 0; i < ipv6Peers; i++) {
    const endpoint = ipv6Byte + i * IPV6_ENDPOINT_BYTES;
    const textAt = writeLiteral(out, at, PEER_HEAD) + 3;
    const textEnd = writeIpv6Text(out, textAt, endpoints, endpoint);
    at = writePeerTail(out, textAt, textEnd, peerIds, ipv4Peers + i, endpoints, endpoint + 16);
  }
  out[at] = LETTER_E;
  return at + 1;
}

/**
 * Writes what surrounds the text of an address that stands three bytes behind its place, because its length was not
 * known: the length, and then peer id and port.
 */
function writePeerTail(
  out: Uint8Array,
  textAt: number,
  textEnd: number,
  peerIds: Uint8Array,
  peer: number,
  endpoints: Uint8Array,
  portByte: number,
): number {
  const length = textEnd - textAt;
  let at = writeStringHead(out, textAt - 3, length);
  // Addresses of less than ten characters move back by one; going forward, no byte is overwritten before it is read.
  if (at < textAt) copyBytes(out, at, out, textAt, length);
  at = writeLiteral(out, at + length, PEER_ID);
  at = copyBytes(out, at, peerIds, peer * HASH_BYTES, HASH_BYTES);
  at = writeLiteral(out, at, PORT);
  at = writeInteger(out, at, (endpoints[portByte] << 8) | endpoints[portByte + 1]);
  out[at] = LETTER_E;
  return at + 1;
}

function copyBytes(out: Uint8Array, at: number, source: Uint8Array, start: number, length: number): number {
  for (let i = 0; i < length; i++) out[at + i] = source[start + i];
  return at + length;
}
