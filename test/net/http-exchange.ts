/** An HTTP client that sends any target from any local address, and reads replies byte by byte. */
import assert from 'node:assert/strict';
import { type Agent, type IncomingHttpHeaders, request as openRequest } from 'node:http';
import type { SocketAddress } from '../../tracker/config/address.ts';
import {
  type BencodeValue,
  decodeBencode,
  dictionaryEntry,
  isBencodeList,
} from '../../tracker/protocol/bencode.ts';
import { decodeCompactPeers } from '../../tracker/protocol/udp-client.ts';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Latin1 characters, one for each byte. */
  readonly body: string;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** The local address to ask from. */
  readonly from?: string;
  /** The address at which the tracker is reached. */
  readonly to?: string;
  readonly agent?: Agent;
  readonly body?: string;
}

/** What a successful announce says. Peers are `address:port`, in the order of the reply. */
export interface HttpAnnounceAnswer {
  readonly complete: BencodeValue | undefined;
  readonly incomplete: BencodeValue | undefined;
  readonly interval: BencodeValue | undefined;
  readonly minInterval: BencodeValue | undefined;
  readonly peers: readonly string[];
  readonly peerIds: readonly string[];
}

/** Asks, with a connection of its own unless an agent is given. */
export function get(tracker: SocketAddress, target: string, asking: Asking = {}): Promise<HttpAnswer> {
  const { method = 'GET', headers = {}, from, agent = false } = asking;
  const host = asking.to ?? (tracker.family === 6 ? '::1' : '127.0.0.1');
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const request = openRequest(
    {
      host,
      port: tracker.port,
      path: target,
      method,
      headers,
      agent,
      ...(from !== undefined && { localAddress: from }),
    },
    (response) => {
      response.setEncoding('latin1');
      let body = '';
      response.on('data', (text: string) => (body += text));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on('error', reject);
    },
  );
  request.on('error', reject);
  request.end(asking.body);
  return promise;
}

/** Percent-encodes every byte. */
export function percentEncode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').replaceAll(/../g, '%$&');
}

/** The target of an announce: a seeder at port 6881, with what is given instead or added; null leaves a name out. */
export function announceTarget(
  infoHash: Uint8Array,
  parameters: Readonly<Record<string, string | number | null>> = {},
  key = '',
): string {
  const all = {
    info_hash: percentEncode(infoHash),
    peer_id: '-TT0001-000000000001',
    port: 6881,
    left: 0,
    ...parameters,
  };
  const query = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}=${value}`]));
  return `/announce${key === '' ? '' : `/${key}`}?${query.join('&')}`;
}

export function scrapeTarget(infoHashes: readonly Uint8Array[], key = ''): string {
  const query = infoHashes.map((infoHash) => `info_hash=${percentEncode(infoHash)}`);
  return `/scrape${key === '' ? '' : `/${key}`}?${query.join('&')}`;
}

/** Announces and expects to be served. */
export async function announce(
  tracker: SocketAddress,
  infoHash: Uint8Array,
  parameters: Readonly<Record<string, string | number | null>> = {},
  asking: Asking & { readonly key?: string } = {},
): Promise<HttpAnnounceAnswer> {
  const { status, headers, body } = await get(
    tracker,
    announceTarget(infoHash, parameters, asking.key),
    asking,
  );
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'application/octet-stream', body);
  const reply = decode(body);
  return {
    complete: dictionaryEntry(reply, 'complete'),
    incomplete: dictionaryEntry(reply, 'incomplete'),
    interval: dictionaryEntry(reply, 'interval'),
    minInterval: dictionaryEntry(reply, 'min interval'),
    ...readPeers(reply),
  };
}

/** The reason of a failure, which has to be a well-formed one. */
export async function failureOf(
  tracker: SocketAddress,
  target: string,
  asking?: Asking,
): Promise<{ reason: string; retryIn: string | number | undefined }> {
  const { status, headers, body } = await get(tracker, target, asking);
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8', body);
  const reply = decode(body);
  const reason = dictionaryEntry(reply, 'failure reason');
  assert.ok(reason instanceof Uint8Array);
  const retryIn = dictionaryEntry(reply, 'retry in');
  return {
    reason: latin1(reason),
    retryIn:
      retryIn instanceof Uint8Array ? latin1(retryIn) : retryIn === undefined ? undefined : Number(retryIn),
  };
}

function decode(body: string): BencodeValue {
  const result = decodeBencode(Buffer.from(body, 'latin1'));
  assert.equal(result.kind, 'value', body);
  return result.value;
}

function readPeers(reply: BencodeValue): { peers: string[]; peerIds: string[] } {
  const peers = dictionaryEntry(reply, 'peers');
  if (peers instanceof Uint8Array) {
    const peers6 = dictionaryEntry(reply, 'peers6');
    assert.ok(peers6 instanceof Uint8Array, 'a compact reply has peers6, be it empty');
    const all = [...decodeCompactPeers(peers, 4), ...decodeCompactPeers(peers6, 6)];
    return { peers: all.map(({ address, port }) => `${address}:${port}`), peerIds: [] };
  }
  assert.ok(isBencodeList(peers));
  return {
    peers: peers.map((peer) => `${text(peer, 'ip')}:${Number(dictionaryEntry(peer, 'port'))}`),
    peerIds: peers.map((peer) => text(peer, 'peer id')),
  };
}

function text(value: BencodeValue, key: string): string {
  const bytes = dictionaryEntry(value, key);
  assert.ok(bytes instanceof Uint8Array);
  return latin1(bytes);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
