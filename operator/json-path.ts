/**
 * Reads values out of raw JSON by their path, when nobody has checked its shape: what is missing or of another type is
 * `undefined`, or empty for lists and tables.
 */

/** The value at a path of names; undefined when a part of the path is missing. */
export function valueAt(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, name) => (isTable(found) ? found[name] : undefined), value);
}

/** The text at a path; undefined for an empty one too, which Kubernetes takes for none. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

/** The number at a path; undefined for what is no number. */
export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = valueAt(value, ...path);
  return typeof found === 'number' ? found : undefined;
}

/** The entries of the list at a path. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = valueAt(value, ...path);
  // Checked just here: a list of whatever.
  return Array.isArray(found) ? (found as readonly unknown[]) : [];
}

/** The texts among the entries of the list at a path. */
export function textsAt(value: unknown, ...path: readonly string[]): string[] {
  return listAt(value, ...path).filter((entry) => typeof entry === 'string');
}

/** The texts of the table at a path, by name. */
export function textTableAt(value: unknown, ...path: readonly string[]): Record<string, string> {
  const found = valueAt(value, ...path);
  const entries = isTable(found) ? Object.entries(found) : [];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** Whether a value of JSON is a table. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The condition of a type in a Kubernetes status. */
export function conditionOf(object: unknown, type: string): unknown {
  return listAt(object, 'status', 'conditions').find((condition) => textAt(condition, 'type') === type);
}
