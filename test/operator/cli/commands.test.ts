/** The commands of `torrust-operator` that need no cluster. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { temporaryFolder } from '../../support/tracker-process.ts';
import { at } from '../environments.ts';
import { readExamples } from '../examples.ts';
import { runCommand } from './operator-process.ts';

const EXAMPLES = join(import.meta.dirname, '../../../docs/examples');

describe('render prints what a resource becomes:', () => {
  for (const { name } of readExamples('.')) {
    test(name, async (context) => {
      const { code, stdout, stderr } = await runCommand(context, [
        'render',
        '-f',
        join(EXAMPLES, `${name}.yaml`),
      ]);
      assert.equal(stderr, '');
      assert.equal(code, 0);
      const objects = parseAllDocuments(stdout).map((document) => document.toJS() as unknown);
      assert.ok(objects.length > 5);
      for (const object of objects.filter((each) => at(each, 'kind') === 'Secret')) {
        assert.equal(at(object, 'data'), undefined);
        assert.deepEqual(new Set(Object.values(at(object, 'stringData') ?? {})), new Set(['(generated)']));
      }
    });
  }
});

test('render refuses what the API server would refuse, in its words', async (context) => {
  const { code, stderr, stdout } = await runCommand(context, [
    'render',
    '-f',
    join(EXAMPLES, 'refused/interval.yaml'),
  ]);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^error: .*interval\.yaml: spec\.announce: minIntervalSeconds is above/);
});

test('render tells of a mistake in the raw configuration, and prints the rest', async (context) => {
  const file = join(temporaryFolder(context), 'tracker.yaml');
  const text = readFileSync(join(EXAMPLES, 'minimal.yaml'), 'utf8');
  writeFileSync(file, `${text}spec: {config: {core: {listd: true}}}\n`);
  const { code, stderr, stdout } = await runCommand(context, ['render', '-n', 'trackers', '-f', file]);
  assert.equal(code, 1);
  assert.match(stderr, /^public: ConfigValid: spec\.config: core\.listd/);
  assert.match(stdout, /namespace: trackers/);
});

describe('says in one line', () => {
  const cases: Record<string, { args: string[]; says: RegExp; code: number }> = {
    'that there is no cluster': { args: ['check'], says: /^error: .*(kubeconfig|cluster)/, code: 1 },
    'that a file is missing': {
      args: ['render', '-f', '/nowhere.yaml'],
      says: /^error: \/nowhere\.yaml can not/,
      code: 2,
    },
    'that an address is none': { args: ['run', '--bind-address', 'x'], says: /HOST:PORT/, code: 2 },
    'that a namespace is none': { args: ['run', '--namespaces', 'a,B'], says: /lower-case/, code: 2 },
    'that a command is none': { args: ['walk'], says: /unknown command 'walk'/, code: 2 },
  };
  for (const [title, { args, says, code }] of Object.entries(cases)) {
    test(title, async (context) => {
      const end = await runCommand(context, args);
      assert.match(end.stderr, says);
      assert.doesNotMatch(end.stderr, /\n {4}at /);
      assert.equal(end.code, code);
    });
  }
});

test('version prints the version of the package', async (context) => {
  const { stdout } = await runCommand(context, ['version']);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});
