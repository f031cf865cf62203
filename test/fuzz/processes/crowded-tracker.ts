/**
 * An HTTP listener in a process of its own, which its parent gives few descriptors. The argument is the kind of sockets;
 * the port goes to standard output.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { makeTracker, openNative, openPortable } from '../in-process-listeners.ts';

const isNative = process.argv[2] === 'native';
const parts = makeTracker({ http_trackers: [{ bind_address: '127.0.0.1:0' }] }, 2 ** 20);
const listeners = isNative ? openNative(parts) : await openPortable(parts);
console.log(listeners.addresses[0].port);
while (isNative) {
  listeners.step();
  await nextTurn();
}
