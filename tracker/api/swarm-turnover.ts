/**
 * Peers and torrents that came and went since the start, for Torrust's counters of them. Network threads count who comes;
 * who went is whoever came and is not there: by a farewell, expired, or evicted.
 */
import { TURNOVER_AT } from '../swarm/counters.ts';
import { readTurnover } from '../swarm/turnover.ts';
import type { ApiContext } from './context.ts';

/** Counters since the start. Who was restored from a snapshot has come. */
export interface SwarmTurnoverCounts {
  readonly torrentsAdded: number;
  readonly torrentsRemoved: number;
  readonly peersAdded: number;
  readonly peersRemoved: number;
  readonly peersUpdated: number;
}

export class SwarmTurnover {
  #torrentsRemoved = 0;
  #peersRemoved = 0;

  read({
    store,
    counters,
    figures,
  }: Pick<ApiContext, 'store' | 'counters' | 'figures'>): SwarmTurnoverCounts {
    const { torrents, ipv4Peers, ipv6Peers } = store.totals();
    const came = readTurnover(counters.total(), TURNOVER_AT);
    const { restoredTorrents, restoredPeers } = figures();
    const torrentsAdded = came.torrentsAdded + restoredTorrents;
    const peersAdded = came.peersAdded + restoredPeers;
    // Who is there may not be counted yet, as in the middle of a restore; a counter must not go back for that.
    this.#torrentsRemoved = Math.max(this.#torrentsRemoved, torrentsAdded - torrents);
    this.#peersRemoved = Math.max(this.#peersRemoved, peersAdded - ipv4Peers - ipv6Peers);
    return {
      torrentsAdded,
      torrentsRemoved: this.#torrentsRemoved,
      peersAdded,
      peersRemoved: this.#peersRemoved,
      peersUpdated: came.peersUpdated,
    };
  }
}
