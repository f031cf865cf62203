/** The file of a snapshot: replaced as a whole or not at all, and nothing else is touched. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  openSnapshot,
  removePartials,
  replaceSnapshot,
  setAside,
  SnapshotFileError,
} from '../../tracker/run/snapshot-file.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { restore, snapshotOf } from '../swarm/snapshot-bytes.ts';
import { temporaryFolder } from '../support/tracker-process.ts';
import { filledStore } from './swarm-content.ts';

const OLD = snapshotOf(filledStore(10));
const NEW = snapshotOf(filledStore(20));
const NOBODY = 65_534;

/** A folder with the old snapshot in it. */
function folderWithSnapshot(context: TestContext): { folder: string; path: string } {
  const folder = temporaryFolder(context);
  const path = join(folder, 'swarms');
  writeFileSync(path, OLD);
  return { folder, path };
}

function replace(path: string, bytes: Uint8Array, aside: string[] = []): number | null {
  return replaceSnapshot(
    path,
    (write) => {
      for (let at = 0; at < bytes.length; at += 1000) write(bytes.subarray(at, at + 1000));
      return true;
    },
    (news) => aside.push(news.kind === 'aside' ? news.reason : news.kind),
  );
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof SnapshotFileError, String(error));
    return error.code;
  }
  return 'none';
}

test('A new snapshot takes the place of the old one, for its owner alone', (context) => {
  const { folder, path } = folderWithSnapshot(context);
  assert.equal(replace(path, NEW), NEW.length);
  assert.deepEqual(readFileSync(path), NEW);
  assert.deepEqual(readdirSync(folder), ['swarms']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

describe('The old snapshot stays, and nothing beside it, when the new one', () => {
  const cases: Record<string, (write: (bytes: Uint8Array) => void) => boolean> = {
    'is given up': (write) => {
      write(NEW);
      return false;
    },
    'meets an error': (write) => {
      write(NEW);
      throw new SnapshotFileError('ETEST', 'of the test');
    },
  };
  for (const [title, produce] of Object.entries(cases)) {
    test(title, (context) => {
      const { folder, path } = folderWithSnapshot(context);
      const code = codeOf(() =>
        assert.equal(
          replaceSnapshot(path, produce, () => undefined),
          null,
        ),
      );
      assert.ok(['none', 'ETEST'].includes(code));
      assert.deepEqual(readFileSync(path), OLD);
      assert.deepEqual(readdirSync(folder), ['swarms']);
    });
  }

  test('does not fit on the disk', (context) => {
    const { folder, path } = folderWithSnapshot(context);
    const writer = join(import.meta.dirname, 'processes/write-once.ts');
    // The system stops a file at this size, as a full disk does.
    const limited = `ulimit -f 64; exec "${process.execPath}" "${writer}" "${path}" 5000`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', limited], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^EFBIG: /);
    assert.deepEqual(readFileSync(path), OLD);
    assert.deepEqual(readdirSync(folder), ['swarms']);
  });
});

describe('What is no snapshot of ours is set aside before it would be overwritten:', () => {
  const newer = Buffer.from(OLD);
  newer.writeUInt32LE(2, 8);
  const cases = { foreign: Buffer.from('a letter to a friend'), newer, damaged: OLD.subarray(0, 20) };
  for (const [reason, bytes] of Object.entries(cases)) {
    test(reason, (context) => {
      const { folder, path } = folderWithSnapshot(context);
      writeFileSync(path, bytes);
      const reasons: string[] = [];
      replace(path, NEW, reasons);
      assert.deepEqual(reasons, [reason]);
      assert.deepEqual(readFileSync(path), NEW);
      const [aside] = readdirSync(folder).filter((name) => name.startsWith(`swarms.${reason}-`));
      assert.deepEqual(readFileSync(join(folder, aside)), bytes);
    });
  }
});

test('Of the files that were set aside, the last three are kept', async (context) => {
  const { folder, path } = folderWithSnapshot(context);
  writeFileSync(join(folder, 'swarms.damaged-report.txt'), 'of somebody else');
  // Of a neighbour whose name begins alike.
  const neighbour = `${path}.old.damaged-20200101T000000000Z`;
  writeFileSync(neighbour, 'of somebody else');
  const reasons = ['damaged', 'foreign', 'newer', 'unreadable', 'damaged'] as const;
  const names: string[] = [];
  for (const reason of reasons) {
    writeFileSync(path, reason);
    names.push(setAside(path, reason));
    await sleep(2);
  }
  assert.deepEqual(
    names.map((name) => existsSync(name)),
    [false, false, true, true, true],
  );
  assert.ok(existsSync(neighbour));
  assert.equal(readdirSync(folder).length, 5);
});

test('On a full disk the damaged files that were set aside make room, and no others', (context) => {
  const { folder, path } = folderWithSnapshot(context);
  const names = ['swarms.damaged-20260101T000000000Z', 'swarms.foreign-20260101T000000000Z'];
  for (const name of names) writeFileSync(join(folder, name), 'aside');
  const told: unknown[] = [];
  const isFull = () => existsSync(join(folder, names[0]));
  const produce = (write: (bytes: Uint8Array) => void) => {
    write(NEW);
    if (isFull()) throw new SnapshotFileError('ENOSPC', 'the disk is full');
    return true;
  };
  assert.equal(
    replaceSnapshot(path, produce, (news) => told.push(news)),
    NEW.length,
  );
  assert.deepEqual(told, [{ kind: 'removed', paths: [join(folder, names[0])] }]);
  assert.deepEqual(readFileSync(path), NEW);
  assert.deepEqual(readdirSync(folder).toSorted(), ['swarms', names[1]]);
  const fails = (): never => {
    throw new SnapshotFileError('ENOSPC', 'the disk is full');
  };
  assert.equal(
    codeOf(() => replaceSnapshot(path, fails, () => assert.fail('there is nothing to remove'))),
    'ENOSPC',
  );
});

test('A file that another tracker writes at this moment stays, and one that nobody writes goes', (context) => {
  const { folder, path } = folderWithSnapshot(context);
  const [young, old, foreign] = [
    'swarms.partial-1-00000000',
    'swarms.partial-1-00000001',
    'swarms.next.partial-1-00000002',
  ];
  for (const name of [young, old, foreign]) writeFileSync(join(folder, name), 'a part');
  const longAgo = Date.now() / 1000 - 120;
  for (const name of [old, foreign]) utimesSync(join(folder, name), longAgo, longAgo);
  replace(path, NEW);
  assert.deepEqual(readdirSync(folder).toSorted(), ['swarms', foreign, young]);
  removePartials(path);
  assert.deepEqual(readdirSync(folder).toSorted(), ['swarms', foreign, young]);
});

describe('Nothing but a file is touched:', () => {
  test('a folder', (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, 'data');
    mkdirSync(path);
    for (const work of [
      () => openSnapshot(path),
      () => replace(path, NEW),
      () => setAside(path, 'unreadable'),
    ]) {
      assert.equal(codeOf(work), 'ENOTFILE');
    }
    assert.deepEqual(readdirSync(folder), ['data']);
  });

  test('a device', () => {
    assert.equal(
      codeOf(() => openSnapshot('/dev/null')),
      'ENOTFILE',
    );
    assert.equal(
      codeOf(() => replace('/dev/null', NEW)),
      'ENOTFILE',
    );
    assert.ok(statSync('/dev/null').isCharacterDevice());
  });

  test('the file behind a link is replaced, and the link stays', (context) => {
    const { folder, path } = folderWithSnapshot(context);
    const link = join(folder, 'link');
    symlinkSync('swarms', link);
    replace(link, NEW);
    assert.deepEqual(readFileSync(path), NEW);
    assert.deepEqual(readdirSync(folder).toSorted(), ['link', 'swarms']);
  });
});

test('A folder that is missing is not made', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'missing', 'swarms');
  assert.equal(
    codeOf(() => openSnapshot(path)),
    'ENOENT',
  );
  assert.equal(
    codeOf(() => replace(path, NEW)),
    'ENOENT',
  );
  assert.deepEqual(readdirSync(folder), []);
});

