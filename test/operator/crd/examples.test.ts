import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readTracker } from '../../../operator/crd/tracker.ts';
import { readExamples } from '../examples.ts';

describe('every example is accepted', () => {
  for (const { name, resource } of readExamples('.')) {
    test(name, () => {
      const read = readTracker(resource);
      assert.deepEqual(read.kind === 'refused' ? read.problems : [], []);
    });
  }
});

describe('every example of a mistake is refused with the words of its head', () => {
  for (const { name, resource, text } of readExamples('refused')) {
    test(name, () => {
      const read = readTracker(resource);
      const said = read.kind === 'refused' ? read.problems.join('\n') : '';
      const [head = ''] = text.split('\n');
      for (const word of head.replace('# ', '').split(' ')) assert.match(said, new RegExp(word, 'i'));
    });
  }
});

test('a resource without a spec is a public tracker on UDP and HTTP', () => {
  const read = readTracker(readExamples('.').find(({ name }) => name === 'minimal')?.resource);
  assert.ok(read.kind === 'tracker');
  const { spec } = read.tracker;
  assert.equal(spec.mode, 'Public');
  assert.deepEqual(spec.udp, [{ name: 'main', port: 6969 }]);
  assert.deepEqual(spec.http, [{ name: 'main', port: 7070, trustedProxies: [] }]);
  assert.equal(spec.api.port, 1212);
  assert.equal(spec.announce.intervalSeconds, 300);
  assert.equal(spec.exposure.externalTrafficPolicy, 'Local');
});
