/**
 * A private tracker on a MariaDB outside of the cluster: keys by the REST API, used over HTTP and UDP, while the database goes
 * away and comes back, and while the certificate of its listener is replaced.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { selfSigned } from '../api/certificates.ts';
import { MACHINE } from '../cluster/layout.ts';
import { type Link, openLink, startOwnMariadb } from '../support/mariadb.ts';
import { needs } from '../support/parts.ts';
import { startClient } from '../support/swarm-clients.ts';
import { createTorrent } from '../support/torrents.ts';
import { waitFor } from '../support/waiting.ts';
import { type Announcer, startAnnouncer, tellFigures } from './announcer.ts';
import { openClientHost } from './client-host.ts';
import { type Onlooker, startOnlooker } from './onlooker.ts';
import {
  apply,
  applyTracker,
  awaitCondition,
  awaitReady,
  callApi,
  createNamespace,
  onOwnCluster,
  podOf,
  publicAddresses,
} from './world.ts';

const NAME = 'club';
const USER = 'club';
const PASSWORD = randomBytes(12).toString('hex');
const HTTPS_PORT = 7443;
const KEY_SECONDS = 86_400;
/** Longer than anything waits that asks the database. */
const AWAY_MILLIS = 120_000;
/** Kubelets look at Secrets about once a minute. */
const SECRET_DEADLINE_MILLIS = 180_000;

describe(
  'a private tracker on a database outside of the cluster',
  {
    ...onOwnCluster('its database is on this machine, which pods elsewhere do not reach'),
    ...needs('mariadb'),
  },
  () => {
    const cleaners: (() => Promise<void>)[] = [];
    const cleaning = { after: (clean: () => Promise<void>) => void cleaners.push(clean) };
    let namespace = '';
    let link: Link | undefined;
    let addresses = { udp: '', http: '' };
    let key = '';
    let announcer: Announcer | undefined;
    let onlooker: Onlooker | undefined;

    before(async () => {
      const server = await startOwnMariadb();
      cleaning.after(() => server.close());
      const { database, host, port } = await server.createDatabase();
      await server.execute(
        database,
        `create user ${USER} identified by '${PASSWORD}'; grant all on ${database}.* to ${USER}`,
      );
      const opened = await openLink({ host, port }, MACHINE.address);
      cleaning.after(() => opened.close());
      link = opened;
      namespace = await createNamespace(cleaning, 'e2e-private');
      await apply(
        namespace,
        secret('club-mysql', { username: USER, password: PASSWORD }),
        tlsSecret('club-tls', 'first.example'),
      );
      await applyTracker(namespace, NAME, {
        mode: 'Private',
        announce: { intervalSeconds: 10, minIntervalSeconds: 5 },
        http: [{ name: 'tls', port: HTTPS_PORT, tls: { secretName: 'club-tls' } }],
        database: {
          mysql: {
            host: opened.host,
            port: opened.port,
            database,
            credentialsSecretRef: { name: 'club-mysql' },
          },
        },
        exposure: { type: 'LoadBalancer', ipFamilyPolicy: 'SingleStack' },
      });
      await awaitReady(namespace, NAME);
      addresses = await publicAddresses(namespace, NAME);
      key = await addKey();
      const host2 = await openClientHost(cleaning);
      announcer = startAnnouncer(cleaning, host2, `udp://${addresses.udp}:6969/announce/${key}`);
      await announcer.healed();
      onlooker = startOnlooker(cleaning, namespace);
    });
    after(async () => {
      for (const clean of cleaners.toReversed()) await clean();
    });

    async function addKey(): Promise<string> {
      const added = await callApi(namespace, NAME, 'POST', 'keys', { key: null, seconds_valid: KEY_SECONDS });
      return (added as { key: string }).key; // The API's form.
    }

    test('serves clients with a key over UDP (BEP 41)', needs('libtorrent'), async () => {
      const torrent = createTorrent(`udp://${addresses.udp}:6969/announce/${key}`, 300_000);
      const hosts = [await openClientHost(cleaning), await openClientHost(cleaning)] as const;
      const seeder = await startClient({ kind: 'libtorrent', role: 'seeder', host: hosts[0], torrent });
      const leecher = await startClient({ kind: 'libtorrent', role: 'leecher', host: hosts[1], torrent });
      try {
        await leecher.completed();
      } finally {
        await leecher.stop();
        await seeder.stop();
      }
    });

    test('serves on while its database is away, refuses to promise a key, and says so', async (context) => {
      const { uid, restarts } = await podOf(namespace, NAME);
      const from = Date.now();
      const gone = performance.now();
      await link?.cut();
      const down = await awaitCondition(namespace, NAME, 'DatabaseReady', 'False');
      context.diagnostic(`database away: the status told after ${seconds(gone)} s: ${down.message}`);
      await assert.rejects(addKey());
      await delay(AWAY_MILLIS - (performance.now() - gone));
      await assert.rejects(addKey());
      assert.equal((await podOf(namespace, NAME)).uid, uid);
      await link?.restore();
      const back = performance.now();
      await awaitCondition(namespace, NAME, 'DatabaseReady', 'True');
      context.diagnostic(`database back: the status told after ${seconds(back)} s`);
      const another = await addKey();
      await waitFor('the new key', () => isServed(another));
      await announcer?.healed();
      const figures = (await announcer?.figuresSince(from)) ?? assert.fail();
      context.diagnostic(tellFigures('database away, UDP', figures));
      assert.equal(figures.answered, figures.sent, onlooker?.seenSince(from));
      const pod = await podOf(namespace, NAME);
      assert.deepEqual([pod.uid, pod.restarts], [uid, restarts]);
    });

    test('shows a renewed certificate without a restart', async (context) => {
      const { uid, restarts } = await podOf(namespace, NAME);
      const from = Date.now();
      const started = performance.now();
      assert.equal(await shownName(addresses.http), 'first.example');
      await apply(namespace, tlsSecret('club-tls', 'second.example'));
      await waitFor(
        'the new certificate',
        async () => (await shownName(addresses.http)) === 'second.example',
        SECRET_DEADLINE_MILLIS,
      );
      context.diagnostic(`certificate renewed: shown after ${seconds(started)} s`);
      const figures = (await announcer?.figuresSince(from)) ?? assert.fail();
      context.diagnostic(tellFigures('certificate renewed, UDP', figures));
      const pod = await podOf(namespace, NAME);
      assert.deepEqual([pod.uid, pod.restarts, figures.answered], [uid, restarts, figures.sent]);
    });

    async function isServed(withKey: string): Promise<boolean> {
      const query = 'info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-E20000-privatekey00&port=1&left=1';
      const host = await openClientHost(cleaning);
      const url = `https://${addresses.http}:${HTTPS_PORT}/announce/${withKey}?${query}`;
      return (await host.run('curl', ['--silent', '--insecure', '--max-time', '5', url])).includes(
        '8:interval',
      );
    }
  },
);

/** The name in the certificate that a server shows. */
async function shownName(address: string): Promise<string> {
  const socket = connect({ host: address, port: HTTPS_PORT, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    return typeof CN === 'string' ? CN : '';
  } finally {
    socket.destroy();
  }
}

function tlsSecret(name: string, commonName: string): object {
  const { cert, key } = selfSigned(commonName);
  return { ...secret(name, { 'tls.crt': cert, 'tls.key': key }), type: 'kubernetes.io/tls' };
}

function secret(name: string, stringData: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData };
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1000);
}
