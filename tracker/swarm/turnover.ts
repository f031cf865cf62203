/**
 * Who comes and who stays, as announces tell it: a block in each row of counters (`counters.ts`). Who goes follows from
 * how many came and how many are there.
 *
 *   0 torrents that came   1 peers that came   2 announces of peers that were there
 */
import { AnnounceEvent, type AnnounceReply, type AnnounceRequest, SwarmChange } from '../protocol/model.ts';

const TORRENTS_ADDED = 0;
const PEERS_ADDED = 1;
const PEERS_UPDATED = 2;

/** The size of the block. */
export const TURNOVER_PLACES = 3;

/** The block, as it is read. */
export interface Turnover {
  readonly torrentsAdded: number;
  readonly peersAdded: number;
  readonly peersUpdated: number;
}

/** Counts what an announce that was answered changed. */
export function countChange(
  row: Float64Array,
  blockAt: number,
  { event }: AnnounceRequest,
  { change, stored }: AnnounceReply,
): void {
  if (change === SwarmChange.none || change === SwarmChange.completed) {
    if (stored && event !== AnnounceEvent.stopped) row[blockAt + PEERS_UPDATED]++;
    return;
  }
  if ((change & SwarmChange.torrentAdded) !== 0) row[blockAt + TORRENTS_ADDED]++;
  if ((change & SwarmChange.peerAdded) !== 0) row[blockAt + PEERS_ADDED]++;
}

/** Reads the block at `blockAt` of a row, or of a sum of rows. */
export function readTurnover(row: Float64Array, blockAt: number): Turnover {
  return {
    torrentsAdded: row[blockAt + TORRENTS_ADDED],
    peersAdded: row[blockAt + PEERS_ADDED],
    peersUpdated: row[blockAt + PEERS_UPDATED],
  };
}
