/**
 * The servers that are measured, each as a process that is pinned to processors of its own: how it is started with one
 * thread, open to everybody, on loopback, and when it is ready.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { selfSigned } from '../api/certificates.ts';
import { findProgram } from '../support/programs.ts';
import { findOpentracker } from './opentracker.ts';
import { infoHashText } from './population.ts';

/** What a server is asked over. */
export type Protocol = 'udp' | 'http' | 'https';

/** What a start is given. */
interface StartContext {
  readonly protocol: Protocol;
  readonly port: number;
  /** An empty folder, removed afterwards. */
  readonly folder: string;
  /** Torrents of the load, for trackers that want to be told. */
  readonly torrents: number;
  /** Network threads. */
  readonly workers: number;
}

interface Invocation {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** A server that can be measured. */
export interface BenchServer {
  readonly name: string;
  readonly protocols: readonly Protocol[];
  /** What to know when comparing: said above the report. */
  readonly remark: string;
  /** Measured only where it is named. */
  readonly isSpecial?: boolean;
  /** Why it can't be measured here; undefined when it can. */
  obstacle(): string | undefined;
  invocation(context: StartContext): Invocation;
}

/** A server that runs. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
  /** Milliseconds from its start to its first answer. */
  readonly readyMillis: number;
  /** Ends the process and removes its files. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly protocol: Protocol;
  readonly torrents: number;
  readonly workers: number;
  /** Processors, as taskset(1) takes them. */
  readonly cpus: string;
}

const ROOT = join(import.meta.dirname, '../..');
const READY_DEADLINE_MILLIS = 60_000;
const STOP_DEADLINE_MILLIS = 5_000;
/** A datagram to a port where nobody listens yet is lost, mostly without a word. */
const ANSWER_MILLIS = 20;
const ANSWER_HTTP_MILLIS = 500;
const ASK_AGAIN_MILLIS = 5;

/** Every server, in the order of the report. */
export const SERVERS: readonly BenchServer[] = [
  ours('tracker', 'native'),
  ours('tracker-portable', 'portable'),
  ours('tracker-guarded', 'native', guarded),
  withThreads(ours('tracker-two-threads', 'native'), 2),
  { ...ours('tracker-traced', 'native', () => TRACED), isSpecial: true },
  {
    name: 'echo',
    protocols: ['udp'],
    remark: 'a fixed reply of 188 bytes on the same sockets: the floor',
    obstacle: () => undefined,
    invocation: ({ port }) => node('test/bench/echo-server.ts', String(port)),
  },
  {
    name: 'https-responder',
    protocols: ['https'],
    remark: 'a fixed reply of 280 bytes on node:https: the floor',
    obstacle: () => undefined,
    invocation: ({ port, folder }) => {
      writeCertificate(folder);
      return node('test/bench/https-responder.ts', String(port), folder);
    },
  },
  {
    name: 'opentracker',
    protocols: ['udp', 'http'],
    remark: 'Debian package; it serves listed torrents only, so all of them are listed',
    obstacle: () => (findOpentracker() === undefined ? 'apt-get install opentracker' : undefined),
    invocation: ({ port, folder, torrents }) => {
      const hashes = Array.from({ length: torrents }, (_, torrent) => `${infoHashText(torrent)}\n`);
      writeFileSync(join(folder, 'whitelist'), hashes.join(''));
      // It goes on as the user nobody, in this folder.
      chmodSync(folder, 0o755);
      const args = [
        '-i',
        '127.0.0.1',
        '-p',
        String(port),
        '-P',
        String(port),
        '-d',
        folder,
        '-w',
        'whitelist',
      ];
      const found = findOpentracker();
      return {
        command: found?.program ?? 'opentracker',
        args,
        environment:
          found === undefined || found.libraries === '' ? {} : { LD_LIBRARY_PATH: found.libraries },
      };
    },
  },
  {
    name: 'bittorrent-tracker',
    protocols: ['udp', 'http'],
    remark: 'npm package, the usual tracker in JavaScript',
    obstacle: () => undefined,
    invocation: ({ protocol, port }) =>
      node(
        'node_modules/bittorrent-tracker/bin/cmd.js',
        `--${protocol}`,
        `--port=${port}`,
        '--silent',
        '--no-stats',
        '--http-hostname=127.0.0.1',
        '--udp-hostname=127.0.0.1',
      ),
  },
  {
    name: 'torrust-tracker',
    protocols: ['udp', 'http'],
    remark: 'on PATH; statistics off',
    obstacle: () => onPath('torrust-tracker', 'cargo install torrust-tracker'),
    invocation: ({ protocol, port, folder }) => ({
      command: 'torrust-tracker',
      args: [],
      environment: {
        TORRUST_TRACKER_CONFIG_TOML: [
          '[metadata]\nschema_version = "2.0.0"',
          '[logging]\nthreshold = "error"',
          '[core]\nlisted = false\nprivate = false\ntracker_usage_statistics = false',
          `[core.database]\ndriver = "sqlite3"\npath = ${JSON.stringify(join(folder, 'tracker.db'))}`,
          `[[${protocol}_trackers]]\nbind_address = "127.0.0.1:${port}"`,
          '[health_check_api]\nbind_address = "127.0.0.1:0"',
        ].join('\n\n'),
      },
    }),
  },
  aquatic('aquatic_udp', 'aquatic_udp', 'udp', false),
  aquatic('aquatic_udp-io_uring', 'aquatic_udp', 'udp', true),
  aquatic('aquatic_http', 'aquatic_http', 'http', null),
];

