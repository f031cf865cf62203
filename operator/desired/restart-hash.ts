/**
 * The hash of everything that a running tracker takes over only by a restart. Pods carry it, so that they are replaced when,
 * and only when, it changes; every other change of the configuration is taken over live.
 */
import { createHash } from 'node:crypto';
import { type ConfigKey, listKeys } from '../../tracker/config/schema-tree.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { leaves } from './configuration.ts';
import type { Observed } from './environment.ts';
import type { JsonObject } from './merge-patch.ts';
import { secretUses } from './secret-uses.ts';

/** Listed once: the schema is walked for it. */
const RESTART_KEYS = listKeys().filter(({ reload }) => reload === 'restart');

/** Sixteen hex digits; the same for the same settings in whatever order they come. */
export function restartHash(tracker: TorrustTracker, tree: JsonObject, observed: Observed): string {
  const settings = leaves(tree, [])
    .filter(({ path }) => isOneOf(path, RESTART_KEYS))
    .map(({ path, value }) => JSON.stringify([path, value]));
  return createHash('sha256')
    .update([...settings.toSorted(), ...restartSecrets(tracker, observed)].join('\n'))
    .digest('hex')
    .slice(0, 16);
}

/** Whether a value is that of one of these keys, or inside it. */
function isOneOf(path: readonly (string | number)[], keys: readonly ConfigKey[]): boolean {
  const names = path.filter((name) => typeof name === 'string');
  // The schema writes a list of tables as `udp_trackers[]`.
  return keys.some(({ path: known }) =>
    known.every((name, index) => name.replace('[]', '') === names[index]),
  );
}

/** The user of the database is read once, when the tracker starts. */
function restartSecrets(tracker: TorrustTracker, observed: Observed): string[] {
  return secretUses(tracker)
    .filter(({ kind }) => kind === 'database_credentials')
    .map(({ name }) => {
      const user = observed.secrets.get(name)?.data.get('username') ?? '';
      return `username ${createHash('sha256').update(user).digest('hex')}`;
    });
}
