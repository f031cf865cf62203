import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { desiredObjects } from '../../../operator/desired/desired.ts';
import { ANNOTATIONS } from '../../../operator/desired/identity.ts';
import { at, EVERYTHING, observe, settle } from '../environments.ts';
import { readExamples, trackerFrom } from '../examples.ts';
import { GOLDEN_FOLDER, renderGolden } from '../golden.ts';

describe('the manifests of the examples are as they were (node test/operator/golden.ts --write)', () => {
  const golden = renderGolden();
  for (const { file, text } of golden) {
    test(file, () => assert.equal(text, readFileSync(join(GOLDEN_FOLDER, file), 'utf8')));
  }
  test('and there are no others', () => {
    const files = globSync(join(GOLDEN_FOLDER, '*.yaml')).map((path) => basename(path));
    assert.deepEqual(files.toSorted(), golden.map(({ file }) => file).toSorted());
  });
});

test('the recorded pod template of a workload is its template', () => {
  for (const { name, resource } of readExamples('.')) {
    const { objects } = settle(trackerFrom(resource), EVERYTHING);
    const workload = objects.find(({ apiVersion }) => apiVersion === 'apps/v1');
    const recorded = workload?.metadata.annotations?.[ANNOTATIONS.podTemplate];
    assert.deepEqual(JSON.parse(recorded ?? 'null'), at(workload, 'spec.template'), name);
  }
});

test('a user’s Secret that is missing is told in a sentence that names it', () => {
  const tracker = trackerFrom(readExamples('.').find(({ name }) => name === 'private-mysql')?.resource);
  const settled = settle(tracker, EVERYTHING);
  const { problems } = desiredObjects(tracker, EVERYTHING, observe(settled));
  assert.deepEqual(
    problems.map(({ condition, reason }) => `${condition} ${reason}`),
    ['ConfigValid SecretMissing', 'DatabaseReady SecretMissing', 'DatabaseReady SecretMissing'],
  );
  assert.equal(
    problems[1]?.message,
    'spec.database.mysql.credentialsSecretRef names the Secret club-mysql, which does not exist: create it with the keys username and password.',
  );
});
