/**
 * One at a time: bringing a cluster up begins with taking away what a broken one left, which must not be somebody else's. A
 * file names the process that is at work; it goes with that process.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isRunning, markOf, type ProcessMark } from './processes.ts';

const FILE = '/run/lock/torrust-tracker-cluster';

/** Takes the lock until this process ends. Throws, with the other's number, while another process has it. */
export function takeLock(): void {
  const own = markOf(process.pid);
  const draft = `${FILE}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(own));
  try {
    const holder = readHolder();
    if (holder !== undefined && isRunning(holder)) throw busy(holder);
    if (holder !== undefined) rmSync(FILE);
    // A link is made by one of two at once; the other is told that the file exists.
    linkSync(draft, FILE);
  } finally {
    rmSync(draft);
  }
  process.once('exit', () => rmSync(FILE, { force: true }));
}

function busy({ pid }: ProcessMark): Error {
  return new Error(`process ${pid} is at work on the cluster of this machine: wait for its end`);
}

function readHolder(): ProcessMark | undefined {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8')) as ProcessMark; // Written by takeLock.
  } catch {
    return undefined; // Nobody has it.
  }
}
