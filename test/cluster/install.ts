/**
 * What a user does with a new cluster: the chart by Helm, and a tracker by kubectl.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runBinary } from '../apiserver/commands.ts';
import { waitFor } from '../support/waiting.ts';

const ROOT = join(import.meta.dirname, '../..');
/** The chart of the operator. */
export const OPERATOR_CHART = join(ROOT, 'charts/torrust-tracker-operator');
/** The smallest tracker. */
export const MINIMAL_TRACKER = join(ROOT, 'docs/examples/minimal.yaml');
/** Where the operator runs. */
export const OPERATOR_NAMESPACE = 'torrust-system';
/** The name of the release, and what the operator's Deployment is called for it. */
export const RELEASE = 'torrust';
export const OPERATOR_DEPLOYMENT = 'torrust-torrust-operator';

const READY_DEADLINE_MILLIS = 180_000;

/** Runs kubectl with the kubeconfig of a folder; returns what it printed. Rejects with its complaint. */
export async function kubectl(home: string, args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await runBinary('kubectl', home, args, input);
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** Installs or upgrades the chart and waits until the operator's pods are ready; `values` as for `helm --set`. */
export async function installOperator(home: string, values: readonly string[] = []): Promise<void> {
  const { code, stderr } = await runBinary('helm', home, [
    'upgrade',
    '--install',
    RELEASE,
    OPERATOR_CHART,
    `--namespace=${OPERATOR_NAMESPACE}`,
    '--create-namespace',
    // Without a word Helm would take the values of the last time.
    '--reset-values',
    ...values.map((value) => `--set=${value}`),
  ]);
  assert.equal(code, 0, `helm: ${stderr.trim()}`);
  const rollout = ['rollout', 'status', `deployment/${OPERATOR_DEPLOYMENT}`, '--watch=false'];
  await waitFor(
    'the operator is ready',
    async () =>
      (await kubectl(home, [`--namespace=${OPERATOR_NAMESPACE}`, ...rollout])).includes('successfully'),
    READY_DEADLINE_MILLIS,
  );
}

/** Applies the smallest tracker and waits until it is ready. */
export async function applyMinimalTracker(home: string): Promise<void> {
  await kubectl(home, ['apply', '--filename', MINIMAL_TRACKER]);
  await waitFor(
    'the tracker is ready',
    async () =>
      (await kubectl(home, ['get', 'torrusttracker', 'public', '--output', `jsonpath=${READY}`])) === 'True',
    READY_DEADLINE_MILLIS,
  );
}

const READY = '{.status.conditions[?(@.type=="Ready")].status}';
