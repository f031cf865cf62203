/**
 * Single values from the environment: `TORRUST_TRACKER_CONFIG_OVERRIDE_{TABLE}__{KEY}`, two underscores between levels.
 *
 * They win over every file. Lists are replaced as a whole; an entry of a list cannot be addressed.
 */
import { parseEnvironmentValue } from './environment-value.ts';
import { isTable, valueAt, type TomlTable, type TomlValue } from './toml.ts';

/** What the name of every such variable begins with, in any case. */
export const overridePrefix = 'TORRUST_TRACKER_CONFIG_OVERRIDE_';

/** One value from the environment. */
export interface Override {
  /** The variable's name. */
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: TomlValue;
}

/** Tells whether a variable's name is that of an override. */
export function isOverrideName(name: string): boolean {
  return name.toUpperCase().startsWith(overridePrefix) && name.length > overridePrefix.length;
}

/** The variable that sets the key at `path`. */
export function overrideName(path: readonly string[]): string {
  return overridePrefix + path.join('__').toUpperCase();
}

/** Reads every override, in the order of the variables' names. */
export function readOverrides(env: Readonly<Record<string, string | undefined>>): Override[] {
  const overrides: Override[] = [];
  for (const variable of Object.keys(env).toSorted()) {
    const text = env[variable];
    if (text === undefined || !isOverrideName(variable)) continue;
    const path = variable.slice(overridePrefix.length).toLowerCase().split('__');
    overrides.push({ variable, path, value: parseEnvironmentValue(text) });
  }
  return overrides;
}

/** The configuration with the overrides laid over it. The tree that is given stays as it is. */
export function applyOverrides(tree: TomlTable, overrides: readonly Override[]): TomlTable {
  return overrides.reduce((result, { path, value }) => lay(result, path, value), tree);
}

/** Names the source of the value at a path, for errors. */
export type Origin = (path: readonly PropertyKey[]) => string;

/** Tells values of the environment from those of `tree`, which `source` names. */
export function originOf(tree: TomlTable, overrides: readonly Override[], source: string): Origin {
  return (path) => {
    const setting = overrideAt(overrides, path);
    if (setting !== undefined) return setting.variable;
    if (valueAt(tree, path) !== undefined) return source;
    // A table that only variables made: one of them reaches into it.
    const below = overrides.find((override) => path.every((name, index) => name === override.path[index]));
    return below?.variable ?? source;
  };
}

/** The variable that sets the value at `path` or a table around it; undefined when none does. */
export function overrideAt(
  overrides: readonly Override[],
  path: readonly PropertyKey[],
): Override | undefined {
  return overrides.findLast((override) => override.path.every((name, index) => name === path[index]));
}

function lay(table: TomlTable, path: readonly string[], value: TomlValue): TomlTable {
  const [name, ...rest] = path;
  if (name === undefined) return isTable(value) ? merge(table, value) : table;
  const present = Object.hasOwn(table, name) ? table[name] : undefined;
  const below = isTable(present) ? present : {};
  if (rest.length > 0) return { ...table, [name]: lay(below, rest, value) };
  return { ...table, [name]: isTable(value) && isTable(present) ? merge(present, value) : value };
}

/** Tables are joined key by key, everything else is replaced. */
function merge(below: TomlTable, above: TomlTable): TomlTable {
  return Object.entries(above).reduce((result, [name, value]) => lay(result, [name], value), below);
}
