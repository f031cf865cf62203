/**
 * The bodies of HTTP tracker replies as the values that a probe reports (BEP 3, 7, 23, 24, 31, 48). Lenient about what
 * other trackers leave out, strict about what is there.
 */
import {
  decodeBencode,
  dictionaryEntry,
  isBencodeDictionary,
  isBencodeList,
  type BencodeValue,
} from '../protocol/bencode.ts';
import { IPV4_ENDPOINT_BYTES, IPV6_ENDPOINT_BYTES, type AddressFamily } from '../protocol/model.ts';
import { decodeCompactPeers } from '../protocol/udp-client.ts';
import type { ProbeAnnounce, ProbeFailure, ProbePeer, ProbeScrape, ProbeScrapeEntry } from './result.ts';

export type ReplyValue<T> =
  { readonly kind: 'value'; readonly value: T } | { readonly kind: 'failed'; readonly failure: ProbeFailure };

/** Reads the reply to an announce that came with an HTTP status. Never throws. */
export function readAnnounceReply(status: number, body: Uint8Array): ReplyValue<ProbeAnnounce> {
  const reply = readDictionary(status, body);
  if (reply.kind === 'failed') return reply;
  const intervalSeconds = integerEntry(reply.value, 'interval');
  if (intervalSeconds === null) return malformed('no interval');
  const peers = readPeers(dictionaryEntry(reply.value, 'peers'));
  const peers6 = readCompact(dictionaryEntry(reply.value, 'peers6'), 6);
  if (peers === null || peers6 === null) return malformed('peers that are neither a list nor compact');
  const warning = dictionaryEntry(reply.value, 'warning message');
  return {
    kind: 'value',
    value: {
      transactionId: null,
      intervalSeconds,
      minIntervalSeconds: integerEntry(reply.value, 'min interval'),
      seeders: integerEntry(reply.value, 'complete'),
      leechers: integerEntry(reply.value, 'incomplete'),
      externalIp: readAddress(dictionaryEntry(reply.value, 'external ip')),
      warning: warning instanceof Uint8Array ? textOf(warning) : null,
      peers: [...peers, ...peers6],
    },
  };
}

/** Reads the reply to a scrape for `infoHashes`; an info hash that the tracker doesn't mention is left out. */
export function readScrapeReply(
  status: number,
  body: Uint8Array,
  infoHashes: readonly Uint8Array[],
): ReplyValue<ProbeScrape> {
  const reply = readDictionary(status, body);
  if (reply.kind === 'failed') return reply;
  const files = dictionaryEntry(reply.value, 'files');
  if (!isBencodeDictionary(files)) return malformed('no files');
  const entries: ProbeScrapeEntry[] = [];
  for (const infoHash of infoHashes) {
    const bytes = Buffer.from(infoHash);
    const file = dictionaryEntry(files, bytes.toString('latin1'));
    if (file === undefined) continue;
    const seeders = integerEntry(file, 'complete');
    const completed = integerEntry(file, 'downloaded');
    const leechers = integerEntry(file, 'incomplete');
    if (seeders === null || completed === null || leechers === null)
      return malformed('a file without its numbers');
    entries.push({ infoHash: bytes.toString('hex'), seeders, completed, leechers });
  }
  return { kind: 'value', value: { transactionId: null, entries } };
}

/** A dictionary without a failure reason. Some trackers send one with a status that is not 200. */
function readDictionary(status: number, body: Uint8Array): ReplyValue<BencodeValue> {
  const result = decodeBencode(body);
  const reason = result.kind === 'value' ? dictionaryEntry(result.value, 'failure reason') : undefined;
  if (result.kind === 'value' && reason instanceof Uint8Array) {
    const retryIn = readRetryIn(dictionaryEntry(result.value, 'retry in'));
    return { kind: 'failed', failure: { kind: 'refused', reason: textOf(reason), retryIn } };
  }
  if (status !== 200) return { kind: 'failed', failure: { kind: 'status', status } };
  if (result.kind === 'fault') return malformed(`no bencoding (${result.fault} at byte ${result.offset})`);
  if (!isBencodeDictionary(result.value)) return malformed('no dictionary');
  return { kind: 'value', value: result.value };
}

function readRetryIn(value: BencodeValue | undefined): number | 'never' | null {
  if (typeof value === 'number') return value;
  return value instanceof Uint8Array && textOf(value) === 'never' ? 'never' : null;
}

/** The peers of either form; null when they are of neither. */
function readPeers(value: BencodeValue | undefined): ProbePeer[] | null {
  if (!isBencodeList(value)) return readCompact(value, 4);
  const peers: ProbePeer[] = [];
  for (const entry of value) {
    const ip = dictionaryEntry(entry, 'ip');
    const port = integerEntry(entry, 'port');
    const peerId = dictionaryEntry(entry, 'peer id');
    if (!(ip instanceof Uint8Array) || port === null) return null;
    const id = peerId instanceof Uint8Array ? Buffer.from(peerId).toString('hex') : null;
    peers.push({ address: textOf(ip), port, peerId: id });
  }
  return peers;
}

function readCompact(value: BencodeValue | undefined, family: AddressFamily): ProbePeer[] | null {
  if (value === undefined) return [];
  const endpointBytes = family === 4 ? IPV4_ENDPOINT_BYTES : IPV6_ENDPOINT_BYTES;
  if (!(value instanceof Uint8Array) || value.length % endpointBytes !== 0) return null;
  return decodeCompactPeers(value, family).map((peer) => ({ ...peer, peerId: null }));
}

/** An address of 4 or 16 bytes as text; null for anything else. */
function readAddress(value: BencodeValue | undefined): string | null {
  if (!(value instanceof Uint8Array) || (value.length !== 4 && value.length !== 16)) return null;
  const endpoint = Buffer.concat([value, Buffer.alloc(2)]);
  return decodeCompactPeers(endpoint, value.length === 4 ? 4 : 6)[0]?.address ?? null;
}

function integerEntry(value: BencodeValue, key: string): number | null {
  const entry = dictionaryEntry(value, key);
  return typeof entry === 'number' ? entry : null;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

function malformed(reason: string): { kind: 'failed'; failure: ProbeFailure } {
  return { kind: 'failed', failure: { kind: 'malformed', reason } };
}
