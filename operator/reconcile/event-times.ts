/**
 * Events of the cluster, raw, as those who look for the reason of a trouble read them: the last one that fits counts.
 */
import { textAt } from '../json-path.ts';

/** The last event of some reasons, about one object or any; undefined when there is none. */
export function latest(events: readonly unknown[], reasons: readonly string[], about?: string): unknown {
  return newest(
    events.filter(
      (event) =>
        reasons.includes(textAt(event, 'reason') ?? '') &&
        (about === undefined || textAt(event, 'involvedObject', 'name') === about),
    ),
  );
}

/** The event that was seen last; undefined of none. */
export function newest(events: readonly unknown[]): unknown {
  return events.toSorted((one, other) => (timeOf(one) < timeOf(other) ? 1 : -1))[0];
}

/** When an event was last seen. RFC 3339 in UTC: texts are in the order of their times. Empty when it does not say. */
export function timeOf(event: unknown): string {
  return (
    textAt(event, 'series', 'lastObservedTime') ??
    textAt(event, 'lastTimestamp') ??
    textAt(event, 'eventTime') ??
    textAt(event, 'metadata', 'creationTimestamp') ??
    ''
  );
}
