/**
 * etcd, the API server, the controllers and the scheduler, in a sandbox of their own, so that no fault of a node takes
 * them along. https://kubernetes.io/docs/reference/command-line-tools-reference/
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ApiClient } from '../apiserver/client.ts';
import { type BinaryName, findBinary } from '../apiserver/binaries.ts';
import { kubeconfigText } from '../apiserver/kubeconfig.ts';
import { waitFor } from '../support/waiting.ts';
import { API_SERVER_URL, CONTROL, FOLDER, KUBECONFIG, NODES, POD_RANGE, SERVICE_RANGE } from './layout.ts';
import { daemonLog, type Sandbox, startDaemon } from './sandbox.ts';

const CONTROL_FOLDER = join(FOLDER, 'control');
const CERTIFICATE = join(CONTROL_FOLDER, 'certificates/apiserver.crt');
const READY_DEADLINE_MILLIS = 90_000;
/**
 * How long a pod stays bound to a node that is silent. Kubernetes' own five minutes make nobody wiser, and every test longer.
 */
const TOLERATION_SECONDS = 20;

/** Who asks the API server, by the name of a file: user, and groups. */
const USERS: Record<string, readonly [user: string, groups: string]> = {
  admin: ['admin', 'system:masters'],
  'controller-manager': ['system:kube-controller-manager', ''],
  scheduler: ['system:kube-scheduler', ''],
  proxy: ['system:kube-proxy', ''],
  ...Object.fromEntries(NODES.map(({ name }) => [name, [`system:node:${name}`, 'system:nodes']])),
};

/** The path of a program of Kubernetes. Throws when it is missing. */
export function binaryPath(name: BinaryName): string {
  const path = findBinary(name);
  if (path === undefined)
    throw new Error(`no ${name}: node test/apiserver/fetch-binaries.ts --cluster brings it`);
  return path;
}

/** The kubeconfig of one of the cluster's own programs. */
export function kubeconfigOf(user: string): string {
  return join(CONTROL_FOLDER, `${user}.kubeconfig`);
}

/** Starts the control plane and waits until it answers. */
export async function startControlPlane(sandbox: Sandbox): Promise<void> {
  const tokens = writeInputs();
  startDaemon(sandbox, 'etcd', binaryPath('etcd'), etcdFlags());
  startDaemon(sandbox, 'kube-apiserver', binaryPath('kube-apiserver'), serverFlags());
  await awaitApiServer(tokens['admin'] ?? '');
  const authority = readFileSync(CERTIFICATE, 'utf8');
  for (const [user, token] of Object.entries(tokens)) {
    const text = kubeconfigText({ url: API_SERVER_URL, authority, token, namespace: 'default' });
    writeFileSync(user === 'admin' ? KUBECONFIG : kubeconfigOf(user), text, { mode: 0o600 });
  }
  startDaemon(sandbox, 'kube-controller-manager', binaryPath('kube-controller-manager'), [
    `--kubeconfig=${kubeconfigOf('controller-manager')}`,
    '--use-service-account-credentials',
    `--service-account-private-key-file=${join(CONTROL_FOLDER, 'service-account.key')}`,
    `--root-ca-file=${CERTIFICATE}`,
    `--cluster-cidr=${POD_RANGE}`,
    // Of one, nobody needs to be elected; and one that waits for its election again ends itself.
    '--leader-elect=false',
  ]);
  startDaemon(sandbox, 'kube-scheduler', binaryPath('kube-scheduler'), [
    `--kubeconfig=${kubeconfigOf('scheduler')}`,
    '--leader-elect=false',
  ]);
  const admin = openAdmin();
  await admin.apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'cluster:node-proxier' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-proxier' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'system:kube-proxy' }],
  } as const);
  await admin.close();
}

/** A client of the cluster for the administrator. */
export function openAdmin(): ApiClient {
  // Written by startControlPlane.
  const config = parse(readFileSync(KUBECONFIG, 'utf8')) as {
    clusters: [{ cluster: { 'certificate-authority-data': string } }];
    users: [{ user: { token: string } }];
  };
  const authority = Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64');
  return new ApiClient(API_SERVER_URL, authority.toString(), config.users[0].user.token);
}

/** Writes what the API server reads; returns the token of each user. */
function writeInputs(): Record<string, string> {
  mkdirSync(CONTROL_FOLDER, { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const write = (name: string, text: string | Buffer) =>
    writeFileSync(join(CONTROL_FOLDER, name), text, { mode: 0o600 });
  write('service-account.key', privateKey.export({ type: 'sec1', format: 'pem' }));
  write('service-account.pub', publicKey.export({ type: 'spki', format: 'pem' }));
  const tokens = Object.fromEntries(
    Object.keys(USERS).map((user) => [user, randomBytes(16).toString('hex')]),
  );
  const lines = Object.entries(USERS).map(
    ([user, [name, groups]]) => `${tokens[user]},${name},${name}${groups === '' ? '' : `,"${groups}"`}\n`,
  );
  write('tokens.csv', lines.join(''));
  return tokens;
}

function etcdFlags(): string[] {
  return [
    `--data-dir=${join(CONTROL_FOLDER, 'etcd')}`,
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    // A power failure of the machine matters to nobody here.
    '--unsafe-no-fsync',
  ];
}

function serverFlags(): string[] {
  return [
    '--etcd-servers=http://127.0.0.1:2379',
    `--cert-dir=${join(CONTROL_FOLDER, 'certificates')}`,
    '--secure-port=6443',
    '--bind-address=0.0.0.0',
    `--advertise-address=${CONTROL.address}`,
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    `--token-auth-file=${join(CONTROL_FOLDER, 'tokens.csv')}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${join(CONTROL_FOLDER, 'service-account.pub')}`,
    `--service-account-signing-key-file=${join(CONTROL_FOLDER, 'service-account.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--default-not-ready-toleration-seconds=${TOLERATION_SECONDS}`,
    `--default-unreachable-toleration-seconds=${TOLERATION_SECONDS}`,
  ];
}

async function awaitApiServer(token: string): Promise<void> {
  try {
    await waitFor('the API server', () => isReady(token), READY_DEADLINE_MILLIS);
  } catch (error) {
    const log = readFileSync(daemonLog(CONTROL.name, 'kube-apiserver'), 'utf8');
    throw new Error(`the API server did not come up:\n${log.split('\n').slice(-15).join('\n')}`, {
      cause: error,
    });
  }
}

async function isReady(token: string): Promise<boolean> {
  if (!existsSync(CERTIFICATE)) return false;
  const client = new ApiClient(API_SERVER_URL, readFileSync(CERTIFICATE, 'utf8'), token);
  try {
    const answers = await Promise.all([
      client.request('GET', '/readyz'),
      client.request('GET', '/api/v1/namespaces/default'),
    ]);
    return answers.every(({ status }) => status === 200);
  } catch {
    return false;
  } finally {
    await client.close();
  }
}
