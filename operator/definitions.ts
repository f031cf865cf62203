/**
 * Brings the CustomResourceDefinitions of this version to a cluster, for an operator that runs without the chart.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parse } from 'yaml';
import { ClusterError } from './cluster-error.ts';
import { MANAGER } from './desired/identity.ts';
import { conditionOf, textAt } from './json-path.ts';
import { resourceOf } from './kube/api-resource.ts';
import type { KubeClient } from './kube/client.ts';
import type { KubeLog } from './kube/kube-log.ts';
import { isKubeObject, type KubeObject } from './kube/kube-object.ts';

const FOLDER = new URL('../crds/', import.meta.url);
const LOOK_MILLIS = 200;
/** A server takes a second or two. */
const ESTABLISHED_MILLIS = 60_000;

/**
 * Applies every definition, and waits until the server serves its kind; a dry one only lets the server judge. Rejects when
 * the server refuses one, or does not take it up, as when another definition has one of its names.
 */
export async function applyDefinitions(
  client: KubeClient,
  log: KubeLog,
  isDry: boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
    const definition: unknown = parse(readFileSync(new URL(file, FOLDER), 'utf8'));
    if (!isKubeObject(definition)) throw new Error(`crds/${file} is no object of Kubernetes`);
    await client.apply(definition, { fieldManager: MANAGER, force: true, dryRun: isDry, signal });
    if (!isDry) await waitUntilEstablished(client, definition, signal);
    log.info({ name: definition.metadata.name, dryRun: isDry }, 'the definition is applied');
  }
}

async function waitUntilEstablished(
  client: KubeClient,
  definition: KubeObject,
  signal: AbortSignal,
): Promise<void> {
  const { name } = definition.metadata;
  const deadline = performance.now() + ESTABLISHED_MILLIS;
  for (;;) {
    const present = await client.get(resourceOf(definition), { name }, { signal });
    const established = conditionOf(present, 'Established');
    if (textAt(established, 'status') === 'True') return;
    const accepted = conditionOf(present, 'NamesAccepted');
    if (textAt(accepted, 'status') === 'False' || performance.now() > deadline) {
      const why = textAt(accepted, 'message') ?? textAt(established, 'message') ?? 'no reason is given';
      throw new ClusterError(`the API server does not take up the definition ${name}: ${why}`);
    }
    await pause(LOOK_MILLIS, undefined, { signal });
  }
}
