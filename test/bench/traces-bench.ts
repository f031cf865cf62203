/**
 * `bench traces`: what the hook of traces costs a UDP announce, in one process and without sockets (`traces-process.ts`),
 * and what a span costs the main thread (`spans-process.ts`).
 * Each process compares all variants within itself, since processes differ from one another by more than the hook costs:
 * what is reported is the ratio of turns that follow one another.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { formatCount, formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';
import type { SpansProcessOptions } from './spans-process.ts';
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
/** About as many as one request in 1,000 makes of a tracker's full load, and a while in which batches fail. */
const SPANS: SpansProcessOptions = { seconds: 20, spansPerSecond: 130 };
const REMARKS = {
  'no hook': 'the service without the line that asks for traces',
  'no hook, again': 'the same once more: what this measurement can tell apart',
  off: 'as it comes: nothing is traced',
  on: 'one request in so many is written down for the main thread',
};

/** Measures, prints and keeps the figures. */
export function benchTraces({ rounds, turns, udpEvery, serverCpus, folder }: TracesBenchOptions): void {
  const results = Array.from({ length: rounds }, (_, seed) => {
    const options: TracesProcessOptions = {
      announces: ANNOUNCES,
      turns,
      warmUpTurns: WARM_UP_TURNS,
      udpEvery,
      seed: 1 + seed,
    };
    return runProcess('traces-process.ts', options, serverCpus) as TracesProcessResult;
  });
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
  const spanMicros = runProcess('spans-process.ts', SPANS, serverCpus) as readonly number[];
  console.log(
    `a span costs the main thread ${formatSpread(spreadOf(spanMicros), formatCount)} µs, all included, with a collector that is away`,
  );
  const kept = results.map(({ micros, ...rest }) => ({
    ...rest,
    ratios: Object.fromEntries(
      VARIANTS.map((variant) => [variant, ratioTo(micros['no hook'], micros[variant])]),
    ),
  }));
  console.log(
    `figures: ${saveFigures(folder, 'traces', { rounds, turns, udpEvery, results: kept, spanMicros })}`,
  );
}

/** The middle of the ratios of turns that were next to each other. */
function ratioTo(base: readonly number[], micros: readonly number[]): number {
  return spreadOf(micros.map((each, turn) => each / base[turn])).median;
}

/** Runs a module of this folder with options; it prints its result as JSON, and nothing else. */
function runProcess(name: string, options: object, cpus: string): unknown {
  const args = [
    '--cpu-list',
    cpus,
    process.execPath,
    join(import.meta.dirname, name),
    JSON.stringify(options),
  ];
  return JSON.parse(
    execFileSync('taskset', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  );
}
