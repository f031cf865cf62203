/** The configuration of the tracker that `make soak` has under load. */
import { join } from 'node:path';
import type { PartialConfig } from '../support/tracker-process.ts';

export const TOKEN = 'a-token-of-the-soak';
const ANY = { bind_address: '127.0.0.1:0' };

/**
 * `interval`: what clients are told, in seconds. Peers are forgotten, and all is written to disk, every few seconds; in a
 * short soak by `shrink` sooner, so that expiry has begun in its first third.
 */
export function soakConfig(folder: string, interval: number, shrink: number): PartialConfig {
  return {
    core: {
      announce_policy: { interval },
      tracker_policy: { max_peer_timeout: Math.ceil(45 * shrink), persistent_torrent_completed_stat: true },
      inactive_peer_cleanup_interval: Math.ceil(15 * shrink),
      database: { driver: 'sqlite3', path: join(folder, 'tracker.db') },
    },
    swarm: { memory: '256MiB', snapshot: { path: join(folder, 'swarm'), interval: 20 } },
    udp_trackers: [ANY],
    http_trackers: [ANY],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
  };
}
