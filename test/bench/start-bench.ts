/**
 * `bench start`: the time from the start of the process to the first answer over UDP, with an empty store, beside that of
 * the other servers and of Node alone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { formatCount, formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';
import { type BenchServer, startServer } from './servers.ts';

export interface StartBenchOptions {
  readonly servers: readonly BenchServer[];
  readonly rounds: number;
  readonly serverCpus: string;
  readonly folder: string;
}

/** Measures, prints and keeps the figures. */
export async function benchStart(options: StartBenchOptions): Promise<void> {
  const { servers, rounds, serverCpus, folder } = options;
  const millis: Record<string, number[]> = { 'node alone': [] };
  for (const { name } of servers) millis[name] = [];
  for (let round = 0; round < rounds; round++) {
    millis['node alone'].push(await timeNode(serverCpus));
    for (const server of servers) {
      const running = await startServer(server, {
        protocol: 'udp',
        torrents: 1,
        workers: 1,
        cpus: serverCpus,
      });
      millis[server.name].push(running.readyMillis);
      await running.stop();
    }
  }
  const rows = Object.entries(millis).map(([name, times]) => [
    name,
    formatSpread(spreadOf(times), formatCount),
  ]);
  console.log(`\n${formatTable(['server', 'ms to the first answer'], rows)}`);
  console.log(`figures: ${saveFigures(folder, 'start', { rounds, millis })}`);
}

/** Milliseconds that Node takes to run nothing. */
async function timeNode(cpus: string): Promise<number> {
  const startMillis = performance.now();
  const child = spawn('taskset', ['--cpu-list', cpus, process.execPath, '--eval', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return performance.now() - startMillis;
}
