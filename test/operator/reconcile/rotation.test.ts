/**
 * What the operator renews by itself, from end to end: the keys of connection ids and self-signed certificates. The real
 * command acts at the time that is due, the Secrets change with an overlap, and a real tracker takes them over where its
 * pod's volumes are delivered; no pod is replaced. A step that takes hours is brought near by what the Secret says of it:
 * the time of the last step, or a certificate with a short life.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { test, type TestContext } from 'node:test';
import type { SecretOrder } from '../../../operator/desired/generated-secrets.ts';
import { makeMaterials } from '../../../operator/key-material.ts';
import type { NamedObject } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { newInfoHash, UdpClient } from '../../net/udp-exchange.ts';
import { needs } from '../../support/parts.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { loopbackAddress, randomListeners } from '../probe/loopback-pod.ts';
import { startGranted } from './granted-command.ts';
import { type MountedPod, startMountedPod } from './mounted-pod.ts';
import { makeNamespace, objectIn, OPERATOR_USER, told, waitForObject } from './running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const HOUR_MILLIS = 3_600_000;
const DELIVERY_MILLIS = 5 * 60_000;
const DAY_MILLIS = 24 * HOUR_MILLIS;
/** How near a step is brought. */
const SOON_MILLIS = 5_000;
/** How late the operator may be: a reconcile and a write on a busy machine. */
const LATE_MILLIS = 5_000;

interface Scene {
  readonly namespace: string;
  readonly tracker: NamedObject;
  readonly pod: MountedPod;
  secret(name: string): NamedObject;
  /** Ends with a look at what must not have happened: another pod, or a moment without readiness. */
  end(): Promise<void>;
}

/** The real command, and a tracker under it that is ready. */
async function enter(context: TestContext, spec: object): Promise<Scene> {
  const namespace = await makeNamespace(server());
  const more = ['--no-leader-elect', '--namespaces', namespace];
  const command = await startGranted(context, server(), more);
  const tracker = trackerObject('public', spec, namespace);
  await server().admin.apply(tracker);
  const workload = objectIn(namespace, 'apps/v1', 'StatefulSet', 'public');
  const made = await waitForObject(server(), workload, 'made');
  const pod = await startMountedPod(context, server(), made, loopbackAddress());
  const isReady = (found: NamedObject) => told(found, 'Ready') === 'True Serving';
  const ready = await waitForObject(server(), tracker, 'ready', isReady, 60_000);
  const since = (found: NamedObject) => JSON.stringify(at(found, 'status.conditions.0'));
  return {
    namespace,
    tracker,
    pod,
    secret: (name) => objectIn(namespace, 'v1', 'Secret', name),
    async end() {
      const after = await waitForObject(server(), workload, 'there');
      assert.equal(at(after, 'metadata.generation'), at(made, 'metadata.generation'), 'no pod is replaced');
      assert.deepEqual(at(after, 'spec.template'), at(made, 'spec.template'));
      const writes = server()
        .requestsOf(OPERATOR_USER)
        .filter((each) => each.namespace === namespace && each.resource === 'statefulsets')
        .filter(({ verb }) => verb === 'patch');
      assert.equal(writes.length, 1, 'the workload was written once');
      const last = await waitForObject(server(), tracker, 'there');
      assert.equal(since(last), since(ready), 'it was ready all the time');
      await command.stop();
    },
  };
}

function dataOf(secret: NamedObject, key: string): string {
  // A Secret: texts in base64.
  const data = (secret['data'] ?? {}) as Record<string, string>;
  return Buffer.from(data[key] ?? '', 'base64').toString();
}

/** Waits for a change that is due at a time: it must not come before that, and soon after. */
async function awaitAt(
  state: string,
  secret: NamedObject,
  dueMillis: number,
  hasChanged: (secret: NamedObject) => boolean,
): Promise<NamedObject> {
  const found = await waitForObject(server(), secret, state, hasChanged);
  const lateMillis = Date.now() - dueMillis;
  assert.ok(lateMillis >= 0, `${state}: ${-lateMillis} ms before it is due`);
  assert.ok(lateMillis < LATE_MILLIS, `${state}: ${lateMillis} ms late`);
  return found;
}

