/**
 * `bench flood`: what floods cost the clients that behave, and the memory of the tracker. One run: calm, a flood from one
 * address at ten times its limit, calm, a flood from 10,000 addresses, calm.
 */
import type { FloodLoadOptions, FloodPhaseResult } from './flood-load.ts';
import { runLoad } from './load-process.ts';
import { formatCount, formatTable, saveFigures } from './report.ts';
import { type BenchServer, startServer } from './servers.ts';

export interface FloodBenchOptions {
  readonly server: BenchServer;
  /** Requests per second that the server lets one address make. */
  readonly limit: number;
  readonly seconds: number;
  readonly serverCpus: string;
  readonly clientCpu: string;
  readonly folder: string;
}

const CLIENTS = 200;
const CLIENT_RATE = 10_000;
const ADDRESSES = 10_000;
const FLOOD_FACTOR = 10;

/** Measures, prints a table, and keeps the figures. */
export async function benchFlood(options: FloodBenchOptions): Promise<void> {
  const { server, limit, seconds, serverCpus, clientCpu, folder } = options;
  const running = await startServer(server, { protocol: 'udp', torrents: 0, workers: 1, cpus: serverCpus });
  try {
    const load: FloodLoadOptions = {
      port: running.port,
      pid: running.pid,
      clients: CLIENTS,
      clientRate: CLIENT_RATE,
      phases: [
        { name: 'calm', seconds, addresses: 0, rate: 0 },
        { name: 'one address at ten times its limit', seconds, addresses: 1, rate: FLOOD_FACTOR * limit },
        { name: 'calm again', seconds, addresses: 0, rate: 0 },
        {
          name: `${formatCount(ADDRESSES)} addresses`,
          seconds,
          addresses: ADDRESSES,
          rate: 2 * FLOOD_FACTOR * limit,
        },
        {
          name: `the same ${formatCount(ADDRESSES)} addresses`,
          seconds,
          addresses: ADDRESSES,
          rate: 2 * FLOOD_FACTOR * limit,
        },
        { name: 'calm at last', seconds, addresses: 0, rate: 0 },
      ],
    };
    const results = await runLoad<FloodPhaseResult[]>('flood-load-process.ts', clientCpu, load);
    console.log(
      `\n${CLIENTS} clients make ${formatCount(CLIENT_RATE)} requests per second; one address may make ${formatCount(limit)}\n`,
    );
    const head = [
      'phase',
      'asked',
      'answered',
      'flood asked',
      'flood answered',
      'dropped before the tracker',
      'dropped on the way back',
      'resident MB',
    ];
    const rows = results.map((result) => [
      result.name,
      formatCount(result.asked),
      `${((100 * result.answered) / result.asked).toFixed(2)} %`,
      formatCount(result.floodAsked),
      formatCount(result.floodAnswered),
      formatCount(result.serverDrops),
      formatCount(result.clientDrops),
      (result.residentBytes / 1e6).toFixed(1),
    ]);
    console.log(formatTable(head, rows));
    const { limit: _, ...plain } = { ...options, server: server.name };
    console.log(`figures: ${saveFigures(folder, 'flood', { options: { ...plain, limit }, results })}`);
  } finally {
    await running.stop();
  }
}
