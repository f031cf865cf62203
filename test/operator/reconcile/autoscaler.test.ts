/**
 * A HorizontalPodAutoscaler on a tracker: the API server and the real controller of autoscalers find the number of replicas
 * and the pods by the scale subresource, and what is set there becomes the number of pods.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NamedObject } from '../../apiserver/client.ts';
import { runBinary } from '../../apiserver/commands.ts';
import { startControllers } from '../../apiserver/controllers.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import {
  makeNamespace,
  objectIn,
  playPod,
  playWorkload,
  startOperator,
  told,
  waitForObject,
} from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

test(
  'an autoscaler finds a tracker and its pods, and what it sets is done',
  needs('apiserver', 'controllers'),
  async (context) => {
    const { admin, home } = server();
    const namespace = await makeNamespace(server());
    await startOperator(context, server(), { namespaces: [namespace] });
    const tracker = trackerObject('public', {}, namespace);
    await admin.apply(tracker);
    const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
    const made = await waitForObject(server(), workload, 'made');
    // The pod has the labels of the template, as its controller would give them.
    await playWorkload(server(), made, { isReady: true });
    await playPod(server(), namespace, 'public', { phase: 'Running' });
    const scalePath = `${await admin.pathOf(tracker)}/scale`;
    const scale = async () => (await admin.request('GET', scalePath)).body;
    await waitFor('the pod in the scale', async () => at(await scale(), 'status.replicas') === 1);
    assert.equal(at(await scale(), 'spec.replicas'), 1);
    const selector = String(at(await scale(), 'status.selector'));
    const template = at(made, 'spec.template.metadata.labels') as Record<string, string>;
    for (const term of selector.split(',')) {
      const [name = '', value] = term.split('=');
      assert.equal(template[name], value, `${term} is no label of the pods`);
    }
    const query = new URLSearchParams({ labelSelector: selector }).toString();
    const { body: pods } = await admin.request('GET', `/api/v1/namespaces/${namespace}/pods?${query}`);
    assert.equal(at(pods, 'items.0.metadata.name'), 'public-0');

    startControllers(
      context,
      server(),
      ['horizontal-pod-autoscaler-controller'],
      ['--horizontal-pod-autoscaler-sync-period=1s'],
    );
    const autoscaler: NamedObject = {
      ...objectIn(namespace, 'autoscaling/v2', 'HorizontalPodAutoscaler', 'public'),
      spec: {
        scaleTargetRef: { apiVersion: tracker.apiVersion, kind: tracker.kind, name: 'public' },
        minReplicas: 1,
        maxReplicas: 1,
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
          },
        ],
      },
    };
    await admin.apply(autoscaler);
    // Nobody measures pods here, which is told only when replicas and selector were found.
    const seen = await waitForObject(
      server(),
      autoscaler,
      'looked at',
      (found) => told(found, 'ScalingActive') !== '',
      60_000,
    );
    assert.equal(told(seen, 'AbleToScale'), 'True SucceededGetScale');
    assert.equal(told(seen, 'ScalingActive'), 'False FailedGetResourceMetric');
    assert.equal(at(seen, 'status.currentReplicas'), 1);

    // One that is put to sleep is left asleep; what somebody sets is what the workload gets.
    const kubectl = async (...args: string[]) => {
      const { code, stderr } = await runBinary('kubectl', home, ['-n', namespace, ...args]);
      assert.equal(code, 0, stderr);
    };
    await kubectl('scale', 'tt/public', '--current-replicas=1', '--replicas=0');
    await waitForObject(server(), workload, 'asleep', (found) => at(found, 'spec.replicas') === 0);
    await waitForObject(server(), autoscaler, 'resting', (found) => {
      return told(found, 'ScalingActive') === 'False ScalingDisabled';
    });
    // A scale of 0 leaves the number out.
    assert.equal(at(await scale(), 'spec.replicas') ?? 0, 0);
    await kubectl('scale', 'tt/public', '--replicas=1');
    await waitForObject(server(), workload, 'awake', (found) => at(found, 'spec.replicas') === 1);
  },
);
