/**
 * A tracker on the network of every node: no translation of addresses, a pod and swarms of its own on each.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { NODES } from '../cluster/layout.ts';
import { type Announcer, startAnnouncer } from './announcer.ts';
import { type ClientHost, openClientHost } from './client-host.ts';
import {
  applyTracker,
  awaitCondition,
  awaitReady,
  createNamespace,
  find,
  listAll,
  onOwnCluster,
} from './world.ts';

const NAME = 'edge';
const UDP_PORT = 6970;
const HTTP_PORT = 7071;

describe('a tracker on the network of both nodes', onOwnCluster('its pods want ports of nodes'), () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let namespace = '';
  let host: ClientHost | undefined;

  before(async () => {
    namespace = await createNamespace(cleaning, 'e2e-host-node');
    await applyTracker(namespace, NAME, {
      topology: 'HostNode',
      udp: [{ name: 'main', port: UDP_PORT }],
      http: [{ name: 'main', port: HTTP_PORT }],
      announce: { intervalSeconds: 10, minIntervalSeconds: 5 },
    });
    await awaitReady(namespace, NAME);
    host = await openClientHost(cleaning);
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  test('has a pod on each, and says at which addresses', async () => {
    const pods = await listAll(namespace, 'pods');
    // Pods and a TorrustTracker as the API server has them.
    const nodes = pods.map(({ spec }) => (spec as { nodeName: string }).nodeName);
    assert.deepEqual(
      nodes.toSorted(),
      NODES.map(({ name }) => name),
    );
    const status = JSON.stringify((await find(namespace, 'torrusttracker', NAME))?.['status']);
    for (const { address } of NODES) assert.ok(status.includes(`udp://${address}:${UDP_PORT}`), status);
  });

  for (const { name, address } of NODES) {
    test(`serves clients at ${name} over UDP and HTTP, and sees their own addresses`, async () => {
      assert(host !== undefined);
      const own = { after: cleaning.after };
      const clients: Announcer[] = [
        startAnnouncer(own, host, `udp://${address}:${UDP_PORT}/announce`),
        startAnnouncer(own, host, `http://${address}:${HTTP_PORT}/announce`),
      ];
      await Promise.all(clients.map((client) => client.healed()));
    });
  }

  test('tells that addresses are kept', async () => {
    await awaitCondition(namespace, NAME, 'SourceIPPreserved', 'True');
  });
});
