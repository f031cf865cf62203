/** Large pages for a large store: what the kernel was asked for stands in `/proc/self/smaps` (proc_pid_smaps(5)). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { addressOf } from '../tracker/net/native/libc.ts';
import { enlargePages } from '../tracker/run/page-enlargement.ts';
import { Store } from '../tracker/swarm/store.ts';
import { Announcer } from './swarm/announcing.ts';
import { waitFor } from './support/waiting.ts';

const MEMORY_BYTES = 2 ** 24;
const hex = (value: number, bytes: number) => value.toString(16).padStart(2 * bytes, '0');

/** Whether large pages were asked for in the middle of a block of memory. */
function hasLargePages(memory: SharedArrayBuffer): boolean {
  const middle = addressOf(memory) + memory.byteLength / 2;
  let isInside = false;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range !== null)
      isInside = middle >= Number.parseInt(range[1], 16) && middle < Number.parseInt(range[2], 16);
    if (isInside && line.startsWith('VmFlags:')) return line.split(' ').includes('hg');
  }
  throw new Error('the memory is nowhere');
}

test('a store that grows gets large pages, and a small one keeps small ones', async (context) => {
  const [small, large] = [Store.create(MEMORY_BYTES, 1), Store.create(MEMORY_BYTES, 1)];
  for (const store of [small, large]) {
    const stop = await enlargePages(store);
    context.after(stop);
  }
  const announcer = new Announcer(large);
  for (let i = 0; large.totals().usedBytes < MEMORY_BYTES / 4; i++) {
    const announce = { infoHash: hex(i >> 8, 20), address: hex(i + 1, 4), peerId: hex(i, 20), port: 6881 };
    announcer.announce({ ...announce, left: 0n, event: 0 }, 1, 0);
  }
  const [ofSmall, ofLarge] = [small, large].map((store) => store.memory.segments[0]);
  await waitFor('large pages', () => hasLargePages(ofLarge));
  assert.equal(hasLargePages(ofSmall), false);
});
