/**
 * Grafana with the dashboards of the chart, in a container of whatever engine is at hand. It is the part of
 * `make observe` that may be missing: what keeps it away is told in a sentence, and everything else goes on.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { findProgram } from '../support/programs.ts';
import { freePort } from '../support/prometheus.ts';
import { waitFor } from '../support/waiting.ts';

const DASHBOARDS = join(import.meta.dirname, '../../charts/torrust-tracker-operator/dashboards');
const IMAGE = 'docker.io/grafana/grafana:12.3.0';
/** The image may have to be fetched. */
const PATIENCE_MILLIS = 300_000;
const ANSWER_LIMIT_MILLIS = 5_000;
/** An engine that is told to end has so long for it. */
const END_LIMIT_MILLIS = 10_000;
const ELSEWHERE = `import ${DASHBOARDS}/*.json into yours`;

/** A Grafana, or the lack of one. */
export interface Grafana {
  /** Where it is, or why it is not. */
  readonly where: string;
  /** Ends its container, also one that is still being fetched. */
  close(): Promise<void>;
}

/** What Grafana is to be started with. */
export interface GrafanaOptions {
  /** Where its configuration goes. */
  readonly folder: string;
  readonly prometheusUrl: string;
  /** Ends the wait for it. */
  readonly signal: AbortSignal;
}

/** Starts Grafana and waits until it answers, or until it is plain that it will not. Never rejects for lack of it. */
export async function startGrafana({ folder, prometheusUrl, signal }: GrafanaOptions): Promise<Grafana> {
  const engine = ['docker', 'podman']
    .map(findProgram)
    .find((program) => program !== undefined && works(program));
  if (engine === undefined) {
    return { where: `not here: no container engine runs; ${ELSEWHERE}`, close: () => Promise.resolve() };
  }
  const provisioning = writeProvisioning(folder, prometheusUrl);
  const port = await freePort();
  const name = `torrust-observe-${process.pid}`;
  const variables = [
    `GF_SERVER_HTTP_PORT=${port}`,
    'GF_SERVER_HTTP_ADDR=127.0.0.1',
    'GF_AUTH_ANONYMOUS_ENABLED=true',
    'GF_AUTH_ANONYMOUS_ORG_ROLE=Viewer',
  ];
  const child = spawn(
    engine,
    [
      'run',
      '--rm',
      '--network=host',
      `--name=${name}`,
      `--volume=${provisioning}:/etc/grafana/provisioning:ro`,
      ...variables.map((variable) => `--env=${variable}`),
      IMAGE,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const close = async () => {
    // An engine that still fetches the image has no container yet, and would make one later.
    if (!hasEnded()) {
      const exit = once(child, 'exit');
      child.kill();
      await Promise.race([exit, sleep(END_LIMIT_MILLIS)]);
      child.kill('SIGKILL');
    }
    spawnSync(engine, ['rm', '--force', name], { stdio: 'ignore' });
  };
  const url = `http://127.0.0.1:${port}`;
  console.log(`Waiting for Grafana (${IMAGE})`);
  const deadlineMillis = performance.now() + PATIENCE_MILLIS;
  const where = await waitFor(
    'Grafana',
    async () => {
      if (signal.aborted) return 'not here: stopped before it answered';
      if (hasEnded()) {
        const how = child.exitCode ?? child.signalCode;
        return `not here: ${basename(engine)} ended with ${how}, for the reason that it gave above; ${ELSEWHERE}`;
      }
      if (performance.now() > deadlineMillis) return `not here: it does not answer; ${ELSEWHERE}`;
      return (await answers(url, signal)) && `${url}/dashboards`;
    },
    2 * PATIENCE_MILLIS,
  );
  return { where, close };
}

/** Writes where Grafana finds the dashboards and their data; returns the folder. */
function writeProvisioning(folder: string, prometheusUrl: string): string {
  const provisioning = join(folder, 'grafana');
  for (const name of ['datasources', 'dashboards', 'json'])
    mkdirSync(join(provisioning, name), { recursive: true });
  cpSync(DASHBOARDS, join(provisioning, 'json'), { recursive: true });
  writeFileSync(
    join(provisioning, 'datasources/prometheus.yaml'),
    stringify({
      apiVersion: 1,
      datasources: [
        { name: 'Prometheus', type: 'prometheus', access: 'proxy', url: prometheusUrl, isDefault: true },
      ],
    }),
  );
  writeFileSync(
    join(provisioning, 'dashboards/torrust.yaml'),
    stringify({
      apiVersion: 1,
      providers: [{ name: 'torrust', type: 'file', options: { path: '/etc/grafana/provisioning/json' } }],
    }),
  );
  return provisioning;
}

async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MILLIS)]);
    const response = await fetch(`${url}/api/health`, { signal: limit });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Whether the engine can be talked to, which its program alone does not say. */
function works(program: string): boolean {
  return spawnSync(program, ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}
