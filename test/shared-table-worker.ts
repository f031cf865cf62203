/** A reader of a shared table in a thread of its own: looks the same keys up until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { SharedTable, type SharedTableMemory } from '../tracker/shared-table.ts';

// The test that starts this thread passes exactly this; in `done`, 0 is set at the end and 1 counts wrong findings.
const { memory, stays, done } = workerData as {
  memory: SharedTableMemory;
  stays: readonly number[];
  done: Int32Array;
};
const table = SharedTable.attach(memory);
const value = new Int32Array(1);
let lookups = 0;
parentPort?.postMessage('reading');
while (Atomics.load(done, 0) === 0) {
  for (const number of stays) {
    if (!table.find(Int32Array.of(number, ~number), 0, value) || value[0] !== number * 3) done[1]++;
    lookups++;
  }
}
parentPort?.postMessage(lookups);
