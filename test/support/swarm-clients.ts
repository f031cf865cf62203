/**
 * Real BitTorrent clients as functions: Transmission, aria2 and libtorrent, each started on a host of a test network
 * (netns.ts) with a torrent (torrents.ts), as a seeder that has the file or a leecher that wants it.
 *
 * Everything that finds peers without the tracker is off. Peculiarities that the callers meet:
 *
 * - Transmission 3.00 ignores peers on loopback addresses and reaches no UDP tracker over IPv6. Its seeder lets a new
 *   peer wait about ten seconds.
 * - aria2 speaks to UDP trackers only while its DHT is on; it gets a DHT without any node to talk to. It has no UDP
 *   tracker over IPv6 either.
 * - Only libtorrent sends the path of a UDP tracker's URL (BEP 41).
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestHost } from './netns.ts';
import { findLibtorrentPython, type PartName } from './parts.ts';
import { findProgram } from './programs.ts';
import type { Torrent } from './torrents.ts';
import { waitFor } from './waiting.ts';

/** A kind of client, by the name of its part: `needs(kind)` says whether it is here. */
export type ClientKind = Extract<PartName, 'transmission' | 'aria2' | 'libtorrent'>;

/** Every kind of client, for tables of tests. */
export const CLIENT_KINDS: readonly ClientKind[] = ['transmission', 'aria2', 'libtorrent'];

/** Whether a client tells its tracker when it ends. Transmission 3.00 does not tell one of HTTP. */
export function saysGoodbye(kind: ClientKind, scheme: 'udp' | 'http'): boolean {
  return kind !== 'transmission' || scheme === 'udp';
}

/** A running client. */
export interface SwarmClient {
  /** TCP port at which it takes connections, and which it announces. */
  readonly port: number;
  /**
   * Resolves when the client's file has the content of the torrent, byte for byte. Rejects, with what the client
   * printed, when it ends before or the deadline passes.
   */
  completed(deadlineMillis?: number): Promise<void>;
  /** What it printed so far. */
  output(): string;
  /** Asks the client to end, which announces `stopped`, and removes its files. May be called twice. */
  stop(): Promise<void>;
}

/** Where a client keeps its things, and where it listens. */
interface Workplace {
  readonly torrentFile: string;
  readonly downloads: string;
  readonly settings: string;
  readonly port: number;
}

/** Each host has its addresses for itself, so every client may have the same port. */
const PORT = 51_413;
const STOP_DEADLINE_MILLIS = 10_000;
const COMPLETION_DEADLINE_MILLIS = 60_000;

/** Starts a client. The caller stops it; closing the network kills it. */
export async function startClient(options: {
  kind: ClientKind;
  role: 'seeder' | 'leecher';
  host: Pick<TestHost, 'spawn'>;
  torrent: Torrent;
  /** Environment variables beside those of this process. */
  environment?: Readonly<Record<string, string>>;
}): Promise<SwarmClient> {
  const { kind, role, host, torrent, environment = {} } = options;
  const folder = await mkdtemp(join(tmpdir(), `torrust-${kind}-`));
  const place: Workplace = {
    torrentFile: join(folder, 'test.torrent'),
    downloads: join(folder, 'downloads'),
    settings: join(folder, 'settings'),
    port: PORT,
  };
  await mkdir(place.downloads);
  await mkdir(place.settings);
  await writeFile(place.torrentFile, torrent.metainfo);
  const download = join(place.downloads, torrent.name);
  if (role === 'seeder') await writeFile(download, torrent.content);

  const { program, args } = await COMMANDS[kind](place);
  const child = host.spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment, HOME: folder },
  });
  const exited = once(child, 'exit');
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (printed += text));
  }
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;

  return {
    port: place.port,
    output: () => withoutProgress(printed),
    async completed(deadlineMillis = COMPLETION_DEADLINE_MILLIS) {
      try {
        await waitFor(
          `${kind} has the whole file`,
          async () => {
            assert(!isOver(), `${kind} ended with ${child.exitCode ?? child.signalCode}`);
            const bytes = await readFile(download).catch(() => undefined);
            return bytes !== undefined && bytes.equals(torrent.content);
          },
          deadlineMillis,
        );
      } catch (error) {
        throw new Error(`${kind} did not complete; it printed:\n${withoutProgress(printed)}`, {
          cause: error,
        });
      }
    },
    async stop() {
      if (!isOver()) {
        // Transmission's command says goodbye to the tracker on this signal only; the others on this one as well.
        child.kill('SIGINT');
        const giveUp = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MILLIS);
        await exited;
        clearTimeout(giveUp);
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Drops the states of a progress line that a terminal would have overwritten. */
function withoutProgress(text: string): string {
  return text.replaceAll(/[^\n]*\r(?!\n)/g, '');
}

interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** How each client is started so that it only knows the tracker. */
const COMMANDS: Record<ClientKind, (place: Workplace) => Promise<Command>> = {
  async transmission({ torrentFile, downloads, settings, port }) {
    await writeFile(
      join(settings, 'settings.json'),
      JSON.stringify({
        'dht-enabled': false,
        'lpd-enabled': false,
        'pex-enabled': false,
        'port-forwarding-enabled': false,
        'utp-enabled': false,
      }),
    );
    const places = ['--config-dir', settings, '--download-dir', downloads, '--port', String(port)];
    return {
      program: programOf('transmission-cli'),
      args: [...places, '--no-portmap', torrentFile],
    };
  },

  async aria2({ torrentFile, downloads, settings, port }) {
    return {
      program: programOf('aria2c'),
      args: [
        '--no-conf',
        '--enable-color=false',
        '--summary-interval=0',
        '--file-allocation=none',
        '--check-integrity=true',
        '--seed-ratio=0.0',
        `--dir=${downloads}`,
        `--listen-port=${port}`,
        '--enable-peer-exchange=false',
        '--bt-enable-lpd=false',
        '--enable-dht=true',
        '--enable-dht6=false',
        `--dht-listen-port=${port}`,
        `--dht-file-path=${join(settings, 'dht.dat')}`,
        torrentFile,
      ],
    };
  },

  async libtorrent({ torrentFile, downloads, port }) {
    const python = findLibtorrentPython();
    assert(python !== undefined, "a test that starts libtorrent declares needs('libtorrent')");
    const script = join(import.meta.dirname, 'libtorrent-client.py');
    return { program: python, args: [script, torrentFile, downloads, String(port)] };
  },
};

function programOf(name: string): string {
  const program = findProgram(name);
  assert(program !== undefined, `a test that starts ${name} declares what it needs`);
  return program;
}
