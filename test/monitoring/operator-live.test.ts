/**
 * The dashboard and the rules of the operator, asked of a real Prometheus that scrapes the real command, which works with a
 * real API server: every query has to parse and to have an answer, and no metric of the operator is left out of all.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OPERATOR_DASHBOARDS } from '../../charts/monitoring/generate.ts';
import { OPERATOR_ALERTING_GROUP, OPERATOR_RECORDING_GROUP } from '../../charts/monitoring/operator-rules.ts';
import { useApiServer } from '../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../apiserver/trackers.ts';
import { fillVariables, OPERATOR_RULE_FILE } from '../observe/monitored.ts';
import { portOf } from '../operator/cli/operator-process.ts';
import { startGranted } from '../operator/reconcile/granted-command.ts';
import { startLoopbackPod } from '../operator/probe/loopback-pod.ts';
import {
  makeNamespace,
  objectIn,
  playPod,
  playWorkload,
  readyAt,
  told,
  waitForObject,
} from '../operator/reconcile/running-operator.ts';
import { needs } from '../support/parts.ts';
import { hasFigure, startPrometheus } from '../support/prometheus.ts';
import { temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { NOT_SHOWN } from './metric-names.ts';
import { dashboardQueries, metricsIn, readDashboard, variableQueries } from './queries.ts';

const DEADLINE_MILLIS = 120_000;
/** A rate over so long has enough samples, one a second, soon after the start. */
const RANGE_SECONDS = 10;

/** Why the expression of an alert is empty here, as it has to be where all is well. */
const EMPTY_ALERTS: Readonly<Record<string, string>> = {
  TorrustOperatorDown: 'the operator answers Prometheus',
  TorrustOperatorHasNoLeader: 'it holds the lease',
  TorrustOperatorApiErrors: 'the API server answers',
  TorrustOperatorReconcilesFail: 'few reconciles fail, if any',
  TorrustOperatorHangs: 'none lasts for minutes',
  TorrustOperatorTrackerNotReady: 'the one tracker that is to serve became ready',
};

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

/** The names of the operator's metrics in a scrape; a histogram once. */
function metricNames(text: string): string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name);
}

describe('Prometheus', () => {
  test(
    'answers every query about a real operator, and sees no reason for an alert',
    needs('apiserver', 'prometheus'),
    async (context) => {
      const namespace = await makeNamespace(server());
      const { address, spec } = await startLoopbackPod(context);
      const tracker = trackerObject('open', spec, namespace);
      await server().admin.apply(tracker);
      await server().admin.apply(trackerObject('asleep', { ...spec, hibernate: true }, namespace));
      const command = await startGranted(context, server(), ['--namespaces', namespace]);
      const port = await portOf(command);
      const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'open');
      await waitForObject(server(), workload, 'made');
      const prometheus = await startPrometheus({
        folder: temporaryFolder(context),
        targets: { 'torrust-operator': [`127.0.0.1:${port}`] },
        ruleFiles: [OPERATOR_RULE_FILE],
        intervalSeconds: 1,
      });
      context.after(() => prometheus.close());
      const answer = (expr: string) => prometheus.query(fillVariables(expr, RANGE_SECONDS));
      const answers = async (expr: string) => hasFigure(await answer(expr));

      const notReady = `torrust_operator_tracker_ready{tracker="${namespace}/open"} == 0`;
      await waitFor('a tracker that is not ready', () => answers(notReady), DEADLINE_MILLIS);
      for (const file of Object.keys(OPERATOR_DASHBOARDS)) {
        for (const { title, targets } of readDashboard(file).panels) {
          for (const { expr } of targets ?? []) {
            await waitFor(`an answer for "${title}": ${expr}`, () => answers(expr), DEADLINE_MILLIS);
          }
        }
        for (const { name, label, expr } of variableQueries(file)) {
          const series = await waitFor(
            `something to choose from as ${name}: ${expr}`,
            async () => {
              const found = await answer(expr);
              return hasFigure(found) && found;
            },
            DEADLINE_MILLIS,
          );
          assert.ok(
            series.every(({ metric }) => metric[label]),
            `${name} is chosen from values of ${label}`,
          );
        }
      }
      await playWorkload(server(), workload, { isReady: true });
      await playPod(server(), namespace, 'open', readyAt(address));
      await waitForObject(
        server(),
        tracker,
        'ready',
        (found) => told(found, 'Ready') === 'True Serving',
        DEADLINE_MILLIS,
      );
      const isReady = `torrust_operator_tracker_ready{tracker="${namespace}/open"} == 1`;
      await waitFor('a tracker that is ready', () => answers(isReady), DEADLINE_MILLIS);
      for (const [state, count] of Object.entries({ ready: 1, not_ready: 0, asleep: 1, paused: 0 })) {
        const [found] = await answer(`torrust_operator_trackers{state="${state}"}`);
        assert.equal(found?.value, count, state);
      }

      for (const { record } of OPERATOR_RECORDING_GROUP.rules) {
        await waitFor(`values of ${record}`, () => answers(record), DEADLINE_MILLIS);
      }
      const wanted = OPERATOR_ALERTING_GROUP.rules.length + OPERATOR_RECORDING_GROUP.rules.length;
      const rules = await waitFor('all rules judged', async () => {
        const judged = await prometheus.rules();
        return judged.length === wanted && judged.every(({ health }) => health !== 'unknown') && judged;
      });
      for (const { name, health, state, lastError } of rules) {
        assert.equal(health, 'ok', `${name}: ${lastError}`);
        assert.notEqual(state, 'firing', name);
      }
      assert.deepEqual(
        Object.keys(EMPTY_ALERTS).toSorted(),
        OPERATOR_ALERTING_GROUP.rules.map(({ alert }) => alert).toSorted(),
      );
      for (const { alert, expr } of OPERATOR_ALERTING_GROUP.rules) {
        assert.deepEqual(await answer(expr), [], `${alert} has an answer, though ${EMPTY_ALERTS[alert]}`);
        for (const metric of metricsIn(expr)) {
          await waitFor(`${metric}, which ${alert} asks for`, () => answers(metric), DEADLINE_MILLIS);
        }
      }

      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      const names = metricNames(text);
      const asked = new Set(
        [
          ...Object.keys(OPERATOR_DASHBOARDS).flatMap(dashboardQueries),
          ...[...OPERATOR_RECORDING_GROUP.rules, ...OPERATOR_ALERTING_GROUP.rules].map(({ expr }) => expr),
        ].flatMap(metricsIn),
      );
      assert.deepEqual(
        names.filter((name) => !asked.has(name) && !(name in NOT_SHOWN)),
        [],
        'metrics on no panel and in no rule',
      );
      await command.stop();
    },
  );
});