test('A file that may not be read is set aside, and one that may not be written stays', (context) => {
  const { folder, path } = folderWithSnapshot(context);
  chmodSync(path, 0);
  chmodSync(folder, 0o755);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const writer = join(import.meta.dirname, 'processes/write-once.ts');
  const write = () => spawnSync(process.execPath, [writer, path, '20'], { encoding: 'utf8', ...user });
  const first = write();
  assert.equal(first.stdout, `aside unreadable\n${NEW.length}\n`, first.stderr);
  chmodSync(folder, 0o555);
  const before = readFileSync(path);
  assert.match(write().stdout, /^EACCES: access is denied/);
  assert.deepEqual(readFileSync(path), before);
  chmodSync(folder, 0o755);
});

test('A writer that is killed at any moment leaves the old file or a new one', async (context) => {
  const { folder, path } = folderWithSnapshot(context);
  const writer = join(import.meta.dirname, 'processes/write-forever.ts');
  let generations = 0;
  let partials = 0;
  for (let round = 0; round < 12; round++) {
    const child = spawn(process.execPath, [writer, path, '20000'], { stdio: ['ignore', 'pipe', 'inherit'] });
    context.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    await sleep(10 + 13 * round);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = Store.create(16 * 2 ** 20, 1);
    const { end, counts } = restore(readFileSync(path), store, { timeoutSeconds: 2 ** 28 });
    assert.equal(end, 'end');
    assert.ok([10, 20_000].includes(counts.kept), String(counts.kept));
    if (counts.kept > 10) generations++;
    const left = readdirSync(folder).filter((name) => name.includes('.partial-'));
    partials += left.length;
    for (const name of left) utimesSync(join(folder, name), 0, 0);
    removePartials(path);
    assert.deepEqual(readdirSync(folder), ['swarms']);
  }
  context.diagnostic(`${generations} new files, ${partials} killed in the middle`);
  assert.ok(partials > 0, 'a writer was killed in the middle');
});