test(
  'keys of connection ids are replaced in three steps, and no client notices',
  needs('apiserver'),
  async (context) => {
    const { pod, secret, end } = await enter(context, {
      ...randomListeners(),
      connectionId: { rotationHours: 1 },
    });
    const keys = secret('public-connection-id');
    const linesOf = (found: NamedObject) => dataOf(found, 'keys').trim().split('\n');
    const stepOf = (found: NamedObject) =>
      found.metadata.annotations?.['tracker.torrust.com/rotation-step'] ?? '';
    const [udp] = pod.tracker.udp;
    assert.ok(udp !== undefined);
    const client = await UdpClient.open(context, udp, '127.0.0.1', pod.address);
    const infoHash = newInfoHash();
    const isServed = async (connectionId: bigint) =>
      (await client.tryAnnounce(infoHash, { connectionId })).kind === 'announce';
    let deliveries = 0;
    const deliver = async () => {
      deliveries += 1;
      await pod.deliver();
      const taken = /The keys of connection ids: taken over/g;
      await waitFor('the tracker takes the keys over', () => {
        return (pod.tracker.stdout().match(taken) ?? []).length === deliveries;
      });
    };
    /** Makes the step that lasts so long due soon. Resolves to when that is. */
    const bringNear = async (stepMillis: number): Promise<number> => {
      const dueMillis = Date.now() + SOON_MILLIS;
      const since = new Date(dueMillis - stepMillis).toISOString();
      const annotations = { 'tracker.torrust.com/rotation-step-time': since };
      await server().admin.request(
        'PATCH',
        await server().admin.pathOf(keys),
        { metadata: { annotations } },
        'application/merge-patch+json',
      );
      return dueMillis;
    };

    const first = await waitForObject(server(), keys, 'made');
    const [former = ''] = linesOf(first);
    assert.equal(stepOf(first), 'stable');
    assert.match(former, /^\*/);

    const added = await awaitAt('a second key', keys, await bringNear(HOUR_MILLIS), (found) => {
      return stepOf(found).startsWith('added:');
    });
    const [stillSigns, next = ''] = linesOf(added);
    assert.equal(stillSigns, former, 'the former key signs on');
    assert.doesNotMatch(next, /^\*/);
    await deliver();
    const early = await client.connect();

    const promoted = await awaitAt(
      'the second key signs',
      keys,
      await bringNear(DELIVERY_MILLIS),
      (found) => {
        return stepOf(found).startsWith('promoted:');
      },
    );
    assert.deepEqual(linesOf(promoted).toSorted(), [former.slice(1), `*${next}`].toSorted());
    await deliver();
    assert.ok(await isServed(early), 'what the former key signed is accepted');
    const late = await client.connect();

    const settled = await awaitAt(
      'the first key is gone',
      keys,
      await bringNear(DELIVERY_MILLIS),
      (found) => {
        return stepOf(found) === 'stable';
      },
    );
    assert.deepEqual(linesOf(settled), [`*${next}`]);
    await deliver();
    assert.ok(await isServed(late));
    assert.equal(await isServed(early), false, 'the former key is worth nothing any more');
    await end();
  },
);

