/**
 * Large pages of memory for a large swarm store. Every announce reads a dozen places all over the store; with pages of
 * 4 KiB the processor looks most of them up in page tables first, with pages of 2 MiB hardly any (about a tenth of
 * the time of an announce among five million peers). A large page is taken from the system as a whole, so a shard gets them only
 * when it fills one: a small tracker stays small.
 */
import type * as MemoryAdvice from '../net/native/memory-advice.ts';
import type { Store } from '../swarm/store.ts';

const LOOK_MILLIS = 2_000;

/** Watches the shards of a store as they grow. Returns what ends it. Does nothing where the kernel can't be asked. */
export async function enlargePages(store: Store): Promise<() => void> {
  const native = await loadAdvice();
  if (native === null) return () => undefined;
  const advised = new Set<SharedArrayBuffer>();
  const timer = setInterval(() => {
    for (const { memory, usedBytes } of store.shardMemories()) {
      if (usedBytes < native.HUGE_PAGE_BYTES || advised.has(memory)) continue;
      advised.add(memory);
      native.adviseHugePages(memory);
    }
  }, LOOK_MILLIS).unref();
  return () => clearInterval(timer);
}

/** Loaded only when it is wanted: the package that it needs has no binary for some systems. */
async function loadAdvice(): Promise<typeof MemoryAdvice | null> {
  try {
    return await import('../net/native/memory-advice.ts');
  } catch {
    return null;
  }
}
