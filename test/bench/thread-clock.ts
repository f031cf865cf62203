/**
 * The processor time of this thread, to the nanosecond (clock_gettime(2)). What Node.js tells of it comes from the kernel's
 * ticks, of four milliseconds on many systems: far too coarse for a turn of a benchmark.
 */
import koffi from 'koffi';

const CLOCK_THREAD_CPUTIME_ID = 3;
const SECOND_NANOS = 1_000_000_000;

const clockGettime = koffi.load('libc.so.6').func('int clock_gettime(int clock, void *time)') as (
  clock: number,
  time: Uint8Array,
) => number; // koffi knows the types at run time only
const time = new BigInt64Array(2);
const bytes = new Uint8Array(time.buffer);

/** Microseconds of processor time that this thread has had. */
export function threadCpuMicros(): number {
  if (clockGettime(CLOCK_THREAD_CPUTIME_ID, bytes) !== 0)
    throw new Error('the system has no clock for threads');
  return (Number(time[0]) * SECOND_NANOS + Number(time[1])) / 1000;
}
