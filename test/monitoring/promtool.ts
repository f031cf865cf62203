/** Prometheus' own judge of rules. https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { findProgram } from '../support/programs.ts';
import { type Cleaner, temporaryFolder } from '../support/tracker-process.ts';

/** Lets promtool judge a test of the rules in a file, whose samples lie a minute apart. */
export function judge(context: Cleaner, rulesFile: string, ruleTest: object): void {
  const file = join(temporaryFolder(context), 'test.yaml');
  const tests = [{ interval: '1m', ...ruleTest }];
  writeFileSync(file, stringify({ rule_files: [rulesFile], evaluation_interval: '1m', tests }));
  const { stdout, stderr, status } = promtool(['test', 'rules', file]);
  assert.equal(status, 0, stdout + stderr);
}

/** Runs promtool to its end. */
export function promtool(args: readonly string[]) {
  const program = findProgram('promtool');
  assert.ok(program !== undefined);
  return spawnSync(program, args, { encoding: 'utf8' });
}
