/**
 * `make e2e`: the tests of the whole product on a real cluster: the one that KUBECONFIG names, or else one of its own,
 * which it takes away afterwards. On a cluster of somebody else's it leaves out what needs power over nodes, or a place in
 * their network, and names that in its last lines.
 *
 *     node test/e2e/main.ts [filter...]      only files whose path contains one of the filters
 */
import { copyFileSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { closeCluster, isClusterUp, openCluster } from '../cluster/cluster.ts';
import { installOperator } from '../cluster/install.ts';
import { KUBECONFIG } from '../cluster/layout.ts';
import { takeLock } from '../cluster/lock.ts';
import { findObstacles } from '../cluster/obstacles.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Ends a file that hangs; faults take their time. */
const TEST_TIMEOUT_MILLIS = 1_800_000;

const started = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${sentence}`);
}

/** Runs the tests on a cluster; resolves with the exit status. */
async function runTests(kubeconfig: string): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), 'torrust-e2e-'));
  try {
    copyFileSync(kubeconfig, join(home, 'kubeconfig'));
    await installOperator(home);
    tell('the operator is installed');
    process.env['TORRUST_E2E_HOME'] = home;
    process.env['TORRUST_E2E_OWN'] = kubeconfig === KUBECONFIG ? '1' : '0';
    const filters = process.argv.slice(2);
    return await runFiles(
      globSync('test/e2e/**/*.test.ts', { cwd: ROOT })
        .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
        .toSorted(),
    );
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function runFiles(files: readonly string[]): Promise<number> {
  // Ctrl-C ends the tests; what was brought up for them is taken away all the same.
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  const leftOut = new Map<string, string[]>();
  let failures = 0;
  const events = run({
    files: files.map((file) => join(ROOT, file)),
    cwd: ROOT,
    concurrency: 1,
    isolation: 'process',
    timeout: TEST_TIMEOUT_MILLIS,
    signal: stopping.signal,
  });
  events.on('test:fail', () => {
    failures += 1;
  });
  events.on('test:pass', ({ name, file = '', skip }) => {
    if (skip === undefined || skip === false) return;
    const reason = typeof skip === 'string' ? skip : 'it says no reason';
    leftOut.set(reason, [...(leftOut.get(reason) ?? []), `${file.replace(`${ROOT}/`, '')}: ${name}`]);
  });
  const report = events.compose(spec);
  report.pipe(process.stdout, { end: false });
  await finished(report);
  for (const [reason, names] of leftOut) {
    console.log(`ℹ left out: ${reason}`);
    for (const name of names) console.log(`    ${name}`);
  }
  if (leftOut.size === 0) console.log('ℹ left out: nothing');
  return failures === 0 && !stopping.signal.aborted ? 0 : 1;
}

async function main(): Promise<number> {
  const given = process.env['KUBECONFIG'];
  if (given !== undefined && given !== '') return runTests(given);
  const obstacles = findObstacles();
  if (isClusterUp())
    obstacles.push(`a cluster runs here: use it by KUBECONFIG=${KUBECONFIG}, or make cluster-down`);
  for (const obstacle of obstacles) console.error(`make e2e: ${obstacle}`);
  if (obstacles.length > 0) return 1;
  takeLock();
  await openCluster(tell);
  try {
    return await runTests(KUBECONFIG);
  } finally {
    await closeCluster();
    tell('the cluster is gone, and nothing of it is left');
  }
}

process.exitCode = await main();
