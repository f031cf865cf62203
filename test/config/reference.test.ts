import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { referencePath, renderReference } from '../../tracker/config/reference.ts';
import { listKeys } from '../../tracker/config/schema-tree.ts';
import { parseToml } from '../../tracker/config/toml.ts';
import { validateConfig } from '../../tracker/config/validation.ts';

suite('the reference page', () => {
  const page = renderReference();

  test('is current: node tracker/config/reference.ts --write', () => {
    assert.equal(readFileSync(referencePath, 'utf8'), page);
  });

  test('explains every key', () => {
    for (const { path, description } of listKeys()) {
      assert.ok(page.includes(`### \`${path.join('.')}\`\n\n${description}\n`), path.join('.'));
    }
  });

  test('begins with a file that works', () => {
    const [, toml] = /```toml\n([^`]+)```/.exec(page) ?? [];
    assert.equal(validateConfig(parseToml(toml ?? '', 'page'), () => 'page').udp_trackers.length, 1);
  });

  test('shows what an error looks like', () => {
    assert.match(
      page,
      /The configuration has 3 mistakes:\n {2}\.\/tracker\.toml: logging\.trace_filter is "verbose"/,
    );
  });
});

test('judging and printing a configuration needs no file and no network', () => {
  const seen = new Set<string>();
  const builtIns = new Set<string>();
  const visit = (url: URL) => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    for (const [, target = ''] of readFileSync(fileURLToPath(url), 'utf8').matchAll(
      /^(?:import|\}).* from '([^']+)';$/gm,
    )) {
      if (target.startsWith('.')) visit(new URL(target, url));
      else if (target.startsWith('node:')) builtIns.add(target);
    }
  };
  for (const name of ['validation', 'print'])
    visit(new URL(`../../tracker/config/${name}.ts`, import.meta.url));
  assert.ok(seen.size > 5);
  // node:net only for telling IP addresses from other texts, node:path for comparing paths as texts.
  assert.deepEqual([...builtIns].toSorted(), ['node:assert/strict', 'node:net', 'node:path']);
});
