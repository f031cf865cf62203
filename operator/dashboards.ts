/** The dashboards of trackers, as they come with the operator: the files of the chart that are not about itself. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../charts/torrust-tracker-operator/dashboards/', import.meta.url);
/** Trackers are handed their own dashboards alone. */
const OF_TRACKERS = /^torrust-tracker.*\.json$/;

/** The texts by the names of the files; none in an installation without them. */
export function readDashboards(): ReadonlyMap<string, string> {
  const files = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  return new Map(
    files
      .filter((name) => OF_TRACKERS.test(name))
      .map((name): [string, string] => [name, readFileSync(new URL(name, FOLDER), 'utf8')]),
  );
}
