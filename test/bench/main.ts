/**
 * The benchmarks of the tracker and of the operator, by name: `node test/bench/main.ts udp --help`. They print ratios between servers that
 * were measured in the same run, and never fail because of a time.
 */
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { benchApi } from './api-bench.ts';
import { benchFlood } from './flood-bench.ts';
import { benchGuards } from './guards-bench.ts';
import { benchHttp } from './http-bench.ts';
import { benchHttps } from './https-bench.ts';
import { benchMemory } from './memory-bench.ts';
import { benchOperator } from './operator-bench.ts';
import { fetchOpentracker } from './opentracker.ts';
import { benchPauses, PAUSE_JOBS, type PausesBenchOptions } from './pauses-bench.ts';
import { PROFILES } from './population.ts';
import { type BenchServer, FLOOD_LIMIT, LIMITED_TRACKER, type Protocol, SERVERS } from './servers.ts';
import { benchSnapshot } from './snapshot-bench.ts';
import { benchStart } from './start-bench.ts';
import { benchTraces } from './traces-bench.ts';
import { benchUdp } from './udp-bench.ts';

const DEFAULT_FOLDER = join(import.meta.dirname, 'results');

interface RoundOptions {
  readonly servers?: string;
  readonly rounds: number;
  readonly warmUp: number;
  readonly seconds: number;
  readonly workers: number;
  readonly serverCpus: string;
  readonly clientCpu: string;
  readonly out: string;
}

interface UdpOptions extends RoundOptions {
  readonly profiles: readonly string[];
  readonly latency: boolean;
}

interface HttpOptions extends RoundOptions {
  readonly connections: number;
}

interface FillOptions {
  readonly torrents: number;
  readonly peers: number;
  readonly out: string;
}

const program = new Command('bench').description('Benchmarks of the tracker: ratios, never verdicts.');

roundsCommand('udp', 'UDP: requests per CPU-second, peers, memory, latency')
  .option('--profiles <names>', `profiles, of ${Object.keys(PROFILES).join(', ')}`, parseProfiles, [
    '1',
    '2',
    '3',
  ])
  .option('--no-latency', 'leave the latency at half load out')
  .action(async (options: UdpOptions) => {
    const { profiles, latency } = options;
    await benchUdp({ ...(await roundsOf('udp', options)), profiles, measuresLatency: latency });
  });

roundsCommand('http', 'Plain HTTP: announces per CPU-second')
  .option('--connections <count>', 'connections at a time', parseCount, 50)
  .action(async (options: HttpOptions) => {
    await benchHttp({ ...(await roundsOf('http', options)), connections: options.connections });
  });

roundsCommand('https', 'HTTPS: announces per CPU-second')
  .option('--connections <count>', 'connections at a time', parseCount, 50)
  .action(async (options: HttpOptions) => {
    await benchHttps({ ...(await roundsOf('https', options)), connections: options.connections });
  });

program
  .command('memory')
  .description('Bytes per peer, and how long announces wait while the whole store is walked')
  .option('--torrents <count>', 'torrents', parseCount, 1_000_000)
  .option('--peers <count>', 'peers, at least as many', parseCount, 10_000_000)
  .option('--rate <count>', 'announces per second while the store is walked', parseCount, 50_000)
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async ({ torrents, peers, rate, out }: FillOptions & { readonly rate: number }) => {
    await benchMemory({ torrents, peers, ratePerSecond: rate, folder: out });
  });

program
  .command('snapshot')
  .description('Writing and restoring a snapshot of a large store, and how long announces wait meanwhile')
  .option('--torrents <count>', 'torrents', parseCount, 1_000_000)
  .option('--peers <count>', 'peers, at least as many', parseCount, 10_000_000)
  .option('--rate <count>', 'announces per second meanwhile', parseCount, 50_000)
  .option('--folder <folder>', 'where the snapshot is written, 60 bytes a peer', tmpdir())
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async ({ rate, ...rest }: FillOptions & { readonly rate: number; readonly folder: string }) => {
    await benchSnapshot({ ...rest, ratePerSecond: rate });
  });

program
  .command('pauses')
  .description('What clients over UDP notice of scrapes, listings, expiry and snapshots of a large store')
  .option('--torrents <count>', 'torrents', parseCount, 1_000_000)
  .option('--peers <count>', 'peers, at least as many', parseCount, 10_000_000)
  .option('--jobs <names>', `jobs, of ${PAUSE_JOBS.join(', ')}`, parseJobs, PAUSE_JOBS)
  .option('--rounds <count>', 'times that each job is measured', parseCount, 2)
  .option('--seconds <seconds>', 'seconds of each measurement', parseCount, 8)
  .option('--workers <count>', 'network threads', parseCount, 1)
  .option('--server-cpus <list>', 'processors of the server, as taskset takes them', '0')
  .option('--client-cpu <number>', 'processor of the load', '1')
  .option('--folder <folder>', 'where the snapshot is written, 60 bytes a peer', tmpdir())
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async (options: PausesBenchOptions) => {
    await benchPauses(options);
  });

program
  .command('api')
  .description('The REST API over a large store')
  .option('--torrents <count>', 'torrents', parseCount, 1_000_000)
  .option('--peers <count>', 'peers, at least as many', parseCount, 2_000_000)
  .option('--rounds <count>', 'requests of each kind', parseCount, 10)
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async ({ torrents, peers, rounds, out }: FillOptions & { readonly rounds: number }) => {
    await benchApi({ torrents, peers, rounds, folder: out });
  });

