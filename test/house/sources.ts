/**
 * The sources as the house tests see them: which files there are, and what each imports.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { parseSync } from 'oxc-parser';

/** One file of the project. */
export interface Source {
  /** From the project's root, with forward slashes: `tracker/swarm/store.ts`. */
  readonly path: string;
  readonly text: string;
}

/** One import of a source, static or dynamic, of values or of types alone, or a re-export. */
export interface Import {
  /** A path like `Source.path`, or the name of a package (`koffi`, `node:fs`). */
  readonly target: string;
  readonly kind: 'source' | 'package';
}

const ROOT = join(import.meta.dirname, '../..');

/** The files that match any of the glob patterns, in the order of their paths. */
export function readSources(...patterns: string[]): Source[] {
  const paths = globSync(patterns, { cwd: ROOT, exclude: (path) => path === 'node_modules' });
  return paths.toSorted().map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** What a TypeScript source imports. Throws when it can't be parsed. */
export function importsOf(source: Source): Import[] {
  const { module, errors } = parseSync(source.path, source.text);
  if (errors.length > 0) throw new Error(`${source.path}: ${errors[0]?.message}`);
  const specifiers = [
    ...module.staticImports.map((entry) => entry.moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.map((entry) => entry.moduleRequest?.value)),
    ...module.dynamicImports.map(({ moduleRequest }) =>
      literalOf(source.text.slice(moduleRequest.start, moduleRequest.end)),
    ),
  ];
  return specifiers
    .filter((specifier) => specifier !== undefined)
    .map((specifier) => resolve(source.path, specifier));
}

function resolve(importer: string, specifier: string): Import {
  if (specifier.startsWith('.')) return { kind: 'source', target: posix.join(dirname(importer), specifier) };
  const [scope = '', name = ''] = specifier.split('/');
  return { kind: 'package', target: specifier.startsWith('@') ? `${scope}/${name}` : scope };
}

/** The text of a quoted literal; undefined for a computed expression. */
function literalOf(expression: string): string | undefined {
  return /^['"`]([^'"`$]+)['"`]$/.exec(expression)?.[1];
}
