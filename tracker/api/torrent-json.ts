/**
 * Torrents and peers in the JSON of the REST API. Built as text where numbers have 64 bits, which JavaScript's own
 * numbers do not hold.
 */
import { Readable } from 'node:stream';
import { AnnounceEvent } from '../protocol/model.ts';
import { writeIpv4Text, writeIpv6Text } from '../protocol/ip-text.ts';
import type { StoredPeer, TorrentSummary } from '../swarm/torrent-view.ts';
import { clientName } from './client-name.ts';
import { unhurried } from './torrent-list.ts';

const EVENT_NAMES: Readonly<Record<AnnounceEvent, string>> = {
  [AnnounceEvent.none]: 'None',
  [AnnounceEvent.completed]: 'Completed',
  [AnnounceEvent.started]: 'Started',
  [AnnounceEvent.stopped]: 'Stopped',
};

/** Longer lists are written while they are sent, so many items at a time. */
const DIRECT_ITEMS = 4096;
const PIECE_ITEMS = 256;

/** Room for the longest address. */
const addressText = Buffer.alloc(64);

/** A list of torrents. */
export function torrentListJson(torrents: readonly TorrentSummary[]): string | Readable {
  return listJson('[', torrents, (torrent) => `{${countersJson(torrent)}}`, ']');
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
): string | Readable {
  return listJson(
    `{${countersJson(torrent)},"peers":[`,
    peers.toSorted((one, other) => Buffer.compare(one.peerId, other.peerId)),
    (peer) => peerJson(peer, nowMillis - (nowSeconds - peer.updatedSeconds) * 1000),
    ']}',
  );
}

/** The items between `head` and `tail`: a text, or for a long list the text in pieces. */
function listJson<Item>(
  head: string,
  items: readonly Item[],
  itemJson: (item: Item) => string,
  tail: string,
): string | Readable {
  const part = (start: number, end: number): string => items.slice(start, end).map(itemJson).join(',');
  if (items.length <= DIRECT_ITEMS) return head + part(0, items.length) + tail;
  async function* pieces(): AsyncGenerator<string> {
    yield head;
    for await (const start of unhurried(starts(items.length))) {
      yield (start === 0 ? '' : ',') + part(start, start + PIECE_ITEMS);
    }
    yield tail;
  }
  return Readable.from(pieces(), { objectMode: false });
}

function* starts(length: number): Generator<number> {
  for (let start = 0; start < length; start += PIECE_ITEMS) yield start;
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
