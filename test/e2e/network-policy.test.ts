/**
 * What the NetworkPolicy of a tracker admits works, and what it does not is refused, by pods beside the tracker, pods of other
 * namespaces and hosts outside. Without it all of it would work, which is tried first.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../support/waiting.ts';
import { startAnnouncer } from './announcer.ts';
import { type ClientHost, openClientHost } from './client-host.ts';
import { imageOf, openVisitor, type Visitor } from './insider.ts';
import { enforcePolicies } from './policy-enforcer.ts';
import {
  applyTracker,
  awaitReady,
  createNamespace,
  kube,
  onOwnCluster,
  podOf,
  publicAddresses,
} from './world.ts';

const NAME = 'guarded';
const LISTENER = 7070;
const API = 1212;
const HEALTH = 1313;
const METRICS = 1314;
const PORTS = [LISTENER, API, HEALTH, METRICS];
const PATIENCE_MILLIS = 3000;
const SPEC = {
  announce: { intervalSeconds: 60, minIntervalSeconds: 30 },
  exposure: { type: 'LoadBalancer', ipFamilyPolicy: 'SingleStack' },
};

/** Which ports of an address take a connection; anywhere with Node.js. */
const FIND_OPEN = `
import { connect } from 'node:net';
const [, host, ...ports] = process.argv;
const open = await Promise.all(ports.map((port) => new Promise((resolve) => {
  const socket = connect({ host, port, timeout: ${PATIENCE_MILLIS} });
  const end = (found) => { socket.destroy(); resolve(found); };
  socket.on('connect', () => end([Number(port)])).on('error', () => end([])).on('timeout', () => end([]));
})));
console.log(JSON.stringify(open.flat()));
`;

describe('the network policy of a tracker', onOwnCluster('its nodes need an enforcer of ours'), () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let namespace = '';
  let elsewhere = '';
  let neighbour: Visitor | undefined;
  let stranger: Visitor | undefined;
  let outsider: ClientHost | undefined;

  before(async () => {
    namespace = await createNamespace(cleaning, 'e2e-policy');
    elsewhere = await createNamespace(cleaning, 'e2e-policy-elsewhere');
    await applyTracker(namespace, NAME, SPEC);
    await awaitReady(namespace, NAME);
    const image = await imageOf(namespace, NAME);
    neighbour = await openVisitor(namespace, image);
    stranger = await openVisitor(elsewhere, image);
    outsider = await openClientHost(cleaning);
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  /** The open ports of the pod, for each who asks. */
  async function open(): Promise<Record<'neighbour' | 'stranger' | 'outsider', number[]>> {
    assert(neighbour !== undefined && stranger !== undefined && outsider !== undefined);
    const { name } = await podOf(namespace, NAME);
    const address = await kube(namespace, ['get', 'pod', name, '--output=jsonpath={.status.podIP}']);
    const words = [address, ...PORTS.map(String)];
    const node = ['--input-type=module', '-e', FIND_OPEN];
    const [beside, other, outside] = await Promise.all([
      neighbour.run(FIND_OPEN, ...words),
      stranger.run(FIND_OPEN, ...words),
      outsider.run(process.execPath, [...node, ...words]),
    ]);
    // As FIND_OPEN prints it.
    const parse = (text: string) => JSON.parse(text) as number[];
    return { neighbour: parse(beside), stranger: parse(other), outsider: parse(outside) };
  }

  test('is what refuses: without it all ports are open to all', async () => {
    assert.deepEqual(await open(), { neighbour: PORTS, stranger: PORTS, outsider: PORTS });
    await enforcePolicies(cleaning, namespace);
  });

  test('opens listeners to all, the REST API to its namespace, metrics to the cluster, and health to nobody', async () => {
    assert.deepEqual(await open(), {
      neighbour: [LISTENER, API, METRICS],
      stranger: [LISTENER, METRICS],
      outsider: [LISTENER],
    });
  });

  test('lets clients in through load balancers, over UDP and HTTP', async () => {
    assert(outsider !== undefined);
    const { udp, http } = await publicAddresses(namespace, NAME);
    const clients = [
      startAnnouncer(cleaning, outsider, `udp://${udp}:6969/announce`),
      startAnnouncer(cleaning, outsider, `http://${http}:${LISTENER}/announce`),
    ];
    await Promise.all(clients.map((client) => client.healed()));
  });

  test('lets the operator ask all that it wants to know', async () => {
    // Another generation is judged anew.
    await applyTracker(namespace, NAME, {
      ...SPEC,
      announce: { intervalSeconds: 90, minIntervalSeconds: 30 },
    });
    await awaitReady(namespace, NAME);
  });

  test('opens the REST API and metrics to those who are named, and to no others', async () => {
    const peers = [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': elsewhere } } }];
    await applyTracker(namespace, NAME, { ...SPEC, networkPolicy: { apiFrom: peers, metricsFrom: [] } });
    await awaitReady(namespace, NAME);
    const wanted = { neighbour: [LISTENER], stranger: [LISTENER, API], outsider: [LISTENER] };
    await waitFor(
      'the change of the policy',
      async () => (await open()).neighbour.length === wanted.neighbour.length,
    );
    assert.deepEqual(await open(), wanted);
  });

  test('is gone when it is not wanted', async () => {
    await applyTracker(namespace, NAME, { ...SPEC, networkPolicy: { enabled: false } });
    await waitFor('open ports', async () => (await open()).outsider.length === PORTS.length);
    assert.deepEqual(await open(), { neighbour: PORTS, stranger: PORTS, outsider: PORTS });
  });
});
