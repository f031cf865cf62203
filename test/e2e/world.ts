/**
 * What the tests see of the cluster: the commands of a user, and the objects that they tell of. main.ts names the cluster.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { NamedObject } from '../apiserver/client.ts';
import { trackerObject } from '../apiserver/trackers.ts';
import { kubectl } from '../cluster/install.ts';
import { waitFor } from '../support/waiting.ts';

/** A folder with the file `kubeconfig`. */
export const HOME = process.env['TORRUST_E2E_HOME'] ?? '';
/** Whether the cluster is that of `make cluster`, whose parts can be broken. */
const IS_OWN = process.env['TORRUST_E2E_OWN'] === '1';
const DEADLINE_MILLIS = 180_000;

/** A condition of a resource. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** What a test can register the undoing of its doing with. */
export interface Cleaning {
  after(clean: () => Promise<void>): void;
}

/**
 * For the options of a test that breaks nodes, or has clients in their network: `needs()` for a cluster of ours. `why`
 * says what is missing elsewhere; `make e2e` repeats it at its end.
 */
export function onOwnCluster(why = 'its clients are hosts in the network of the nodes'): { skip?: string } {
  return IS_OWN ? {} : { skip: why };
}

/** Runs kubectl in a namespace. */
export function kube(namespace: string, args: readonly string[], input = ''): Promise<string> {
  return kubectl(HOME, [`--namespace=${namespace}`, ...args], input);
}

/** Makes a namespace, which goes after the test with all that is in it. */
export async function createNamespace(cleaning: Cleaning, name: string): Promise<string> {
  await kubectl(HOME, ['create', 'namespace', name]);
  cleaning.after(async () => {
    await kubectl(HOME, ['delete', 'namespace', name, '--wait=false']);
  });
  return name;
}

/** Applies objects as a user does. */
export async function apply(namespace: string, ...objects: readonly object[]): Promise<void> {
  await kube(namespace, ['apply', '--filename=-'], objects.map((object) => stringify(object)).join('---\n'));
}

/** Applies a tracker. */
export async function applyTracker(namespace: string, name: string, spec: object): Promise<void> {
  await apply(namespace, trackerObject(name, spec, namespace));
}

/** An object as it is; undefined when there is none. */
export async function find(namespace: string, kind: string, name: string): Promise<NamedObject | undefined> {
  const text = await kube(namespace, ['get', kind, name, '--output=json', '--ignore-not-found']);
  return text === '' ? undefined : (JSON.parse(text) as NamedObject); // What kubectl prints for one name.
}

/** Every object of some kinds, such as `pods,services`. */
export async function listAll(namespace: string, kinds: string): Promise<readonly NamedObject[]> {
  const text = await kube(namespace, ['get', kinds, '--output=json']);
  return (JSON.parse(text) as { items: NamedObject[] }).items; // What kubectl prints for many.
}

/** A condition of a tracker; undefined while it has none. */
export async function conditionOf(
  namespace: string,
  name: string,
  type: string,
): Promise<Condition | undefined> {
  const tracker = await find(namespace, 'torrusttracker', name);
  // A TorrustTracker as the API server has it.
  const { conditions = [] } = (tracker?.['status'] ?? {}) as { conditions?: Condition[] };
  return conditions.find((condition) => condition.type === type);
}

/** Waits until a condition of a tracker has a status; rejects with what it was instead. */
export async function awaitCondition(
  namespace: string,
  name: string,
  type: string,
  status: string,
  deadlineMillis = DEADLINE_MILLIS,
): Promise<Condition> {
  let last: Condition | undefined;
  try {
    return await waitFor(
      `${type} of ${name} is ${status}`,
      async () => {
        // While the API server is away kubectl fails.
        last = await conditionOf(namespace, name, type).catch(() => last);
        return last?.status === status && last;
      },
      deadlineMillis,
    );
  } catch (error) {
    throw new Error(`${type} of ${name} is ${JSON.stringify(last)}`, { cause: error });
  }
}

/** Waits until the latest generation of a tracker is ready. */
export async function awaitReady(namespace: string, name: string): Promise<void> {
  await waitFor(
    `the operator saw ${name} as it is`,
    async () => {
      const tracker = await find(namespace, 'torrusttracker', name);
      // A TorrustTracker as the API server has it.
      const { observedGeneration } = (tracker?.['status'] ?? {}) as { observedGeneration?: number };
      const { generation } = (tracker?.metadata ?? {}) as { generation?: number };
      return generation !== undefined && observedGeneration === generation;
    },
    DEADLINE_MILLIS,
  );
  await awaitCondition(namespace, name, 'Ready', 'True');
}

/** The addresses of a tracker's public Services, once a load balancer gave them. */
export async function publicAddresses(
  namespace: string,
  name: string,
): Promise<{ readonly udp: string; readonly http: string }> {
  const of = (service: string) =>
    waitFor(`an address of ${service}`, async () => {
      const path = 'jsonpath={.status.loadBalancer.ingress[0].ip}';
      const address = await kube(namespace, ['get', 'service', service, `--output=${path}`]);
      return address !== '' && address;
    });
  return { udp: await of(`${name}-udp`), http: await of(`${name}-http`) };
}

/** The address of a Service inside of the cluster. */
export function serviceAddress(namespace: string, service: string): Promise<string> {
  return kube(namespace, ['get', 'service', service, '--output=jsonpath={.spec.clusterIP}']);
}

/** A value of a Secret. */
export async function secretValue(namespace: string, name: string, key: string): Promise<string> {
  const secret = await find(namespace, 'secret', name);
  const value = (secret?.['data'] as Record<string, string> | undefined)?.[key]; // A Secret's data are texts.
  assert(value !== undefined, `the Secret ${name} has no key ${key}`);
  return Buffer.from(value, 'base64').toString();
}

/** Calls the REST API of a tracker through its Service. Rejects when the answer is no success. */
export async function callApi(
  namespace: string,
  name: string,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const address = await serviceAddress(namespace, `${name}-api`);
  const token = await secretValue(namespace, `${name}-api-token`, 'admin');
  const answer = await fetch(`http://${address}:1212/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, `${method} ${path}: ${text}`);
  return JSON.parse(text) as unknown;
}

/** The name and the node of a tracker's only pod, and how often its container was started anew. */
export async function podOf(
  namespace: string,
  name: string,
): Promise<{
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly restarts: number;
}> {
  const pods = await listAll(namespace, 'pods');
  const [pod, ...others] = pods.filter(
    ({ metadata }) => metadata.labels?.['app.kubernetes.io/instance'] === name,
  );
  assert(pod !== undefined && others.length === 0, `${name} has ${pods.length} pods`);
  // A Pod as the API server has it.
  const { spec, status, metadata } = pod as unknown as {
    metadata: { name: string; uid: string };
    spec: { nodeName: string };
    status: { containerStatuses?: { restartCount: number }[] };
  };
  const restarts = status.containerStatuses?.[0]?.restartCount ?? 0;
  return { name: metadata.name, uid: metadata.uid, node: spec.nodeName, restarts };
}

/** A path of the project. */
export function projectPath(...parts: readonly string[]): string {
  return join(import.meta.dirname, '../..', ...parts);
}
