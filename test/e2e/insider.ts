/**
 * Pods of ours beside a tracker, of its own image, as its users inside a cluster are: one that asks what a test wants to know, and
 * clients that announce every second. They need nothing of the cluster but that it runs pods.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binaryPath } from '../cluster/control-plane.ts';
import { waitFor } from '../support/waiting.ts';
import { type Announcer, followRecords } from './announcer.ts';
import { apply, type Cleaning, HOME, kube, listAll } from './world.ts';

/** What is asked over HTTP. */
export interface Question {
  readonly method?: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A pod that asks. */
export interface Visitor {
  readonly name: string;
  /** Runs an ECMAScript module there, with words in `process.argv` from its second on; resolves with what it printed. */
  run(script: string, ...words: readonly string[]): Promise<string>;
  /** Asks over HTTP. Rejects when there is no answer. */
  ask(question: Question): Promise<{ readonly status: number; readonly text: string }>;
}

const START_DEADLINE_MILLIS = 120_000;
const PATIENCE_MILLIS = 5000;
/** Where the image has the tracker's modules, compiled. */
const IMAGE_FOLDER = '/opt/torrust-tracker';

const ASK = `
const { url, ...options } = JSON.parse(process.argv[1]);
const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(${PATIENCE_MILLIS}) });
console.log(JSON.stringify({ status: answer.status, text: await answer.text() }));
`;

/** Starts a pod that asks. It goes with its namespace. */
export async function openVisitor(namespace: string, image: string, name = 'visitor'): Promise<Visitor> {
  await apply(namespace, pod(name, image, { command: ['node', '-e', 'setInterval(() => {}, 1e9)'] }));
  await awaitRunning(namespace, name);
  const run = (script: string, ...words: readonly string[]) =>
    kube(namespace, ['exec', name, '--', 'node', '--input-type=module', '-e', script, ...words]);
  return {
    name,
    run,
    async ask(question) {
      // As ASK prints it.
      return JSON.parse(await run(ASK, JSON.stringify(question))) as { status: number; text: string };
    },
  };
}

/** A client in a pod. */
interface AnnouncerPod {
  readonly namespace: string;
  readonly image: string;
  readonly name: string;
  readonly url: string;
  /** A Secret whose tls.crt is trusted beside the authorities of the world. */
  readonly authority?: string;
  /** A name that the pod knows without a resolver. */
  readonly host?: { readonly name: string; readonly address: string };
}

/** Starts a pod that announces every second. It goes with its namespace. */
export async function startAnnouncerPod(
  cleaning: Cleaning,
  { namespace, image, name, url, authority, host }: AnnouncerPod,
): Promise<Announcer> {
  const program = readFileSync(join(import.meta.dirname, 'announcer-process.ts'), 'utf8');
  // The image has the tracker's modules, compiled.
  const ofImage = program.replaceAll(/'\.\.\/\.\.\/(tracker\/[^']+)\.ts'/g, `'${IMAGE_FOLDER}/$1.js'`);
  const volumes = [
    { name: 'program', configMap: { name } },
    ...(authority === undefined ? [] : [{ name: 'authority', secret: { secretName: authority } }]),
  ];
  await apply(
    namespace,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { 'announcer.mts': ofImage } },
    pod(
      name,
      image,
      {
        command: ['node', '/program/announcer.mts', url],
        env: authority === undefined ? [] : [{ name: 'NODE_EXTRA_CA_CERTS', value: '/authority/tls.crt' }],
        volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: `/${volume.name}` })),
      },
      {
        volumes,
        ...(host && { hostAliases: [{ ip: host.address, hostnames: [host.name] }] }),
      },
    ),
  );
  await awaitRunning(namespace, name);
  const folder = mkdtempSync(join(tmpdir(), 'torrust-announcer-'));
  const file = join(folder, 'announces');
  writeFileSync(file, '');
  const output = openSync(file, 'a');
  const follower = spawn(
    binaryPath('kubectl'),
    [`--kubeconfig=${join(HOME, 'kubeconfig')}`, `--namespace=${namespace}`, 'logs', '--follow', name],
    { stdio: ['ignore', output, 'ignore'] },
  );
  closeSync(output);
  cleaning.after(async () => {
    follower.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  return followRecords(file, url);
}

/** The image of a tracker's container. */
export async function imageOf(namespace: string, tracker: string): Promise<string> {
  const pods = await listAll(namespace, 'pods');
  const own = pods.find(({ metadata }) => metadata.labels?.['app.kubernetes.io/instance'] === tracker);
  // A Pod as the API server has it.
  const image = (own?.['spec'] as { containers: { image: string }[] } | undefined)?.containers[0]?.image;
  assert(image !== undefined, `${tracker} has no pod`);
  return image;
}

function pod(name: string, image: string, container: object, others: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'e2e.torrust.test/insider': name } },
    spec: {
      automountServiceAccountToken: false,
      // A test does not wait for what announces for ever.
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'insider',
          image,
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          ...container,
        },
      ],
      ...others,
    },
  };
}

async function awaitRunning(namespace: string, name: string): Promise<void> {
  const path = 'jsonpath={.status.phase}';
  await waitFor(
    `the pod ${name} runs`,
    async () => (await kube(namespace, ['get', 'pod', name, `--output=${path}`])) === 'Running',
    START_DEADLINE_MILLIS,
  );
}
