/**
 * `bench udp`: requests per CPU-second of UDP trackers, side by side. In every round each server is started anew, one
 * after the other, so that what drifts on the machine drifts for all of them; a ratio is of two servers of one round.
 */
import { runLoad } from './load-process.ts';
import type { LatencyMicros } from './latency-histogram.ts';
import { type LoadProfile, PROFILES } from './population.ts';
import { formatCount, formatSpread, formatTable, inTurn, saveFigures, spreadOf } from './report.ts';
import { type BenchServer, startServer } from './servers.ts';
import type { UdpLoadOptions, UdpLoadResult } from './udp-load.ts';

export interface UdpBenchOptions {
  readonly servers: readonly BenchServer[];
  /** Names in `PROFILES`. */
  readonly profiles: readonly string[];
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Whether latency is measured, at half of the load that the server could take. */
  readonly measuresLatency: boolean;
  readonly workers: number;
  readonly serverCpus: string;
  readonly clientCpu: string;
  readonly folder: string;
}

/** What came of one server in one round. */
interface Measured {
  readonly full: UdpLoadResult;
  readonly latency: LatencyMicros | null;
}

/** Measures, prints a table for each profile, and keeps the figures. */
export async function benchUdp(options: UdpBenchOptions): Promise<void> {
  for (const profileName of options.profiles) {
    const profile = PROFILES[profileName];
    console.log(
      `\nUDP, profile ${profileName}: ${profile.name}; ${options.rounds} rounds of ${options.seconds} s`,
    );
    const rounds: Record<string, Measured>[] = [];
    for (let round = 0; round < options.rounds; round++) {
      const measured: Record<string, Measured> = {};
      for (const server of inTurn(options.servers, round)) {
        measured[server.name] = await measure(server, profile, round + 1, options);
        const { full } = measured[server.name];
        console.log(
          `  round ${round + 1}  ${server.name}: ${formatCount(perCpuSecond(full))} requests per CPU-second`,
        );
      }
      rounds.push(measured);
    }
    printTable(options.servers, rounds);
    const path = saveFigures(options.folder, `udp-${profileName}`, {
      options: plain(options),
      profile,
      rounds,
    });
    console.log(`figures: ${path}`);
  }
}

async function measure(
  server: BenchServer,
  profile: LoadProfile,
  seed: number,
  options: UdpBenchOptions,
): Promise<Measured> {
  const { workers, serverCpus, clientCpu } = options;
  const running = await startServer(server, {
    protocol: 'udp',
    torrents: profile.torrents,
    workers,
    cpus: serverCpus,
  });
  try {
    const load: UdpLoadOptions = {
      profile,
      port: running.port,
      pid: running.pid,
      warmUpSeconds: options.warmUpSeconds,
      seconds: options.seconds,
      ratePerSecond: null,
      seed,
    };
    const full = await runLoad<UdpLoadResult>('udp-load-process.ts', clientCpu, load);
    if (!options.measuresLatency) return { full, latency: null };
    const half = {
      ...load,
      warmUpSeconds: 1,
      ratePerSecond: full.replies / full.seconds / 2,
      seed: seed + 1000,
    };
    const paced = await runLoad<UdpLoadResult>('udp-load-process.ts', clientCpu, half);
    return { full, latency: paced.latencyMicros };
  } finally {
    await running.stop();
  }
}

function printTable(servers: readonly BenchServer[], rounds: readonly Record<string, Measured>[]): void {
  const reference = servers[0].name;
  const head = [
    'server',
    'requests per CPU-second',
    `${reference} is x times it`,
    'peers/reply',
    'server busy',
    'client busy',
    'errors',
    'lost',
    'MB',
  ];
  const rows = servers.map(({ name }) => {
    const results = rounds.map((round) => round[name]);
    const ratios = rounds.map(
      (round) => perCpuSecond(round[reference].full) / perCpuSecond(round[name].full),
    );
    const median = (figure: (result: UdpLoadResult) => number): number =>
      spreadOf(results.map(({ full }) => figure(full))).median;
    return [
      name,
      formatSpread(spreadOf(results.map(({ full }) => perCpuSecond(full))), formatCount),
      formatSpread(spreadOf(ratios), (ratio) => ratio.toFixed(2)),
      median((full) => full.peers / Math.max(1, full.announces)).toFixed(1),
      percent(median((full) => full.serverCpuSeconds / full.seconds)),
      percent(median((full) => full.clientCpuSeconds / full.seconds)),
      formatCount(median((full) => full.errors)),
      formatCount(median((full) => full.lost)),
      formatCount(median((full) => full.serverResidentBytes) / 1e6),
    ];
  });
  console.log(`\n${formatTable(head, rows)}`);
  printLatencies(servers, rounds);
  for (const { name } of servers) {
    const text = rounds.map((round) => round[name].full.firstError).find((error) => error !== '');
    if (text !== undefined) console.log(`first error of ${name}: ${text}`);
  }
}

/** Requests that were answered as they should be, for each second of the server's processor time. */
function perCpuSecond(result: UdpLoadResult): number {
  return (result.replies - result.errors) / result.serverCpuSeconds;
}

/** How long a request takes at half of the load that the server could take, and what of that our tracker needs. */
function printLatencies(servers: readonly BenchServer[], rounds: readonly Record<string, Measured>[]): void {
  if (rounds.some((round) => servers.some(({ name }) => round[name].latency === null))) return;
  const reference = servers[0].name;
  const figures = ['p50', 'p99', 'p999'] as const;
  const head = [
    'at half load',
    ...figures.flatMap((figure) => [`${figure} us`, `${reference} takes x times it`]),
  ];
  const rows = servers.map(({ name }) => [
    name,
    ...figures.flatMap((figure) => {
      const of = (round: Record<string, Measured>, server: string) =>
        Math.max(1, round[server].latency?.[figure] ?? 0);
      return [
        formatSpread(spreadOf(rounds.map((round) => of(round, name))), formatCount),
        formatSpread(spreadOf(rounds.map((round) => of(round, reference) / of(round, name))), (ratio) =>
          ratio.toFixed(2),
        ),
      ];
    }),
  ]);
  console.log(`\n${formatTable(head, rows)}`);
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

/** The options as they are kept: servers by name. */
function plain(options: UdpBenchOptions): object {
  return { ...options, servers: options.servers.map(({ name }) => name) };
}
