/**
 * Every query of every panel and rule, asked of a real Prometheus that scrapes a real tracker under a real load, and a
 * real node_exporter: each has to parse, and to have an answer with a figure in it.
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TRACKER_DASHBOARDS } from '../../charts/monitoring/generate.ts';
import { ALERTING_GROUP, RECORDING_GROUP } from '../../charts/monitoring/rules.ts';
import { selfSigned } from '../api/certificates.ts';
import { gentleLoad } from '../observe/gentle-load.ts';
import { fillVariables, observedConfig, RULE_FILES } from '../observe/monitored.ts';
import { needs } from '../support/parts.ts';
import {
  hasFigure,
  type RunningPrometheus,
  type Series,
  startNodeExporter,
  startPrometheus,
} from '../support/prometheus.ts';
import { startTrackerProcess, temporaryFolder, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { metricsIn, readDashboard, variableQueries } from './queries.ts';

const DEADLINE_MILLIS = 120_000;
/** A rate over so long has enough samples, one a second, soon after the start. */
const RANGE_SECONDS = 10;

/** Queries of panels that are empty here, by a metric that they ask for, with the reason. */
const EMPTY_PANELS: Readonly<Record<string, string>> = existsSync(
  '/proc/sys/net/netfilter/nf_conntrack_count',
)
  ? {}
  : {
      node_nf_conntrack_entries: 'the kernel of this machine does not track connections',
      node_nf_conntrack_stat_drop: 'the same',
      node_nf_conntrack_stat_insert_failed: 'the same',
    };

/** Why the expression of an alert is empty here, as it has to be where all is well. */
const EMPTY_ALERTS: Readonly<Record<string, string>> = {
  TorrustTrackerDown: 'the tracker answers Prometheus',
  TorrustTrackerNotReady: 'it is ready',
  TorrustTrackerSilent: 'clients ask, and did not an hour ago',
  TorrustTrackerDropsDatagrams: 'the load is gentle, and the kernel drops nothing',
  TorrustTrackerSwarmMemoryFull: 'forty torrents find room',
  TorrustTrackerDatabaseDown: 'the database is a file that is there',
  TorrustTrackerConnectionIdFailures: 'one announce in forty has an id of its own making, fewer than a fifth',
  TorrustTrackerHidesClients:
    'clients come from loopback addresses, which are neither of a cluster nor of a proxy',
  TorrustTrackerSnapshotFails: 'the folder of the snapshot can be written',
  TorrustTrackerReloadRefused: 'nothing was reloaded',
  TorrustTrackerCertificateExpires: 'the certificate was made for 90 days',
};

