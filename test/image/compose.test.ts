/**
 * compose.yaml: that what it says of the tracker, of Prometheus and of Grafana is true of this checkout.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { defaultConfigText } from '../../tracker/config/generate.ts';
import { loadConfig } from '../../tracker/config/load.ts';
import { readOverrides } from '../../tracker/config/overrides.ts';
import { schemaAt } from '../../tracker/config/schema-tree.ts';
import { configShape } from '../../tracker/config/schema.ts';
import { adminTokenVariable, textVariable } from '../../tracker/config/source.ts';
import { defaultTrackerImage } from '../../operator/tracker-image.ts';
import { needs } from '../support/parts.ts';

const PROJECT = join(import.meta.dirname, '../..');

interface Service {
  readonly image: string;
  readonly user?: string;
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly read_only?: boolean;
}

interface ComposeFile {
  readonly services: Readonly<Record<'tracker' | 'prometheus' | 'grafana', Service>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** The file with the defaults of its variables in their places. */
const text = readFileSync(join(PROJECT, 'compose.yaml'), 'utf8').replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
// The tests below judge what it holds.
const { services, configs, volumes } = parse(text) as ComposeFile;
const { tracker, prometheus, grafana } = services;

/** The configuration that the image writes when it finds none. */
const generated = loadConfig({
  env: { [textVariable]: defaultConfigText('a-token-for-the-test', 'sqlite3', 'container') },
  cwd: tmpdir(),
}).config;

/** What a service mounts at a path of its container, relative to the project. */
function mounted(service: Service, target: string): string {
  const found = service.volumes.map((volume) => volume.split(':')).find(([, path]) => path === target);
  assert.ok(found?.[0] !== undefined, target);
  return found[0];
}

/** The text of a file that compose writes for a service. */
function configOf(service: Service, target: string): string {
  const source = service.configs?.find((config) => config.target === target)?.source ?? '';
  return configs[source]?.content ?? assert.fail(target);
}

test('the image is that of this version, by which the operator runs trackers', () => {
  assert.equal(tracker.image, defaultTrackerImage());
});

test('the tracker is reached at the ports at which it listens', () => {
  const port = (address: string | undefined): string => address?.split(':').at(-1) ?? '';
  const [udp] = generated.udp_trackers;
  const [http] = generated.http_trackers;
  const { http_api: api } = generated;
  assert.deepEqual(tracker.ports, [
    `${port(udp?.bind_address)}:${port(udp?.bind_address)}/udp`,
    `${port(http?.bind_address)}:${port(http?.bind_address)}`,
    `${port(api?.bind_address)}:${port(api?.bind_address)}`,
  ]);
});

test('every folder of the image is one of the folders of the checkout', () => {
  const [, declared = ''] = /^VOLUME (.+)$/m.exec(readFileSync(join(PROJECT, 'Dockerfile'), 'utf8')) ?? [];
  assert.equal(tracker.volumes.length, 3);
  for (const folder of declared.split(' '))
    assert.ok(existsSync(join(PROJECT, mounted(tracker, folder))), folder);
  assert.match(generated.core.database?.path ?? '', /^\/var\/lib\/torrust\/tracker\//);
});

test('every variable is one that the tracker knows', () => {
  const names = Object.keys(tracker.environment ?? {});
  const known = [textVariable, adminTokenVariable, 'TORRUST_TRACKER_DATABASE_DRIVER'];
  const overrides = readOverrides(Object.fromEntries(names.map((name) => [name, 'x'])));
  for (const { path, variable } of overrides) {
    assert.notEqual(schemaAt(configShape, path), undefined, variable);
  }
  const left = names.filter((name) => !overrides.some(({ variable }) => variable === name));
  assert.deepEqual(left.toSorted(), known.toSorted());
});

test('it runs as whoever owns the folders, as in the container of Torrust, on a root that can not be written', () => {
  assert.equal(tracker.user, '1000:1000');
  assert.equal(tracker.read_only, true);
});

test('Prometheus asks where the metrics are, whatever an older configuration says', () => {
  const settings: unknown = parse(configOf(prometheus, '/etc/prometheus/prometheus.yml'));
  const [, port] =
    tracker.environment?.['TORRUST_TRACKER_CONFIG_OVERRIDE_METRICS__BIND_ADDRESS']?.split(':') ?? [];
  assert.equal(generated.metrics.bind_address, `0.0.0.0:${port}`);
  assert.ok(JSON.stringify(settings).includes(`"tracker:${port}"`));
});

test('Prometheus takes its configuration, and our rules', needs('prometheus'), (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'tt-compose-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const rules = join(PROJECT, mounted(prometheus, '/etc/prometheus/rules'));
  const file = join(folder, 'prometheus.yml');
  const written = configOf(prometheus, '/etc/prometheus/prometheus.yml');
  writeFileSync(file, written.replace('/etc/prometheus/rules', rules));
  const told = execFileSync('promtool', ['check', 'config', file], { encoding: 'utf8' });
  assert.match(told, /[1-9][0-9]* rules found/);
});

test('Grafana shows our dashboards, with the Prometheus beside it', () => {
  const folder = '/etc/grafana/dashboards';
  const provider = parse(configOf(grafana, '/etc/grafana/provisioning/dashboards/torrust.yaml')) as {
    providers: { options: { path: string } }[];
  };
  assert.deepEqual(
    provider.providers.map(({ options }) => options.path),
    [folder],
  );
  const files = readdirSync(join(PROJECT, mounted(grafana, folder)));
  const home = grafana.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? '';
  assert.ok(files.includes(home.replace(`${folder}/`, '')), home);
  const sources = configOf(grafana, '/etc/grafana/provisioning/datasources/prometheus.yaml');
  const { datasources } = parse(sources) as { datasources: { type: string; url: string }[] };
  assert.deepEqual(
    datasources.map(({ type, url }) => [type, url]),
    [['prometheus', 'http://prometheus:9090']],
  );
  assert.deepEqual(prometheus.ports, ['127.0.0.1:9090:9090']);
});

test('every volume by a name is one that the file makes', () => {
  const used = Object.values(services)
    .flatMap((service) => service.volumes.map((volume) => volume.split(':')[0] ?? ''))
    .filter((source) => !source.startsWith('.'));
  assert.deepEqual(used.toSorted(), Object.keys(volumes).toSorted());
});
