/** The swarm store as a plain Map: what `Store` must do, said as simply as possible. No memory limit, no sharing. */
import { AnnounceEvent } from '../../tracker/protocol/model.ts';

export interface ModelAnnounce {
  readonly infoHash: string;
  /** Hex of the raw address. */
  readonly address: string;
  readonly port: number;
  readonly peerId: string;
  readonly left: bigint;
  readonly event: AnnounceEvent;
  /** Not in the model: nothing of a swarm depends on them. 0 when absent. */
  readonly uploaded?: bigint;
  readonly downloaded?: bigint;
}

export interface ModelPeer extends ModelAnnounce {
  readonly updatedSeconds: number;
}

export interface ModelTorrent {
  completed: number;
  /** By `address:port`. */
  readonly peers: Map<string, ModelPeer>;
}

export class ModelStore {
  readonly torrents = new Map<string, ModelTorrent>();

  announce(announce: ModelAnnounce, nowSeconds: number): ModelTorrent {
    const torrent = this.torrents.get(announce.infoHash) ?? {
      completed: 0,
      peers: new Map<string, ModelPeer>(),
    };
    this.torrents.set(announce.infoHash, torrent);
    const endpoint = `${announce.address}:${announce.port}`;
    const known = torrent.peers.has(endpoint) ? endpoint : findByPeerId(torrent, announce);
    const before = known === undefined ? undefined : torrent.peers.get(known);
    if (known !== undefined) torrent.peers.delete(known);
    if (announce.event === AnnounceEvent.stopped) return torrent;
    if (before && announce.event === AnnounceEvent.completed && before.event !== AnnounceEvent.completed) {
      torrent.completed++;
    }
    torrent.peers.set(endpoint, { ...announce, updatedSeconds: nowSeconds });
    return torrent;
  }

  expire(cutoffSeconds: number, removePeerless: boolean): void {
    for (const [infoHash, torrent] of this.torrents) {
      for (const [endpoint, peer] of torrent.peers) {
        if (peer.updatedSeconds <= cutoffSeconds) torrent.peers.delete(endpoint);
      }
      if (removePeerless && torrent.peers.size === 0) this.torrents.delete(infoHash);
    }
  }
}

export function seedersOf(torrent: ModelTorrent): number {
  return [...torrent.peers.values()].filter((peer) => peer.left <= 0n).length;
}

function findByPeerId(torrent: ModelTorrent, announce: ModelAnnounce): string | undefined {
  for (const [endpoint, peer] of torrent.peers) {
    if (peer.address === announce.address && peer.peerId === announce.peerId) return endpoint;
  }
  return undefined;
}
