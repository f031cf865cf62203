/**
 * The workflows of GitHub: what a mistake in them would cost, which shows only when they run.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { REPOSITORIES } from '../../.ci/image/build.ts';

const PROJECT = join(import.meta.dirname, '../..');

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly 'timeout-minutes'?: number;
  readonly needs?: string | readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  /** A workflow that is run as this job, instead of steps. */
  readonly uses?: string;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly name: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const workflows = globSync('.github/workflows/*.yml', { cwd: PROJECT }).map((path) => {
  const text = readFileSync(join(PROJECT, path), 'utf8');
  // The tests below judge what it holds.
  return { path, text, workflow: parse(text) as Workflow };
});

test('there are workflows for tests, for a whole cluster, for releases and for weaknesses of packages', () => {
  const names = workflows.map(({ path }) => basename(path)).toSorted();
  assert.deepEqual(names, ['audit.yml', 'e2e.yml', 'release.yml', 'test.yml']);
});

test('the whole product is tried each night, and by hand, as root', () => {
  const nightly = workflows.find(({ path }) => path.endsWith('e2e.yml'));
  const runs = Object.values(nightly?.workflow.jobs ?? {}).flatMap(({ steps = [] }) =>
    steps.map(({ run }) => run ?? ''),
  );
  assert.ok(runs.some((run) => /^sudo .*\bmake e2e$/.test(run)));
  assert.match(nightly?.text ?? '', /^ {2}schedule:$/m);
  assert.match(nightly?.text ?? '', /^ {2}workflow_dispatch:$/m);
});

test('packages that run are looked up in the list of known weaknesses, and not only when something changes', () => {
  const audit = workflows.find(({ path }) => path.endsWith('audit.yml'));
  const runs = Object.values(audit?.workflow.jobs ?? {}).flatMap(({ steps = [] }) =>
    steps.map(({ run }) => run),
  );
  assert.ok(runs.includes('npm audit --omit=dev --audit-level=high'));
  assert.match(audit?.text ?? '', /^ {2}schedule:$/m);
});

for (const { path, text, workflow } of workflows) {
  describe(path, () => {
    const jobs = Object.values(workflow.jobs);
    const steps = jobs.flatMap((job) => job.steps ?? []);

    test('may read, and do more only where a job says so', () => {
      assert.deepEqual(workflow.permissions, { contents: 'read' });
    });

    test('uses actions by their major version, and leaves no credentials behind', () => {
      for (const { uses, with: options } of steps) {
        if (uses === undefined) continue;
        assert.match(uses, /^[\w-]+\/[\w-]+@v[0-9]+$/);
        if (uses.startsWith('actions/checkout@')) assert.equal(options?.['persist-credentials'], false);
      }
    });

    test('runs no text of others: what it is given comes by variables', () => {
      for (const { run = '' } of steps) assert.doesNotMatch(run, /\$\{\{/);
    });

    test('waits for jobs, and takes values of them, that there are', () => {
      for (const { needs = [] } of jobs) {
        for (const name of [needs].flat()) assert.ok(name in workflow.jobs, name);
      }
      for (const [, name = ''] of text.matchAll(/\bneeds\.([a-z-]+)\./g)) {
        assert.ok(name in workflow.jobs, name);
      }
    });

    test('names files and commands that there are', () => {
      for (const { uses } of jobs) {
        const called = uses && workflows.find((each) => `./${each.path}` === uses);
        if (called !== undefined) assert.match(called === '' ? '' : called.text, /^ {2}workflow_call:$/m);
        else assert.equal(uses, undefined);
      }
      const makefile = readFileSync(join(PROJECT, 'Makefile'), 'utf8');
      for (const { run = '' } of steps) {
        for (const [, target] of run.matchAll(/^(?:sudo .*)?\bmake ([a-z][a-z0-9-]*)/gm)) {
          assert.match(makefile, new RegExp(`^${target}:`, 'm'));
        }
        for (const [named] of run.matchAll(/(?<![\w./-])(?:charts|\.ci)\/[\w./*-]+[\w*]/g)) {
          if (named.includes('$')) continue;
          assert.ok(globSync(named, { cwd: PROJECT }).length > 0, named);
        }
      }
    });
  });
}

test('a release publishes the images under the names that the charts and the operator have', () => {
  const release = workflows.find(({ path }) => path.endsWith('release.yml'))?.text ?? '';
  for (const repository of Object.values(REPOSITORIES)) {
    assert.ok(release.includes(`repository: ${repository} }`), repository);
  }
  for (const path of globSync('charts/*/values.yaml', { cwd: PROJECT })) {
    const values = readFileSync(join(PROJECT, path), 'utf8');
    const named = [...values.matchAll(/^ *repository: (\S+)$/gm)].map(([, name]) => name);
    for (const name of named)
      assert.ok(
        Object.values(REPOSITORIES).some((each) => each === name),
        name,
      );
  }
});

test('a release publishes nothing before the tests, and the package, which none can take back, at the end', () => {
  const jobs = workflows.find(({ path }) => path.endsWith('release.yml'))?.workflow.jobs ?? {};
  const needed = (name: string): string[] =>
    [jobs[name]?.needs ?? []].flat().flatMap((each) => [each, ...needed(each)]);
  for (const name of ['images', 'charts', 'package']) assert.ok(needed(name).includes('tests'), name);
  assert.equal(jobs['tests']?.uses, './.github/workflows/test.yml');
  for (const name of ['images', 'charts']) assert.ok(needed('package').includes(name), name);
});

test('compose.yaml is released with all that it mounts', () => {
  const release = workflows.find(({ path }) => path.endsWith('release.yml'))?.text ?? '';
  const commands = release.replaceAll(/\\\n */g, '');
  const [, archive = '', list = ''] =
    /tar --create --gzip --file (\S+) (.+)/.exec(commands) ?? assert.fail('an archive');
  const held = list.split(' ');
  const compose = readFileSync(join(PROJECT, 'compose.yaml'), 'utf8');
  const mounted = [...compose.matchAll(/^ +- \.\/([^:\s]+):/gm)].map(([, path = '']) => path);
  assert.ok(mounted.length > 0);
  for (const path of ['compose.yaml', ...mounted]) {
    assert.ok(
      held.some((each) => `${path}/`.startsWith(`${each}/`)),
      path,
    );
  }
  const [attached = ''] = /gh release create .+/.exec(commands) ?? [];
  assert.ok(attached.includes(` ${archive}`) && !attached.includes(' compose.yaml'), attached);
});
