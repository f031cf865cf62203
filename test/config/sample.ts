/** Small configurations for the tests of this folder, and a folder that is gone after its test. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ConfigError } from '../../tracker/config/errors.ts';
import { loadConfig, type LoadedConfig } from '../../tracker/config/load.ts';
import type { TrackerConfig } from '../../tracker/config/schema.ts';
import { validateConfig } from '../../tracker/config/validation.ts';

/** The mandatory options of the canonical layout. */
export const minimalToml = `[metadata]
schema_version = "3.0.0"
[logging]
trace_filter = "info"
[core]
listed = false
private = false
`;

const noLimit = { requests_per_second: 0 };

/** The tables of the gate where a file says nothing of them. */
export const gateDefaults = {
  limits: {
    dry_run: false,
    exempt_private: true,
    exempt: [],
    max_swarms: 0,
    max_peers_per_swarm: 0,
    max_peers_per_ip: 0,
    max_connections_per_ip: 0,
    per_ip: noLimit,
    per_network: noLimit,
    overall: noLimit,
  },
  bans: { exempt: [] },
  proxy_protocol: { trusted_proxies: [], http: true, udp: true },
  source_guard: { policy: 'flag', cluster_ranges: [], exempt: [] },
};

/** Values by dotted paths (`core.listed`, `udp_trackers.0.bind_address`), laid over the mandatory options. */
function tableOf(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const table: Record<string, unknown> = {
    metadata: { schema_version: '3.0.0' },
    logging: { trace_filter: 'info' },
    core: { listed: false, private: false },
  };
  for (const [path, value] of Object.entries(values)) {
    const names = path.split('.');
    let place = table;
    for (const [index, name] of names.slice(0, -1).entries()) {
      place[name] ??= /^\d+$/.test(names[index + 1] ?? '') ? [] : {};
      // The line above makes sure that there is a table or a list.
      place = place[name] as Record<string, unknown>;
    }
    place[names.at(-1) ?? ''] = value;
  }
  return table;
}

/** Judges the mandatory options with some values laid over them. */
export function validate(values: Readonly<Record<string, unknown>>): TrackerConfig {
  return validateConfig(tableOf(values), () => 'tracker.toml');
}

/** Loads a text, as from a variable. */
export function loadText(text: string, env: Readonly<Record<string, string>> = {}): LoadedConfig {
  return loadConfig({ env: { TORRUST_TRACKER_CONFIG_TOML: text, ...env }, cwd: tmpdir(), generate: false });
}

/** The text of a fixture. */
export function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');
}

/** The error that a call throws; fails when it throws none, or another kind. */
export function configError(call: () => unknown): ConfigError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error;
  }
  assert.fail('the configuration was accepted');
}

/** An empty folder that is removed when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-config-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
