/**
 * The definition of trackers and trackers themselves, for tests against a real API server.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { API_VERSION, KIND } from '../../operator/crd/tracker.ts';
import type { NamedObject } from './client.ts';

/** The file of the definition. */
export const DEFINITION_FILE = join(
  import.meta.dirname,
  '../../crds/tracker.torrust.com_torrusttrackers.yaml',
);

/** The definition as the project ships it. */
export function trackerDefinitionObject(): NamedObject {
  return parse(readFileSync(DEFINITION_FILE, 'utf8')) as NamedObject; // A CustomResourceDefinition, checked by its own tests.
}

/** A tracker. */
export function trackerObject(name: string, spec: object, namespace = 'default'): NamedObject {
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace }, spec };
}
