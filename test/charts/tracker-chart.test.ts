/**
 * The chart of trackers: values become resources, and what the cluster would refuse is refused before it is asked.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needs } from '../support/parts.ts';
import { helm, render } from './rendering.ts';
import { trackersOf } from './values.ts';

const CHART = 'torrust-tracker';

test('no trackers, no objects', needs('helm'), async () => {
  assert.deepEqual(await render(CHART), []);
});

test('every example becomes the resource that it is', needs('helm'), async () => {
  const trackers = trackersOf('.');
  const objects = await render(CHART, { trackers, labels: { team: 'seeds' }, annotations: { a: 'b' } });
  assert.deepEqual(Object.fromEntries(objects.map(({ metadata, spec }) => [metadata.name, spec])), trackers);
  for (const { kind, metadata } of objects) {
    assert.equal(kind, 'TorrustTracker');
    assert.equal(metadata.namespace, 'torrust-system');
  }
});

test('lint finds nothing', needs('helm'), async () => {
  const { code, stdout, stderr } = await helm(['lint', '--strict'], CHART, { trackers: trackersOf('.') });
  assert.equal(code, 0, stdout + stderr);
});

describe('is refused without a cluster', () => {
  const cases: Record<string, { values: object; says: RegExp }> = {
    'a field that a tracker does not have': {
      values: { trackers: trackersOf('refused', 'unknown-field') },
      says: /typo[^]*annonce/,
    },
    'a port that is out of range': {
      values: { trackers: { a: { udp: [{ name: 'main', port: 80 }] } } },
      says: /port/,
    },
    'a mode that is none': { values: { trackers: { a: { mode: 'private' } } }, says: /mode/ },
    'a name that can not be': { values: { trackers: { 'My.Tracker': {} } }, says: /My\.Tracker/ },
    'a value that nobody knows': { values: { tracker: {} }, says: /tracker/ },
  };
  for (const [title, { values, says }] of Object.entries(cases)) {
    test(title, needs('helm'), async () => {
      const { code, stderr } = await helm(['template', 'x'], CHART, values);
      assert.equal(code, 1);
      assert.match(stderr, says);
    });
  }
});
