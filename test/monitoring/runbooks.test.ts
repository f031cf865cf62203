/** The pages of alerts tell of things that there are: panels, metrics, keys of the configuration, commands, other pages. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { DASHBOARDS } from '../../charts/monitoring/generate.ts';
import { runCommand } from '../support/tracker-process.ts';
import { METRIC_NAMES } from './metric-names.ts';
import { readDashboard } from './queries.ts';

const DOCS = join(import.meta.dirname, '../../docs');
const FOLDER = join(DOCS, 'runbooks');
const PAGES = readdirSync(FOLDER).map((file) => ({ file, text: readFileSync(join(FOLDER, file), 'utf8') }));
const CONFIGURATION = readFileSync(join(DOCS, 'configuration.md'), 'utf8');
/** Pages of other programs that are named as panels are. */
const OTHER_PAGES = ['Targets'];
/** Beginnings of dotted names that are no keys of the configuration: of resources, of Linux, of charts. */
const OTHER_KEYS = /^(?:spec|status|resources|log|net|cpu)\./;

const TITLES = new Set([
  ...OTHER_PAGES,
  ...Object.keys(DASHBOARDS).flatMap((file) => {
    const { title, panels } = readDashboard(file);
    return [title, title.replace('Torrust Tracker / ', ''), ...panels.map((panel) => panel.title)];
  }),
]);

/** What a pattern finds in a page, and where. */
function found(pattern: RegExp): { readonly file: string; readonly name: string }[] {
  return PAGES.flatMap(({ file, text }) =>
    [...text.matchAll(pattern)].map(([, name = '']) => ({ file, name: name.replaceAll(/\s+/g, ' ') })),
  );
}

/** The commands that a program's help lists. */
async function commandsOf(context: TestContext): Promise<string[]> {
  const { stdout } = await runCommand(context, ['--help']);
  return [...stdout.slice(stdout.indexOf('Commands:')).matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name);
}

describe('A runbook names', () => {
  const kinds: Record<string, { pattern: RegExp; exists: (name: string, file: string) => boolean }> = {
    'panels and dashboards that there are': {
      pattern: /(?<![\w`])_([A-Z][^_`]+)_(?![\w`])/g,
      exists: (name) => TITLES.has(name),
    },
    'metrics that there are': {
      pattern: /\b(torrust_tracker_\w+)/g,
      exists: (name) => METRIC_NAMES.includes(name),
    },
    'keys of the configuration that there are': {
      pattern: /`([a-z_]+(?:\[\])?(?:\.[a-z_]+)+)(?: = [^`]*)?`/g,
      exists: (name) =>
        OTHER_KEYS.test(name) ||
        // A key, or a table of keys.
        ['`', '.'].some((end) => CONFIGURATION.includes(`\n### \`${name}${end}`)),
    },
    'pages that there are': {
      pattern: /\]\(([^)#]+)(?:#[^)]*)?\)/g,
      exists: (name) => existsSync(join(FOLDER, name)),
    },
    'parts of pages that there are': {
      pattern: /\]\(([^)#]+\.md#[^)]+)\)/g,
      exists(name) {
        const [file = '', anchor] = name.split('#');
        const heads = [...readFileSync(join(FOLDER, file), 'utf8').matchAll(/^#+ (.+)$/gm)];
        return heads.some(
          ([, head = '']) =>
            head
              .toLowerCase()
              .replaceAll(/[^\w ]/g, '')
              .replaceAll(' ', '-') === anchor,
        );
      },
    },
  };
  for (const [title, { pattern, exists }] of Object.entries(kinds)) {
    test(title, () => {
      const names = found(pattern);
      assert.ok(names.length > 0, 'some are named');
      assert.deepEqual(
        names.filter(({ file, name }) => !exists(name, file)),
        [],
      );
    });
  }

  test('commands that there are', async (context) => {
    const commands = await commandsOf(context);
    const named = found(/`torrust-tracker (\w+)/g);
    assert.ok(named.length > 0, 'some are named');
    assert.deepEqual(
      named.filter(({ name }) => !commands.includes(name)),
      [],
    );
  });
});
