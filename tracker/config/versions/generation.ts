/**
 * Tells which layout a configuration is written in.
 *
 * `3.0.0` is the canonical one; `2.0.0` is that of Torrust Tracker alpha.12 to v3.0.0; `flat` is everything before, with
 * `mode` and `db_driver` at the top.
 */
import { isTable, type TomlTable } from '../toml.ts';

/** The layouts that this tracker reads. */
export type Generation = '3.0.0' | '2.0.0' | 'flat';

/** A layout that is read, or the version that a file names and that is none of them. */
export type FoundGeneration =
  | { readonly kind: 'known'; readonly generation: Generation }
  | { readonly kind: 'unknown'; readonly version: string };

const flatKeys = [
  'log_level',
  'mode',
  'db_driver',
  'db_path',
  'announce_interval',
  'min_announce_interval',
  'on_reverse_proxy',
  'external_ip',
  'tracker_usage_statistics',
  'persistent_torrent_completed_stat',
  'max_peer_timeout',
  'inactive_peer_cleanup_interval',
  'remove_peerless_torrents',
];

/**
 * Judges by `metadata.schema_version`, and without it by the keys that only one layout has. What fits none is taken
 * for canonical, so that its errors speak of the canonical layout.
 */
export function findGeneration(tree: TomlTable): FoundGeneration {
  const version = at(tree, 'metadata', 'schema_version');
  if (version === '3.0.0' || version === '2.0.0') return { kind: 'known', generation: version };
  if (typeof version === 'string') return { kind: 'unknown', version };
  if (isTable(tree['core']) || isTable(tree['metadata'])) {
    const isOlder = at(tree, 'logging', 'threshold') !== undefined || at(tree, 'core', 'net') !== undefined;
    return { kind: 'known', generation: isOlder ? '2.0.0' : '3.0.0' };
  }
  if (flatKeys.some((key) => tree[key] !== undefined) || hasSwitch(tree)) {
    return { kind: 'known', generation: 'flat' };
  }
  return { kind: 'known', generation: at(tree, 'logging', 'threshold') === undefined ? '3.0.0' : '2.0.0' };
}

/** Only the flat layout switches its services on and off by a key. */
function hasSwitch(tree: TomlTable): boolean {
  const { udp_trackers: udp, http_trackers: http, http_api: api } = tree;
  return [udp, http, api].flat().some((table) => isTable(table) && table['enabled'] !== undefined);
}

function at(tree: TomlTable, table: string, key: string): unknown {
  const found = tree[table];
  return isTable(found) ? found[key] : undefined;
}
