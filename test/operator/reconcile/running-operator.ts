/**
 * The operator's controller against a real API server, under a service account that may do what the roles say and nothing
 * else; and the parts of a cluster that such a server lacks, played by the test: a workload's controller and the kubelet.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import { Registry } from 'prom-client';
import { GROUP, PLURAL } from '../../../operator/crd/tracker.ts';
import type { Environment } from '../../../operator/desired/environment.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import type { KubeLog } from '../../../operator/kube/kube-log.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { type Permission, PERMISSIONS } from '../../../operator/permissions.ts';
import type { StatusEvent } from '../../../operator/reconcile/changes.ts';
import { startTrackerController, type TrackerController } from '../../../operator/tracker-controller.ts';
import type { NamedObject } from '../../apiserver/client.ts';
import type { ApiServer, AuditedRequest } from '../../apiserver/server.ts';
import { waitFor } from '../../support/waiting.ts';
import { at, PLAIN } from '../environments.ts';

/** How the controller is started. */
export interface OperatorSettings {
  readonly environment?: Partial<Environment>;
  readonly namespaces?: readonly string[];
  readonly isDry?: boolean;
}

/** A controller that runs. */
export interface RunningOperator {
  readonly controller: TrackerController;
  /** What it has said about trackers, in turn. */
  readonly events: StatusEvent[];
  /** Warnings and errors of its log. */
  readonly complaints: string[];
  /** Its whole log, with all fields. */
  readonly lines: string[];
  /** Its requests that were refused or that wrote something, from the server's audit log. */
  requests(): AuditedRequest[];
  stop(): Promise<void>;
}

const SYSTEM = 'torrust-system';
const ACCOUNT = 'torrust-operator';
const ROLE = 'torrust-operator-of-the-test';
export const OPERATOR_USER = `system:serviceaccount:${SYSTEM}:${ACCOUNT}`;

/** Gives the service account exactly the permissions of the table, or of a part of it. Resolves to its token. */
export async function grant(
  server: ApiServer,
  permissions: readonly Permission[] = PERMISSIONS,
): Promise<string> {
  const token = await server.serviceAccountToken(SYSTEM, ACCOUNT);
  const rules = permissions.map(({ group, resources, verbs }) => ({ apiGroups: [group], resources, verbs }));
  const rbac = 'rbac.authorization.k8s.io';
  await server.admin.apply({
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: ROLE },
    rules,
  });
  await server.admin.apply({
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: ROLE },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: ROLE },
    subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: SYSTEM }],
  });
  await waitFor('the server knows the role', () => mayListTrackers(server));
  return token;
}

/** Asked by the administrator, so that nothing is refused to the account. */
async function mayListTrackers(server: ApiServer): Promise<boolean> {
  const resourceAttributes = { verb: 'list', group: GROUP, resource: PLURAL };
  const { body } = await server.admin.request('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user: OPERATOR_USER, resourceAttributes },
  });
  return at(body, 'status.allowed') === true;
}

/** A server that has just started answers 403 until it has read its roles. */
const ROLES_MILLIS = 10_000;

/** Requests of operators that were refused for want of a right, but for the first seconds of the server. */
export function forbiddenTo(server: ApiServer): AuditedRequest[] {
  const since = server.readyAtMillis + ROLES_MILLIS;
  return server.requestsOf(OPERATOR_USER).filter(({ isDenied, atMillis }) => isDenied && atMillis > since);
}

/** Starts the controller for a test, and waits until it has seen the cluster. It ends after the test. */
export async function startOperator(
  context: TestContext,
  server: ApiServer,
  settings: OperatorSettings = {},
): Promise<RunningOperator> {
  const token = await grant(server);
  const connection = Connection.parse(server.kubeconfig(token));
  const metrics = createKubeMetrics(new Registry());
  const client = new KubeClient(connection, metrics.client);
  const ended = new AbortController();
  const events: StatusEvent[] = [];
  const complaints: string[] = [];
  const lines: string[] = [];
  const write: KubeLog['info'] = (fields, message) => lines.push(inspect({ fields, message }, { depth: 8 }));
  const complain: KubeLog['warn'] = (fields, message) => {
    complaints.push(`${message}: ${String(fields['err'])}`);
    write(fields, message);
  };
  // As one that runs outside the cluster: nothing routes to the addresses of Services here.
  const environment = { ...PLAIN, operatorNamespace: undefined, ...settings.environment };
  const controller = startTrackerController({
    client,
    metrics,
    log: { debug: write, info: write, warn: complain, error: complain },
    recorder: { record: (_about, event) => events.push(event) },
    namespaces: settings.namespaces,
    environment: () => ({ ...environment, now: new Date() }),
    operatorVersion: '0.1.0',
    isDry: settings.isDry ?? false,
    signal: ended.signal,
    probing: { intervalMillis: 500, retryMillis: 200, graceMillis: 0 },
  });
  const stop = async () => {
    if (ended.signal.aborted) return;
    ended.abort();
    await controller.ended;
    await connection.close();
    assert.deepEqual(forbiddenTo(server), []);
  };
  context.after(stop);
  await controller.synced;
  const requests = () => server.requestsOf(OPERATOR_USER);
  return { controller, events, complaints, lines, requests, stop };
}

