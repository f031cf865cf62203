/**
 * `TorrustTracker` resources of the examples, changed: each is refused with sentences, or becomes objects, the same ones
 * each time, whatever is in it.
 */
import assert from 'node:assert/strict';
import { readTracker, type TorrustTracker } from '../../operator/crd/tracker.ts';
import { EVERYTHING, PLAIN, settle } from '../operator/environments.ts';
import { readExamples } from '../operator/examples.ts';
import type { Random } from './random.ts';

const MAX_CHANGES = 3;

const GOOD = readExamples('.').map(({ resource }) => resource);
const ALL = [...GOOD, ...readExamples('refused').map(({ resource }) => resource)];

/** Values at which readers of values turn. */
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  2 ** 31,
  1e300,
  '',
  ' ',
  'a',
  '::',
  '0.0.0.0/0',
  '1Gi',
  'x'.repeat(300),
  'ſ',
  [],
  {},
  [[]],
  ['a', 'a'],
  { a: { a: { a: {} } } },
  { name: 'a', port: 1 },
];
const NAMES = ['a', 'name', 'config', 'udp', '__proto__', 'constructor', 'x'.repeat(300), ''];

export class ResourceTrial {
  readonly counts = { taken: 0, refused: 0, objects: 0 };

  judge(random: Random): void {
    const resource: unknown = structuredClone(random.pick(random.oneIn(4) ? ALL : GOOD));
    for (let changes = random.below(MAX_CHANGES + 1); changes > 0; changes--) change(random, resource);
    try {
      const read = readTracker(resource);
      if (read.kind === 'refused') {
        assert.ok(read.problems.length > 0 && read.problems.every((problem) => problem !== ''));
        this.counts.refused++;
        return;
      }
      const tracker: TorrustTracker = {
        ...read.tracker,
        metadata: { ...read.tracker.metadata, uid: '6d2e5a0c-8f6b-4c43-9d0e-3f1c2b7a9e10' },
      };
      const environment = random.oneIn(2) ? EVERYTHING : PLAIN;
      const { objects } = settle(tracker, environment);
      assert.deepEqual(settle(tracker, environment).objects, objects);
      assert.doesNotThrow(() => JSON.stringify(objects));
      this.counts.taken++;
      this.counts.objects += objects.length;
    } catch (cause) {
      throw new Error(`the resource ${JSON.stringify(resource)}`, { cause });
    }
  }
}

/** Changes one place in a value: another value, nothing, one more, or what stands elsewhere. */
function change(random: Random, root: unknown): void {
  const places = [...holders(root)];
  if (places.length === 0) return;
  const place = random.pick(places);
  const value = structuredClone(random.oneIn(4) ? random.pick(places) : random.pick(VALUES));
  if (Array.isArray(place)) {
    const at = random.below(place.length + 1);
    place.splice(at, random.below(2), ...(random.oneIn(3) ? [] : [value]));
    return;
  }
  const names = Object.keys(place);
  const name = names.length === 0 || random.oneIn(6) ? random.pick(NAMES) : random.pick(names);
  if (random.oneIn(4)) Reflect.deleteProperty(place, name);
  // As a parser of JSON does, which makes a property of any name.
  else Object.defineProperty(place, name, { value, enumerable: true, configurable: true, writable: true });
}

/** All objects and arrays in a value. */
function* holders(value: unknown): Generator<object> {
  if (typeof value !== 'object' || value === null) return;
  yield value;
  for (const inner of Object.values(value)) yield* holders(inner);
}
