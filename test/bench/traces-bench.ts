/**
 * `bench traces`: what the hook of traces costs a UDP announce, in one process and without sockets (`traces-process.ts`).
 * Each process compares all variants within itself, since processes differ from one another by more than the hook costs:
 * what is reported is the ratio of turns that follow one another.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { formatCount, formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';
import { type TracesProcessOptions, type TracesProcessResult, VARIANTS } from './traces-process.ts';

export interface TracesBenchOptions {
  /** Processes, one after another. */
  readonly rounds: number;
  /** Turns of each variant in a process. */
  readonly turns: number;
  readonly udpEvery: number;
  readonly serverCpus: string;
  readonly folder: string;
}

const ANNOUNCES = 4_096;
const WARM_UP_TURNS = 60;
const REMARKS = {
  'no hook': 'the service without the line that asks for traces',
  'no hook, again': 'the same once more: what this measurement can tell apart',
  off: 'as it comes: nothing is traced',
  on: 'one request in so many is written down for the main thread',
};

/** Measures, prints and keeps the figures. */
export function benchTraces({ rounds, turns, udpEvery, serverCpus, folder }: TracesBenchOptions): void {
  const results = Array.from({ length: rounds }, (_, seed) =>
    runProcess(
      { announces: ANNOUNCES, turns, warmUpTurns: WARM_UP_TURNS, udpEvery, seed: 1 + seed },
      serverCpus,
    ),
  );
  const rows = VARIANTS.map((variant) => {
    const perSecond = results.map(({ micros }) => ANNOUNCES / (spreadOf(micros[variant]).median / 1_000_000));
    const ratios = results.map(({ micros }) => ratioTo(micros['no hook'], micros[variant]));
    return [
      variant,
      formatSpread(spreadOf(perSecond), formatCount),
      formatSpread(spreadOf(ratios), (ratio) => ratio.toFixed(4)),
      REMARKS[variant],
    ];
  });
  const head = ['traces', 'announces per CPU-second', 'CPU, times that without the hook', ''];
  console.log(`\n${formatTable(head, rows)}`);
  const peers = spreadOf(results.map(({ peersPerReply }) => peersPerReply)).median;
  const traced = results.reduce((sum, result) => sum + result.traced, 0);
  console.log(
    `${peers.toFixed(1)} peers a reply; where traces are on, ${formatCount(traced)} requests were written down`,
  );
  const kept = results.map(({ micros, ...rest }) => ({
    ...rest,
    ratios: Object.fromEntries(
      VARIANTS.map((variant) => [variant, ratioTo(micros['no hook'], micros[variant])]),
    ),
  }));
  console.log(`figures: ${saveFigures(folder, 'traces', { rounds, turns, udpEvery, results: kept })}`);
}

/** The middle of the ratios of turns that were next to each other. */
function ratioTo(base: readonly number[], micros: readonly number[]): number {
  return spreadOf(micros.map((each, turn) => each / base[turn])).median;
}

function runProcess(options: TracesProcessOptions, cpus: string): TracesProcessResult {
  const file = join(import.meta.dirname, 'traces-process.ts');
  const args = ['--cpu-list', cpus, process.execPath, file, JSON.stringify(options)];
  // It prints its result, and nothing else.
  return JSON.parse(
    execFileSync('taskset', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  ) as TracesProcessResult;
}
