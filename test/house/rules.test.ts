/**
 * The rules of the house that a program can check and the linter does not: see CONTRIBUTING.md for all of them.
 */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { readSources, type Source } from './sources.ts';

interface Rule {
  readonly title: string;
  readonly files: readonly string[];
  /** What breaks the rule in a file, as the end of a sentence that begins with its path; undefined when nothing does. */
  readonly find: (source: Source) => string | undefined;
  /** A file that breaks the rule, and one that keeps it. */
  readonly broken: Source;
  readonly kept: Source;
}

const CODE = ['tracker/**/*.ts', 'operator/**/*.ts', 'test/**/*.ts', '.ci/**/*.ts'];
const EVERYTHING = [
  ...CODE,
  'test/**/*.py',
  'Makefile',
  '.ci/run',
  '.github/**/*.yml',
  'charts/**/*.{yaml,tpl}',
  'Dockerfile*',
];

const MAX_LINES = 450;
/** Files that stay one noun at a greater length; each with its reason. */
const LONG_FILES: Record<string, string> = {};
/** Names that say nothing about what is inside. */
const EMPTY_NAMES = /^(utils?|helpers?|common|manager|base|misc|shared|index)$/;
/** Written with a dash here, so that this file keeps its own rule. */
const POSTPONING_WORDS = ['TO-DO', 'FIX-ME', 'X-XX', 'HA-CK'].map((word) => word.replace('-', ''));
const POSTPONED = new RegExp(`\\b(${POSTPONING_WORDS.join('|')})\\b`);

const RULES: readonly Rule[] = [
  {
    title: 'a source begins with a comment that says what it is',
    files: CODE.filter((pattern) => !pattern.startsWith('test/')),
    find: ({ text }) => (/^(#!.*\n)?\/\*\*[^]{20,}?\*\//.test(text) ? undefined : 'has no head comment'),
    broken: {
      path: 'tracker/a.ts',
      text: 'export const a = 1;\n/** The number one, and more than that. */\n',
    },
    kept: {
      path: 'tracker/a.ts',
      text: '#!/usr/bin/env node\n/** The number one, and more than that. */\nexport const a = 1;\n',
    },
  },
  {
    title: 'a file is named in kebab-case',
    files: CODE,
    find: ({ path }) =>
      /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d))?\.ts$/.test(basename(path)) ? undefined : 'is not in kebab-case',
    broken: { path: 'tracker/swarmStore.ts', text: '' },
    kept: { path: 'tracker/swarm-store.test.ts', text: '' },
  },
  {
    title: 'a file is named for what it holds',
    files: CODE,
    find: ({ path }) =>
      EMPTY_NAMES.test(basename(path).split('.')[0] ?? '') ? 'has a name that says nothing' : undefined,
    broken: { path: 'tracker/utils.ts', text: '' },
    kept: { path: 'tracker/shared-table.ts', text: '' },
  },
  {
    title: 'nothing is postponed in a comment',
    files: EVERYTHING,
    find: ({ text }) => {
      const line = text.split('\n').findIndex((each) => POSTPONED.test(each));
      return line < 0 ? undefined : `postpones something in line ${line + 1}`;
    },
    broken: { path: 'tracker/a.ts', text: `// ${POSTPONING_WORDS[0]}: the rest` },
    kept: { path: 'tracker/a.ts', text: '// Methods are told by their names.' },
  },
  {
    title: 'no test is the only one, and none is left out but through needs()',
    files: ['test/**/*.test.ts'],
    find: ({ text }) => {
      const found = /\b(test|it|describe|suite)\.(only|skip|todo)\(|\b(only|skip|todo): true\b/.exec(text);
      return found ? `says ${found[0]}` : undefined;
    },
    broken: { path: 'test/a.test.ts', text: ['test', `only('works', () => {});`].join('.') },
    kept: { path: 'test/a.test.ts', text: `test('works', needs('netns'), () => {});` },
  },
  {
    title: `a file has at most ${MAX_LINES} lines`,
    files: CODE,
    find: ({ path, text }) => {
      const lines = text.split('\n').length - 1;
      return lines > MAX_LINES && !(path in LONG_FILES) ? `has ${lines} lines` : undefined;
    },
    broken: { path: 'tracker/a.ts', text: '\n'.repeat(MAX_LINES + 1) },
    kept: { path: 'tracker/a.ts', text: '\n'.repeat(MAX_LINES) },
  },
];

for (const { title, files, find, broken, kept } of RULES) {
  describe(title, () => {
    test('everywhere', () => {
      const sources = readSources(...files);
      assert.ok(sources.length > 0);
      const complaints = sources.flatMap((source) => {
        const complaint = find(source);
        return complaint === undefined ? [] : [`${source.path} ${complaint}`];
      });
      assert.deepEqual(complaints, []);
    });
    test('is told from a breach', () => {
      assert.notEqual(find(broken), undefined);
      assert.equal(find(kept), undefined);
    });
  });
}
