/** What a benchmark prints and keeps: tables of aligned text, and the figures behind them as JSON. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

/** The smallest, the middle and the largest of several figures. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The same, beginning with another one in each round. */
export function inTurn<T>(all: readonly T[], round: number): T[] {
  const first = round % all.length;
  return [...all.slice(first), ...all.slice(0, first)];
}

/** The spread of at least one figure. */
export function spreadOf(figures: readonly number[]): Spread {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1] };
}

/** `min / median / max`. */
export function formatSpread(spread: Spread, format: (figure: number) => string): string {
  return [spread.min, spread.median, spread.max].map(format).join(' / ');
}

/** A number with separators between thousands. */
export function formatCount(figure: number): string {
  return Math.round(figure).toLocaleString('en-US');
}

/** Rows under a head, columns as wide as they must be, numbers to the right of the first column. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** Writes figures with the machine that they were measured on, and returns the path. */
export function saveFigures(folder: string, name: string, figures: object): string {
  mkdirSync(folder, { recursive: true });
  const time = new Date().toISOString();
  const path = join(folder, `${name}-${time.replaceAll(':', '').slice(0, 17)}.json`);
  writeFileSync(
    path,
    `${JSON.stringify({ benchmark: name, time, machine: describeMachine(), ...figures }, null, 2)}\n`,
  );
  return path;
}

function describeMachine(): object {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    loadAverage: loadavg()[0],
    revision: revision(),
  };
}

/** The commit that was measured, `unknown` outside a checkout. */
function revision(): string {
  try {
    const options = { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' } as const;
    return execFileSync('git', ['describe', '--always', '--dirty'], options).trim();
  } catch {
    return 'unknown';
  }
}
