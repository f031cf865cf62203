/**
 * `bench guards`: what all of abuse control costs a UDP announce, in one process and without sockets
 * (`guards-process.ts`). Processes differ from one another by more than it costs, so each compares within itself.
 */
import { type GuardsProcessOptions, type GuardsProcessResult, GUARDS } from './guards-process.ts';
import { runLoad } from './load-process.ts';
import { formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';

export interface GuardsBenchOptions {
  /** Processes, one after another. */
  readonly rounds: number;
  /** Turns of each tracker in a process. */
  readonly turns: number;
  readonly serverCpus: string;
  readonly folder: string;
}

const ANNOUNCES = 4_096;
const WARM_UP_TURNS = 60;

/** Measures, prints and keeps the figures. */
export async function benchGuards({ rounds, turns, serverCpus, folder }: GuardsBenchOptions): Promise<void> {
  const results: GuardsProcessResult[] = [];
  for (let seed = 1; seed <= rounds; seed++) {
    const options: GuardsProcessOptions = { announces: ANNOUNCES, turns, warmUpTurns: WARM_UP_TURNS, seed };
    results.push(await runLoad<GuardsProcessResult>('guards-process.ts', serverCpus, options));
  }
  const rows = GUARDS.map((guard) => {
    const each = results.map((micros) => spreadOf(micros[guard]).median / ANNOUNCES);
    const more = results.map((micros) => {
      const turnsOf = micros[guard].map((spent, turn) => (spent - micros.off[turn]) / ANNOUNCES);
      return spreadOf(turnsOf).median;
    });
    const format = (figure: number) => figure.toFixed(3);
    return [guard, formatSpread(spreadOf(each), format), formatSpread(spreadOf(more), format)];
  });
  console.log(`\n${formatTable(['abuse control', 'µs an announce', 'µs more than without'], rows)}`);
  console.log(`figures: ${saveFigures(folder, 'guards', { rounds, turns, announces: ANNOUNCES, rows })}`);
}
