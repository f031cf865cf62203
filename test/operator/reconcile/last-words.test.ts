/** What is told of the end of a container's log: the words of a real tracker, and those of whatever else an image says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lastWords } from '../../../operator/reconcile/last-words.ts';
import { runCommand, temporaryFolder, writeConfig } from '../../support/tracker-process.ts';

describe('Of a log that ends with', () => {
  const cases: Record<string, { text: string; words: string }> = {
    nothing: { text: '\n', words: '' },
    'an error of several lines': {
      text: '{"msg":"a"}\nerror: The configuration has a mistake:\n  core.listed is 5\n      allowed: true or false\n',
      words: 'The configuration has a mistake: core.listed is 5 allowed: true or false',
    },
    'a line in JSON': { text: '{"level":"fatal","msg":"The worker died."}\n', words: 'The worker died' },
    'plain words': { text: 'first\nSegmentation fault\n', words: 'Segmentation fault' },
  };
  for (const [title, { text, words }] of Object.entries(cases)) {
    test(`${title}, that is told`, () => assert.equal(lastWords(text), words));
  }
  test('very much, or with colours, one short and plain line is told', () => {
    const words = lastWords(`\u001b[31m${'x'.repeat(5000)}`);
    assert.ok(words.length < 500);
    assert.doesNotMatch(words, /\p{Cc}/u);
  });
});

test('a tracker that can not open its database says so in its last words', async (context) => {
  const folder = temporaryFolder(context);
  const path = writeConfig(folder, {
    core: { private: true, database: { driver: 'sqlite3', path: '/proc/none/tracker.db' } },
  });
  const { stdout, stderr } = await runCommand(context, ['run', '-c', path], { folder });
  assert.match(
    lastWords(`${stdout}${stderr}`),
    /^cannot open the SQLite database \/proc\/none\/tracker\.db: .*; create the folder or name another path/,
  );
});
