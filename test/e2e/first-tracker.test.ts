/**
 * A tracker in a cluster, as its users meet it: real clients on hosts of their own exchange files through load balancers,
 * over UDP and over HTTPS, and learn each other's own addresses.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { needs } from '../support/parts.ts';
import { type ClientKind, startClient } from '../support/swarm-clients.ts';
import { createTorrent } from '../support/torrents.ts';
import { waitFor } from '../support/waiting.ts';
import { openClientHost } from './client-host.ts';
import {
  applyTracker,
  awaitCondition,
  awaitReady,
  callApi,
  createNamespace,
  onOwnCluster,
  podOf,
  publicAddresses,
  secretValue,
} from './world.ts';

const CONTENT_BYTES = 300_000;
/** Kubelets look at Secrets about once a minute. */
const SECRET_DEADLINE_MILLIS = 180_000;
const HTTPS_PORT = 7443;
const SPEC = {
  announce: { intervalSeconds: 10, minIntervalSeconds: 5 },
  http: [
    { name: 'main', port: 7070 },
    { name: 'tls', port: HTTPS_PORT, tls: { selfSigned: {} } },
  ],
  exposure: { type: 'LoadBalancer', ipFamilyPolicy: 'SingleStack' },
};

/** A torrent as the REST API shows it. */
interface Shown {
  readonly seeders: number;
  readonly leechers: number;
  readonly peers?: readonly { readonly peer_addr: string }[];
}

describe('clients of a tracker behind load balancers', onOwnCluster(), () => {
  const cleaners: (() => Promise<void>)[] = [];
  const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
  let namespace = '';
  let addresses = { udp: '', http: '' };

  before(async () => {
    namespace = await createNamespace(cleaning, 'e2e-first');
    await applyTracker(namespace, 'swarm', SPEC);
    await awaitReady(namespace, 'swarm');
    addresses = await publicAddresses(namespace, 'swarm');
  });
  after(async () => {
    for (const clean of cleaners.toReversed()) await clean();
  });

  async function exchange(
    kind: ClientKind,
    announceUrl: string,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const torrent = createTorrent(announceUrl, CONTENT_BYTES);
    const hosts = [await openClientHost(cleaning), await openClientHost(cleaning)] as const;
    const shown = async (): Promise<Shown | undefined> => {
      const body = await callApi(namespace, 'swarm', 'GET', `torrent/${torrent.infoHash}`);
      return typeof body === 'object' ? (body as Shown) : undefined; // The API's form, or a text that says it is not known.
    };
    const seeder = await startClient({ kind, role: 'seeder', host: hosts[0], torrent, environment });
    try {
      await waitFor('the tracker knows the seeder', async () => (await shown())?.seeders === 1);
      const leecher = await startClient({ kind, role: 'leecher', host: hosts[1], torrent, environment });
      try {
        await leecher.completed();
        const addressesSeen = await waitFor('both are in the swarm', async () => {
          const { peers = [] } = (await shown()) ?? {};
          return peers.length === 2 && peers.map(({ peer_addr }) => peer_addr.split(':')[0]).toSorted();
        });
        assert.deepEqual(addressesSeen, hosts.map(({ ipv4 }) => ipv4).toSorted());
      } finally {
        await leecher.stop();
      }
    } finally {
      await seeder.stop();
    }
  }

  for (const kind of ['transmission', 'aria2', 'libtorrent'] as const) {
    test(`exchange a file over UDP (${kind})`, needs(kind), () =>
      exchange(kind, `udp://${addresses.udp}:6969/announce`),
    );
  }

  test(
    'exchange a file over HTTPS, with the certificate that the operator issued',
    needs('transmission'),
    async () => {
      // The certificate gets the address of the load balancer while the tracker runs, which is not restarted for it.
      const before = await podOf(namespace, 'swarm');
      const [main, tls] = SPEC.http;
      const named = { ...tls, tls: { selfSigned: { dnsNames: [addresses.http] } } };
      await applyTracker(namespace, 'swarm', { ...SPEC, http: [main, named] });
      await awaitReady(namespace, 'swarm');
      const folder = mkdtempSync(join(tmpdir(), 'torrust-e2e-'));
      cleaning.after(async () => rmSync(folder, { recursive: true }));
      const authority = join(folder, 'ca.crt');
      writeFileSync(authority, await secretValue(namespace, 'swarm-ca', 'tls.crt'));
      // The kubelet takes a while to hand the new one out, and a client that was refused asks again after minutes.
      await waitFor(
        'the certificate of the address',
        () => isTrusted(addresses.http, readFileSync(authority)),
        SECRET_DEADLINE_MILLIS,
      );
      await exchange('transmission', `https://${addresses.http}:${HTTPS_PORT}/announce`, {
        TR_CURL_SSL_VERIFY: '1',
        CURL_CA_BUNDLE: authority,
      });
      assert.equal((await podOf(namespace, 'swarm')).uid, before.uid);
    },
  );

  test('are seen with their own addresses, and the status says so', async () => {
    await awaitCondition(namespace, 'swarm', 'SourceIPPreserved', 'True');
  });

  test('are hidden by the policy Cluster, and the status says so', needs('aria2'), async () => {
    const exposure = { ...SPEC.exposure, externalTrafficPolicy: 'Cluster', acknowledgeSourceNAT: true };
    await applyTracker(namespace, 'swarm', { ...SPEC, exposure });
    await awaitReady(namespace, 'swarm');
    const host = await openClientHost(cleaning);
    const torrent = createTorrent(`udp://${addresses.udp}:6969/announce`, CONTENT_BYTES);
    const client = await startClient({ kind: 'aria2', role: 'seeder', host, torrent });
    try {
      await awaitCondition(namespace, 'swarm', 'SourceIPPreserved', 'False');
    } finally {
      await client.stop();
    }
  });
});

/** Whether a client that trusts an authority takes the certificate that is served at an address. */
function isTrusted(host: string, ca: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port: HTTPS_PORT, ca }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
