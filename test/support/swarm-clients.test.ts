import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createNetwork, type TestHost, type TestNetwork } from './netns.ts';
import { needs } from './parts.ts';
import { CLIENT_KINDS, saysGoodbye, startClient } from './swarm-clients.ts';
import { createTorrent } from './torrents.ts';
import { waitFor } from './waiting.ts';

/**
 * The tracker of the npm package bittorrent-tracker: these tests prove the clients, not our tracker. UDP over IPv6 is
 * not among them, because this tracker gives no peers there.
 */
const FOREIGN_TRACKER = join(import.meta.dirname, '../../node_modules/bittorrent-tracker/bin/cmd.js');
const PORT = 8000;
const CONTENT_BYTES = 300_000;

const WAYS = [
  { title: 'UDP over IPv4', scheme: 'udp', family: 'ipv4' },
  { title: 'HTTP over IPv4', scheme: 'http', family: 'ipv4' },
  { title: 'HTTP over IPv6', scheme: 'http', family: 'ipv6' },
] as const;
const CASES = CLIENT_KINDS.flatMap((kind) => WAYS.map((way) => ({ kind, ...way })));

describe(
  'a leecher completes with a seeder that only the tracker tells of',
  { concurrency: true, ...needs('netns') },
  () => {
    let network: TestNetwork;
    let log = '';

    before(async () => {
      network = await createNetwork({ clients: CASES.length * 2, ipv6: true });
      const args = [FOREIGN_TRACKER, '--port', String(PORT), '--interval', '5000'];
      const tracker = network.tracker.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      tracker.stdout?.setEncoding('utf8').on('data', (text: string) => (log += text));
      await waitFor('the foreign tracker listens', () => log.includes('UDP tracker:'));
    });
    after(() => network.close());

    for (const [index, { kind, title, scheme, family }] of CASES.entries()) {
      test(`${kind}, ${title}`, needs(kind), async (context) => {
        const [seederHost, leecherHost] = network.clients.slice(index * 2);
        assert(seederHost !== undefined && leecherHost !== undefined);
        const inUrl = (host: TestHost): string => (family === 'ipv4' ? host.ipv4 : `[${host.ipv6}]`);
        const torrent = createTorrent(
          `${scheme}://${inUrl(network.tracker)}:${PORT}/announce`,
          CONTENT_BYTES,
        );

        const seeder = await startClient({ kind, role: 'seeder', host: seederHost, torrent });
        context.after(() => seeder.stop());
        await waitFor('the tracker knows the seeder', () => log.includes(`start: ${inUrl(seederHost)}:`));
        const leecher = await startClient({ kind, role: 'leecher', host: leecherHost, torrent });
        context.after(() => leecher.stop());
        await leecher.completed();
        await leecher.stop();
        if (!saysGoodbye(kind, scheme)) return;
        await waitFor('the tracker heard that the leecher stopped', () =>
          log.includes(`stop: ${inUrl(leecherHost)}:`),
        );
      });
    }
  },
);
