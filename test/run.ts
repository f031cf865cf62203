/**
 * Runs the tests: every *.test.ts below test/, each file in a process of its own, and closes with what did not run.
 *
 *     node test/run.ts [filter...]            only files whose path contains one of the filters
 *     node test/run.ts --needing helm         only files in which a test says needs('helm'); may be given again
 *     node test/run.ts --not-needing helm     only the others
 *
 * The output is node:test's spec report with its summary, then one line for each real part that was missing, with the
 * way to get it (support/parts.ts). A test that is skipped or postponed in any other way fails the run, so that nothing
 * is skipped silently. Benchmarks, and what needs a cluster, have their own commands.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { partOfSkipReason, type Part } from './support/parts.ts';

const ROOT = join(import.meta.dirname, '..');
const OTHER_COMMANDS = ['test/bench/', 'test/cluster/', 'test/e2e/'];
/** Two files at a time: several tests start servers and count on a processor being there for them. */
const CONCURRENCY = 2;
/** Generous, because it is there to end a test that hangs, not to judge a slow machine. */
const TEST_TIMEOUT_MILLIS = 180_000;
/** A file of which more tests did not run is told with their number. */
const MAX_NAMES_TOLD = 8;
const SUMMARY_LINE = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

interface Undone {
  readonly name: string;
  readonly file: string;
  readonly reason: string;
}

/** Which files are wanted. */
interface Selection {
  /** Parts of paths, of which one has to fit; all paths fit none. */
  readonly filters: readonly string[];
  /** Parts (support/parts.ts), of which a test of the file needs one; none: whatever it needs. */
  readonly needing: readonly string[];
  /** Parts of which no test of the file needs one. */
  readonly notNeeding: readonly string[];
}

/** The test files that are selected, as paths relative to the project, in a fixed order. */
function findTestFiles({ filters, needing, notNeeding }: Selection): string[] {
  return globSync('test/**/*.test.ts', { cwd: ROOT })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !OTHER_COMMANDS.some((folder) => path.startsWith(folder)))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .filter((path) => needing.length === 0 || needsAny(path, needing))
    .filter((path) => !needsAny(path, notNeeding))
    .toSorted();
}

function needsAny(path: string, parts: readonly string[]): boolean {
  if (parts.length === 0) return false;
  const calls = readFileSync(join(ROOT, path), 'utf8').match(/\bneeds\([^)]*\)/g) ?? [];
  return parts.some((part) => calls.some((call) => call.includes(`'${part}'`)));
}

/** Runs the files and prints the report; resolves with the number of failures and with what did not run. */
async function runFiles(files: readonly string[]): Promise<{ failures: number; undone: Undone[] }> {
  const undone: Undone[] = [];
  const summary: string[] = [];
  let failures = 0;
  const events = run({
    files: files.map((file) => join(ROOT, file)),
    cwd: ROOT,
    concurrency: CONCURRENCY,
    isolation: 'process',
    timeout: TEST_TIMEOUT_MILLIS,
    execArgv: ['--import', new URL('./support/leftovers.ts', import.meta.url).href],
  });
  events.on('test:fail', (event) => {
    // A failing `todo` test counts as a pass for node:test; it is caught below.
    if (event.todo === undefined) failures += 1;
    note(event);
  });
  events.on('test:pass', note);
  events.on('test:diagnostic', ({ message, nesting }) => {
    if (nesting === 0 && SUMMARY_LINE.test(message)) summary.push(`ℹ ${message}`);
  });
  const report = events.compose(spec);
  report.pipe(process.stdout, { end: false });
  await finished(report);
  // The report prints the details of failures below its summary, where they push it out of sight.
  if (failures > 0) console.log(`\n${summary.join('\n')}`);
  return { failures, undone };

  function note(event: {
    name: string;
    file?: string;
    skip?: string | boolean;
    todo?: string | boolean;
  }): void {
    const mark = event.skip ?? event.todo;
    if (mark === undefined || mark === false) return;
    undone.push({ name: event.name, file: event.file ?? '', reason: typeof mark === 'string' ? mark : '' });
  }
}

/** Prints the closing lines about the tests that did not run; returns how many were skipped without a declared need. */
function reportUndone(undone: readonly Undone[]): number {
  const byPart = new Map<Part, Undone[]>();
  const undeclared: Undone[] = [];
  for (const entry of undone) {
    const part = partOfSkipReason(entry.reason);
    if (part === undefined) undeclared.push(entry);
    else byPart.set(part, [...(byPart.get(part) ?? []), entry]);
  }
  for (const { name, file, reason } of undeclared) {
    console.log(`✖ skipped without a declared need: "${name}" in ${file} ${reason && `(${reason})`}`);
  }
  for (const [part, entries] of byPart) {
    const ways = [
      ...(part.packages.length > 0 ? [`apt-get install ${part.packages.join(' ')}`] : []),
      part.elsewhere,
    ];
    console.log(`ℹ not run: ${entries.length} for want of ${part.title}; to run them, ${ways.join(', or ')}`);
    for (const [file, names] of groupByFile(entries)) {
      const told = names.length > MAX_NAMES_TOLD ? [`${names.length} tests`] : names;
      for (const name of told) console.log(`    ${file}: ${name}`);
    }
  }
  if (undone.length === 0) console.log('ℹ not run: none');
  return undeclared.length;
}

function groupByFile(entries: readonly Undone[]): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { name, file } of entries) {
    const path = file.replace(`${ROOT}/`, '');
    names.set(path, [...(names.get(path) ?? []), name]);
  }
  return names;
}

async function main(): Promise<void> {
  const { values, positionals: filters } = parseArgs({
    allowPositionals: true,
    options: {
      needing: { type: 'string', multiple: true, default: [] },
      'not-needing': { type: 'string', multiple: true, default: [] },
    },
  });
  const files = findTestFiles({ filters, needing: values.needing, notNeeding: values['not-needing'] });
  if (files.length === 0) {
    console.error(`no test file matches ${process.argv.slice(2).join(' ') || 'test/**/*.test.ts'}`);
    process.exitCode = 1;
    return;
  }
  const { failures, undone } = await runFiles(files);
  const undeclared = reportUndone(undone);
  process.exitCode = failures + undeclared > 0 ? 1 : 0;
}

await main();
