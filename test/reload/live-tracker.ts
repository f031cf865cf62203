/** A tracker process whose configuration and files a test changes under its hands, and whose log it waits for. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
  writeConfig,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

export const TOKEN = 'a-token-of-the-test';
export const ANY = { bind_address: '127.0.0.1:0' };

const DEADLINE_MILLIS = 20_000;

export interface LiveTracker extends TrackerProcess {
  /** Puts another configuration in the place of the one that is there, as a whole. */
  rewrite(config: PartialConfig): void;
  signal(name: NodeJS.Signals): void;
  /** Waits until so many lines of the log match; resolves with the last of them. */
  line(pattern: RegExp, count?: number): Promise<string>;
  /** The lines so far that match. */
  lines(pattern: RegExp): readonly string[];
}

/** Starts a tracker that is stopped, and must end in order, with the test. `folder` holds its files. */
export async function startLiveTracker(
  context: TestContext,
  config: PartialConfig,
  folder = temporaryFolder(context),
): Promise<LiveTracker> {
  const tracker = await startTrackerProcess(context, config, { folder });
  const lines = (pattern: RegExp) =>
    tracker
      .stdout()
      .split('\n')
      .filter((line) => pattern.test(line));
  const live: LiveTracker = {
    ...tracker,
    rewrite: (changed) => {
      const next = join(folder, 'next');
      mkdirSync(next, { recursive: true });
      renameSync(writeConfig(next, changed), join(folder, 'tracker.toml'));
    },
    signal: (name) => process.kill(tracker.pid, name),
    lines,
    async line(pattern, count = 1) {
      const look = () => (lines(pattern).length >= count ? lines(pattern).at(-1) : undefined);
      try {
        return await waitFor(`${count} lines with ${pattern}`, look, DEADLINE_MILLIS);
      } catch (error) {
        throw new Error(`the log is:\n${tracker.stdout()}`, { cause: error });
      }
    },
  };
  return live;
}

/** Stops a tracker, which has to end in order. */
export async function stopInOrder(tracker: TrackerProcess): Promise<void> {
  assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
  assert.equal(tracker.stderr(), '');
}
