/**
 * Real clients find each other through this tracker: a seeder and a leecher of each kind, over each protocol and family
 * that the client can speak, in every mode, on hosts of their own with routable addresses. The file must arrive whole.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createNetwork, type TestHost, type TestNetwork } from '../support/netns.ts';
import { needs } from '../support/parts.ts';
import { type ClientKind, saysGoodbye, startClient } from '../support/swarm-clients.ts';
import { createTorrent } from '../support/torrents.ts';
import { waitFor } from '../support/waiting.ts';

type Mode = 'public' | 'private' | 'listed' | 'private_listed';
type Way = 'udp4' | 'udp6' | 'http4' | 'http6';

/** What each client can do: Transmission and aria2 reach no UDP tracker over IPv6, and only libtorrent sends BEP 41. */
const CASES: readonly { readonly mode: Mode; readonly kind: ClientKind; readonly ways: readonly Way[] }[] = [
  { mode: 'public', kind: 'transmission', ways: ['udp4', 'http4', 'http6'] },
  { mode: 'public', kind: 'aria2', ways: ['udp4', 'http4', 'http6'] },
  { mode: 'public', kind: 'libtorrent', ways: ['udp4', 'udp6', 'http4', 'http6'] },
  { mode: 'private', kind: 'transmission', ways: ['http4'] },
  { mode: 'private', kind: 'aria2', ways: ['http4'] },
  { mode: 'private', kind: 'libtorrent', ways: ['udp4', 'udp6', 'http4', 'http6'] },
  { mode: 'listed', kind: 'transmission', ways: ['udp4', 'http4'] },
  { mode: 'listed', kind: 'aria2', ways: ['udp4', 'http4'] },
  { mode: 'listed', kind: 'libtorrent', ways: ['udp4', 'udp6', 'http6'] },
  { mode: 'private_listed', kind: 'libtorrent', ways: ['udp4', 'udp6', 'http4', 'http6'] },
];
const TITLES: Record<Way, string> = {
  udp4: 'UDP over IPv4',
  udp6: 'UDP over IPv6',
  http4: 'HTTP over IPv4',
  http6: 'HTTP over IPv6',
};

const CONTENT_BYTES = 300_000;
const TOKEN = 'MyAccessTokenForTests';
const KEY = 'abcdefghijklmnopqrstuvwxyz012345';
const COMMAND = join(import.meta.dirname, '../../tracker/cli/main.ts');

/** A tracker on a host of a network, and its REST API. */
interface HostedTracker {
  /** The announce URL for a way, with the key of a private tracker. */
  announceUrl(way: Way): string;
  /** Calls the REST API from the tracker's host. Rejects when the status is not 200. */
  api(method: string, path: string, body?: object): Promise<unknown>;
  /** Stops it as an operator would; resolves with the exit code. */
  stop(): Promise<number | null>;
}

async function startTracker(host: TestHost, mode: Mode): Promise<HostedTracker> {
  const folder = await mkdtemp(join(tmpdir(), 'torrust-tracker-'));
  const config = join(folder, 'tracker.toml');
  await writeFile(config, configText(folder, mode));
  const child = host.spawn(process.execPath, [COMMAND, 'run', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let log = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await waitFor('the tracker is up', () => {
    assert.equal(child.exitCode, null, `the tracker ended:\n${log}`);
    return log.includes('HEALTH CHECK API: Started on');
  });
  const tracker: HostedTracker = {
    announceUrl: (way) => {
      const address = way.endsWith('4') ? host.ipv4 : `[${host.ipv6}]`;
      const base = way.startsWith('udp') ? `udp://${address}:6969` : `http://${address}:7070`;
      return mode.startsWith('private') ? `${base}/announce/${KEY}` : `${base}/announce`;
    },
    api: async (method, path, body) => {
      const init = {
        method,
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      };
      const script = `
        const reply = await fetch('http://127.0.0.1:1212/api/v1/${path}', ${JSON.stringify(init)});
        const text = await reply.text();
        if (reply.status !== 200) throw new Error(reply.status + ' ' + text);
        console.log(text);`;
      return JSON.parse(await host.run(process.execPath, ['--input-type=module', '-e', script])) as unknown;
    },
    stop: async () => {
      child.kill('SIGTERM');
      const code = await exited;
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
  if (mode.startsWith('private')) await tracker.api('POST', 'keys', { key: KEY, seconds_valid: 3600 });
  return tracker;
}

function configText(folder: string, mode: Mode): string {
  const listeners = ['udp_trackers:6969', 'http_trackers:7070'].flatMap((listener) => {
    const [table, port] = listener.split(':');
    return ['0.0.0.0', '[::]'].map((address) => `[[${table}]]\nbind_address = "${address}:${port}"\n`);
  });
  return `
[metadata]
schema_version = "3.0.0"
[logging]
trace_filter = "info"
trace_style = "json"
[core]
listed = ${mode.endsWith('listed')}
private = ${mode.startsWith('private')}
[core.announce_policy]
interval = 5
interval_min = 5
[core.database]
driver = "sqlite3"
path = "${join(folder, 'sqlite3.db')}"
[swarm]
memory = "64MiB"
${listeners.join('')}
[http_api]
bind_address = "127.0.0.1:1212"
[http_api.access_tokens]
admin = "${TOKEN}"
`;
}

for (const mode of ['public', 'private', 'listed', 'private_listed'] as const) {
  const cases = CASES.filter((entry) => entry.mode === mode).flatMap(({ kind, ways }) =>
    ways.map((way) => ({ kind, way })),
  );
  describe(
    `on a ${mode.replace('_', ' and ')} tracker, a leecher gets the file from a seeder`,
    { concurrency: true, ...needs('netns') },
    () => {
      let network: TestNetwork;
      let tracker: HostedTracker;
      before(async () => {
        network = await createNetwork({ clients: cases.length * 2, ipv6: true });
        tracker = await startTracker(network.tracker, mode);
      });
      after(async () => {
        const code = await tracker.stop();
        await network.close();
        assert.equal(code, 0, 'the tracker stopped cleanly');
      });

      for (const [index, { kind, way }] of cases.entries()) {
        test(`${kind}, ${TITLES[way]}`, needs(kind), async (context) => {
          const [seederHost, leecherHost] = network.clients.slice(index * 2);
          assert(seederHost !== undefined && leecherHost !== undefined);
          const torrent = createTorrent(tracker.announceUrl(way), CONTENT_BYTES);
          if (mode.endsWith('listed')) await tracker.api('POST', `whitelist/${torrent.infoHash}`);
          const swarm = async () => {
            const shown = await tracker.api('GET', `torrent/${torrent.infoHash}`);
            return typeof shown === 'object' ? (shown as { seeders: number; leechers: number }) : undefined; // the API's form
          };

          const seeder = await startClient({ kind, role: 'seeder', host: seederHost, torrent });
          context.after(() => seeder.stop());
          await waitFor('the tracker knows the seeder', async () => (await swarm())?.seeders === 1);
          const leecher = await startClient({ kind, role: 'leecher', host: leecherHost, torrent });
          context.after(() => leecher.stop());
          await leecher.completed();
          await leecher.stop();
          if (!saysGoodbye(kind, way.startsWith('udp') ? 'udp' : 'http')) return;
          await waitFor('the leecher said goodbye', async () => {
            const now = await swarm();
            return now?.leechers === 0 && now.seeders === 1;
          });
        });
      }
    },
  );
}
