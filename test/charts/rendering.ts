/**
 * What Helm makes of our charts, as objects.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { NamedObject } from '../apiserver/client.ts';
import { type Ended, runBinary } from '../apiserver/commands.ts';
import { at } from '../operator/environments.ts';

const CHARTS = join(import.meta.dirname, '../../charts');

/** One of the charts, by the name of its folder. */
export type ChartName = 'torrust-tracker-operator' | 'torrust-tracker';

/** Where a release goes. */
export const RELEASE = { name: 'torrust-operator', namespace: 'torrust-system' } as const;

/** The folder of a chart. */
export function chartFolder(chart: ChartName): string {
  return join(CHARTS, chart);
}

/** Runs helm without a cluster; `values` go to it as a file. */
export async function helm(
  command: readonly string[],
  chart: ChartName,
  values: object = {},
  options: readonly string[] = [],
): Promise<Ended> {
  const home = mkdtempSync(join(tmpdir(), 'tracker-helm-'));
  try {
    const file = join(home, 'values.json');
    writeFileSync(file, JSON.stringify(values));
    return await runBinary('helm', home, [
      ...command,
      chartFolder(chart),
      '--namespace',
      RELEASE.namespace,
      '--values',
      file,
      ...options,
    ]);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The text that a chart renders to. Rejects with helm's complaint. */
export async function renderText(
  chart: ChartName,
  values: object = {},
  options: readonly string[] = [],
): Promise<string> {
  const ended = await helm(['template', RELEASE.name], chart, values, options);
  assert.equal(ended.code, 0, ended.stderr);
  return ended.stdout;
}

/** The objects that a chart renders to, those of its tests included. */
export async function render(chart: ChartName, values: object = {}): Promise<NamedObject[]> {
  return readObjects(await renderText(chart, values));
}

/** The objects of a text of several documents. A name that is given twice in one map is a mistake. */
export function readObjects(text: string): NamedObject[] {
  return parseAllDocuments(text, { uniqueKeys: true })
    .filter((document) => document.contents !== null)
    .map((document) => {
      assert.deepEqual(document.errors, []);
      // The API server, or the test that reads them, judges what they hold.
      return document.toJS() as NamedObject;
    });
}

/** The only object of a kind and, where it is given, a name. */
export function only(objects: readonly NamedObject[], kind: string, name?: string): NamedObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  const [object] = found;
  assert.ok(object !== undefined && found.length === 1, `${found.length} of ${kind} ${name ?? ''}`);
  return object;
}

/** The texts of a list at a path (environments.ts); throws when they are none. */
export function textsAt(object: NamedObject, path: string): string[] {
  const list = at(object, path);
  assert.ok(Array.isArray(list), path);
  return list.map((each: unknown) => {
    assert.ok(typeof each === 'string', path);
    return each;
  });
}

/** The labels at a path; none where nothing is. */
export function labelsAt(object: NamedObject, path: string): Map<string, string> {
  return new Map(Object.entries(at(object, path) ?? {}).map(([name, value]) => [name, String(value)]));
}
