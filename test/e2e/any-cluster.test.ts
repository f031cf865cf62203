/**
 * A tracker whose users are pods beside it, which every cluster can run, whoever owns its nodes: clients that announce every second over
 * UDP, HTTP and HTTPS, and somebody who adds to the whitelist, through all that can be asked of an API server.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, test, type TestContext } from 'node:test';
import { makeMaterials } from '../../operator/key-material.ts';
import { OPERATOR_NAMESPACE } from '../cluster/install.ts';
import { waitFor } from '../support/waiting.ts';
import { type Announcer, tellFigures } from './announcer.ts';
import { imageOf, openVisitor, startAnnouncerPod, type Visitor } from './insider.ts';
import {
  applyTracker,
  awaitReady,
  createNamespace,
  find,
  kube,
  listAll,
  podOf,
  secretValue,
  serviceAddress,
} from './world.ts';
import { startWriter, type Writer } from './writer.ts';

const NAME = 'plain';
const HTTP_PORT = 7070;
const HTTPS_PORT = 7443;
const SERVICE = `${NAME}-http`;
const CERTIFICATE = `${NAME}-http-tls-tls`;
const SPEC = {
  mode: 'Listed',
  http: [
    { name: 'main', port: HTTP_PORT },
    { name: 'tls', port: HTTPS_PORT, tls: { selfSigned: {} } },
  ],
};
/** What the announcers announce. */
const INFO_HASH = Buffer.from('announced-each-second').subarray(0, 20).toString('hex');
/** The operator's certificates begin five minutes early, and are renewed with a third of their life left: 30 seconds after this one was made. */
const SHORT_LIFE_SECONDS = 195;
const DEADLINE_MILLIS = 240_000;

/** The serial number of the certificate that a server shows, and when it ends; in a pod. */
const SHOW_CERTIFICATE = `
import { connect } from 'node:tls';
const [, host, port] = process.argv;
const socket = connect({ host, port, rejectUnauthorized: false }, () => {
  console.log(socket.getPeerCertificate().serialNumber);
  socket.destroy();
});
`;

/** Those of some info hashes that a listed tracker refuses; in a pod. */
const FIND_REFUSED = `
const [, base, ...infoHashes] = process.argv;
for (const infoHash of infoHashes) {
  const hash = infoHash.replaceAll(/../g, '%$&');
  const answer = await fetch(base + '/announce?info_hash=' + hash + '&peer_id=-E20000-whitelisted1&port=1&left=1');
  if (!(await answer.text()).includes('8:interval')) console.log(infoHash);
}
`;

