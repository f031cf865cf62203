/** The image of trackers whose resource names none, unless the operator is told another. */
import { readVersion } from './version.ts';

/** That of this version. */
export function defaultTrackerImage(): string {
  return `ghcr.io/torrust/tracker-kubernetes:${readVersion()}`;
}
