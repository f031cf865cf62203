/** Everything beside the load that a tracker has to do all day, done every few seconds. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { announceTarget, get } from '../net/http-exchange.ts';
import type { TrackerProcess } from '../support/tracker-process.ts';

const SECOND_MILLIS = 1000;

/** How often everything was done. */
export interface NuisanceCounts {
  scrapesOfMetrics: number;
  pagesOfTorrents: number;
  httpAnnounces: number;
  keysAndTorrentsAdded: number;
  reloads: number;
}

/** Does it until the signal comes. Rejects when something is not answered as it should. */
export async function keepBusy(
  { metrics, api, http }: TrackerProcess,
  token: string,
  signal: AbortSignal,
  reload: (round: number) => void,
): Promise<NuisanceCounts> {
  const counts: NuisanceCounts = {
    scrapesOfMetrics: 0,
    pagesOfTorrents: 0,
    httpAnnounces: 0,
    keysAndTorrentsAdded: 0,
    reloads: 0,
  };
  const ask = async (url: string, method = 'GET') => {
    const response = await fetch(url, { method, headers: { authorization: `Bearer ${token}` } });
    assert.equal(response.status, 200, `${method} ${url}: ${await response.clone().text()}`);
    await response.arrayBuffer();
  };
  const every = async (seconds: number, work: (round: number) => Promise<void> | void) => {
    for (let round = 0; !signal.aborted; round++) {
      await work(round);
      await sleep(seconds * SECOND_MILLIS, undefined, { signal }).catch(() => undefined);
    }
  };
  await Promise.all([
    every(2, async () => {
      await ask(metrics);
      counts.scrapesOfMetrics++;
    }),
    every(3, async (round) => {
      await ask(`${api}/api/v1/torrents?limit=1000&offset=${(round % 8) * 1000}`);
      counts.pagesOfTorrents++;
    }),
    every(0.1, async (round) => {
      const target = announceTarget(randomBytes(20), { left: round % 2, port: 1 + (round % 60_000) });
      assert.equal((await get(http[0], target)).status, 200);
      counts.httpAnnounces++;
    }),
    every(1, async () => {
      await ask(`${api}/api/v1/key/60`, 'POST');
      await ask(`${api}/api/v1/whitelist/${randomBytes(20).toString('hex')}`, 'POST');
      counts.keysAndTorrentsAdded++;
    }),
    every(7, (round) => {
      reload(round);
      counts.reloads++;
    }),
  ]);
  return counts;
}
