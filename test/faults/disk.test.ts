/** The disk of an SQLite database full: the tracker goes on, and says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { needs } from '../support/parts.ts';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { findAll, report, startWitnesses, TOKEN } from './witnesses.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const DISK = '4m';
const FAULT_ANNOUNCES = 40;

/** A folder on a disk of its own, which goes after the test. */
function smallDisk(context: TestContext): string {
  const folder = temporaryFolder(context);
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', folder]);
  assert.equal(status, 0, stderr.toString());
  return folder;
}

function unmount(folder: string): void {
  // Lazily: the tracker may have files open.
  spawnSync('umount', ['--lazy', folder]);
}

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let bytes = 2 ** 16; bytes > 0;) {
      try {
        writeSync(file, Buffer.alloc(bytes));
      } catch (error) {
        assert.ok(error instanceof Error && 'code' in error && error.code === 'ENOSPC', String(error));
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}

function configOf(folder: string): PartialConfig {
  return {
    core: { database: { driver: 'sqlite3', path: join(folder, 'tracker.db') } },
    udp_trackers: [ANY],
    http_api: { ...ANY, access_tokens: { admin: TOKEN } },
  };
}

const isReady = async (tracker: TrackerProcess) => (await fetch(`${tracker.health}/readyz`)).ok;

async function tellsTrouble(tracker: TrackerProcess): Promise<boolean> {
  const answer = await fetch(`${tracker.health}/readyz`);
  return !(await answer.text()).includes('"database_trouble":null');
}

describe('While the disk', needs('tmpfs'), () => {
  test('is full, announces are answered, changes are refused, and afterwards all is well', async (context) => {
    const disk = smallDisk(context);
    try {
      const config = configOf(disk);
      const tracker = await startTrackerProcess(context, config);
      const witnesses = startWitnesses(context, tracker);
      await witnesses.changeGetsThrough();
      fill(join(disk, 'filler'));
      const before = witnesses.testimony();
      await waitFor('a change to be refused', () => {
        const { changes } = witnesses.testimony();
        return changes.asked - changes.acknowledged > before.changes.asked - before.changes.acknowledged + 1;
      });
      await waitFor('the trouble to be told', () => tellsTrouble(tracker));
      await waitFor('announces to be answered meanwhile', async () => {
        // Whoever asks, now and then, learns of it.
        assert.ok(await tellsTrouble(tracker));
        return witnesses.testimony().announces.answered > before.announces.answered + FAULT_ANNOUNCES;
      });
      rmSync(join(disk, 'filler'));
      const healedSeconds = await witnesses.changeGetsThrough();
      await waitFor('it to be ready', () => isReady(tracker));
      await waitFor('the end of the trouble to be told', async () => !(await tellsTrouble(tracker)));
      const seen = await witnesses.stop();
      assert.equal(seen.announces.answered, seen.announces.sent);
      assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
      await findAll(context, config, seen);
      report(context, seen, `; healed after ${healedSeconds.toFixed(1)} s`);
    } finally {
      unmount(disk);
    }
  });
});