describe('a tracker whose users are pods beside it', () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let namespace = '';
  let address = '';
  let visitor: Visitor | undefined;
  let writer: Writer | undefined;
  const clients = new Map<string, Announcer>();

  before(async () => {
    namespace = await createNamespace(cleaning, 'e2e-any');
    await applyTracker(namespace, NAME, SPEC);
    await awaitReady(namespace, NAME);
    const image = await imageOf(namespace, NAME);
    address = await serviceAddress(namespace, SERVICE);
    visitor = await openVisitor(namespace, image);
    await list(INFO_HASH);
    const udp = await serviceAddress(namespace, `${NAME}-udp`);
    const trusted = { authority: `${NAME}-ca`, host: { name: SERVICE, address } };
    const start = async (kind: string, url: string, trust = {}) =>
      clients.set(kind, await startAnnouncerPod(cleaning, { namespace, image, name: kind, url, ...trust }));
    await start('udp', `udp://${udp}:6969/announce`);
    await start('http', `http://${address}:${HTTP_PORT}/announce`);
    await start('https', `https://${SERVICE}:${HTTPS_PORT}/announce`, trusted);
    writer = startWriter(list);
  });
  after(async () => {
    await writer?.stop();
    for (const clean of cleaners.toReversed()) await clean();
  });

  async function list(infoHash: string): Promise<void> {
    const api = await serviceAddress(namespace, `${NAME}-api`);
    const token = await secretValue(namespace, `${NAME}-api-token`, 'admin');
    const url = `http://${api}:1212/api/v1/whitelist/${infoHash}`;
    const answer = await visitor?.ask({ method: 'POST', url, headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer?.status, 200, answer?.text);
  }

  /** Does something, waits until all clients are served, tells what they lost, and resolves with how many announces that were. */
  async function suffer(context: TestContext, what: string, work: () => Promise<void>): Promise<number> {
    const from = Date.now();
    await work();
    await Promise.all([...clients.values()].map((client) => client.healed()));
    let lost = 0;
    for (const [kind, client] of clients) {
      const figures = await client.figuresSince(from);
      context.diagnostic(tellFigures(`${what}, ${kind} in a pod`, figures));
      lost += figures.sent - figures.answered;
    }
    return lost;
  }

  test('serves them over UDP, HTTP and HTTPS', async (context) => {
    assert.equal(await suffer(context, 'nothing', async () => {}), 0);
  });

  test('takes a change of its configuration without a loss', async (context) => {
    const { uid } = await podOf(namespace, NAME);
    const lost = await suffer(context, 'configuration changed', () => changeInterval(90));
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([lost, pod.uid, pod.restarts], [0, uid, 0]);
  });

  test('gets a new certificate when the old one nears its end, without a loss or a restart', async (context) => {
    const { uid, restarts } = await podOf(namespace, NAME);
    const old = await shownSerial();
    const lost = await suffer(context, 'certificate near its end', async () => {
      const ending = await putShortLived();
      await waitFor(
        'the certificate that ends soon',
        async () => (await shownSerial()) === ending.serialNumber,
        DEADLINE_MILLIS,
      );
      const renewed = await waitFor(
        'another one',
        async () => {
          const serial = await shownSerial();
          return serial !== ending.serialNumber && serial;
        },
        DEADLINE_MILLIS,
      );
      const leftSeconds = Math.round((ending.validToDate.getTime() - Date.now()) / 1000);
      context.diagnostic(`certificate renewed and shown ${leftSeconds} s before the end of the old one`);
      assert.ok(leftSeconds > 0);
      assert.notEqual(renewed, old);
    });
    const pod = await podOf(namespace, NAME);
    assert.deepEqual([lost, pod.uid, pod.restarts], [0, uid, restarts]);
  });

  test('serves them again after its pod was deleted', async (context) => {
    const { name, uid } = await podOf(namespace, NAME);
    await suffer(context, 'pod deleted', async () => {
      await kube(namespace, ['delete', 'pod', name, '--wait=false']);
      await waitFor(
        'another pod',
        () =>
          podOf(namespace, NAME).then(
            (pod) => pod.uid !== uid,
            () => false,
          ),
        DEADLINE_MILLIS,
      );
    });
    await awaitReady(namespace, NAME);
  });

  test('gets what was asked for though the operator was deleted while it did it', async (context) => {
    const lost = await suffer(context, 'operator deleted', () =>
      changeInterval(120, async () => {
        const operators = await listAll(OPERATOR_NAMESPACE, 'pods');
        const names = operators.map(({ metadata }) => metadata.name);
        await kube(OPERATOR_NAMESPACE, ['delete', 'pods', ...names, '--wait=false']);
      }),
    );
    assert.equal(lost, 0);
    await awaitReady(namespace, NAME);
  });

  test('has no way to the API server of the cluster', async () => {
    const { name } = await podOf(namespace, NAME);
    const script = `
      const { existsSync } = await import('node:fs');
      console.log(existsSync('/var/run/secrets/kubernetes.io/serviceaccount'));
    `;
    const words = ['exec', name, '--', 'node', '--input-type=module', '-e', script];
    assert.equal((await kube(namespace, words)).trim(), 'false');
  });

  test('lost nothing that it had acknowledged', async (context) => {
    assert(visitor !== undefined && writer !== undefined);
    await writer.stop();
    const { acknowledged, refused } = writer;
    assert.ok(acknowledged.length > 0);
    const found = await visitor.run(FIND_REFUSED, `http://${address}:${HTTP_PORT}`, ...acknowledged);
    const lost = found.split('\n').filter(Boolean);
    context.diagnostic(
      `whitelist: ${acknowledged.length} changes acknowledged, ${refused} not, ${lost.length} lost`,
    );
    assert.deepEqual(lost, []);
  });

  async function changeInterval(wanted: number, meanwhile?: () => Promise<void>): Promise<void> {
    await applyTracker(namespace, NAME, {
      ...SPEC,
      announce: { intervalSeconds: wanted, minIntervalSeconds: 45 },
    });
    await meanwhile?.();
    const hash = INFO_HASH.replaceAll(/../g, '%$&');
    const query = `info_hash=${hash}&peer_id=-E20000-interval0000&port=1&left=1`;
    const url = `http://${address}:${HTTP_PORT}/announce?${query}`;
    await waitFor(
      'the new interval',
      // Whether the clients are served is for them to tell.
      () =>
        visitor?.ask({ url }).then(
          ({ text }) => text.includes(`8:intervali${wanted}e`),
          () => false,
        ),
      DEADLINE_MILLIS,
    );
  }

  async function shownSerial(): Promise<string> {
    assert(visitor !== undefined);
    return (await visitor.run(SHOW_CERTIFICATE, address, String(HTTPS_PORT))).trim();
  }

  /** Puts a certificate of the tracker's own authority into its Secret that is due to be renewed soon. */
  async function putShortLived(): Promise<X509Certificate> {
    const secret = await find(namespace, 'secret', CERTIFICATE);
    const authority = {
      certificate: await secretValue(namespace, `${NAME}-ca`, 'tls.crt'),
      key: await secretValue(namespace, `${NAME}-ca`, 'tls.key'),
    };
    const present = new X509Certificate(await secretValue(namespace, CERTIFICATE, 'tls.crt'));
    const dnsNames = (present.subjectAltName ?? '').split(', ').map((name) => name.replace('DNS:', ''));
    const order = {
      kind: 'certificate',
      name: CERTIFICATE,
      authority: 'own',
      dnsNames,
      ipAddresses: [],
      days: SHORT_LIFE_SECONDS / 86_400,
    } as const;
    const made = (await makeMaterials([order], new Map([['own', authority]]), new Date())).get(CERTIFICATE);
    assert(secret !== undefined && made?.kind === 'pair');
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    const data = { 'tls.crt': encoded(made.certificate), 'tls.key': encoded(made.key) };
    await kube(namespace, [
      'patch',
      'secret',
      CERTIFICATE,
      '--type=merge',
      '--patch',
      JSON.stringify({ data }),
    ]);
    return new X509Certificate(made.certificate);
  }
});
