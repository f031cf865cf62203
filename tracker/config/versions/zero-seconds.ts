/**
 * Intervals of 0 seconds, which Torrust takes in its older layouts: a client may announce whenever it likes, a peer is gone
 * as soon as somebody looks. The canonical layout begins at 1, which is as good as that.
 */

/** A number of seconds of an older layout, from 1 on; says so in `warnings` when it was 0. `key` is as it is written there. */
export function fromOneSecond(key: string, seconds: number, warnings: string[]): number {
  if (seconds > 0) return seconds;
  warnings.push(`${key} = 0 counts as 1`);
  return 1;
}
