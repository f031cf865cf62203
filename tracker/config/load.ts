/**
 * Loads the configuration: finds its source, lays the overrides of the environment over it, reads whichever layout it
 * is written in, and judges it.
 */
import { ConfigError } from './errors.ts';
import { applyOverrides, originOf, overrideAt, readOverrides, type Override } from './overrides.ts';
import { warnAbout } from './rules.ts';
import type { TrackerConfig } from './schema.ts';
import { adminTokenVariable, findSource, type ConfigSource, type LoadOptions } from './source.ts';
import { parseToml, type TomlTable } from './toml.ts';
import { validateConfig } from './validation.ts';
import { layoutFlat } from './versions/flat.ts';
import { findGeneration, type FoundGeneration, type Generation } from './versions/generation.ts';
import { readLayout, type ReadConfig } from './versions/layout.ts';
import { layoutV2 } from './versions/v2.ts';

/** A configuration that the tracker can run. */
export interface LoadedConfig {
  readonly config: TrackerConfig;
  readonly source: ConfigSource;
  /** The layout that the source is written in. */
  readonly generation: Generation;
  /** Names of the variables that set single values; never their texts. */
  readonly overrides: readonly string[];
  /** Sentences for the log. They hold no secrets. */
  readonly warnings: readonly string[];
}

/** Loads the configuration. Throws a `ConfigError` whose message is to be printed. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const { source, origin, text, warnings } = findSource(options);
  const tree = parseToml(text, origin);
  const overrides = readOverrides(options.env);
  const found = findLayout(tree, overrides);
  if (found.kind === 'unknown') {
    const where = overrideAt(overrides, ['metadata', 'schema_version'])?.variable ?? origin;
    throw new ConfigError(
      'unsupported_version',
      `${where}: Unsupported configuration version: ${found.version}. This tracker reads 3.0.0, 2.0.0 and the flat layout before it.`,
    );
  }
  const read = readGeneration(found.generation, tree, overrides, origin, options.env);
  return {
    config: read.config,
    source,
    generation: found.generation,
    overrides: overrides.map(({ variable }) => variable),
    warnings: [
      ...warnings,
      ...warnAboutDefaults(source, read.config),
      ...read.warnings,
      ...warnAbout(read.config),
    ],
  };
}

/** The layout of the file; overrides only count where they name the version, or where there is nothing else. */
function findLayout(tree: TomlTable, overrides: readonly Override[]): FoundGeneration {
  const merged = applyOverrides(tree, overrides);
  const versionIsOverridden = overrideAt(overrides, ['metadata', 'schema_version']) !== undefined;
  return findGeneration(versionIsOverridden || Object.keys(tree).length === 0 ? merged : tree);
}

function readGeneration(
  generation: Generation,
  tree: TomlTable,
  overrides: readonly Override[],
  origin: string,
  env: LoadOptions['env'],
): ReadConfig {
  const adminToken = env[adminTokenVariable] ?? '';
  if (generation === 'flat') {
    const path = ['http_api', 'access_tokens', 'admin'];
    const former = adminToken === '' ? [] : [{ variable: adminTokenVariable, path, value: adminToken }];
    return readLayout(layoutFlat, tree, [...former, ...overrides], origin);
  }
  const warnings =
    adminToken === ''
      ? []
      : [
          `${adminTokenVariable} is only read with a flat configuration; TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN takes its place`,
        ];
  if (generation === '2.0.0') {
    const read = readLayout(layoutV2, tree, overrides, origin);
    return { config: read.config, warnings: [...warnings, ...read.warnings] };
  }
  const config = validateConfig(applyOverrides(tree, overrides), originOf(tree, overrides, origin));
  return { config, warnings };
}

/** What a tracker without a file lacks, unless the environment gives it. */
function warnAboutDefaults(source: ConfigSource, { core, http_api: api }: TrackerConfig): string[] {
  if (source.kind !== 'defaults') return [];
  const lacks = [
    ...(core.database ? [] : ['without a database']),
    ...(api ? [] : ['with the REST API closed']),
  ];
  return [[`${source.reason}: the defaults are used`, ...lacks].join(', ')];
}