test(
  'a self-signed certificate and its authority are renewed before they end',
  needs('apiserver'),
  async (context) => {
    const { http, ...listeners } = randomListeners();
    const tls = { selfSigned: { dnsNames: ['tracker.example'] } };
    const { pod, tracker, secret, end } = await enter(context, {
      ...listeners,
      http: [{ ...http[0], tls }],
    });
    const [pairSecret, authoritySecret] = [secret('public-http-main-tls'), secret('public-ca')];
    const certificateOf = (found: NamedObject) => new X509Certificate(dataOf(found, 'tls.crt'));
    const order = (found: NamedObject, lifeMillis: number): SecretOrder => ({
      kind: 'certificate',
      name: pairSecret.metadata.name,
      authority: authoritySecret.metadata.name,
      dnsNames: [...(certificateOf(found).subjectAltName ?? '').matchAll(/DNS:([^,]+)/g)].map(
        ([, name = '']) => name,
      ),
      ipAddresses: [],
      days: lifeMillis / DAY_MILLIS,
    });
    /** Of a life that begins five minutes before now, a third is left soon. */
    const lifeMillis = (3 * SOON_MILLIS + 5 * 60_000) / 2;
    const put = async (where: NamedObject, pair: { certificate: string; key: string }): Promise<number> => {
      const data = {
        'tls.crt': Buffer.from(pair.certificate).toString('base64'),
        'tls.key': Buffer.from(pair.key).toString('base64'),
      };
      await server().admin.request(
        'PATCH',
        await server().admin.pathOf(where),
        { data },
        'application/merge-patch+json',
      );
      const { validFromDate, validToDate } = new X509Certificate(pair.certificate);
      const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
      return to - (to - from) / 3;
    };
    /** The serial number of what the tracker serves to who trusts an authority. */
    const served = async (authority: NamedObject): Promise<string> => {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const [listener] = pod.tracker.http;
      const socket = connect(
        {
          host: pod.address,
          port: listener?.port ?? 0,
          servername: 'tracker.example',
          ca: dataOf(authority, 'tls.crt'),
        },
        () => resolve(socket.getPeerX509Certificate()?.serialNumber ?? ''),
      );
      socket.on('error', reject);
      try {
        return await promise;
      } finally {
        socket.destroy();
      }
    };
    const expiryOf = (found: NamedObject) => at(found, 'status.certificates.0.notAfter');
    const toSeconds = (date: Date) => date.toISOString().replace(/\.\d+Z$/, 'Z');

    const authority = await waitForObject(server(), authoritySecret, 'made');
    const first = await waitForObject(server(), pairSecret, 'made');
    assert.equal(await served(authority), certificateOf(first).serialNumber);

    // A certificate that the same authority has made, two thirds of whose life are over soon.
    const authorities = new Map([
      [
        authoritySecret.metadata.name,
        { certificate: dataOf(authority, 'tls.crt'), key: dataOf(authority, 'tls.key') },
      ],
    ]);
    const materials = await makeMaterials([order(first, lifeMillis)], authorities, new Date());
    const short = materials.get(pairSecret.metadata.name);
    assert.ok(short?.kind === 'pair');
    const { serialNumber, validToDate } = new X509Certificate(short.certificate);
    const dueMillis = await put(pairSecret, short);
    await waitForObject(server(), tracker, 'told', (found) => expiryOf(found) === toSeconds(validToDate));
    await pod.deliver();
    await waitFor('the short one is served', async () => (await served(authority)) === serialNumber);

    const renewed = await awaitAt('another certificate', pairSecret, dueMillis, (found) => {
      return certificateOf(found).serialNumber !== serialNumber;
    });
    assert.ok(validToDate.getTime() > Date.now() + SOON_MILLIS, 'while the former one is valid');
    assert.ok(certificateOf(renewed).validToDate.getTime() > Date.now() + 89 * DAY_MILLIS);
    assert.equal(dataOf(renewed, 'ca.crt'), dataOf(authority, 'tls.crt'));
    await waitForObject(server(), tracker, 'told', (found) => {
      return expiryOf(found) === toSeconds(certificateOf(renewed).validToDate);
    });
    await pod.deliver();
    await waitFor('the new one is served', async () => {
      return (await served(authority)) === certificateOf(renewed).serialNumber;
    });

    // An authority whose life is over soon: its certificate is made anew at once, and again when the authority is.
    const { name } = authoritySecret.metadata;
    const days = lifeMillis / DAY_MILLIS;
    const commonName = certificateOf(authority).subject.replace(/^CN=/, '');
    const pairs = await makeMaterials([{ kind: 'authority', name, commonName, days }], new Map(), new Date());
    const shortAuthority = pairs.get(name);
    assert.ok(shortAuthority?.kind === 'pair');
    const endMillis = await put(authoritySecret, shortAuthority);
    const between = await waitForObject(server(), pairSecret, 'of the short authority', (found) => {
      return dataOf(found, 'ca.crt') === shortAuthority.certificate && isOf(found);
    });
    assert.notEqual(certificateOf(between).serialNumber, certificateOf(renewed).serialNumber);
    const last = await awaitAt('another authority', authoritySecret, endMillis, (found) => {
      return dataOf(found, 'tls.crt') !== shortAuthority.certificate;
    });
    await waitForObject(server(), pairSecret, 'of the last authority', (found) => {
      return dataOf(found, 'ca.crt') === dataOf(last, 'tls.crt') && isOf(found);
    });
    await pod.deliver();
    await waitFor('it is served', () => served(last).catch(() => undefined));
    await end();

    /** Whether a certificate is signed by the authority that lies beside it. */
    function isOf(found: NamedObject): boolean {
      return certificateOf(found).verify(new X509Certificate(dataOf(found, 'ca.crt')).publicKey);
    }
  },
);
