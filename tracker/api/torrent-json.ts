/**
 * Torrents and peers in the JSON of the REST API. Built as text where numbers have 64 bits, which JavaScript's own
 * numbers do not hold.
 */
import { Readable } from 'node:stream';
import { AnnounceEvent } from '../protocol/model.ts';
import { writeIpv4Text, writeIpv6Text } from '../protocol/ip-text.ts';
import type { StoredPeer, TorrentSummary } from '../swarm/shard.ts';
import { clientName } from './client-name.ts';
import { unhurried } from './torrent-list.ts';

const EVENT_NAMES: Readonly<Record<AnnounceEvent, string>> = {
  [AnnounceEvent.none]: 'None',
  [AnnounceEvent.completed]: 'Completed',
  [AnnounceEvent.started]: 'Started',
  [AnnounceEvent.stopped]: 'Stopped',
};

/** Longer lists are written piece by piece while they are sent. */
const PIECE_TORRENTS = 4096;

/** Room for the longest address. */
const addressText = Buffer.alloc(64);

/** A list of torrents. */
export function torrentListJson(torrents: readonly TorrentSummary[]): string | Readable {
  if (torrents.length <= PIECE_TORRENTS) return `[${itemsJson(torrents)}]`;
  return Readable.from(listPieces(torrents), { objectMode: false });
}

async function* listPieces(torrents: readonly TorrentSummary[]): AsyncGenerator<string> {
  yield '[';
  for await (const start of unhurried(starts(torrents.length))) {
    yield (start === 0 ? '' : ',') + itemsJson(torrents.slice(start, start + PIECE_TORRENTS));
  }
  yield ']';
}

function* starts(length: number): Generator<number> {
  for (let start = 0; start < length; start += PIECE_TORRENTS) yield start;
}

function itemsJson(torrents: readonly TorrentSummary[]): string {
  return torrents.map((torrent) => `{${countersJson(torrent)}}`).join(',');
}

/**
 * A torrent with its peers in the order of their peer ids. Times of peers are on the store's clock, `nowSeconds` is
 * the same clock at `nowMillis` of unix time.
 */
export function torrentJson(
  torrent: TorrentSummary,
  peers: readonly StoredPeer[],
  nowSeconds: number,
  nowMillis: number,
): string {
  const peersJson = peers
    .toSorted((one, other) => Buffer.compare(one.peerId, other.peerId))
    .map((peer) => peerJson(peer, nowMillis - (nowSeconds - peer.updatedSeconds) * 1000));
  return `{${countersJson(torrent)},"peers":[${peersJson.join(',')}]}`;
}

function countersJson({ infoHash, seeders, completed, leechers }: TorrentSummary): string {
  return `"info_hash":"${infoHash}","seeders":${seeders},"completed":${completed},"leechers":${leechers}`;
}

function peerJson(peer: StoredPeer, updatedMillis: number): string {
  const id = `0x${Buffer.from(peer.peerId).toString('hex')}`;
  return (
    `{"peer_id":{"id":"${id}","client":${JSON.stringify(clientName(peer.peerId))}},` +
    `"peer_addr":"${endpointText(peer)}",` +
    // The second name is wrong, and clients read it: it has always been the same point in time.
    `"updated":${updatedMillis},"updated_milliseconds_ago":${updatedMillis},` +
    `"uploaded":${peer.uploaded},"downloaded":${peer.downloaded},"left":${peer.left},` +
    `"event":"${EVENT_NAMES[peer.event]}"}`
  );
}

function endpointText({ address, port }: StoredPeer): string {
  const isIpv4 = address.length === 4;
  const end = (isIpv4 ? writeIpv4Text : writeIpv6Text)(addressText, 0, address, 0);
  const text = addressText.toString('latin1', 0, end);
  return isIpv4 ? `${text}:${port}` : `[${text}]:${port}`;
}
