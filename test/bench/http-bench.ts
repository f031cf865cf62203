/**
 * `bench http`: real announces over plain HTTP, requests per CPU-second of the server, with a connection for each and
 * with connections that are kept. Rounds as in udp-bench.ts. The portable sockets of this tracker stand for what
 * `node:http` needs for the same work.
 */
import type { ConnectionUse, HttpLoadOptions, HttpLoadResult } from './http-load.ts';
import { runLoad } from './load-process.ts';
import { PROFILES } from './population.ts';
import { formatCount, formatSpread, formatTable, inTurn, saveFigures, spreadOf } from './report.ts';
import { type BenchServer, startServer } from './servers.ts';

export interface HttpBenchOptions {
  readonly servers: readonly BenchServer[];
  readonly rounds: number;
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly workers: number;
  readonly serverCpus: string;
  readonly clientCpu: string;
  readonly folder: string;
}

const USES: readonly ConnectionUse[] = ['new', 'keep-alive'];
/** Every connection has an address, and a tracker may keep but so many peers of one. */
const PROFILE = PROFILES['1w'];

/** Measures, prints a table for each use of connections, and keeps the figures. */
export async function benchHttp(options: HttpBenchOptions): Promise<void> {
  const { servers, rounds, folder } = options;
  for (const use of USES) {
    console.log(`\nHTTP, ${use === 'new' ? 'a new connection for each announce' : 'connections kept alive'}`);
    const measured: Record<string, HttpLoadResult>[] = [];
    for (let round = 1; round <= rounds; round++) {
      const results: Record<string, HttpLoadResult> = {};
      for (const server of inTurn(servers, round)) {
        const result = await measure(server, use, round, options);
        results[server.name] = result;
        console.log(
          `  round ${round}  ${server.name}: ${formatCount(perCpuSecond(result))} announces per CPU-second`,
        );
      }
      measured.push(results);
    }
    printTable(servers, measured);
    const plain = { ...options, servers: servers.map(({ name }) => name) };
    console.log(`figures: ${saveFigures(folder, `http-${use}`, { options: plain, rounds: measured })}`);
  }
}

async function measure(
  server: BenchServer,
  use: ConnectionUse,
  seed: number,
  options: HttpBenchOptions,
): Promise<HttpLoadResult> {
  const { workers, serverCpus, clientCpu, connections, warmUpSeconds, seconds } = options;
  const running = await startServer(server, {
    protocol: 'http',
    torrents: PROFILE.torrents,
    workers,
    cpus: serverCpus,
  });
  try {
    const { port, pid } = running;
    const load: HttpLoadOptions = {
      profile: PROFILE,
      port,
      pid,
      use,
      connections,
      warmUpSeconds,
      seconds,
      seed,
    };
    return await runLoad<HttpLoadResult>('http-load-process.ts', clientCpu, load);
  } finally {
    await running.stop();
  }
}

function printTable(
  servers: readonly BenchServer[],
  rounds: readonly Record<string, HttpLoadResult>[],
): void {
  const reference = servers[0].name;
  const head = [
    'server',
    'announces per CPU-second',
    `${reference} is x times it`,
    'peers/reply',
    'connections/announce',
    'server busy',
    'client busy',
    'errors',
    'MB',
  ];
  const rows = servers.map(({ name }) => {
    const results = rounds.map((round) => round[name]);
    const ratios = rounds.map((round) => perCpuSecond(round[reference]) / perCpuSecond(round[name]));
    const median = (figure: (result: HttpLoadResult) => number): number =>
      spreadOf(results.map(figure)).median;
    return [
      name,
      formatSpread(spreadOf(results.map(perCpuSecond)), formatCount),
      formatSpread(spreadOf(ratios), (ratio) => ratio.toFixed(2)),
      median((result) => result.peers / Math.max(1, result.announces)).toFixed(1),
      median((result) => result.connects / Math.max(1, result.announces)).toFixed(2),
      `${Math.round(median((result) => (100 * result.serverCpuSeconds) / result.seconds))}%`,
      `${Math.round(median((result) => (100 * result.clientCpuSeconds) / result.seconds))}%`,
      formatCount(median((result) => result.errors + result.broken)),
      formatCount(median((result) => result.serverResidentBytes) / 1e6),
    ];
  });
  console.log(`\n${formatTable(head, rows)}`);
  for (const { name } of servers) {
    const text = rounds.map((round) => round[name].firstError).find((error) => error !== '');
    if (text !== undefined) console.log(`first error of ${name}: ${JSON.stringify(text)}`);
  }
}

function perCpuSecond(result: HttpLoadResult): number {
  return result.announces / result.serverCpuSeconds;
}
