/**
 * Loaded into every thread of a tracker by `--import`: lets one of them fail as a mistake of ours would, once the file
 * that FAULT_FILE names holds the name of that thread. The tracker itself has no way to be told such a thing.
 */
import { readFileSync } from 'node:fs';
import { isMainThread, threadName } from 'node:worker_threads';

const CHECK_MILLIS = 50;
const { FAULT_FILE: file = '' } = process.env;

function checkFault(): void {
  let name = '';
  try {
    name = readFileSync(file, 'utf8');
  } catch {
    return;
  }
  if (name === threadName) throw new Error(`a fault in ${name} that a test made`);
}

if (!isMainThread) {
  setInterval(checkFault, CHECK_MILLIS).unref();
  // A thread with native sockets never comes back to its timers, but reads this clock at every turn of its loop.
  const now = performance.now.bind(performance);
  performance.now = () => {
    checkFault();
    return now();
  };
}
