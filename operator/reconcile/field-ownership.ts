/**
 * Whether an object that is there is what we would apply, so that the apply can be left out and a steady state writes
 * nothing. That it holds every field that we want is not enough: a field that we no longer want may be left in it. So the
 * fields that the API server has recorded as ours are compared as well.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 *
 * The record is a tree: `f:NAME` is a field, `k:{...}` an entry of a list that is told by some of its fields, `v:VALUE` an
 * entry of a set, `.` the table or entry itself. What has nothing below it is ours as a whole.
 */
import { isDeepStrictEqual } from 'node:util';
import { readQuantity } from '../desired/quantity.ts';
import { isTable, listAt, textAt, valueAt } from '../json-path.ts';

/** Fields that nobody owns: they say which object it is. */
const IDENTITY = {
  '': ['apiVersion', 'kind', 'metadata'],
  metadata: ['name', 'namespace', 'uid', 'resourceVersion'],
};

/** Whether `present` holds exactly the fields of `wanted` as those of `manager`, with their values. */
export function isAsApplied(wanted: object, present: unknown, manager: string): boolean {
  const record = listAt(present, 'metadata', 'managedFields').find(
    (entry) =>
      textAt(entry, 'manager') === manager &&
      textAt(entry, 'operation') === 'Apply' &&
      textAt(entry, 'subresource') === undefined,
  );
  const fields = valueAt(record, 'fieldsV1');
  if (!isTable(fields) || !isTable(wanted)) return false;
  const { metadata, ...rest } = wanted;
  const metadataFields = isTable(fields['f:metadata']) ? fields['f:metadata'] : {};
  const { 'f:metadata': _, ...restFields } = fields;
  return (
    isTableAsRecorded(without(rest, IDENTITY['']), present, restFields) &&
    isTableAsRecorded(without(metadata, IDENTITY.metadata), valueAt(present, 'metadata'), metadataFields)
  );
}

type Table = Readonly<Record<string, unknown>>;

function without(table: unknown, names: readonly string[]): Table {
  if (!isTable(table)) return {};
  return Object.fromEntries(Object.entries(table).filter(([name]) => !names.includes(name)));
}

function isAsRecorded(wanted: unknown, present: unknown, fields: unknown): boolean {
  const below = isTable(fields) ? Object.keys(fields).filter((name) => name !== '.') : [];
  if (below.length === 0 || !isTable(fields)) return isSameValue(wanted, present);
  if (isTable(wanted)) return isTableAsRecorded(wanted, present, fields);
  if (!Array.isArray(wanted) || !Array.isArray(present)) return false;
  // Checked just above: lists of whatever.
  return isListAsRecorded(wanted as readonly unknown[], present as readonly unknown[], fields, below);
}

function isTableAsRecorded(wanted: Table, present: unknown, fields: Table): boolean {
  if (!isTable(present)) return false;
  const recorded = Object.keys(fields).filter((name) => name !== '.');
  const names = Object.keys(wanted);
  return (
    recorded.length === names.length &&
    names.every((name) => {
      const field = fields[`f:${name}`];
      return field !== undefined && isAsRecorded(wanted[name], present[name], field);
    })
  );
}

function isListAsRecorded(
  wanted: readonly unknown[],
  present: readonly unknown[],
  fields: Table,
  recorded: readonly string[],
): boolean {
  if (recorded.length !== wanted.length) return false;
  return recorded.every((path) => {
    const kind = path.slice(0, 2);
    const key = JSON.parse(path.slice(2)) as unknown;
    if (kind === 'v:')
      return [wanted, present].every((list) => list.some((entry) => isDeepStrictEqual(entry, key)));
    if (kind !== 'k:' || !isTable(key)) return false;
    const find = (list: readonly unknown[]) =>
      list.find((entry) =>
        Object.entries(key).every(([name, value]) => isDeepStrictEqual(valueAt(entry, name), value)),
      );
    const own = find(wanted);
    return own !== undefined && isAsRecorded(own, find(present), fields[path]);
  });
}

/** The server writes amounts in a form of its own: `1024Mi` becomes `1Gi`. */
function isSameValue(wanted: unknown, present: unknown): boolean {
  if (isDeepStrictEqual(wanted, present)) return true;
  if (typeof wanted === 'string' && typeof present === 'string') {
    const amount = readQuantity(wanted);
    return amount !== undefined && amount === readQuantity(present);
  }
  if (Array.isArray(wanted) && Array.isArray(present)) {
    return (
      wanted.length === present.length && wanted.every((entry, index) => isSameValue(entry, present[index]))
    );
  }
  if (isTable(wanted) && isTable(present)) {
    const names = Object.keys(wanted);
    return (
      names.length === Object.keys(present).length &&
      names.every((name) => isSameValue(wanted[name], present[name]))
    );
  }
  return false;
}
