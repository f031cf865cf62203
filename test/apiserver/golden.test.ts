/**
 * What the operator makes of every example, judged by a real API server with strict validation, together with the
 * definitions of the optional APIs as their projects publish them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KubernetesObject } from '../../operator/desired/kubernetes-object.ts';
import { EVERYTHING, PLAIN, settle } from '../operator/environments.ts';
import { readExamples, trackerFrom } from '../operator/examples.ts';
import { needs, partObstacle } from '../support/parts.ts';
import { messageOf } from './client.ts';
import { readDefinitions } from './definitions.ts';
import { useApiServer } from './server.ts';

const server = useApiServer(async ({ admin }) => {
  if (partObstacle('definitions') === undefined) await admin.install(readDefinitions());
});

/** What the server says against objects, one sentence for each that it refuses. */
async function complaints(objects: readonly KubernetesObject[]): Promise<string[]> {
  const answers = await Promise.all(
    objects.map(async (object) => {
      const { status, body } = await server().admin.tryApply(object, { dryRun: true });
      return status < 300 ? [] : [`${object.kind} ${object.metadata.name}: ${messageOf(body)}`];
    }),
  );
  return answers.flat();
}

describe('the server takes every object of the example', () => {
  for (const { name, resource } of readExamples('.')) {
    test(name, needs('apiserver', 'definitions'), async () => {
      const { objects } = settle(trackerFrom(resource), EVERYTHING);
      assert.ok(objects.length > 0);
      assert.deepEqual(await complaints(objects), []);
    });
  }
  test('minimal, in a cluster without optional APIs', needs('apiserver'), async () => {
    const minimal = readExamples('.').find(({ name }) => name === 'minimal');
    assert.deepEqual(await complaints(settle(trackerFrom(minimal?.resource), PLAIN).objects), []);
  });
});

test('and would tell of a field that is none', needs('apiserver'), async () => {
  const minimal = readExamples('.').find(({ name }) => name === 'minimal');
  const service = settle(trackerFrom(minimal?.resource), PLAIN).objects.find(
    ({ kind }) => kind === 'Service',
  );
  assert.ok(service !== undefined);
  const [complaint = ''] = await complaints([{ ...service, spec: { prots: [] } }]);
  assert.match(complaint, /prots/);
});
