/** What is put into the tracker's image has its compiled parts, for the processor of the image; a build without them fails. */
import assert from 'node:assert/strict';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { assemble } from '../../.ci/image/assemble.ts';
import { requireNativeBinaries } from '../../.ci/image/native-binaries.ts';

const PROJECT = join(import.meta.dirname, '../..');
const OTHER_ARCH = process.arch === 'x64' ? 'arm64' : 'x64';

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tt-native-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('An image is put together with its binaries, and none for a processor whose packages are not there', (context) => {
  const folder = temporaryFolder(context);
  assemble(PROJECT, join(folder, 'own'), process.arch);
  const there = globSync('node_modules/**/*.node', { cwd: join(folder, 'own/tracker') });
  assert.equal(there.length, 2, there.join(' '));
  // npm installs the one of koffi for the machine's own processor alone.
  assert.throws(() => assemble(PROJECT, join(folder, 'other'), OTHER_ARCH), /koffi is not installed for/);
});

test('An image lacks something when a binary is missing, or is for another processor', (context) => {
  const folder = temporaryFolder(context);
  const files = globSync(['@koromix/koffi-linux-*/linux_*/koffi.node', 'better-sqlite3/prebuilds/linux-*'], {
    cwd: join(PROJECT, 'node_modules'),
  });
  for (const file of files) {
    const to = join(folder, 'node_modules', file);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(join(PROJECT, 'node_modules', file), to);
  }
  const platform = { arch: process.arch };
  requireNativeBinaries(folder, platform);
  const prebuilt = (arch: string) => join(folder, `node_modules/better-sqlite3/prebuilds/linux-${arch}.node`);
  writeFileSync(prebuilt(process.arch), readFileSync(prebuilt(OTHER_ARCH)));
  assert.throws(() => requireNativeBinaries(folder, platform), /prebuilds.*is not for/);
  rmSync(prebuilt(process.arch));
  assert.throws(() => requireNativeBinaries(folder, platform), /better-sqlite3 is not installed for/);
});
