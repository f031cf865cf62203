/** The limit of peers that one address may have in the store, set and lifted while the tracker runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announce } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import type { PartialConfig } from '../support/tracker-process.ts';
import { ANY, startLiveTracker, stopInOrder, TOKEN } from './live-tracker.ts';

test('an address gets as many peers as a limit says that comes, goes and comes again', async (context) => {
  const limited = (peers: number): PartialConfig => ({
    http_trackers: [ANY],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
    network: { workers: 2 },
    limits: { max_peers_per_ip: peers },
  });
  const tracker = await startLiveTracker(context, limited(2));
  const torrents = async () => {
    const reply = await fetch(`${tracker.api}/api/v1/stats?token=${TOKEN}`);
    return Number(/"torrents":(\d+)/.exec(await reply.text())?.[1]);
  };
  const begin = async (swarms: number): Promise<Uint8Array[]> => {
    const infoHashes = Array.from({ length: swarms }, () => newInfoHash());
    for (const infoHash of infoHashes) await announce(tracker.http[0], infoHash);
    return infoHashes;
  };
  const stop = async (infoHashes: readonly Uint8Array[]): Promise<void> => {
    for (const infoHash of infoHashes) await announce(tracker.http[0], infoHash, { event: 'stopped' });
  };

  const first = await begin(3);
  assert.equal(await torrents(), 2);
  tracker.rewrite(limited(0));
  await tracker.line(/Taken over/, 1);
  await stop(first);
  await begin(4);
  tracker.rewrite(limited(2));
  await tracker.line(/Taken over/, 2);
  // Answered by the thread that takes over, and so when it has. Torrents without peers are among them.
  const before = await torrents();
  await begin(3);
  assert.equal(await torrents(), before + 2);
  await stopInOrder(tracker);
});
