/**
 * Prints a configuration as TOML of the canonical layout: for `config print`, with every secret as `***`, and for
 * `config migrate`, as a file that can be used.
 */
import { stringify } from 'smol-toml';
import { isWildcard } from './address.ts';
import { maskMysqlUrl } from './mysql-url.ts';
import { isSecret } from './schema-tree.ts';
import { configShape, type TrackerConfig } from './schema.ts';

/** What stands in place of a secret. */
export const secretMask = '***';

/** The configuration as TOML. Secrets, and the password of a MySQL URL, are `***`. */
export function printConfig(config: TrackerConfig): string {
  return stringify(hideSecrets(config, []));
}

/** A configuration as a file of the canonical layout. */
export interface MigratedConfig {
  /** The file's text. It holds the secrets: write it where only its owner can read it. */
  readonly toml: string;
  /** What the canonical layout cannot say. */
  readonly warnings: readonly string[];
}

/** Writes a configuration, translated from whichever layout, as a canonical file with its secrets. */
export function migrateConfig(config: TrackerConfig): MigratedConfig {
  const copy = structuredClone(config);
  const dropped = [...copy.udp_trackers, ...copy.http_trackers].flatMap(({ network }) => {
    const { external_ip: ip } = network;
    if (ip === undefined || !isWildcard(ip)) return [];
    delete network.external_ip;
    return [ip];
  });
  const warnings = [...new Set(dropped)].map(
    (ip) =>
      `external_ip = "${ip}" cannot be said in schema 3.0.0 and is left out: clients with a loopback address keep it`,
  );
  return { toml: stringify(copy), warnings };
}

function hideSecrets(value: unknown, path: readonly PropertyKey[]): unknown {
  if (Array.isArray(value)) return value.map((entry, index) => hideSecrets(entry, [...path, index]));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [name, hideSecrets(entry, [...path, name])]),
    );
  }
  if (value !== undefined && isSecret(configShape, path)) return secretMask;
  return typeof value === 'string' ? maskMysqlUrl(value) : value;
}
