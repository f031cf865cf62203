/**
 * A chart as it was before: that of the last release, or else the first that was ever committed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { ChartName } from './rendering.ts';

const PROJECT = join(import.meta.dirname, '../..');

/** Puts the older chart below `folder` and returns where it is. Throws when the history does not reach back so far. */
export function checkOutOlderChart(chart: ChartName, folder: string): string {
  const path = `charts/${chart}`;
  const [release] = git('tag', '--list', 'v*', '--sort=-creatordate', '--merged', 'HEAD');
  const [first] = git('log', '--format=%H', '--reverse', '--diff-filter=A', '--', `${path}/Chart.yaml`);
  const commit = release ?? first;
  assert.ok(commit !== undefined, `no commit brought ${path}`);
  const archive = spawnSync('git', ['archive', commit, path], { cwd: PROJECT, maxBuffer: 64 * 2 ** 20 });
  assert.equal(archive.status, 0, archive.stderr.toString());
  const unpacked = spawnSync('tar', ['-x', '-C', folder], { input: archive.stdout });
  assert.equal(unpacked.status, 0, unpacked.stderr.toString());
  return join(folder, path);
}

/** Why there is no older chart; undefined when there is one. */
export function historyObstacle(): string | undefined {
  const [isShallow] = git('rev-parse', '--is-shallow-repository');
  return isShallow === 'false' ? undefined : 'no git, or a shallow clone';
}

/** The lines that git prints; none when it fails. */
function git(...args: string[]): string[] {
  const { status, stdout } = spawnSync('git', args, { cwd: PROJECT, encoding: 'utf8' });
  return status === 0 ? stdout.split('\n').filter((line) => line !== '') : [];
}
