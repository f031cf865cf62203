/** Every way in which files change on a disk, and what does not count as a change. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { FileWatch, type FileWatchOptions } from '../../tracker/run/file-watch.ts';
import { temporaryFolder } from '../config/sample.ts';
import { waitFor } from '../support/waiting.ts';

/** No test waits so long: what is noticed in time was told by an event. */
const NEVER_MILLIS = 3_600_000;

interface Watched {
  readonly watch: FileWatch;
  readonly troubles: readonly string[];
  /** How often a change was told, the first look included. */
  changes(): number;
  /** Waits until so many were told. */
  until(count: number): Promise<void>;
}

/** Watches, and waits for the first look. */
async function openWatch(
  context: TestContext,
  paths: readonly string[],
  options: Partial<FileWatchOptions> = {},
): Promise<Watched> {
  let changes = 0;
  const troubles: string[] = [];
  const watch = new FileWatch(paths, {
    onChange: () => {
      changes++;
    },
    onTrouble: (message) => troubles.push(message),
    pollMillis: NEVER_MILLIS,
    ...options,
  });
  context.after(() => watch.close());
  const until = async (count: number) => {
    // The watch keeps no process alive, and neither does waiting need it to.
    await waitFor(`${count} changes are noticed`, () => changes >= count, 20_000);
    assert.equal(changes, count);
  };
  await until(1);
  return { watch, troubles, changes: () => changes, until };
}

/** A volume of Kubernetes: files are links through `..data`, which is swapped as a whole. */
function mount(folder: string, version: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(folder, `..${version}`));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `..${version}`, name), text);
  const old = readLink(join(folder, '..data'));
  symlinkSync(`..${version}`, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  for (const name of Object.keys(files)) {
    rmSync(join(folder, name), { force: true });
    symlinkSync(join('..data', name), join(folder, name));
  }
  if (old !== undefined) rmSync(join(folder, old), { recursive: true });
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

const CHANGES: Record<
  string,
  { before?: (folder: string) => void; path?: string; change: (folder: string) => void }
> = {
  'is written in place': { change: (folder) => writeFileSync(join(folder, 'file'), 'new') },
  grows: { change: (folder) => appendFileSync(join(folder, 'file'), 'new') },
  'is replaced by another': {
    change: (folder) => {
      writeFileSync(join(folder, 'other'), 'new');
      renameSync(join(folder, 'other'), join(folder, 'file'));
    },
  },
  'is removed': { change: (folder) => rmSync(join(folder, 'file')) },
  'comes to be': {
    before: (folder) => rmSync(join(folder, 'file')),
    change: (folder) => writeFileSync(join(folder, 'file'), 'new'),
  },
  'is a link that is set anew': {
    before: (folder) => {
      writeFileSync(join(folder, 'one'), '1');
      writeFileSync(join(folder, 'two'), '2');
      rmSync(join(folder, 'file'));
      symlinkSync('one', join(folder, 'file'));
    },
    change: (folder) => {
      symlinkSync('two', join(folder, 'next'));
      renameSync(join(folder, 'next'), join(folder, 'file'));
    },
  },
  'is what a link in another folder leads to': {
    before: (folder) => {
      mkdirSync(join(folder, 'elsewhere'));
      writeFileSync(join(folder, 'elsewhere', 'file'), 'old');
      rmSync(join(folder, 'file'));
      symlinkSync(join('elsewhere', 'file'), join(folder, 'file'));
    },
    change: (folder) => writeFileSync(join(folder, 'elsewhere', 'file'), 'new'),
  },
  'lies below a link that is set anew': {
    before: (folder) => {
      for (const version of ['one', 'two']) {
        mkdirSync(join(folder, version));
        writeFileSync(join(folder, version, 'file'), version);
      }
      symlinkSync('one', join(folder, 'current'));
    },
    path: 'current/file',
    change: (folder) => {
      symlinkSync('two', join(folder, 'next'));
      renameSync(join(folder, 'next'), join(folder, 'current'));
    },
  },
  'lies in a volume of Kubernetes': {
    before: (folder) => {
      mkdirSync(join(folder, 'volume'));
      mount(join(folder, 'volume'), 'one', { file: 'old' });
    },
    path: 'volume/file',
    change: (folder) => mount(join(folder, 'volume'), 'two', { file: 'new' }),
  },
  'is a folder that gets a file': {
    before: (folder) => mkdirSync(join(folder, 'tokens')),
    path: 'tokens',
    change: (folder) => writeFileSync(join(folder, 'tokens', 'admin'), 'new'),
  },
  'is a folder whose file changes': {
    before: (folder) => {
      mkdirSync(join(folder, 'tokens'));
      writeFileSync(join(folder, 'tokens', 'admin'), 'old');
    },
    path: 'tokens',
    change: (folder) => writeFileSync(join(folder, 'tokens', 'admin'), 'new'),
  },
  'is a folder that loses a file': {
    before: (folder) => {
      mkdirSync(join(folder, 'tokens'));
      writeFileSync(join(folder, 'tokens', 'admin'), 'old');
    },
    path: 'tokens',
    change: (folder) => rmSync(join(folder, 'tokens', 'admin')),
  },
  'is a folder that is a volume of Kubernetes': {
    before: (folder) => {
      mkdirSync(join(folder, 'volume'));
      mount(join(folder, 'volume'), 'one', { admin: 'old' });
    },
    path: 'volume',
    change: (folder) => mount(join(folder, 'volume'), 'two', { admin: 'new' }),
  },
};

describe('It is noticed when a file', { concurrency: 4 }, () => {
  for (const [title, { before, path = 'file', change }] of Object.entries(CHANGES)) {
    test(title, async (context) => {
      const folder = temporaryFolder(context);
      writeFileSync(join(folder, 'file'), 'old');
      before?.(folder);
      const watched = await openWatch(context, [join(folder, path)]);
      change(folder);
      await watched.until(2);
      assert.deepEqual(watched.troubles, []);
    });
  }

  test('changes again, in a volume that was swapped already', async (context) => {
    const folder = temporaryFolder(context);
    mount(folder, 'one', { file: '1' });
    const watched = await openWatch(context, [join(folder, 'file')]);
    for (const [index, version] of ['two', 'three', 'four'].entries()) {
      mount(folder, version, { file: version });
      await watched.until(2 + index);
    }
  });

  test('changes, though its folder was removed and made anew', async (context) => {
    const folder = temporaryFolder(context);
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'file'), 'old');
    const watched = await openWatch(context, [join(folder, 'sub', 'file')], { pollMillis: 100 });
    rmSync(join(folder, 'sub'), { recursive: true });
    await watched.until(2);
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'file'), 'new');
    await watched.until(3);
    writeFileSync(join(folder, 'sub', 'file'), 'newest');
    await watched.until(4);
  });
});

