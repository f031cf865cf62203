import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { writeDefaultConfig } from '../../tracker/config/generate.ts';
import { configError, loadText, temporaryFolder } from './sample.ts';

suite('writing the default configuration', () => {
  test('makes the folders on its way and leaves nothing but the file', (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'storage', 'etc', 'tracker.toml');
    assert.deepEqual(writeDefaultConfig(path), { kind: 'written' });
    assert.deepEqual(readdirSync(join(folder, 'storage', 'etc')), ['tracker.toml']);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(loadText(readFileSync(path, 'utf8')).warnings, []);
  });

  test('never replaces a file', (t) => {
    const path = join(temporaryFolder(t), 'tracker.toml');
    writeFileSync(path, 'mine');
    assert.deepEqual(writeDefaultConfig(path), { kind: 'exists' });
    assert.equal(readFileSync(path, 'utf8'), 'mine');
  });

  test('says why it cannot', (t) => {
    const file = join(temporaryFolder(t), 'file');
    writeFileSync(file, '');
    const error = configError(() => writeDefaultConfig(join(file, 'below', 'tracker.toml')));
    assert.equal(error.code, 'file_unwritable');
    assert.match(error.message, /tracker\.toml: ENOTDIR\.$/);
  });
});
