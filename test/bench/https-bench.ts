/**
 * `bench https`: announces over HTTPS, per CPU-second of the server, beside a responder on `node:https` that does nothing
 * else. Rounds as in udp-bench.ts.
 */
import type { HttpBenchOptions } from './http-bench.ts';
import type { ConnectionUse } from './http-load.ts';
import type { HttpsLoadOptions, HttpsLoadResult } from './https-load.ts';
import { runLoad } from './load-process.ts';
import { PROFILES } from './population.ts';
import { formatCount, formatSpread, formatTable, inTurn, saveFigures, spreadOf } from './report.ts';
import { type BenchServer, startServer } from './servers.ts';

const USES: readonly ConnectionUse[] = ['new', 'keep-alive'];
const PROFILE = PROFILES['1'];

/** Measures, prints a table for each use of connections, and keeps the figures. */
export async function benchHttps(options: HttpBenchOptions): Promise<void> {
  const { servers, rounds, folder } = options;
  for (const use of USES) {
    console.log(
      `\nHTTPS, ${use === 'new' ? 'a new connection for each announce' : 'connections kept alive'}`,
    );
    const measured: Record<string, HttpsLoadResult>[] = [];
    for (let round = 1; round <= rounds; round++) {
      const results: Record<string, HttpsLoadResult> = {};
      for (const server of inTurn(servers, round))
        results[server.name] = await measure(server, use, round, options);
      measured.push(results);
    }
    printTable(servers, measured);
    const plain = { ...options, servers: servers.map(({ name }) => name) };
    console.log(`figures: ${saveFigures(folder, `https-${use}`, { options: plain, rounds: measured })}`);
  }
}

async function measure(
  server: BenchServer,
  use: ConnectionUse,
  seed: number,
  options: HttpBenchOptions,
): Promise<HttpsLoadResult> {
  const { workers, serverCpus, clientCpu, connections, warmUpSeconds, seconds } = options;
  const { torrents } = PROFILE;
  const running = await startServer(server, { protocol: 'https', torrents, workers, cpus: serverCpus });
  try {
    const { port, pid } = running;
    const load: HttpsLoadOptions = {
      profile: PROFILE,
      port,
      pid,
      use,
      connections,
      warmUpSeconds,
      seconds,
      seed,
    };
    return await runLoad<HttpsLoadResult>('https-load-process.ts', clientCpu, load);
  } finally {
    await running.stop();
  }
}

function printTable(
  servers: readonly BenchServer[],
  rounds: readonly Record<string, HttpsLoadResult>[],
): void {
  const reference = servers[0].name;
  const head = [
    'server',
    'announces per CPU-second',
    `${reference} is x times it`,
    'server busy',
    'client busy',
    'errors',
    'MB',
  ];
  const rows = servers.map(({ name }) => {
    const results = rounds.map((round) => round[name]);
    const ratios = rounds.map((round) => perCpuSecond(round[reference]) / perCpuSecond(round[name]));
    const median = (figure: (result: HttpsLoadResult) => number): number =>
      spreadOf(results.map(figure)).median;
    return [
      name,
      formatSpread(spreadOf(results.map(perCpuSecond)), formatCount),
      formatSpread(spreadOf(ratios), (ratio) => ratio.toFixed(2)),
      `${Math.round(median((result) => (100 * result.serverCpuSeconds) / result.seconds))}%`,
      `${Math.round(median((result) => (100 * result.clientCpuSeconds) / result.seconds))}%`,
      formatCount(median((result) => result.errors)),
      formatCount(median((result) => result.serverResidentBytes) / 1e6),
    ];
  });
  console.log(`\n${formatTable(head, rows)}`);
}

function perCpuSecond(result: HttpsLoadResult): number {
  return result.announces / result.serverCpuSeconds;
}
