/**
 * A real Kubernetes API server for tests: etcd and kube-apiserver in a temporary folder, on free ports of the loopback
 * interface. There are no controllers and no nodes: objects are stored and judged, and nothing acts on them.
 *
 * `startApiServer` gives one that a test may stop, kill and start again; `useApiServer` one that all tests of a process
 * share. Both processes end with this one, even when it is killed.
 * https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { ApiClient } from './client.ts';
import { type BinaryName, findBinary } from './binaries.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { findProgram } from '../support/programs.ts';
import { partObstacle } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';

const READY_DEADLINE_MILLIS = 90_000;
/** Another process may take a port between the moment it was free and the moment it is opened. */
const MAX_STARTS = 3;

/** A server for tests. */
export interface ApiServer {
  readonly url: string;
  /** The certificate that it shows, in PEM. */
  readonly authority: string;
  /** A client of the group system:masters, which may do everything. */
  readonly admin: ApiClient;
  /** The text of a kubeconfig for a bearer token; without one for the administrator's. */
  kubeconfig(token?: string, namespace?: string): string;
  /** A folder that goes with the server; its file `kubeconfig` is the administrator's. */
  readonly home: string;
  /** A token of a service account, as a pod gets it; account and namespace are made when they are missing. */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** Every request so far that a user made, from the audit log. */
  requestsOf(user: string): AuditedRequest[];
  /** When it was ready the last time, as of `Date.now()`. */
  readonly readyAtMillis: number;
  /** The process of kube-apiserver, for signals. */
  readonly pid: number;
  /** Kills kube-apiserver and waits for its end; etcd and its data stay. */
  kill(): Promise<void>;
  /** Starts it again at the same address, and resolves when it is ready. */
  restart(): Promise<void>;
  /** Ends everything and removes the folder. */
  close(): Promise<void>;
}

/** A request as the audit log tells it. */
export interface AuditedRequest {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** The status of the answer. */
  readonly code: number;
  /** Whether the user has no right to it. What admission refuses has the same status. */
  readonly isDenied: boolean;
  /** When it was answered, as of `Date.now()`. */
  readonly atMillis: number;
}

interface Program {
  readonly child: ChildProcess;
  readonly logFile: string;
}

