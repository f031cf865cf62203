/**
 * The info hash that probes announce. A tracker answers it and never keeps it: no swarm, no peer, no counter of torrents,
 * so that whoever watches over a tracker can ask it for real, as often as it likes, and leaves nothing behind. The bytes
 * are a readable text, which no torrent hashes to.
 */
import { HASH_WORDS } from './model.ts';

/** The twenty bytes. */
export const PROBE_INFO_HASH: Uint8Array = Buffer.from('torrust-health-probe', 'latin1');

const probeWords = new Int32Array(Uint8Array.from(PROBE_INFO_HASH).buffer);

/** Whether the info hash at `words[first]` is the one of probes. */
export function isProbeInfoHash(words: Int32Array, first: number): boolean {
  for (let i = 0; i < HASH_WORDS; i++) if (words[first + i] !== probeWords[i]) return false;
  return true;
}
