/**
 * Reads TOML, and words its mistakes with line, column and the line itself, unless the line may hold a secret.
 */
import {
  parse,
  TomlDate,
  TomlError,
  type TomlTableWithoutBigInt,
  type TomlValueWithoutBigInt,
} from 'smol-toml';
import { ConfigError } from './errors.ts';

/** A value of TOML. */
export type TomlValue = TomlValueWithoutBigInt;
/** A table of TOML. */
export type TomlTable = TomlTableWithoutBigInt;

const secretLine = /pass|token|secret|mysql:\/\//i;
const secretTable = /token|secret/i;
const headerPattern = /^\s*\[/;

/** Tells a table from every other value. */
export function isTable(value: unknown): value is TomlTable {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof TomlDate);
}

/** The value at a path of plain values; undefined when there is none. */
export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  let value = tree;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    // Checked just above: the value is an object that owns this name.
    value = (value as Record<PropertyKey, unknown>)[name];
  }
  return value;
}

/** Reads a text; `origin` names it in errors. Throws a `ConfigError` with code `toml_syntax`. */
export function parseToml(text: string, origin: string): TomlTable {
  try {
    return parse(text, { integersAsBigInt: false });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The library's message goes on with lines of the source, secrets included, so neither it nor the error is kept.
    const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    const lines = text.split(/\r?\n/);
    const source = quoteLine(lines, error.line, error.column);
    throw new ConfigError(
      'toml_syntax',
      `${origin} is not valid TOML: line ${error.line}, column ${error.column}: ${reason}\n${source}`,
    );
  }
}

function quoteLine(lines: readonly string[], line: number, column: number): string {
  const text = lines[line - 1] ?? '';
  const gutter = `  ${line} | `;
  if (mayHoldSecret(lines, line)) return `${gutter}(not shown: it may hold a secret)`;
  return `${gutter}${text}\n${' '.repeat(gutter.length + column - 1)}^`;
}

/** True for lines that name a secret or stand in a table of secrets. A table's own header holds none. */
function mayHoldSecret(lines: readonly string[], line: number): boolean {
  const text = lines[line - 1] ?? '';
  if (headerPattern.test(text) && !text.includes('=')) return false;
  if (secretLine.test(text)) return true;
  const header = lines.slice(0, line - 1).findLast((candidate) => headerPattern.test(candidate));
  return header !== undefined && secretTable.test(header);
}
