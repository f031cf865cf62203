/** The configuration of the tracker that `make soak` has under load. */
import { join } from 'node:path';
import type { PartialConfig } from '../support/tracker-process.ts';

export const TOKEN = 'a-token-of-the-soak';
const ANY = { bind_address: '127.0.0.1:0' };

/** `interval`: what clients are told, in seconds. Peers are forgotten, and all is written to disk, every few seconds. */
export function soakConfig(folder: string, interval: number): PartialConfig {
  return {
    core: {
      announce_policy: { interval },
      tracker_policy: { max_peer_timeout: 45, persistent_torrent_completed_stat: true },
      inactive_peer_cleanup_interval: 15,
      database: { driver: 'sqlite3', path: join(folder, 'tracker.db') },
    },
    swarm: { memory: '256MiB', snapshot: { path: join(folder, 'swarm'), interval: 20 } },
    udp_trackers: [ANY],
    http_trackers: [ANY],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
  };
}
