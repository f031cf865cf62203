/**
 * JSON merge patch (RFC 7396): what `spec.config` is to the tracker's configuration.
 */

/** A table of JSON. */
export type JsonObject = { readonly [name: string]: unknown };

/** Tells a table from every other value. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Lays a patch over a value: tables are merged, `null` removes, everything else replaces. Neither argument is changed.
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const result = new Map(isJsonObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, applyMergePatch(result.get(name), value));
  }
  return Object.fromEntries(result);
}
