/** Advice to the kernel about memory (madvise(2), Linux). */
import { addressOf, openLibc } from './libc.ts';

const MADV_HUGEPAGE = 14;
/** The size of a large page on x64, and on arm64 with pages of 4 KiB. */
export const HUGE_PAGE_BYTES = 2 * 2 ** 20;

/**
 * Asks for large pages where a block of memory is touched from now on; the kernel joins what was touched before when it
 * finds time. Returns whether the kernel agreed; a block without a whole large page in it is none of its business.
 */
export function adviseHugePages(memory: SharedArrayBuffer): boolean {
  const libc = openLibc();
  if (typeof libc === 'string') return false;
  const address = addressOf(memory);
  const first = Math.ceil(address / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
  const end = Math.floor((address + memory.byteLength) / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
  return end > first && libc.madvise(first, end - first, MADV_HUGEPAGE) === 0;
}