/**
 * A namespace of the test's own, in a cluster with a default StorageClass. It is left behind: without a namespace
 * controller none goes away.
 */
export async function makeNamespace(server: ApiServer): Promise<string> {
  await server.admin.apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'example.com/disk',
  });
  const name = `test-${randomBytes(4).toString('hex')}`;
  await server.admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

/** Which object of a namespace. */
export function objectIn(namespace: string, apiVersion: string, kind: string, name: string): NamedObject {
  return { apiVersion, kind, metadata: { name, namespace } };
}

/** Waits until an object is there and looks as it should. */
export async function waitForObject(
  server: ApiServer,
  object: NamedObject,
  state: string,
  looksRight: (object: NamedObject) => boolean = () => true,
  deadlineMillis = 20_000,
): Promise<NamedObject> {
  return waitFor(
    `${object.kind} ${object.metadata.name}: ${state}`,
    async () => {
      const found = await server.admin.get(object);
      return found !== undefined && looksRight(found) ? found : undefined;
    },
    deadlineMillis,
  );
}

/** The status and the reason of a condition, such as `True Serving`; empty when it is not told. */
export function told(tracker: NamedObject, type: string): string {
  const condition = conditionIn(tracker, type);
  return condition === undefined ? '' : `${condition.status} ${condition.reason}`;
}

/** The sentence of a condition. */
export function sentence(tracker: NamedObject, type: string): string {
  return conditionIn(tracker, type)?.message ?? '';
}

function conditionIn(tracker: NamedObject, type: string) {
  // The status as the definition of trackers has it.
  const conditions = (at(tracker, 'status.conditions') ?? []) as {
    type: string;
    status: string;
    reason: string;
    message: string;
  }[];
  return conditions.find((condition) => condition.type === type);
}

/** Plays the controller of a workload: every pod that is wanted is there and ready, or none is. */
export async function playWorkload(
  server: ApiServer,
  workload: NamedObject,
  { isReady }: { readonly isReady: boolean },
): Promise<void> {
  const { apiVersion, kind, metadata } = workload;
  const { name, namespace } = metadata;
  const present = await server.admin.get({ apiVersion, kind, metadata: { name, namespace } });
  assert(present !== undefined);
  const replicas = Number(at(present, 'spec.replicas') ?? 1);
  const ready = isReady ? replicas : 0;
  const observedGeneration = at(present, 'metadata.generation');
  const status =
    kind === 'DaemonSet'
      ? {
          observedGeneration,
          desiredNumberScheduled: 1,
          currentNumberScheduled: 1,
          numberMisscheduled: 0,
          numberReady: ready,
          updatedNumberScheduled: 1,
        }
      : { observedGeneration, replicas, readyReplicas: ready, updatedReplicas: replicas };
  const object = { apiVersion, kind, metadata: { name, namespace }, status };
  await server.admin.apply(object, { subresource: 'status', manager: 'kube-controller-manager' });
}

/** Plays the kubelet: a pod of a tracker with a status. */
export async function playPod(
  server: ApiServer,
  namespace: string,
  tracker: string,
  status: object,
  nodeName?: string,
): Promise<void> {
  const labels = { 'app.kubernetes.io/name': 'torrust-tracker', 'app.kubernetes.io/instance': tracker };
  const metadata = { name: `${tracker}-0`, namespace, labels };
  const spec = {
    containers: [{ name: 'tracker', image: 'image:1' }],
    ...(nodeName !== undefined && { nodeName }),
  };
  await server.admin.apply({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
  await server.admin.apply(
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: metadata.name, namespace }, status },
    { subresource: 'status', manager: 'kubelet' },
  );
}

/** The status of a pod that is ready at an address. */
export function readyAt(address: string): object {
  return {
    phase: 'Running',
    podIP: address,
    podIPs: [{ ip: address }],
    conditions: [{ type: 'Ready', status: 'True' }],
  };
}
