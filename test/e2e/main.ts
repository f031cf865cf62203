/**
 * `make e2e`: the tests of the whole product on a real cluster: the one that KUBECONFIG names, or else one of its own,
 * which it takes away afterwards.
 *
 *     node test/e2e/main.ts [filter...]      only files whose path contains one of the filters
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeCluster, isClusterUp, openCluster } from '../cluster/cluster.ts';
import { installOperator } from '../cluster/install.ts';
import { KUBECONFIG } from '../cluster/layout.ts';
import { takeLock } from '../cluster/lock.ts';
import { findObstacles } from '../cluster/obstacles.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Ends a test that hangs; faults take their time. */
const TEST_TIMEOUT_MILLIS = 900_000;

const started = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${sentence}`);
}

async function runTests(kubeconfig: string): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), 'torrust-e2e-'));
  try {
    copyFileSync(kubeconfig, join(home, 'kubeconfig'));
    await installOperator(home);
    tell('the operator is installed');
    const filters = process.argv.slice(2);
    const files = globSync('test/e2e/**/*.test.ts', { cwd: ROOT })
      .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
      .toSorted();
    const flags = ['--test', '--test-concurrency=1', `--test-timeout=${TEST_TIMEOUT_MILLIS}`];
    const child = spawn(process.execPath, [...flags, '--test-reporter=spec', ...files], {
      cwd: ROOT,
      stdio: 'inherit',
      env: {
        ...process.env,
        TORRUST_E2E_HOME: home,
        TORRUST_E2E_OWN: kubeconfig === KUBECONFIG ? '1' : '0',
      },
    });
    // Ctrl-C ends the tests; what was brought up for them is taken away all the same.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
    // As once() gives the arguments of the event.
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 1;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
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
