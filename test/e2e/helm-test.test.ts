/**
 * `helm test`, as whoever installed the chart runs it: inside the cluster, with no rights but those of the chart.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBinary } from '../apiserver/commands.ts';
import { OPERATOR_NAMESPACE, RELEASE } from '../cluster/install.ts';
import { waitFor } from '../support/waiting.ts';
import { HOME, kube } from './world.ts';

test('helm test makes a tracker, announces to it, and leaves nothing', async () => {
  const { code, stdout, stderr } = await runBinary('helm', HOME, [
    'test',
    RELEASE,
    `--namespace=${OPERATOR_NAMESPACE}`,
    '--logs',
  ]);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /announce, scrape[^]*announce, scrape[^]*the tracker answers[^]*deleted it/);
  // A volume claim waits for its pod to end.
  await waitFor('nothing of the tracker is left', async () => {
    const kinds = 'torrusttrackers,pods,secrets,persistentvolumeclaims';
    const left = await kube(OPERATOR_NAMESPACE, ['get', kinds, '--output=name']);
    return !/selftest-[0-9a-f]{6}/.test(left);
  });
});
