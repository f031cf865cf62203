/**
 * What users do wrong, and what clusters refuse: each ends in a condition with a sentence that says what to do, and heals
 * without a restart when its cause goes away. Against a real API server.
 */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject } from '../../apiserver/trackers.ts';
import { selfSigned } from '../../api/certificates.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { objectIn, playPod, playWorkload, waitForObject } from './running-operator.ts';
import { enterScene, type Scene } from './scene.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const enter = (context: TestContext) => enterScene(context, server());

const MYSQL = { mysql: { host: 'db', database: 'torrust', credentialsSecretRef: { name: 'db' } } };

describe('It is told, and heals,', () => {
  const cases: Record<string, (scene: Scene) => Promise<void>> = {
    'that a Secret is missing, lacks a key, and is there': async ({ apply, tracker, secret, sees }) => {
      await apply(tracker({ database: MYSQL }));
      await sees('DatabaseReady', 'False SecretMissing', /create it with the keys username and password/);
      await apply(secret('db', { username: 'u' }));
      await sees('DatabaseReady', 'False SecretIncomplete', /lacks password/);
      await apply(secret('db', { username: 'u', password: 'p' }));
      await sees('DatabaseReady', 'Unknown Unknown');
    },
    'that a token can not be one': async ({ apply, tracker, secret, sees }) => {
      await apply(secret('token', { admin: 'schlüssel' }));
      await apply(tracker({ api: { tokenSecretRef: { name: 'token' } } }));
      await sees('ConfigValid', 'False SecretInvalid', /printable ASCII/);
      await apply(secret('token', { admin: 'one-word' }));
      await sees('ConfigValid', 'True Valid');
    },
    'that a certificate and its key do not fit': async ({ apply, tracker, secret, sees }) => {
      const [one, other] = [selfSigned('one'), selfSigned('other')];
      const tls = (pair: { cert: string; key: string }) => ({
        'tls.crt': pair.cert,
        'tls.key': pair.key,
      });
      await apply(secret('tls', { ...tls(one), 'tls.key': other.key }));
      await apply(tracker({ http: [{ name: 'web', port: 7443, tls: { secretName: 'tls' } }] }));
      await sees('CertificatesReady', 'False SecretInvalid', /tls.key does not belong to tls.crt/);
      await apply(secret('tls', tls(one)));
      await sees('CertificatesReady', 'True CertificatesValid');
    },
    'that the configuration has an unknown key, while the pods stay': async ({
      apply,
      tracker,
      sees,
      namespace,
    }) => {
      await apply(tracker({}));
      const workload = await waitForObject(
        server(),
        objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'),
        'made',
      );
      await apply(tracker({ config: { core: { listd: true } } }));
      await sees('ConfigValid', 'False InvalidConfig', /core\.listd/);
      await sees('Ready', 'False InvalidConfig');
      const after = await server().admin.get(workload);
      assert.equal(at(after, 'metadata.resourceVersion'), at(workload, 'metadata.resourceVersion'));
      await apply(tracker({ config: { core: { tracker_usage_statistics: false } } }));
      await sees('ConfigValid', 'True Valid');
    },
    'that a name is taken, and nothing is taken over': async ({ apply, tracker, sees, namespace }) => {
      const foreign = {
        ...objectIn(namespace, 'v1', 'Service', 'public-udp'),
        spec: { ports: [{ name: 'mine', port: 1 }], selector: { app: 'mine' } },
      };
      await apply(foreign);
      await apply(tracker({}));
      await sees('Degraded', 'True NameCollision', /The Service public-udp is there already/);
      const after = await server().admin.get(foreign);
      assert.equal(at(after, 'metadata.labels'), undefined);
      assert.equal(at(after, 'spec.ports.0.port'), 1);
      assert.ok(
        await server().admin.get(objectIn(namespace, 'v1', 'Service', 'public-http')),
        'the rest is made',
      );
      await server().admin.delete(foreign);
      await sees('Degraded', 'False Settled');
      await waitForObject(server(), objectIn(namespace, 'v1', 'Service', 'public-udp'), 'made', (found) => {
        return at(found, 'spec.ports.0.port') === 6969;
      });
    },
    'that the name of the configuration is taken, and no pod runs with it': async (scene) => {
      const { apply, tracker, sees, namespace } = scene;
      const foreign = { ...objectIn(namespace, 'v1', 'ConfigMap', 'public-config'), data: { a: 'b' } };
      await apply(foreign);
      await apply(tracker({}));
      await sees('Degraded', 'True NameCollision', /public-config/);
      const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
      assert.equal(await server().admin.get(workload), undefined);
      await server().admin.delete(foreign);
      await waitForObject(server(), workload, 'made');
    },
    'that a pod is asked for that a tracker never is': async ({ apply, tracker, sees }) => {
      await apply(tracker({ podTemplate: { spec: { securityContext: { runAsUser: 0 } } } }));
      await sees('Degraded', 'True PodTemplateInvalid', /runs as root/);
      await apply(tracker({}));
      await sees('Degraded', 'False Settled');
    },
    'that the server refuses an object': async ({ apply, tracker, sees }) => {
      await apply(tracker({ podTemplate: { spec: { dnsPolicy: 'Nonsense' } } }));
      await sees('Degraded', 'True ApplyFailed', /refuses the StatefulSet public: .*dnsPolicy/);
      await apply(tracker({}));
      await sees('Degraded', 'False Settled');
    },
    'that the server does not know a field of the pod': async ({ apply, tracker, sees }) => {
      await apply(tracker({ podTemplate: { spec: { hostnam: 'x' } } }));
      await sees('Degraded', 'True ApplyFailed', /hostnam/);
      await apply(tracker({}));
      await sees('Degraded', 'False Settled');
    },
    'that no node takes the pod': async ({ apply, tracker, sees, namespace }) => {
      await apply(tracker({}));
      const workload = await waitForObject(
        server(),
        objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'),
        'made',
      );
      await playWorkload(server(), workload, { isReady: false });
      const message = '0/2 nodes are available: 2 node(s) did not match';
      await playPod(server(), namespace, 'public', {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
      });
      await sees('Degraded', 'True Unschedulable', /Pod public-0: 0\/2 nodes/);
      await sees('Ready', 'False Unschedulable');
      await playPod(server(), namespace, 'public', {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'True' }],
      });
      await sees('Degraded', 'False Settled');
    },
    'that the image can not be pulled': async ({ apply, tracker, sees, namespace }) => {
      await apply(tracker({ image: { tag: 'none' } }));
      const workload = await waitForObject(
        server(),
        objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'),
        'made',
      );
      await playWorkload(server(), workload, { isReady: false });
      const container = (state: object) => ({
        name: 'tracker',
        image: 'ghcr.io/x:none',
        imageID: '',
        ready: false,
        restartCount: 0,
        state,
      });
      const waiting = { waiting: { reason: 'ImagePullBackOff', message: 'not found' } };
      await playPod(server(), namespace, 'public', {
        phase: 'Pending',
        containerStatuses: [container(waiting)],
      });
      await sees('Degraded', 'True ImagePullFailed', /ghcr.io\/x:none can not be had .*spec.image/);
      const running = { running: { startedAt: '2026-11-22T12:00:00Z' } };
      await playPod(server(), namespace, 'public', {
        phase: 'Running',
        containerStatuses: [container(running)],
      });
      await sees('Degraded', 'False Settled');
    },
    'that a priority class is missing, which only an event tells': async ({
      apply,
      tracker,
      sees,
      namespace,
    }) => {
      await apply(tracker({ priorityClassName: 'none' }));
      const workload = await waitForObject(
        server(),
        objectIn(namespace, 'apps/v1', 'StatefulSet', 'public'),
        'made',
      );
      const now = new Date().toISOString();
      await apply({
        ...objectIn(namespace, 'v1', 'Event', 'public.1'),
        type: 'Warning',
        reason: 'FailedCreate',
        message: 'create Pod public-0 failed: no PriorityClass with name none was found',
        involvedObject: { kind: 'StatefulSet', name: 'public', namespace, uid: at(workload, 'metadata.uid') },
        firstTimestamp: now,
        lastTimestamp: now,
      });
      await sees('Degraded', 'True PodRefused', /StatefulSet public: .*no PriorityClass/);
      await playPod(server(), namespace, 'public', { phase: 'Running' });
      await sees('Degraded', 'False Settled');
    },
    'that the cluster lacks an API': async ({ apply, tracker, sees }) => {
      const http = [{ name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] }];
      await apply(tracker({ http, exposure: { gateway: { parentRefs: [{ name: 'edge' }] } } }));
      await sees('ExposureReady', 'False APIMissing', /HTTPRoute of the Gateway API/);
      await apply(tracker({ http }));
      await sees('ExposureReady', 'True Exposed');
    },
    'that a load balancer has given no address': async ({ apply, tracker, sees, namespace }) => {
      await apply(tracker({ exposure: { type: 'LoadBalancer' }, http: [] }));
      await sees('ExposureReady', 'False AddressPending', /UDP main/);
      const service = objectIn(namespace, 'v1', 'Service', 'public-udp');
      await server().admin.apply(
        { ...service, status: { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } } },
        { subresource: 'status', manager: 'cloud' },
      );
      await sees('ExposureReady', 'True Exposed');
      const found = await server().admin.get(tracker({}));
      assert.deepEqual(at(found, 'status.announceURLs'), ['udp://203.0.113.9:6969/announce']);
    },
  };
  for (const [title, play] of Object.entries(cases)) {
    test(title, needs('apiserver'), async (context) => play(await enter(context)));
  }
});

