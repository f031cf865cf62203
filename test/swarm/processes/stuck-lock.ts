/** Takes a lock, and wants it again: never to be had, as from a thread that died inside. What is thrown is caught. */
import { lock } from '../../../tracker/swarm/lock.ts';

const words = new Int32Array(new SharedArrayBuffer(4));
lock(words, 0);
try {
  lock(words, 0);
} catch {
  // As code around a lock may do; the process has to end nevertheless.
}
setInterval(() => undefined, 1_000);