describe('A watch', { concurrency: 4 }, () => {
  test('says nothing of a file that is written with the same content, or only touched', async (context) => {
    const folder = temporaryFolder(context);
    const file = join(folder, 'file');
    writeFileSync(file, 'same');
    const watched = await openWatch(context, [file]);
    // A second one, whose event comes after those of the first, shows that these have passed.
    const marker = await openWatch(context, [join(folder, 'marker')]);
    writeFileSync(file, 'same');
    utimesSync(file, 1, 1);
    writeFileSync(join(folder, 'neighbour'), 'not ours');
    writeFileSync(join(folder, 'marker'), 'new');
    await marker.until(2);
    writeFileSync(file, 'changed');
    await watched.until(2);
  });

  test('waits until a file that is written in pieces is complete', async (context) => {
    const folder = temporaryFolder(context);
    const file = join(folder, 'file');
    writeFileSync(file, 'old');
    const watched = await openWatch(context, [file]);
    writeFileSync(file, '');
    await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(file, 'new');
    await watched.until(2);
    const marker = await openWatch(context, [file]);
    appendFileSync(file, 'newer');
    await marker.until(2);
    await watched.until(3);
  });

  test('looks at other files when it is told to', async (context) => {
    const folder = temporaryFolder(context);
    const [one, two] = ['one', 'two'].map((name) => join(folder, name));
    writeFileSync(one, '1');
    writeFileSync(two, '2');
    const watched = await openWatch(context, [one]);
    watched.watch.watch([two]);
    await watched.until(2);
    writeFileSync(two, 'new');
    await watched.until(3);
  });

  test('is silent when it is closed', async (context) => {
    const folder = temporaryFolder(context);
    const file = join(folder, 'file');
    writeFileSync(file, 'old');
    const watched = await openWatch(context, [file]);
    const marker = await openWatch(context, [file]);
    watched.watch.close();
    writeFileSync(file, 'new');
    await marker.until(2);
    assert.equal(watched.changes(), 1);
  });

  for (const code of ['ENOSPC', 'EMFILE']) {
    test(`that the kernel refuses with ${code} looks from time to time, and complains once`, async (context) => {
      const folder = temporaryFolder(context);
      const files = ['a/file', 'b/file'].map((name) => join(folder, name));
      for (const [index, file] of files.entries()) {
        mkdirSync(join(file, '..'));
        writeFileSync(file, String(index));
      }
      const watched = await openWatch(context, files, {
        pollMillis: 50,
        // There is no honest way to use up the watches of the whole machine.
        watchFolder: () => {
          throw Object.assign(new Error(`watch: ${code}`), { code });
        },
      });
      writeFileSync(files[1], 'new');
      await watched.until(2);
      assert.equal(watched.troubles.length, 1);
      assert.match(watched.troubles[0], new RegExp(`can't be watched \\(${code};.*every 0.05 s`));
    });
  }
});
