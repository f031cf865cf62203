/**
 * A process that adds keys for as long as it lives, and prints each as soon as it was acknowledged.
 * Argument: the path of an SQLite database.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openDatabase } from '../../../tracker/db/client.ts';

const [path] = process.argv.slice(2);
assert(path !== undefined);
const database = await openDatabase({ kind: 'sqlite3', path });
for (;;) {
  const key = randomBytes(16).toString('hex');
  await database.addKey({ key, validUntilSeconds: null });
  writeSync(1, `${key}\n`);
}
