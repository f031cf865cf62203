/**
 * Times of Leases and Events, which Kubernetes writes with six digits after the second (MicroTime). A Date has three.
 */

/** A time as MicroTime: `2026-01-31T12:00:00.123000Z`. */
export function microTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z');
}
