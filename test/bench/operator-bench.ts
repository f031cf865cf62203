/**
 * `bench operator`: what an operator with many trackers costs and how fast it is, against a real API server. Pods are
 * played, and all of them lead to one real tracker, which the operator probes as it would probe each.
 */
import { measureFleet, type PhaseFigures } from '../operator/fleet.ts';
import { partObstacle } from '../support/parts.ts';
import { formatCount, formatSpread, formatTable, saveFigures, spreadOf } from './report.ts';

export interface OperatorBenchOptions {
  readonly trackers: number;
  readonly steadySeconds: number;
  readonly drifts: number;
  /** Where the figures go. */
  readonly folder: string;
}

/** Measures, prints and keeps the figures. */
export async function benchOperator({ folder, ...options }: OperatorBenchOptions): Promise<void> {
  const obstacle = partObstacle('apiserver');
  if (obstacle !== undefined) {
    throw new Error(`no Kubernetes API server (${obstacle}): \`make test-apiserver\` fetches one`);
  }
  const cleanups: (() => unknown)[] = [];
  try {
    const figures = await measureFleet(
      { after: (cleanup) => void cleanups.unshift(cleanup) },
      { ...options, onPhase: (name) => console.log(`  ${name}`) },
    );
    const row = (name: string, figures: PhaseFigures) => [
      name,
      figures.seconds.toFixed(1),
      figures.cpuSeconds.toFixed(1),
      figures.serverCpuSeconds.toFixed(1),
      formatCount(figures.requests),
      formatCount(figures.writes),
    ];
    const { first, ready, steady, restart, driftSeconds, residentBytes, peakResidentBytes } = figures;
    const rows = [
      row('first reconcile of all', first),
      row('pods become ready, by real probes', ready),
      row('nothing happens', steady),
      row('a new operator looks at all', restart),
    ];
    console.log(
      `\n${formatTable([`${options.trackers} trackers`, 's', 'CPU s', 'CPU s of the server', 'requests', 'writes'], rows)}`,
    );
    const drift = formatSpread(spreadOf(driftSeconds), (figure) => figure.toFixed(2));
    console.log(`\nseconds until somebody's change is mended: ${drift}`);
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
    console.log(`resident MB: ${megabytes(residentBytes)}, at most ${megabytes(peakResidentBytes)}`);
    console.log(`figures: ${saveFigures(folder, 'operator', { ...options, ...figures })}`);
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}