describe('Prometheus', needs('prometheus'), () => {
  let prometheus: RunningPrometheus | undefined;
  const cleaners: (() => void)[] = [];
  const context = { after: (cleaner: () => void) => cleaners.push(cleaner) };
  const load = new AbortController();
  let loading: Promise<void> | undefined;
  let tracker: TrackerProcess | undefined;

  before(async () => {
    const folder = temporaryFolder(context);
    const { cert, key } = selfSigned('tracker.example', 90);
    writeFileSync(join(folder, 'tracker.crt'), cert);
    writeFileSync(join(folder, 'tracker.key'), key, { mode: 0o600 });
    tracker = await startTrackerProcess(context, observedConfig(folder), { folder });
    const plain = `http://127.0.0.1:${tracker.http[0].port}`;
    loading = gentleLoad({ udp: tracker.udp, http: [plain] }, load.signal);
    prometheus = await startPrometheus({
      folder,
      targets: {
        torrust: [new URL(tracker.metrics).host],
        node: [await startNodeExporter(context)],
      },
      ruleFiles: RULE_FILES,
      intervalSeconds: 1,
    });
  });
  after(async () => {
    load.abort();
    await loading;
    await prometheus?.close();
    cleaners.toReversed().forEach((clean) => clean());
  });

  async function ask(expr: string): Promise<readonly Series[]> {
    assert(prometheus, 'the suite has begun');
    return prometheus.query(fillVariables(expr, RANGE_SECONDS));
  }

  const answers = async (expr: string) => hasFigure(await ask(expr));

  /** Asks until there is an answer; of a query that is listed as empty, that it has none, though it parses. */
  async function check(what: string, expr: string): Promise<void> {
    if (metricsIn(expr).some((name) => name in EMPTY_PANELS)) {
      assert.equal(
        await answers(expr),
        false,
        `${what} has an answer, though it is listed as empty: ${expr}`,
      );
    } else {
      await waitFor(`an answer for ${what}: ${expr}`, () => answers(expr), DEADLINE_MILLIS);
    }
  }

  test('has no figure of nothing, and one of what is without end', async () => {
    const cases = {
      'vector(0) / 0': false,
      'vector(1) / 0': true,
      'vector(-1) / 0': true,
      'vector(0)': true,
    };
    const found = Object.keys(cases).map(async (expr) => [expr, await answers(expr)] as const);
    assert.deepEqual(Object.fromEntries(await Promise.all(found)), cases);
  });

  for (const file of Object.keys(TRACKER_DASHBOARDS)) {
    test(`answers every query of ${file}`, async () => {
      for (const { title, targets } of readDashboard(file).panels) {
        for (const { expr } of targets ?? []) await check(`"${title}"`, expr);
      }
    });

    test(`has something to choose from at the head of ${file}`, async () => {
      for (const { name, label, expr } of variableQueries(file)) {
        await check(`the choice "${name}"`, expr);
        const series = await ask(expr);
        assert.ok(
          series.every(({ metric }) => metric[label]),
          `${name} is chosen from values of ${label}`,
        );
      }
    });
  }

  test('answers what every rule records', async () => {
    for (const { record } of RECORDING_GROUP.rules) {
      await waitFor(`values of ${record}`, () => answers(record), DEADLINE_MILLIS);
    }
  });

  test('judges every rule, finds what each alert asks for, and sees no reason for one', async () => {
    const running = prometheus;
    assert(running, 'the suite has begun');
    const wanted = ALERTING_GROUP.rules.length + RECORDING_GROUP.rules.length;
    const rules = await waitFor('all rules judged', async () => {
      const judged = await running.rules();
      return judged.length === wanted && judged.every(({ health }) => health !== 'unknown') && judged;
    });
    for (const { name, health, state, lastError } of rules) {
      assert.equal(health, 'ok', `${name}: ${lastError}`);
      // Alerts have a time for which they must hold; none may hold for long here.
      assert.notEqual(state, 'firing', name);
    }
    assert.deepEqual(
      Object.keys(EMPTY_ALERTS).toSorted(),
      ALERTING_GROUP.rules.map(({ alert }) => alert).toSorted(),
    );
    for (const { alert, expr } of ALERTING_GROUP.rules) {
      assert.deepEqual(await ask(expr), [], `${alert} has an answer, though ${EMPTY_ALERTS[alert]}`);
      for (const metric of metricsIn(expr)) {
        await waitFor(`${metric}, which ${alert} asks for`, () => answers(metric), DEADLINE_MILLIS);
      }
    }
  });

  test('shows at once that a tracker has died', async () => {
    assert(tracker && prometheus, 'the suite has begun');
    const { query } = prometheus;
    const figure = async (file: string, title: string) => {
      const panel = readDashboard(file).panels.find((each) => each.title === title);
      assert(panel?.targets);
      const [{ expr }] = panel.targets;
      return (await query(fillVariables(expr, RANGE_SECONDS))).map(({ value }) => value);
    };
    assert.deepEqual(await figure('torrust-tracker.json', 'Ready'), [1]);
    assert.deepEqual(await figure('torrust-tracker-fleet.json', 'Not answering'), [0]);
    await tracker.stop('SIGKILL');
    await waitFor('a figure of its end', async () => {
      const [ready] = await figure('torrust-tracker.json', 'Ready');
      return ready === 0;
    });
    assert.deepEqual(await figure('torrust-tracker-fleet.json', 'Not answering'), [1]);
  });
});