/** Starts a server of one's own. Rejects with the end of the log when it doesn't come up. */
export async function startApiServer(): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-apiserver-'));
  const programs = new Set<Program>();
  const removeAll = (): void => {
    for (const { child } of programs) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  process.once('exit', removeAll);
  const close = async (): Promise<void> => {
    await Promise.all([...programs].map(end));
    process.off('exit', removeAll);
    removeAll();
  };
  try {
    return await open(folder, programs, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(folder: string, programs: Set<Program>, close: () => Promise<void>): Promise<ApiServer> {
  const adminToken = randomBytes(16).toString('hex');
  const auditFile = join(folder, 'audit.log');
  writeInputs(folder, adminToken);

  const etcd = await startOnFreePort(async (port) => {
    const started = run(programs, folder, 'etcd', etcdFlags(folder, port));
    await waitUntil(started, async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok);
    return `http://127.0.0.1:${port}`;
  });
  const startServer = async (port: number): Promise<Program> => {
    const started = run(programs, folder, 'kube-apiserver', serverFlags(folder, port, etcd, auditFile));
    const certificate = join(folder, 'certificates/apiserver.crt');
    await waitUntil(started, async () => {
      const probe = new ApiClient(`https://127.0.0.1:${port}`, readFileSync(certificate, 'utf8'), adminToken);
      try {
        // The namespace is made by the server itself, a moment after it calls itself ready.
        return (await probe.request('GET', '/readyz')).status === 200 && (await hasNamespace(probe));
      } finally {
        await probe.close();
      }
    });
    return started;
  };
  let server: Program | undefined;
  let readyAtMillis = 0;
  const port = await startOnFreePort(async (free) => {
    server = await startServer(free);
    readyAtMillis = Date.now();
    return free;
  });
  const url = `https://127.0.0.1:${port}`;
  const authority = readFileSync(join(folder, 'certificates/apiserver.crt'), 'utf8');
  const admin = new ApiClient(url, authority, adminToken);
  const kubeconfig = (token = adminToken, namespace = 'default') =>
    kubeconfigText({ url, authority, token, namespace });
  writeFileSync(join(folder, 'kubeconfig'), kubeconfig());

  return {
    url,
    authority,
    admin,
    kubeconfig,
    home: folder,
    get pid() {
      assert(server?.child.pid !== undefined, 'the server does not run');
      return server.child.pid;
    },
    serviceAccountToken: (namespace, name) => serviceAccountToken(admin, namespace, name),
    requestsOf: (user) => readAudit(auditFile, user),
    async kill() {
      if (server !== undefined) await end(server);
      server = undefined;
    },
    async restart() {
      assert(server === undefined, 'kill the server before it is started again');
      server = await startServer(port);
      readyAtMillis = Date.now();
    },
    get readyAtMillis() {
      return readyAtMillis;
    },
    async close() {
      await admin.close();
      await close();
    },
  };
}

function writeInputs(folder: string, adminToken: string): void {
  mkdirSync(join(folder, 'certificates'));
  writeFileSync(join(folder, 'tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'sec1', format: 'pem' });
  writeFileSync(join(folder, 'service-account.key'), key);
  writeFileSync(join(folder, 'service-account.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(
    join(folder, 'audit-policy.yaml'),
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n',
  );
}

function etcdFlags(folder: string, port: number): string[] {
  const url = `http://127.0.0.1:${port}`;
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    '--listen-peer-urls=http://127.0.0.1:0',
    // A power failure of a test's data matters to nobody.
    '--unsafe-no-fsync',
  ];
}

function serverFlags(folder: string, port: number, etcd: string, auditFile: string): string[] {
  return [
    `--etcd-servers=${etcd}`,
    `--cert-dir=${join(folder, 'certificates')}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    '--service-cluster-ip-range=10.96.0.0/16',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    // Owner references that block a deletion ask for a right of their own, as on OpenShift.
    '--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement',
    // It waits for accounts that a controller makes, and there is none.
    '--disable-admission-plugins=ServiceAccount',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${join(folder, 'service-account.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
    `--audit-policy-file=${join(folder, 'audit-policy.yaml')}`,
    `--audit-log-path=${auditFile}`,
    '--audit-log-mode=blocking',
  ];
}

/** Starts a program whose log goes to a file, and which the kernel ends with this process where it can. */
function run(programs: Set<Program>, folder: string, name: BinaryName, flags: readonly string[]): Program {
  const path = findBinary(name);
  assert(path !== undefined, "declare needs('apiserver') before a server is started");
  const guard = process.platform === 'linux' ? findProgram('setpriv') : undefined;
  const [command = path, ...words] = [
    ...(guard === undefined ? [] : [guard, '--pdeathsig', 'KILL']),
    path,
    ...flags,
  ];
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(command, words, { stdio: ['ignore', log, log] });
  closeSync(log);
  // Told by the wait for its readiness, which sees that there is no process.
  child.on('error', () => {});
  const program = { child, logFile };
  programs.add(program);
  child.once('exit', () => programs.delete(program));
  return program;
}

/** Ends a program that has nothing to save. */
async function end({ child }: Program): Promise<void> {
  if (!isRunning(child)) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

async function waitUntil({ child, logFile }: Program, isReady: () => Promise<boolean>): Promise<void> {
  const describe = (): string => readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n');
  try {
    await waitFor(
      `${logFile} tells of a server that is ready`,
      async () => {
        if (!isRunning(child)) throw new Error('the process ended');
        return isReady().catch(() => false);
      },
      READY_DEADLINE_MILLIS,
    );
  } catch (error) {
    throw new Error(`${child.spawnargs.at(0)} did not come up:\n${describe()}`, { cause: error });
  }
}

async function hasNamespace(client: ApiClient): Promise<boolean> {
  return (await client.request('GET', '/api/v1/namespaces/default')).status === 200;
}

async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort());
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes('address already in use');
      if (!isTaken || attempt === MAX_STARTS) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server that listens has an address with a port.
  server.close();
  await once(server, 'close');
  return port;
}

async function serviceAccountToken(admin: ApiClient, namespace: string, name: string): Promise<string> {
  await admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await admin.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } });
  const { status, body } = await admin.request(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  );
  assert.equal(status, 201, JSON.stringify(body));
  // The answer of a TokenRequest: https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/
  return (body as { status: { token: string } }).status.token;
}

function readAudit(file: string, user: string): AuditedRequest[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.includes(user))
    .map(parseAuditLine)
    .filter((event) => event.user === user);
}

function parseAuditLine(line: string): AuditedRequest & { readonly user: string } {
  // An event of audit.k8s.io/v1: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
  const event = JSON.parse(line) as {
    verb: string;
    user: { username: string };
    objectRef?: Record<'apiGroup' | 'resource' | 'subresource' | 'namespace' | 'name', string | undefined>;
    responseStatus?: { code: number };
    stageTimestamp: string;
    annotations?: Record<string, string>;
  };
  return {
    user: event.user.username,
    verb: event.verb,
    group: event.objectRef?.apiGroup ?? '',
    resource: event.objectRef?.resource ?? '',
    subresource: event.objectRef?.subresource ?? '',
    namespace: event.objectRef?.namespace ?? '',
    name: event.objectRef?.name ?? '',
    code: event.responseStatus?.code ?? 0,
    isDenied: event.annotations?.['authorization.k8s.io/decision'] === 'forbid',
    atMillis: Date.parse(event.stageTimestamp),
  };
}

let shared: { readonly server: Promise<ApiServer>; users: number } | undefined;

/**
 * The server that all tests of this process share, from the first test of the calling file or suite on; it ends with
 * the last one. Call it outside of tests, and what it returns inside of them. `prepare` runs before the first test.
 * Nothing is started where the part is missing.
 */
export function useApiServer(prepare?: (server: ApiServer) => Promise<void>): () => ApiServer {
  let server: ApiServer | undefined;
  // One hook, since those of a file's top level do not wait for each other.
  before(async () => {
    if (partObstacle('apiserver') !== undefined) return;
    shared ??= { server: startApiServer(), users: 0 };
    shared.users += 1;
    server = await shared.server;
    await prepare?.(server);
  });
  after(async () => {
    if (shared === undefined || server === undefined) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    shared = undefined;
    await server.close();
  });
  return () => {
    assert(server !== undefined, "declare needs('apiserver') for every test that asks for the server");
    return server;
  };
}
