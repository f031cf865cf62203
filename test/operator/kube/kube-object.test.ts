/** Keys of caches and queues stand for places, and back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, nameOfKey } from '../../../operator/kube/kube-object.ts';

const PLACES = { 'a/one': { namespace: 'a', name: 'one' }, 'node-1': { name: 'node-1' } };

for (const [key, place] of Object.entries(PLACES)) {
  test(`${key} is a key and a place`, () => {
    assert.equal(keyOf(place), key);
    assert.deepEqual(nameOfKey(key), place);
  });
}
