/**
 * Judges a configuration that has been read into plain values, and words every mistake.
 *
 * Free of I/O: the operator judges what it renders with the same code.
 */
import { closest, distance } from 'fastest-levenshtein';
import * as z from 'zod';
import { formatGiven, formatKind, formatPath, invalidConfig, type ConfigProblem } from './errors.ts';
import { maskMysqlUrl } from './mysql-url.ts';
import { isOverrideName, type Origin } from './overrides.ts';
import { trackerConfigSchema } from './rules.ts';
import { allowedAt, bare, isContainer, isSecret, keysOf, listKeys, schemaAt } from './schema-tree.ts';
import type { TrackerConfig } from './schema.ts';
import { valueAt } from './toml.ts';

/** Options that have to be in every file, in the order in which Torrust asks for them. */
const mandatoryPaths = ['metadata.schema_version', 'logging.trace_filter', 'core.private', 'core.listed'];

/** Keys of older layouts that a person may still have in mind, and what they are called today. */
const formerNames: Readonly<Record<string, string>> = {
  threshold: 'it is called logging.trace_filter since 3.0.0',
  tsl_config: 'it is called tls_config since 3.0.0',
  net: 'external_ip and on_reverse_proxy are in the network table of each tracker since 3.0.0',
  enabled: 'a table that is there is started; leave the table out to not start it',
  ssl_enabled: 'give the table tls_config for HTTPS, leave it out for HTTP',
  max_connection_id_errors_per_ip: 'it belongs to the table udp_tracker_server',
  ipv6_v6only: 'it belongs to the table network of the tracker',
};

/** Judges a canonical configuration. Throws a `ConfigError` that lists every mistake. */
export function validateConfig(raw: unknown, origin: Origin): TrackerConfig {
  const result = trackerConfigSchema.safeParse(raw);
  if (result.success) return result.data;
  throw invalidConfig(describeIssues(trackerConfigSchema, result.error.issues, raw, origin));
}

/**
 * Words the findings of a schema. `root` is the schema that found them, `raw` what it was given. Missing mandatory
 * options come first, in the order of `mandatory`.
 */
export function describeIssues(
  root: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  origin: Origin,
  mandatory: readonly string[] = mandatoryPaths,
): ConfigProblem[] {
  const problems = issues.flatMap((issue) => describeIssue(root, issue, raw, origin, mandatory));
  const rank = ({ path, says }: ConfigProblem) => {
    const index = mandatory.indexOf(path);
    return index >= 0 && says.startsWith('is missing') ? index : mandatory.length;
  };
  return problems.toSorted((one, other) => rank(one) - rank(other));
}

function describeIssue(
  root: z.ZodType,
  issue: z.core.$ZodIssue,
  raw: unknown,
  origin: Origin,
  mandatory: readonly string[],
): ConfigProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => describeUnknownKey(root, [...issue.path, key], origin));
  }
  const isRule = issue.code === 'custom' && issue.message !== 'Invalid input';
  const path = formatPath(issue.path);
  const source = origin(issue.path);
  const value = valueAt(raw, issue.path);
  if (isRule) {
    return [{ origin: source, path: `${path}:`, says: issue.message }];
  }
  const allowed = allowedAt(root, issue.path);
  if (issue.code === 'invalid_key') {
    return [{ origin: source, path, says: 'has an empty name', allowed: 'a name of your choice' }];
  }
  if (value === undefined) {
    const says = mandatory.includes(path)
      ? `is missing: Missing mandatory configuration option. Option path: ${path}`
      : 'is missing';
    return [{ origin: source, path, says, allowed }];
  }
  return [
    {
      origin: source,
      path,
      says: `is ${describeGiven(root, issue.path, value)}`,
      allowed,
      ...hintForText(root, issue, value, source),
    },
  ];
}

/** A value in place of a table or a list is not shown either: it may be the secret that belongs into it. */
function describeGiven(root: z.ZodType, path: readonly PropertyKey[], value: unknown): string {
  if (isSecret(root, path)) return `${formatKind(value)} (not shown)`;
  if (isContainer(root, path)) return formatKind(value);
  return formatGiven(typeof value === 'string' ? maskMysqlUrl(value) : value);
}

function describeUnknownKey(root: z.ZodType, path: readonly PropertyKey[], origin: Origin): ConfigProblem {
  const name = String(path.at(-1));
  const hint = guessKey(root, path.slice(0, -1), name);
  return {
    origin: origin(path),
    path: formatPath(path),
    says: 'is not a known key',
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Guesses what an unknown key was meant to be: a neighbour of a similar name, an older name, a key of another table. */
export function guessKey(root: z.ZodType, table: readonly PropertyKey[], name: string): string | undefined {
  const neighbours = keysOf(root, table);
  if (neighbours.length > 0) {
    const nearest = closest(name.toLowerCase(), neighbours);
    if (distance(name.toLowerCase(), nearest) <= Math.max(1, Math.floor(nearest.length / 3))) {
      return `did you mean ${formatPath([...table, nearest])}?`;
    }
  }
  if (Object.hasOwn(formerNames, name)) return formerNames[name];
  const elsewhere = listKeys().filter(({ path }) => path.at(-1) === name);
  if (elsewhere.length === 0) return undefined;
  return `did you mean ${elsewhere.map(({ path }) => formatPath(path)).join(' or ')}?`;
}

/** Variables are typed by the shape of their text; a text that looks like a number needs quotes of its own. */
function hintForText(
  root: z.ZodType,
  issue: z.core.$ZodIssue,
  value: unknown,
  source: string,
): { hint: string } | Record<never, never> {
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const nearest = closest(value.toLowerCase(), issue.values.map(String));
    return distance(value.toLowerCase(), nearest) <= 2
      ? { hint: `did you mean ${JSON.stringify(nearest)}?` }
      : {};
  }
  const schema = schemaAt(root, issue.path);
  const wantsText = schema !== undefined && bare(schema) instanceof z.ZodString;
  const looksDifferent = typeof value === 'number' || typeof value === 'boolean';
  if (!wantsText || !looksDifferent) return {};
  const quoted = isOverrideName(source) ? `'"..."'` : '"..."';
  return { hint: `the value was read as ${formatKind(value)}; write ${quoted} to give a text` };
}
