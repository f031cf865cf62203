/**
 * Paths of an older layout and the canonical paths that their values go to, in both directions, so that an error about a
 * translated value names the key that its author wrote.
 */

/** The old path and the canonical path; `*` stands for any position in a list. */
export type Rename = readonly [old: readonly string[], canonical: readonly string[]];

/** The canonical paths that the value at an old path goes to; the path itself when it has kept its name. */
export function canonicalPaths(
  renames: readonly Rename[],
  path: readonly PropertyKey[],
): readonly PropertyKey[][] {
  const found = renames
    .filter(([old]) => startsWith(path, old))
    .map(([old, canonical]) => replaceStart(path, old, canonical));
  return found.length > 0 ? found : [[...path]];
}

/** The old path of what is now at a canonical path; the most specific entry decides. */
export function originalPath(renames: readonly Rename[], path: readonly PropertyKey[]): PropertyKey[] {
  const [best] = renames
    .filter(([, canonical]) => startsWith(path, canonical))
    .toSorted(([, one], [, other]) => other.length - one.length);
  return best === undefined ? [...path] : replaceStart(path, best[1], best[0]);
}

function startsWith(path: readonly PropertyKey[], pattern: readonly string[]): boolean {
  return (
    pattern.length <= path.length &&
    pattern.every((name, index) => name === path[index] || (name === '*' && typeof path[index] === 'number'))
  );
}

/** Positions in lists are carried over in their order; a `*` without a position stays open and is dropped. */
function replaceStart(
  path: readonly PropertyKey[],
  from: readonly string[],
  to: readonly string[],
): PropertyKey[] {
  const positions = path.slice(0, from.length).filter((_, index) => from[index] === '*');
  const start: PropertyKey[] = [];
  for (const name of to) {
    const next = name === '*' ? positions.shift() : name;
    // A path that ends at the list speaks of all its entries.
    if (next === undefined) return start;
    start.push(next);
  }
  return [...start, ...path.slice(from.length)];
}