test(
  'a valid edit of a generated token stays, and so do the objects that outlive a tracker',
  needs('apiserver'),
  async (context) => {
    const { apply, tracker, namespace } = await enter(context);
    await apply(tracker({}));
    const token = objectIn(namespace, 'v1', 'Secret', 'public-api-token');
    const keys = objectIn(namespace, 'v1', 'Secret', 'public-connection-id');
    const before = await waitForObject(server(), keys, 'made');
    await waitForObject(server(), token, 'made');
    const mine = Buffer.from('my-own-token').toString('base64');
    await apply({ ...token, data: { admin: mine } });
    const claim = await waitForObject(
      server(),
      objectIn(namespace, 'v1', 'PersistentVolumeClaim', 'public-data'),
      'made',
    );
    assert.equal(at(claim, 'metadata.ownerReferences'), undefined);
    await server().admin.delete(tracker({}));
    await waitFor('an end of the tracker', async () => (await server().admin.get(tracker({}))) === undefined);
    await apply(tracker({}));
    const next = await server().admin.get(tracker({}));
    for (const kept of [token, keys, claim]) {
      await waitForObject(server(), kept, 'taken up again', (found) => {
        const labels = at(found, 'metadata.labels') as Record<string, string>;
        return labels['tracker.torrust.com/instance-uid'] === at(next, 'metadata.uid');
      });
    }
    assert.deepEqual(at(await server().admin.get(keys), 'data'), at(before, 'data'));
    assert.equal(at(await server().admin.get(token), 'data.admin'), mine);
  },
);
