/** What is particular to a database in a file: the file itself, other programs that use it, and sudden death. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defaultSqlitePath } from '../../tracker/config/default-sqlite-path.ts';
import { openDatabase } from '../../tracker/db/client.ts';
import { DatabaseError } from '../../tracker/db/error.ts';
import { defaultTiming, type DatabaseState } from '../../tracker/db/model.ts';
import { siteAt, temporaryFolder } from './drivers.ts';

describe('an SQLite file', () => {
  const unopenable: readonly [string, (folder: string) => string, RegExp][] = [
    [
      'whose folder cannot be made',
      (folder) => {
        writeFileSync(join(folder, 'file'), '');
        return join(folder, 'file', 'deep', 'tracker.db');
      },
      /its folder .*deep cannot be created \(ENOTDIR\); create the folder or name another path/,
    ],
    [
      'whose folder is missing, as is the one above',
      (folder) => join(folder, 'missing', 'deep', 'tracker.db'),
      /its folder .*missing\/deep cannot be created \(ENOENT\); create the folder or name another path/,
    ],
    [
      'that is a folder',
      (folder) => {
        mkdirSync(join(folder, 'tracker.db'));
        return join(folder, 'tracker.db');
      },
      /it is a folder; name a file/,
    ],
    [
      'that is no database',
      (folder) => {
        writeFileSync(
          join(folder, 'tracker.db'),
          'some text of a file that was never a database '.repeat(100),
        );
        return join(folder, 'tracker.db');
      },
      /it is not an SQLite database; move the file away or name another path/,
    ],
  ];
  for (const [what, prepare, message] of unopenable) {
    test(`${what} is refused at once in one line that names it`, async (context) => {
      const path = prepare(temporaryFolder(context));
      await assert.rejects(openDatabase({ kind: 'sqlite3', path }), (error) => {
        assert(error instanceof DatabaseError);
        assert.equal(error.code, 'unopenable');
        assert.match(error.message, message);
        assert(error.message.startsWith(`cannot open the SQLite database ${path}: `));
        assert(!error.message.includes('\n'));
        return true;
      });
    });
  }

  test('that was cut off in the middle is refused as damaged', async (context) => {
    const site = siteAt(context, { kind: 'sqlite3', path: join(temporaryFolder(context), 'tracker.db') });
    await (await site.open()).close();
    assert(site.options.kind === 'sqlite3');
    truncateSync(site.options.path, 5000);
    await assert.rejects(
      site.open(),
      (error) => error instanceof DatabaseError && error.code === 'unopenable',
    );
  });

  test('whose path is the default one is made with all its folders', async (context) => {
    const folder = temporaryFolder(context);
    const before = process.cwd();
    context.after(() => process.chdir(before));
    process.chdir(folder);
    await siteAt(context, { kind: 'sqlite3', path: defaultSqlitePath }).open();
    assert.ok(existsSync(join(folder, defaultSqlitePath)));
  });

  test('is made with its folder, and only its owner and group can read it', async (context) => {
    const path = join(temporaryFolder(context), 'database', 'tracker.db');
    const site = siteAt(context, { kind: 'sqlite3', path });
    const database = await site.open();
    await database.addToWhitelist('1'.padStart(40, '0'));
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      assert.equal(statSync(file).mode & 0o027, 0, file);
    }
    assert.equal(statSync(join(path, '..')).mode & 0o007, 0);
    await database.close();
    assert.equal(existsSync(`${path}-wal`), false);
  });

  test('keeps the mode that its owner gave it', async (context) => {
    const path = join(temporaryFolder(context), 'tracker.db');
    writeFileSync(path, '', { mode: 0o600 });
    await siteAt(context, { kind: 'sqlite3', path }).open();
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test('that another program writes to all the time takes every change of the tracker', async (context) => {
    const site = siteAt(context, { kind: 'sqlite3', path: join(temporaryFolder(context), 'tracker.db') });
    // All that is asked for at once takes its time where disks are slow.
    const timing = { ...defaultTiming, callDeadlineMillis: 60_000, changeDeadlineMillis: 60_000 };
    const database = await site.open({}, timing);
    const other = await site.open({}, timing);
    const hash = (n: number): string => n.toString(16).padStart(40, '0');
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        Promise.all([
          database.addCompleted(`batch-${n}`, new Map([[hash(1), 1]])),
          other.addToWhitelist(hash(n)),
          other.addCompleted(`other-${n}`, new Map([[hash(1), 1]])),
        ]),
      ),
    );
    assert.deepEqual(await database.loadCompleted([hash(1)]), new Map([[hash(1), 100]]));
    assert.equal((await database.loadWhitelist()).length, 50);
  });

  test('that another program holds makes calls fail in time, the main thread goes on, and later calls succeed', async (context) => {
    const site = siteAt(context, { kind: 'sqlite3', path: join(temporaryFolder(context), 'tracker.db') });
    const states: DatabaseState[] = [];
    const database = await site.open(
      { onStateChange: (state) => states.push(state) },
      { ...defaultTiming, callDeadlineMillis: 2_000, changeDeadlineMillis: 2_000 },
    );
    const holder = await site.direct.transaction();
    await holder('whitelist').insert({ info_hash: '9'.padStart(40, '0') });
    let ticks = 0;
    const ticking = setInterval(() => (ticks += 1), 5);
    context.after(() => clearInterval(ticking));
    const key = { key: 'held'.padEnd(32, '0'), validUntilSeconds: null };
    // Two calls: the first waits for the lock, the second behind it runs out of time without ever being tried.
    const calls = await Promise.allSettled([
      database.addKey(key),
      database.addKey(key),
      database.addKey(key),
    ]);
    for (const call of calls) {
      assert(call.status === 'rejected' && call.reason instanceof DatabaseError);
      assert.equal(call.reason.code, 'unavailable');
    }
    assert(ticks >= 10, `the main thread ticked ${ticks} times`);
    await holder.commit();
    // What was answered with an error in time may not be done later on.
    assert.deepEqual(await database.loadKeys(), []);
    await database.addKey(key);
    assert.deepEqual(await database.loadKeys(), [key]);
    assert.deepEqual(database.state(), { kind: 'up' });
  });

  test('holds every key that was acknowledged when the process is killed at any moment', async (context) => {
    const path = join(temporaryFolder(context), 'tracker.db');
    const script = fileURLToPath(new URL('./processes/write-keys.ts', import.meta.url));
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      context.after(() => child.kill('SIGKILL'));
      const deathAfter = acknowledged.length + 1 + Math.floor(Math.random() * 60);
      for await (const line of createInterface(child.stdout)) {
        acknowledged.push(line);
        if (acknowledged.length === deathAfter) child.kill('SIGKILL');
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      assert.equal(child.signalCode, 'SIGKILL');
    }
    const database = await siteAt(context, { kind: 'sqlite3', path }).open();
    const stored = new Set((await database.loadKeys()).map(({ key }) => key));
    assert.deepEqual(
      acknowledged.filter((key) => !stored.has(key)),
      [],
    );
  });
});