program
  .command('start')
  .description('The time from a start to the first answer')
  .option('--servers <names>', 'servers (default: all that are here)')
  .option('--rounds <count>', 'starts of each server', parseCount, 5)
  .option('--server-cpus <list>', 'processors of the server, as taskset takes them', '0')
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async ({ servers, rounds, serverCpus, out }: RoundOptions) => {
    await benchStart({ servers: await chooseServers('udp', servers), rounds, serverCpus, folder: out });
  });

program
  .command('flood')
  .description('What floods cost the clients that behave, and the memory of the tracker')
  .option('--seconds <seconds>', 'seconds of each phase', parseCount, 5)
  .option('--server-cpus <list>', 'processors of the server, as taskset takes them', '0')
  .option('--client-cpu <number>', 'processor of the load', '1')
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async ({ seconds, serverCpus, clientCpu, out }: RoundOptions) => {
    const server = LIMITED_TRACKER;
    await benchFlood({ server, limit: FLOOD_LIMIT, seconds, serverCpus, clientCpu, folder: out });
  });

program
  .command('traces')
  .description('What the hook of traces costs a UDP announce, beside the same code without it')
  .option('--rounds <count>', 'processes, one after another', parseCount, 5)
  .option('--turns <count>', 'turns of each variant in a process', parseCount, 300)
  .option('--udp-every <count>', 'one request in so many is traced where traces are on', parseCount, 1000)
  .option('--server-cpus <list>', 'processors of the process, as taskset takes them', '0')
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action((options: RoundOptions & { readonly turns: number; readonly udpEvery: number }) => {
    const { rounds, turns, udpEvery, serverCpus, out } = options;
    benchTraces({ rounds, turns, udpEvery, serverCpus, folder: out });
  });

program
  .command('guards')
  .description('What all of abuse control costs a UDP announce, beside the same tracker without it')
  .option('--rounds <count>', 'processes, one after another', parseCount, 5)
  .option('--turns <count>', 'turns of each tracker in a process', parseCount, 300)
  .option('--server-cpus <list>', 'processors of the process, as taskset takes them', '0')
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async ({ rounds, turns, serverCpus, out }: RoundOptions & { readonly turns: number }) => {
    await benchGuards({ rounds, turns, serverCpus, folder: out });
  });

program
  .command('operator')
  .description('An operator with many trackers: first reconcile, steady state, drift, memory')
  .option('--trackers <count>', 'trackers', parseCount, 1000)
  .option('--seconds <seconds>', 'seconds of the steady state', parseCount, 70)
  .option('--drifts <count>', 'changes by somebody else', parseCount, 20)
  .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER)
  .action(async (options: { trackers: number; seconds: number; drifts: number; out: string }) => {
    const { trackers, seconds, drifts, out } = options;
    await benchOperator({ trackers, steadySeconds: seconds, drifts, folder: out });
  });

try {
  await program.parseAsync();
} catch (error) {
  // A server that does not start is nothing that a stack explains.
  program.error(error instanceof Error ? error.message : String(error));
}

/** A command that measures servers side by side. */
function roundsCommand(name: Protocol, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option(
      '--servers <names>',
      'servers; the first is compared with the others (default: all that are here)',
    )
    .option('--rounds <count>', 'rounds, in each of which every server has its turn', parseCount, 3)
    .option('--warm-up <seconds>', 'seconds before the counting, at least', parseCount, 2)
    .option('--seconds <seconds>', 'seconds that are counted', parseCount, 5)
    .option('--workers <count>', 'network threads of a server', parseCount, 1)
    .option('--server-cpus <list>', 'processors of the server, as taskset takes them', '0')
    .option('--client-cpu <number>', 'processor of the load', '1')
    .option('--out <folder>', 'where the figures go', DEFAULT_FOLDER);
}

async function roundsOf(protocol: Protocol, options: RoundOptions) {
  if (availableParallelism() < 2) program.error('server and load need a processor each, and here is one');
  return {
    servers: await chooseServers(protocol, options.servers),
    rounds: options.rounds,
    warmUpSeconds: options.warmUp,
    seconds: options.seconds,
    workers: options.workers,
    serverCpus: options.serverCpus,
    clientCpu: options.clientCpu,
    folder: options.out,
  };
}

/** The servers of a protocol that can be measured, named or all; says which can't and why. */
async function chooseServers(protocol: Protocol, names: string | undefined): Promise<BenchServer[]> {
  await fetchOpentracker();
  const fitting = SERVERS.filter(({ protocols }) => protocols.includes(protocol));
  const wanted =
    names?.split(',').map((name) => {
      const server = fitting.find((each) => each.name === name);
      if (server !== undefined) return server;
      return program.error(`no server ${name}; there are ${fitting.map((each) => each.name).join(', ')}`);
    }) ?? fitting.filter(({ isSpecial }) => isSpecial !== true);
  const present = wanted.filter((server) => {
    const obstacle = server.obstacle();
    console.log(`${server.name}: ${obstacle === undefined ? server.remark : `left out (${obstacle})`}`);
    return obstacle === undefined;
  });
  return present.length > 0 ? present : program.error('none of these servers is here');
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('a whole number from 1');
  return count;
}

function parseJobs(text: string): string[] {
  const names = text.split(',');
  if (names.some((name) => !PAUSE_JOBS.includes(name))) throw new InvalidArgumentError('no such job');
  return names;
}

function parseProfiles(text: string): string[] {
  const names = text.split(',');
  if (names.some((name) => !(name in PROFILES))) throw new InvalidArgumentError('no such profile');
  return names;
}
