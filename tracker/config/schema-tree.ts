/**
 * Walks over the schema: what is known about the value at a path, and the list of all keys for the reference page.
 */
import * as z from 'zod';
import { keyFacts, kindFacts, sectionFacts, type KeyFacts } from './fields.ts';
import { configShape } from './schema.ts';

/** One key of the configuration, with everything that is known about it. */
export interface ConfigKey extends KeyFacts {
  /** Names of the tables and of the key; `[]` after the name of a list of tables. */
  readonly path: readonly string[];
  /** What values are allowed, in words. */
  readonly allowed: string;
  /** Whether the key has to be there: in every configuration, or in its table, which may itself be left out. */
  readonly mandatory: 'always' | 'in_its_table' | 'no';
  /** The value that is taken when the key is absent; undefined when there is none. */
  readonly defaultValue: unknown;
  /** True when the value must never be printed. */
  readonly secret: boolean;
}

/** One table of the configuration. */
export interface ConfigSection {
  readonly path: readonly string[];
  /** What the table is for; undefined when its keys say enough. */
  readonly description: string | undefined;
}

/** Takes defaults and options off a schema: what is left says which values are allowed. */
export function bare(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return bare(asType(schema.unwrap()));
  }
  return schema;
}

/** The schema of the value at `path`, still with default and option; undefined when the schema knows no such key. */
export function schemaAt(root: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema: z.ZodType | undefined = root;
  for (const name of path) {
    if (schema === undefined) return undefined;
    schema = step(bare(schema), name);
  }
  return schema;
}

/** The names that the table at `path` may hold. */
export function keysOf(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  const schema = schemaAt(root, path);
  const inner = schema === undefined ? undefined : bare(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** In words, what the value at `path` may be. */
export function allowedAt(root: z.ZodType, path: readonly PropertyKey[]): string {
  const schema = schemaAt(root, path);
  return schema === undefined ? '' : allowedText(schema);
}

/** True when the value at `path` is a table or a list, whatever it should hold. */
export function isContainer(root: z.ZodType, path: readonly PropertyKey[]): boolean {
  const schema = schemaAt(root, path);
  const inner = schema === undefined ? undefined : bare(schema);
  return inner instanceof z.ZodObject || inner instanceof z.ZodArray || inner instanceof z.ZodRecord;
}

/** True when the value at `path`, or a table around it, is a secret. */
export function isSecret(root: z.ZodType, path: readonly PropertyKey[]): boolean {
  return path.some((_, index) => {
    const schema = schemaAt(root, path.slice(0, index + 1));
    return schema !== undefined && isSecretKind(schema);
  });
}

/** Every key of the canonical configuration, in the order of the file. */
export function listKeys(): ConfigKey[] {
  const keys: ConfigKey[] = [];
  walk(configShape, [], (schema, path) => {
    const facts = keyFacts.get(schema);
    if (facts === undefined) return;
    keys.push({
      ...facts,
      path,
      allowed: allowedText(schema),
      mandatory: schema.safeParse(undefined).success
        ? 'no'
        : isInOptionalTable(path)
          ? 'in_its_table'
          : 'always',
      secret: isSecretKind(schema),
      defaultValue: schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined,
    });
  });
  return keys;
}

/** Every table of the canonical configuration, in the order of the file. */
export function listSections(): ConfigSection[] {
  const sections: ConfigSection[] = [];
  walk(configShape, [], (schema, path) => {
    if (keyFacts.has(schema)) return;
    sections.push({ path, description: sectionFacts.get(schema)?.description });
  });
  return sections;
}

/** True when a table on the way to a key may be left out. */
function isInOptionalTable(path: readonly string[]): boolean {
  const names = path.flatMap((name) => (name.endsWith('[]') ? [name.slice(0, -2), 0] : [name]));
  return names.some((_, index) => schemaAt(configShape, names.slice(0, index + 1)) instanceof z.ZodOptional);
}

function walk(
  schema: z.ZodType,
  path: readonly string[],
  visit: (schema: z.ZodType, path: readonly string[]) => void,
): void {
  const inner = bare(schema);
  if (keyFacts.has(schema)) return;
  if (inner instanceof z.ZodArray) {
    const last = path.at(-1) ?? '';
    walk(asType(inner.element), [...path.slice(0, -1), `${last}[]`], visit);
    return;
  }
  if (!(inner instanceof z.ZodObject)) return;
  for (const [name, child] of Object.entries(inner.shape)) {
    const childType = asType(child);
    const childPath = [...path, name];
    const isList = bare(childType) instanceof z.ZodArray && !keyFacts.has(childType);
    visit(childType, isList ? [...path, `${name}[]`] : childPath);
    walk(childType, childPath, visit);
  }
}

function step(schema: z.ZodType, name: PropertyKey): z.ZodType | undefined {
  if (schema instanceof z.ZodObject) {
    return Object.hasOwn(schema.shape, name) ? asType(schema.shape[String(name)]) : undefined;
  }
  if (schema instanceof z.ZodArray) return asType(schema.element);
  if (schema instanceof z.ZodRecord) return asType(schema.valueType);
  return undefined;
}

function isSecretKind(schema: z.ZodType): boolean {
  return kindFacts.get(bare(schema))?.secret === true;
}

function allowedText(schema: z.ZodType): string {
  const inner = bare(schema);
  const said = kindFacts.get(inner)?.allowed;
  if (said !== undefined) return said;
  if (inner instanceof z.ZodArray) {
    const element = asType(inner.element);
    return bare(element) instanceof z.ZodObject
      ? 'a list of tables'
      : `a list; each entry ${allowedText(element)}`;
  }
  return 'a table';
}

/** The library types children by its core interface; all of ours are made by its classic classes. */
function asType(schema: unknown): z.ZodType {
  if (schema instanceof z.ZodType) return schema;
  throw new TypeError('a schema is expected');
}
