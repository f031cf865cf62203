/**
 * Files that are not what they should be are set aside: renamed beside their place to what is wrong with them and the
 * time, `PATH.damaged-20260102T030405678Z`, so that they neither get lost nor overwrite one another. The last few of a
 * place are kept.
 */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Why a file was set aside: it is of another program, of a newer version, broken, or can't be read at all. */
export const ASIDE_REASONS = ['foreign', 'newer', 'damaged', 'unreadable'] as const;
export type AsideReason = (typeof ASIDE_REASONS)[number];

/** How many files that were set aside are kept, of one place. */
export const KEPT_ASIDE = 3;

const ASIDE = new RegExp(`^(${ASIDE_REASONS.join('|')})-(\\d{8}T\\d{9}Z)$`);

/**
 * Gives the file at `path`, which is no link, another name, and removes the oldest of those that have one already.
 * Returns the name. Throws the system's error.
 */
export function renameAside(path: string, reason: AsideReason): string {
  const aside = `${path}.${reason}-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`;
  renameSync(path, aside);
  const timeOf = (suffix: string) => ASIDE.exec(suffix)?.[2] ?? '';
  const named = suffixesOf(path).filter((suffix) => ASIDE.test(suffix));
  const old = named.toSorted((one, other) => (timeOf(one) < timeOf(other) ? 1 : -1)).slice(KEPT_ASIDE);
  for (const suffix of old) rmSync(`${path}.${suffix}`, { force: true });
  return aside;
}

/** Removes the damaged files of a place that were set aside, for room. Returns their names. Throws the system's error. */
export function removeDamagedAside(path: string): string[] {
  const damaged = suffixesOf(path).filter((suffix) => ASIDE.exec(suffix)?.[1] === 'damaged');
  const names = damaged.map((suffix) => `${path}.${suffix}`);
  for (const name of names) rmSync(name, { force: true });
  return names;
}

/** What stands behind the name of a file and a dot in the names of its neighbours. Throws the system's error. */
export function suffixesOf(path: string): string[] {
  const start = `${basename(path)}.`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(start))
    .map((name) => name.slice(start.length));
}
