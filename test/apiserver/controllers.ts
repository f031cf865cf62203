/**
 * Some of the controllers of a real Kubernetes beside the API server of a test: those that it names, in one
 * kube-controller-manager, which ends with the test.
 * https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { findProgram } from '../support/programs.ts';
import { findBinary } from './binaries.ts';
import type { ApiServer } from './server.ts';

/** Starts controllers by their names; declare `needs('controllers')`. What they do shows in the API server. */
export function startControllers(
  context: TestContext,
  { home }: ApiServer,
  names: readonly string[],
  flags: readonly string[] = [],
): void {
  const path = findBinary('kube-controller-manager');
  assert.ok(path !== undefined, "declare needs('controllers')");
  const guard = process.platform === 'linux' ? findProgram('setpriv') : undefined;
  const [program = path, ...words] = [
    ...(guard === undefined ? [] : [guard, '--pdeathsig', 'KILL']),
    path,
    `--kubeconfig=${join(home, 'kubeconfig')}`,
    `--controllers=${names.join(',')}`,
    '--leader-elect=false',
    '--secure-port=0',
    ...flags,
  ];
  const child = spawn(program, words, { stdio: 'ignore' });
  context.after(async () => {
    const isOver = child.exitCode !== null || child.signalCode !== null;
    if (isOver) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
}
