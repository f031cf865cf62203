/**
 * Finds the text of the configuration. The first of these that is there:
 *
 * 1. the file that the command names;
 * 2. the text in `TORRUST_TRACKER_CONFIG_TOML`, or in `TORRUST_TRACKER_CONFIG` as it was called in the flat era;
 * 3. the file that `TORRUST_TRACKER_CONFIG_TOML_PATH` names, or `TORRUST_TRACKER_PATH_CONFIG` of the flat era;
 * 4. nothing but overrides, when one of them names the version of the layout;
 * 5. `./tracker.toml`, which is written when it is missing.
 *
 * A variable with an empty text counts as not set.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { ConfigError } from './errors.ts';
import { defaultConfigText, type GeneratedDriver, generatedDriver, writeDefaultConfig } from './generate.ts';
import { readOverrides } from './overrides.ts';

/** Holds the whole configuration. */
export const textVariable = 'TORRUST_TRACKER_CONFIG_TOML';
/** Names the file of the configuration. */
export const pathVariable = 'TORRUST_TRACKER_CONFIG_TOML_PATH';
/** Holds the whole configuration, in the flat era. */
export const formerTextVariable = 'TORRUST_TRACKER_CONFIG';
/** Names the file of the configuration, in the flat era. */
export const formerPathVariable = 'TORRUST_TRACKER_PATH_CONFIG';
/** Holds the token of the label `admin`, in the flat era. */
export const adminTokenVariable = 'TORRUST_TRACKER_API_ADMIN_TOKEN';
/** The file that is read when nothing else is named, and written when it is missing. */
export const defaultPath = './tracker.toml';

/** Where older versions looked when nothing was named. */
const formerDefaultPaths = ['./config.toml', './share/default/config/tracker.development.sqlite3.toml'];

/** Where to look for the configuration. */
export interface LoadOptions {
  /** The file that the command names (`--config`); it wins over every variable. */
  readonly path?: string;
  /** The environment, as in `process.env`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The working directory: relative paths begin here. */
  readonly cwd: string;
  /** False: a missing `./tracker.toml` is not written, the defaults stand in for it. True when left out. */
  readonly generate?: boolean;
}

/** Where a configuration came from. Paths are absolute. */
export type ConfigSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'environment'; readonly variable: string }
  /** The default file, written by this start. */
  | { readonly kind: 'generated'; readonly path: string }
  /** There is no file: `reason` says why. */
  | { readonly kind: 'defaults'; readonly reason: string };

/** The text of a configuration. */
export interface FoundSource {
  readonly source: ConfigSource;
  /** The source as errors name it. */
  readonly origin: string;
  readonly text: string;
  readonly warnings: readonly string[];
}

/** A line for the log that says where the configuration came from, never what it says. */
export function describeSource(source: ConfigSource): string {
  switch (source.kind) {
    case 'file':
      return `Configuration from the file ${source.path}`;
    case 'environment':
      return `Configuration from the environment variable ${source.variable}`;
    case 'generated':
      return `There was no configuration: a new one was written to ${source.path}, with an API token of its own. Please review it`;
    case 'defaults':
      return 'Configuration from the built-in defaults';
  }
}

/** Finds the source and reads it. Throws a `ConfigError` when a file that is named does not exist or cannot be read. */
export function findSource({ path, env, cwd, generate = true }: LoadOptions): FoundSource {
  const inText = [textVariable, formerTextVariable].find(isSet);
  if (path !== undefined) {
    const warnings = inText === undefined ? [] : [`${inText} is not read, since --config names a file`];
    return { ...readNamed(path, resolve(cwd, path), '--config'), warnings };
  }
  if (inText !== undefined) {
    return fromEnvironment(inText, env[inText] ?? '');
  }
  const inPath = [pathVariable, formerPathVariable].find(isSet);
  if (inPath !== undefined) {
    const named = env[inPath] ?? '';
    return readNamed(named, findUpwards(cwd, named), inPath);
  }
  const full = resolve(cwd, defaultPath);
  if (existsSync(full)) return readNamed(defaultPath, full, 'nothing else');
  const version = readOverrides(env).find(
    (override) => override.path.join('.') === 'metadata.schema_version',
  );
  if (version !== undefined) return fromEnvironment(version.variable, '');
  if (!generate) return fromDefaults(`${defaultPath} does not exist`);
  return generateFile(full, cwd, generatedDriver(env));

  function isSet(variable: string): boolean {
    return (env[variable] ?? '') !== '';
  }
}

/** The file that a variable names as the configuration, absolute; undefined when no file is asked for in this way. */
export function findNamedFile({ env, cwd }: Pick<LoadOptions, 'env' | 'cwd'>): string | undefined {
  if ((env[textVariable] ?? '') !== '' || (env[formerTextVariable] ?? '') !== '') return undefined;
  const named = env[pathVariable] || env[formerPathVariable] || '';
  return named === '' ? undefined : findUpwards(cwd, named);
}

function fromEnvironment(variable: string, text: string): FoundSource {
  return { source: { kind: 'environment', variable }, origin: variable, text, warnings: [] };
}

function fromDefaults(reason: string): FoundSource {
  return {
    source: { kind: 'defaults', reason },
    origin: 'the defaults',
    text: defaultConfigText(),
    warnings: [],
  };
}

function generateFile(full: string, cwd: string, driver: GeneratedDriver): FoundSource {
  const written = writeDefaultConfig(full, driver);
  if (written.kind === 'read_only') {
    return fromDefaults(`${defaultPath} does not exist and cannot be written here (${written.code})`);
  }
  const found = readNamed(defaultPath, full, 'nothing else');
  if (written.kind === 'exists') return found;
  const former = formerDefaultPaths.filter((candidate) => existsSync(resolve(cwd, candidate)));
  return {
    ...found,
    source: { kind: 'generated', path: full },
    warnings: former.map(
      (candidate) =>
        `${candidate}, where older versions looked, is there and was not read; name it with --config or ${pathVariable} to use it`,
    ),
  };
}

function readNamed(shown: string, full: string, namedBy: string): FoundSource {
  try {
    const text = readFileSync(full, 'utf8').replace(/^\uFEFF/, '');
    return { source: { kind: 'file', path: full }, origin: shown, text, warnings: [] };
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new ConfigError(
        'file_missing',
        `The configuration file ${shown} does not exist (named by ${namedBy}). Only ${defaultPath} is written when it is missing.`,
        { cause },
      );
    }
    const reason = code === 'EISDIR' ? 'it is a folder' : code;
    throw new ConfigError('file_unreadable', `The configuration file ${shown} cannot be read: ${reason}.`, {
      cause,
    });
  }
}

/** Torrust looks for a relative path in the working directory and then in every folder above it. */
function findUpwards(cwd: string, path: string): string {
  if (isAbsolute(path)) return path;
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const candidate = join(folder, path);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) return resolve(cwd, path);
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