/** Starts a server and waits until it answers. Rejects with what it printed when it does not. */
export async function startServer(server: BenchServer, options: ServerOptions): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), 'torrust-bench-'));
  const { protocol, cpus } = options;
  const port = await freePort();
  const { command, args, environment } = server.invocation({ ...options, port, folder });
  const startMillis = performance.now();
  const child = spawn('taskset', ['--cpu-list', cpus, command, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = keepOutput(child);
  const stop = async (): Promise<void> => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    while (!(await (protocol === 'udp' ? answersUdp(port) : answersHttp(protocol, port)))) {
      if (child.exitCode !== null) throw new Error(`${server.name} ended at once: ${output()}`);
      if (performance.now() - startMillis > READY_DEADLINE_MILLIS) {
        throw new Error(`${server.name} does not answer: ${output()}`);
      }
      await sleep(ASK_AGAIN_MILLIS);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  // taskset(1) becomes the command, so that this is the process of the server.
  return { pid: child.pid ?? 0, port, readyMillis: performance.now() - startMillis, stop };
}

/** The limit of one address that a tracker for `bench flood` has, in requests per second. */
export const FLOOD_LIMIT = 2_000;

/** A tracker that limits each address, loopback ones too. */
export const LIMITED_TRACKER = ours(
  'tracker-limited',
  'native',
  () =>
    `[limits]\nexempt_private = false\n\n[limits.per_ip]\nrequests_per_second = ${FLOOD_LIMIT}\nburst = ${FLOOD_LIMIT}`,
);

/** All of abuse control, with numbers that nobody reaches: what is measured is the looking. */
function guarded(folder: string): string {
  const bans = join(folder, 'bans.json');
  const ban = { address: '203.0.113.7', prefix_bits: 32, reason: 'by_hand', since: 0, until: null };
  writeFileSync(bans, JSON.stringify({ version: 1, bans: [ban] }));
  const bucket = 'requests_per_second = 50000\nburst = 30000000';
  return [
    '[limits]\nexempt_private = false\nexempt = ["198.51.100.0/24"]\nmax_swarms = 4000000000',
    'max_peers_per_swarm = 4000000000\nmax_peers_per_ip = 4000000000',
    `[limits.per_ip]\n${bucket}`,
    `[limits.per_network]\n${bucket}`,
    '[limits.overall]\nrequests_per_second = 10000000',
    `[bans]\npath = ${JSON.stringify(bans)}`,
    '[source_guard]\ncluster_ranges = ["10.96.0.0/12", "2001:db8::/32"]',
    '[proxy_protocol]\ntrusted_proxies = ["198.51.100.0/24"]',
  ].join('\n');
}

/** Traces of each HTTP request and of one UDP request in 1,000, all of which are kept, for a collector that is away. */
const TRACED = '[telemetry]\notlp_endpoint = "http://127.0.0.1:9"\nudp_every = 1000';

function ours(
  name: string,
  sockets: 'native' | 'portable',
  moreToml: (folder: string) => string = () => '',
): BenchServer {
  return {
    name,
    protocols: ['udp', 'http', 'https'],
    remark: `this tracker, ${sockets} sockets`,
    obstacle: () => undefined,
    invocation: ({ protocol, port, folder, workers }) => {
      const file = join(folder, 'tracker.toml');
      writeFileSync(
        file,
        [
          '[metadata]\nschema_version = "3.0.0"',
          '[logging]\ntrace_filter = "warn"',
          '[core]\nlisted = false\nprivate = false',
          `[[${protocol === 'udp' ? 'udp' : 'http'}_trackers]]\nbind_address = "127.0.0.1:${port}"`,
          ...(protocol === 'https' ? [tlsSection(folder)] : []),
          '[health_check_api]\nbind_address = "127.0.0.1:0"',
          '[metrics]\nbind_address = "127.0.0.1:0"',
          `[network]\nworkers = ${workers}\nsockets = "${sockets}"`,
          moreToml(folder),
        ].join('\n\n'),
      );
      return node('tracker/cli/main.ts', 'run', '--config', file);
    },
  };
}

/** A server with so many network threads, beside one with as many as the benchmark says. */
function withThreads(server: BenchServer, workers: number): BenchServer {
  return {
    ...server,
    remark: `${server.remark}, ${workers} threads`,
    isSpecial: true,
    invocation: (context) => server.invocation({ ...context, workers }),
  };
}

/**
 * aquatic_udp and aquatic_http. A build of aquatic_udp with the feature `io-uring` serves both ways, as it is told; one
 * without it says so by not knowing the setting.
 */
function aquatic(
  name: string,
  program: string,
  protocol: Protocol,
  usesIoUring: boolean | null,
): BenchServer {
  const features = protocol === 'udp' ? ' --no-default-features --features mimalloc,io-uring' : '';
  const install = `cargo install --locked ${program}${features}`;
  const knowsIoUring = () =>
    execFileSync(program, ['-p'], { encoding: 'utf8', stdio: 'pipe' }).includes('use_io_uring');
  return {
    name,
    protocols: [protocol],
    remark: 'on PATH',
    obstacle: () =>
      onPath(program, install) ?? (usesIoUring === true && !knowsIoUring() ? install : undefined),
    invocation: ({ port, folder, workers }) => {
      const file = join(folder, 'aquatic.toml');
      const lines = [`socket_workers = ${workers}`, '[network]', `address = "127.0.0.1:${port}"`];
      if (usesIoUring !== null && knowsIoUring()) lines.push(`use_io_uring = ${usesIoUring}`);
      writeFileSync(file, `${lines.join('\n')}\n`);
      return { command: program, args: ['-c', file] };
    },
  };
}

function node(...args: string[]): Invocation {
  return { command: process.execPath, args };
}

function onPath(program: string, way: string): string | undefined {
  return findProgram(program) === undefined ? way : undefined;
}

/** The last of what a process printed. */
function keepOutput(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-2000);
    });
  }
  return () => text.trim();
}

