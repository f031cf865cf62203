/**
 * The examples of the documentation, as the tests read them: each is accepted, or refused with the words of its first line.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { readTracker, type TorrustTracker } from '../../operator/crd/tracker.ts';

const FOLDER = join(import.meta.dirname, '../../docs/examples');

/** One file. */
export interface Example {
  /** Without folder and ending. */
  readonly name: string;
  readonly text: string;
  readonly resource: unknown;
}

/** The files of a folder below the examples, by name. */
export function readExamples(folder: '.' | 'refused'): Example[] {
  return globSync(join(FOLDER, folder, '*.yaml'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(path, 'utf8');
      const resource: unknown = parse(text);
      return { name: basename(path, '.yaml'), text, resource };
    });
}

/** A tracker with a spec and without more, as the API server would store it. Throws when it would be refused. */
export function trackerOf(spec: unknown, metadata: object = {}): TorrustTracker {
  return trackerFrom({
    apiVersion: 'tracker.torrust.com/v1alpha1',
    kind: 'TorrustTracker',
    metadata: { name: 'sample', ...metadata },
    spec,
  });
}

/** A whole resource as the API server would store it. Throws when it would be refused. */
export function trackerFrom(resource: unknown): TorrustTracker {
  const read = readTracker(resource);
  if (read.kind === 'refused') throw new Error(read.problems.join('\n'));
  return {
    ...read.tracker,
    metadata: { ...read.tracker.metadata, uid: '6d2e5a0c-8f6b-4c43-9d0e-3f1c2b7a9e10' },
  };
}
