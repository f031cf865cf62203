/**
 * Reads a configuration of an older layout: judges it in its own words, then translates it into the canonical one.
 *
 * Torrust ignored unknown keys there, so they are warnings here; everything else that is wrong is an error with the key that
 * its author wrote.
 */
import assert from 'node:assert/strict';
import type * as z from 'zod';
import { formatPath, invalidConfig, type ConfigProblem } from '../errors.ts';
import { applyOverrides, originOf, overrideAt, type Origin, type Override } from '../overrides.ts';
import { findBrokenTranslation } from '../rules.ts';
import { schemaAt } from '../schema-tree.ts';
import { configShape, type TrackerConfig, type TrackerConfigInput } from '../schema.ts';
import { isTable, type TomlTable, type TomlValue } from '../toml.ts';
import { describeIssues, guessKey } from '../validation.ts';
import { canonicalPaths, originalPath, type Rename } from './renames.ts';

/** What a translation yields. */
export interface Translated {
  readonly config: TrackerConfigInput;
  /** What the translation could not keep, or did differently. */
  readonly warnings: readonly string[];
  /** Where the entries of the lists of trackers were in the file, when some were left out. */
  readonly positions?: Readonly<Record<string, readonly number[]>>;
}

/** An older layout. */
export interface Layout<S extends z.ZodObject> {
  /** Its name, for warnings. */
  readonly name: string;
  readonly schema: S;
  /** The options that have to be there, in the order in which Torrust asks for them. */
  readonly mandatory: readonly string[];
  /** Stands in for mandatory options that are missing or wrong while the rest of the file is judged. */
  readonly standIn: TomlTable;
  readonly renames: readonly Rename[];
  translate(values: z.output<S>): Translated;
}

/** A configuration that has been read from an older layout. */
export interface ReadConfig {
  readonly config: TrackerConfig;
  readonly warnings: readonly string[];
}

/**
 * Reads `tree`. Overrides whose keys the layout knows are laid over the file; those that only the canonical layout knows
 * are laid over the translation. Throws a `ConfigError` that lists every mistake.
 */
export function readLayout<S extends z.ZodObject>(
  layout: Layout<S>,
  tree: TomlTable,
  overrides: readonly Override[],
  fileOrigin: string,
): ReadConfig {
  const isKnownHere = ({ path }: Override) => schemaAt(layout.schema, path) !== undefined;
  const isKnownLater = ({ path }: Override) => schemaAt(configShape, path) !== undefined;
  const own = overrides.filter((override) => isKnownHere(override) || !isKnownLater(override));
  const later = overrides.filter((override) => !isKnownHere(override) && isKnownLater(override));
  const origin = originOf(tree, own, fileOrigin);

  const { known, warnings } = dropUnknownKeys(layout, applyOverrides(tree, own), origin);
  const problems: ConfigProblem[] = [];
  let parsed = layout.schema.safeParse(known);
  let unsound: PropertyKey[][] = [];
  if (!parsed.success) {
    problems.push(...describeIssues(layout.schema, parsed.error.issues, known, origin, layout.mandatory));
    unsound = parsed.error.issues.flatMap((issue) => canonicalPaths(layout.renames, issue.path));
    parsed = layout.schema.safeParse(withoutUnsound(known, parsed.error.issues, layout.standIn));
    if (!parsed.success) throw invalidConfig(problems);
  }

  const translated = layout.translate(parsed.data);
  const back = (path: readonly PropertyKey[]) =>
    originalPath(layout.renames, restorePosition(translated, path));
  const canonical = applyOverrides(plainTable(translated.config), later);
  const result = configShape.safeParse(canonical);
  if (!result.success) {
    const laterOrigin = originOf(canonical, later, fileOrigin);
    throw invalidConfig([
      ...problems,
      ...describeIssues(configShape, result.error.issues, canonical, laterOrigin),
    ]);
  }
  for (const { path, sentence } of findBrokenTranslation(result.data, unsound)) {
    const variable = overrideAt(later, path)?.variable;
    const shown = variable === undefined ? back(path) : path;
    problems.push({ origin: variable ?? origin(shown), path: `${formatPath(shown)}:`, says: sentence });
  }
  if (problems.length > 0) throw invalidConfig(problems);
  return { config: result.data, warnings: [...warnings, ...translated.warnings] };
}

/** The translation as a reader of TOML would give it: keys without a value are not there. */
function plainTable(config: TrackerConfigInput): TomlTable {
  const parsed: unknown = JSON.parse(JSON.stringify(config));
  assert.ok(isTable(parsed));
  return parsed;
}

/** Takes unknown keys out and names each in a warning. */
function dropUnknownKeys<S extends z.ZodObject>(
  layout: Layout<S>,
  tree: TomlTable,
  origin: Origin,
): { known: TomlTable; warnings: string[] } {
  const issues = layout.schema.safeParse(tree).error?.issues ?? [];
  const known = structuredClone(tree);
  const warnings: string[] = [];
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    for (const key of issue.keys) {
      const path = [...issue.path, key];
      const guess = guessKey(layout.schema, issue.path, key);
      const hint = guess?.startsWith('did you mean') ? `; ${guess}` : '';
      warnings.push(
        `${origin(path)}: ${formatPath(path)} is not a key of ${layout.name} and is ignored${hint}`,
      );
      removeAt(known, path);
    }
  }
  return { known, warnings };
}

function withoutUnsound(tree: TomlTable, issues: readonly z.core.$ZodIssue[], standIn: TomlTable): TomlTable {
  const sound = structuredClone(tree);
  for (const { path } of issues) removeAt(sound, path);
  return layBelow(sound, standIn);
}

/** Removes the value at a path. What stands in a list directly takes the list with it, so that no hole is left. */
function removeAt(tree: TomlTable, path: readonly PropertyKey[]): void {
  let table: TomlValue | undefined = tree;
  const last = path.findLastIndex((name) => typeof name === 'string');
  for (const name of path.slice(0, last)) {
    if (Array.isArray(table)) table = table[Number(name)];
    else if (isTable(table)) table = table[String(name)];
  }
  if (isTable(table)) delete table[String(path[last])];
}

function layBelow(above: TomlTable, below: TomlTable): TomlTable {
  const result: TomlTable = { ...below, ...above };
  for (const [name, value] of Object.entries(below)) {
    const own = above[name];
    if (isTable(value) && isTable(own)) result[name] = layBelow(own, value);
  }
  return result;
}

/** A path into the translation with the position that the entry had in the file. */
function restorePosition({ positions }: Translated, path: readonly PropertyKey[]): PropertyKey[] {
  const [list, index, ...rest] = path;
  const original = positions?.[String(list)]?.[Number(index)];
  return original === undefined || list === undefined ? [...path] : [list, original, ...rest];
}