/**
 * A port that was free for TCP and UDP a moment ago: not every server can be asked which one the kernel chose, and some
 * take both.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const isFree = await isFreeForUdp(port);
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

async function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

async function answersUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    const answered = new Promise<boolean>((resolve) => {
      socket.on('message', () => resolve(true));
      socket.on('error', () => resolve(false));
      setTimeout(resolve, ANSWER_MILLIS, false);
    });
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.send(encodeConnectRequest(1));
    return await answered;
  } finally {
    socket.close();
  }
}

/** Whether an announce is answered, with whatever: a port that takes connections may not be served yet. */
async function answersHttp(protocol: 'http' | 'https', port: number): Promise<boolean> {
  const infoHash = infoHashText(0).replace(/../g, '%$&');
  const query = `info_hash=${infoHash}&peer_id=-BN0001-000000000000&port=1&uploaded=0&downloaded=0&left=0&compact=1`;
  const options = {
    host: '127.0.0.1',
    port,
    path: `/announce?${query}`,
    agent: false as const,
    signal: AbortSignal.timeout(ANSWER_HTTP_MILLIS),
    rejectUnauthorized: false,
  };
  const request = protocol === 'http' ? getHttp(options) : getHttps(options);
  try {
    // What `response` brings is typed by nobody.
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return true;
  } catch {
    return false;
  }
}

/** The section of an HTTP tracker's configuration that turns TLS on, with a certificate of its own. */
function tlsSection(folder: string): string {
  writeCertificate(folder);
  const path = (name: string) => JSON.stringify(join(folder, name));
  return `[http_trackers.tls_config]\nssl_cert_path = ${path('cert.pem')}\nssl_key_path = ${path('key.pem')}`;
}

function writeCertificate(folder: string): void {
  const { cert, key } = selfSigned('localhost');
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MILLIS);
  await exited;
  clearTimeout(timer);
}
