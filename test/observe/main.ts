/**
 * `make observe`: a tracker under a gentle load with Prometheus beside it and, where a container engine is at hand,
 * Grafana with the dashboards, unless the argument is `--no-grafana`. Everything runs in the foreground and ends with Ctrl-C.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { selfSigned } from '../api/certificates.ts';
import { findProgram } from '../support/programs.ts';
import { freePort, startNodeExporter, startPrometheus } from '../support/prometheus.ts';
import { startTrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { gentleLoad } from './gentle-load.ts';
import { observedConfig, RULE_FILES } from './monitored.ts';

const DASHBOARDS = join(import.meta.dirname, '../../charts/torrust-tracker-operator/dashboards');
const GRAFANA_IMAGE = 'docker.io/grafana/grafana:12.3.0';
const GRAFANA_PATIENCE_MILLIS = 300_000;

const folder = mkdtempSync(join(tmpdir(), 'torrust-observe-'));
const cleaners: (() => void | Promise<void>)[] = [() => rmSync(folder, { recursive: true, force: true })];
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

try {
  await observe();
} finally {
  for (const clean of cleaners.toReversed()) await clean();
}

async function observe(): Promise<void> {
  const { cert, key } = selfSigned('tracker.example', 90);
  writeFileSync(join(folder, 'tracker.crt'), cert);
  writeFileSync(join(folder, 'tracker.key'), key, { mode: 0o600 });
  const context = { after: (clean: () => void) => cleaners.push(clean) };
  const tracker = await startTrackerProcess(context, observedConfig(folder), { folder });
  cleaners.push(async () => void (await tracker.stop()));
  const prometheus = await startPrometheus({
    folder,
    targets: { torrust: [new URL(tracker.metrics).host], node: [await startNodeExporter(context)] },
    ruleFiles: RULE_FILES,
    intervalSeconds: 5,
  });
  cleaners.push(() => prometheus.close());
  const grafana = await startGrafana(prometheus.url);
  const [udp] = tracker.udp;
  const http = `http://127.0.0.1:${tracker.http[0].port}`;
  console.log(`
A tracker under a gentle load, and who watches it:
  Tracker     udp://127.0.0.1:${udp.port}/announce, ${http}/announce
  Metrics     ${tracker.metrics}
  Prometheus  ${await findPage(prometheus.url, 'graph')}?g0.expr=sum%20by%20(protocol%2Ckind)(rate(torrust_tracker_requests_total%5B1m%5D))&g0.tab=0
  Alerts      ${await findPage(prometheus.url, 'alerts')}
  Grafana     ${grafana}

Ctrl-C ends all of it.
`);
  await gentleLoad({ udp: tracker.udp, http: [http] }, stop.signal);
  console.log('Stopping.');
}

/** The address of a page of Prometheus, which Debian's package, whose pages are older ones, has elsewhere. */
async function findPage(prometheusUrl: string, name: string): Promise<string> {
  const ofDebian = `${prometheusUrl}/classic/${name}`;
  return (await fetch(ofDebian)).ok ? ofDebian : `${prometheusUrl}/${name}`;
}

/** Starts Grafana in a container with the dashboards; returns where it is, or why it is not. */
async function startGrafana(prometheusUrl: string): Promise<string> {
  if (process.argv.includes('--no-grafana')) return 'not wanted';
  const engine = ['docker', 'podman']
    .map(findProgram)
    .find((program) => program !== undefined && works(program));
  if (engine === undefined)
    return `not here: no container engine runs; import ${DASHBOARDS}/*.json into yours`;
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
      GRAFANA_IMAGE,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  cleaners.push(() => void spawnSync(engine, ['rm', '--force', name], { stdio: 'ignore' }));
  const url = `http://127.0.0.1:${port}`;
  console.log(`Waiting for Grafana (${GRAFANA_IMAGE})`);
  await waitFor(
    'Grafana',
    async () => {
      if (child.exitCode !== null) throw new Error(`the container of Grafana ended with ${child.exitCode}`);
      return fetch(`${url}/api/health`).then(
        (response) => response.ok,
        () => false,
      );
    },
    GRAFANA_PATIENCE_MILLIS,
  );
  return `${url}/dashboards`;
}

/** Whether the engine can be talked to, which its program alone does not say. */
function works(program: string): boolean {
  return spawnSync(program, ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0;
}
