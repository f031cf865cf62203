/**
 * Writes what is generated from the schema of `TorrustTracker`: the CustomResourceDefinition in `crds/` and the reference page
 * `docs/resource.md`.
 *
 * `node operator/crd/generate.ts --write` writes the files, without the option they are printed. A test holds them current.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { trackerDefinition } from './definition.ts';
import { renderReference } from './reference.ts';

/** A file that is generated. */
export interface GeneratedFile {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
}

/** Every file that is generated from the schema. */
export function generatedFiles(): GeneratedFile[] {
  return [
    { path: 'crds/tracker.torrust.com_torrusttrackers.yaml', text: definitionText() },
    { path: 'docs/resource.md', text: renderReference() },
  ];
}

function definitionText(): string {
  const head = '# Written by operator/crd/generate.ts from the schema: change the schema, not this file.\n';
  // kubectl and Helm read YAML 1.1, in which a bare `off` is no text.
  return (
    head + stringify(trackerDefinition(), { lineWidth: 0, aliasDuplicateObjects: false, version: '1.1' })
  );
}

if (import.meta.main) {
  for (const { path, text } of generatedFiles()) {
    if (!process.argv.includes('--write')) {
      process.stdout.write(text);
      continue;
    }
    const full = fileURLToPath(new URL(`../../${path}`, import.meta.url));
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
}
