/** A swarm store with as many torrents and peers as a benchmark wants, filled without any network. */
import {
  AnnounceEvent,
  AnnounceReply,
  AnnounceRequest,
  HASH_WORDS,
  PeerAddress,
} from '../../tracker/protocol/model.ts';
import type { Store } from '../../tracker/swarm/store.ts';
import type { SwarmRules } from '../../tracker/swarm/swarm-rules.ts';
import { infoHashWord, isLeecher, Random, skewedTorrent } from './population.ts';

/** The rules that the store is filled and served by. */
export const BENCH_RULES: SwarmRules = {
  persistCompleted: false,
  removePeerless: true,
  staleAfterSeconds: 120,
};

/** When the older and the newer half of the peers were heard last, on the store's clock. */
export const OLDER_SECONDS = 1000;
export const NEWER_SECONDS = 2000;

const NUM_WANT = 30;

/** Announces straight to a store, peer after peer. */
export class StoreAnnouncer {
  readonly #store: Store;
  readonly #request = new AnnounceRequest();
  readonly #reply = new AnnounceReply(new Uint16Array(4 * 1024));
  readonly #address = new PeerAddress();

  constructor(store: Store) {
    this.#store = store;
    this.#reply.ipv6Half = 2 * 1024;
    this.#request.event = AnnounceEvent.none;
  }

  /** Announces peer number `peer`, with an IPv4 address of its own, for a torrent. */
  announce(torrent: number, peer: number, nowSeconds: number): void {
    const { words } = this.#request;
    for (let k = 0; k < HASH_WORDS; k++) {
      words[AnnounceRequest.INFO_HASH_WORD + k] = infoHashWord(torrent, k);
      words[AnnounceRequest.PEER_ID_WORD + k] = Math.imul(peer + k, 0x9e3779b1);
    }
    words[AnnounceRequest.LEFT_WORD + 1] = isLeecher(peer) ? 1 << 20 : 0;
    // An odd factor maps each number to another one, so that no address comes twice.
    this.#address.words[0] = Math.imul(peer, 0x85ebca6b);
    this.#request.setEndpoint(this.#address, 1024 + (peer % 60_000));
    this.#reply.peersWanted = NUM_WANT;
    this.#store.announce(this.#request, this.#reply, nowSeconds, BENCH_RULES);
  }
}

/**
 * Fills a store: every torrent has a peer, and the other peers have the torrents of the skew. Every second peer is an
 * older one. Calls `onProgress` with the number of peers from time to time.
 */
export function fillStore(
  store: Store,
  torrents: number,
  peers: number,
  onProgress: (peers: number) => void = () => undefined,
): void {
  const announcer = new StoreAnnouncer(store);
  const random = new Random(1);
  for (let peer = 0; peer < peers; peer++) {
    const torrent = peer < torrents ? peer : skewedTorrent(random, torrents);
    announcer.announce(torrent, peer, peer % 2 === 0 ? OLDER_SECONDS : NEWER_SECONDS);
    if (peer % 1_000_000 === 999_999) onProgress(peer + 1);
  }
}
