/**
 * Somebody who adds torrents to a tracker's whitelist all the time, whatever happens: what was acknowledged must be there
 * when all is over.
 */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

const PAUSE_MILLIS = 500;
const PATIENCE_MILLIS = 10_000;

/** A running writer. */
export interface Writer {
  /** The info hashes that were acknowledged so far. */
  readonly acknowledged: readonly string[];
  /** How many changes were not. */
  readonly refused: number;
  /** Ends it. What it told last is what it comes to. */
  stop(): Promise<void>;
}

/** Starts one at a listed tracker. `list` adds an info hash, and rejects when that was not acknowledged. */
export function startWriter(list: (infoHash: string) => Promise<void>): Writer {
  const acknowledged: string[] = [];
  let refused = 0;
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    for (let count = 0; !stopping.signal.aborted; count += 1) {
      const infoHash = createHash('sha1').update(`torrent ${count}`).digest('hex');
      try {
        await Promise.race([list(infoHash), lateness()]);
        acknowledged.push(infoHash);
      } catch {
        refused += 1;
      }
      await delay(PAUSE_MILLIS);
    }
  };
  const running = run();
  return {
    acknowledged,
    get refused() {
      return refused;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Info hashes that a listed tracker refuses, asked over HTTP at `http://ADDRESS:PORT`. */
export async function findRefused(base: string, infoHashes: readonly string[]): Promise<string[]> {
  const refused: string[] = [];
  for (const infoHash of infoHashes) {
    const hash = infoHash.replaceAll(/../g, '%$&');
    const answer = await fetch(
      `${base}/announce?info_hash=${hash}&peer_id=-E20000-whitelisted1&port=1&left=1`,
    );
    if (!(await answer.text()).includes('8:interval')) refused.push(infoHash);
  }
  return refused;
}

async function lateness(): Promise<never> {
  await delay(PATIENCE_MILLIS, undefined, { ref: false });
  throw new Error('no answer');
}
