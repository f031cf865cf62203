/**
 * The golden manifests: what each example becomes, in a cluster that has everything, or, for the minimal one, nothing but
 * Kubernetes too. `node test/operator/golden.ts --write` writes them anew: read the difference before you commit it.
 */
import { globSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Environment } from '../../operator/desired/environment.ts';
import { ANNOTATIONS } from '../../operator/desired/identity.ts';
import type { KubernetesObject } from '../../operator/desired/kubernetes-object.ts';
import { EVERYTHING, PLAIN, settle } from './environments.ts';
import { readExamples, trackerFrom } from './examples.ts';

/** Where they are. */
export const GOLDEN_FOLDER = join(import.meta.dirname, 'golden');

/** One manifest. */
export interface Golden {
  readonly file: string;
  readonly text: string;
}

/** Every manifest, as it is now. */
export function renderGolden(): Golden[] {
  return readExamples('.').flatMap(({ name, resource }) => [
    render(`${name}.yaml`, resource, EVERYTHING),
    ...(name === 'minimal' ? [render('minimal-plain.yaml', resource, PLAIN)] : []),
  ]);
}

function render(file: string, resource: unknown, environment: Environment): Golden {
  const { objects, problems } = settle(trackerFrom(resource), environment);
  const documents = [...objects.map(shorten), ...(problems.length === 0 ? [] : [{ problems }])];
  const text = documents
    .map((document) => stringify(document, { lineWidth: 0, singleQuote: true, aliasDuplicateObjects: false }))
    .join('---\n');
  return { file, text };
}

/** The recorded pod template says again what stands in the object: a test compares them, and readers need it once. */
function shorten(object: KubernetesObject): KubernetesObject {
  const { annotations } = object.metadata;
  if (annotations?.[ANNOTATIONS.podTemplate] === undefined) return object;
  const shortened = { ...annotations, [ANNOTATIONS.podTemplate]: '(the template below, as JSON)' };
  return { ...object, metadata: { ...object.metadata, annotations: shortened } };
}

if (import.meta.main) {
  const golden = renderGolden();
  if (process.argv.includes('--write')) {
    for (const path of globSync(join(GOLDEN_FOLDER, '*.yaml'))) rmSync(path);
    for (const { file, text } of golden) writeFileSync(join(GOLDEN_FOLDER, file), text);
  } else {
    process.stdout.write(golden.map(({ text }) => text).join('---\n'));
  }
}
