/**
 * Prometheus beside the cluster scrapes the tracker's and the operator's pods and a node: every query of every dashboard
 * has an answer, and no alert fires.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DASHBOARDS } from '../../charts/monitoring/generate.ts';
import { OPERATOR_NAMESPACE } from '../cluster/install.ts';
import { NODES } from '../cluster/layout.ts';
import { findSandbox, programPath } from '../cluster/sandbox.ts';
import { readDashboard } from '../monitoring/queries.ts';
import { gentleLoad } from '../observe/gentle-load.ts';
import { fillVariables, RULE_FILES } from '../observe/monitored.ts';
import { needs } from '../support/parts.ts';
import { type RunningPrometheus, startPrometheus } from '../support/prometheus.ts';
import { waitFor } from '../support/waiting.ts';
import {
  applyTracker,
  awaitReady,
  createNamespace,
  listAll,
  onOwnCluster,
  publicAddresses,
} from './world.ts';

const NAME = 'watched';
const METRICS_PORT = 1314;
const OPERATOR_PORT = 8080;
const NODE_PORT = 9100;
/** A rate over so long has enough samples, one a second, soon after the start. */
const RANGE_SECONDS = 15;
const DEADLINE_MILLIS = 180_000;

const NEEDED = { ...onOwnCluster('Prometheus asks pods from this machine'), ...needs('prometheus') };

describe('Prometheus beside the cluster', NEEDED, () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let prometheus: RunningPrometheus | undefined;

  before(async () => {
    const namespace = await createNamespace(cleaning, 'e2e-monitoring');
    await applyTracker(namespace, NAME, {
      http: [
        { name: 'main', port: 7070 },
        { name: 'tls', port: 7443, tls: { selfSigned: {} } },
      ],
      swarm: { memory: '16Mi', snapshot: { enabled: true, intervalSeconds: 10 } },
      policy: { persistentCompleted: true },
      exposure: { type: 'LoadBalancer', ipFamilyPolicy: 'SingleStack' },
    });
    await awaitReady(namespace, NAME);
    const { udp, http } = await publicAddresses(namespace, NAME);
    const load = new AbortController();
    const loading = gentleLoad(
      { udp: [{ host: udp, port: 6969, family: 4 }], http: [`http://${http}:7070`] },
      load.signal,
    );
    cleaning.after(async () => {
      load.abort();
      await loading;
    });
    const folder = mkdtempSync(join(tmpdir(), 'torrust-e2e-'));
    cleaning.after(async () => rmSync(folder, { recursive: true }));
    const exporter = startNodeExporter();
    cleaning.after(async () => void exporter.kill('SIGKILL'));
    const operators = await podAddresses(OPERATOR_NAMESPACE);
    const trackers = await podAddresses(namespace);
    const running = await startPrometheus({
      folder,
      targets: {
        torrust: trackers.map((address) => `${address}:${METRICS_PORT}`),
        operator: operators.map((address) => `${address}:${OPERATOR_PORT}`),
        node: [`${NODES[0]?.address}:${NODE_PORT}`],
      },
      ruleFiles: RULE_FILES,
      intervalSeconds: 1,
    });
    cleaning.after(() => running.close());
    prometheus = running;
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  for (const file of Object.keys(DASHBOARDS)) {
    test(`answers every query of ${file}`, async () => {
      for (const { title, targets } of readDashboard(file).panels) {
        for (const { expr } of targets ?? []) {
          const query = fillVariables(expr, RANGE_SECONDS);
          const hasAnswer = async () => ((await prometheus?.query(query)) ?? []).length > 0;
          await waitFor(`an answer for "${title}": ${query}`, hasAnswer, DEADLINE_MILLIS);
        }
      }
    });
  }

  test('sees no reason for an alert', async () => {
    const rules = (await prometheus?.rules()) ?? [];
    assert.ok(rules.length > 0);
    for (const { name, state, health } of rules)
      assert.deepEqual([health, state === 'firing'], ['ok', false], name);
  });
});

/** The addresses of all pods of a namespace. */
async function podAddresses(namespace: string): Promise<string[]> {
  const pods = await listAll(namespace, 'pods');
  // Pods as the API server has them.
  return pods.map(({ status }) => (status as { podIP: string }).podIP);
}

/** Runs node_exporter on the network of the first node. */
function startNodeExporter(): ChildProcess {
  const [node] = NODES;
  assert(node !== undefined);
  const exporter = programPath('prometheus-node-exporter');
  const { pid } = findSandbox(node.name);
  // prettier-ignore
  const words = ['--pdeathsig=KILL', programPath('nsenter'), `--target=${pid}`, '--net', exporter, `--web.listen-address=:${NODE_PORT}`];
  return spawn(programPath('setpriv'), words, { stdio: 'ignore' });
}
