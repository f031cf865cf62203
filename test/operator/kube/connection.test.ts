/** Connections are shared, speak HTTP/1.1, and follow the files of a pod. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import { Registry } from 'prom-client';
import { resourceOf } from '../../../operator/kube/api-resource.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { waitFor } from '../../support/waiting.ts';
import {
  configMap,
  makeServerPair,
  openScriptedServer,
  type ScriptedServer,
  sendJson,
} from './scripted-server.ts';

const CONFIG_MAPS = resourceOf({ apiVersion: 'v1', kind: 'ConfigMap' });
const PLACE = { namespace: 'a', name: 'one' };
/** What the server never answers for. */
const STUCK = 'stuck';
const { signal } = new AbortController();

/** A server with TLS, and a client that knows it by files in a folder. */
interface Meeting {
  readonly server: ScriptedServer;
  readonly connection: Connection;
  readonly client: KubeClient;
  readonly authorityFile: string;
  readonly tokenFile: string;
}

async function withMeeting(use: (meeting: Meeting) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kube-'));
  const authorityFile = join(folder, 'ca.crt');
  const tokenFile = join(folder, 'token');
  const { pair, authority } = await makeServerPair();
  writeFileSync(authorityFile, authority);
  writeFileSync(tokenFile, 'first\n');
  const server = await openScriptedServer(
    ({ path, query, response }) => {
      if (path.endsWith(`/${STUCK}`)) return;
      if (query.get('watch') === '1') response.writeHead(200).flushHeaders();
      else sendJson(response, configMap('one', '5'));
    },
    { pair, authorityFile, tokenFile },
  );
  const connection = Connection.parse(server.kubeconfig);
  const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
  try {
    await use({ server, connection, client, authorityFile, tokenFile });
  } finally {
    await connection.close();
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

describe('over TLS', () => {
  test('a hundred requests one after the other share a connection or two, over HTTP/1.1', () =>
    withMeeting(async ({ server, client }) => {
      for (let count = 0; count < 100; count += 1) await client.get(CONFIG_MAPS, PLACE, { signal });
      assert.equal(server.requests.length, 100);
      // A second one is opened when a request comes before the last answer's connection is back in the pool.
      assert.ok(server.connections.opened <= 2, `${server.connections.opened} connections`);
      assert.deepEqual([...new Set(server.requests.map(({ httpVersion }) => httpVersion))], ['1.1']);
    }));

  test('a hundred requests at once share sixteen connections', () =>
    withMeeting(async ({ server, client }) => {
      await Promise.all(Array.from({ length: 100 }, () => client.get(CONFIG_MAPS, PLACE, { signal })));
      assert.equal(server.requests.length, 100);
      assert.equal(server.connections.opened, 16);
    }));

  test('the lease waits behind nothing, also when every connection of requests does', () =>
    withMeeting(async ({ server, connection, client }) => {
      const ended = new AbortController();
      const stuck = Array.from({ length: 40 }, () =>
        client.get(CONFIG_MAPS, { ...PLACE, name: STUCK }, { signal: ended.signal }).catch(() => undefined),
      );
      await waitFor('requests on every connection', () => server.requests.length === 16);
      const metrics = createKubeMetrics(new Registry()).client;
      const candidate = new KubeClient(connection, metrics, () => true, 'lease');
      await candidate.get(CONFIG_MAPS, PLACE, { signal, timeoutMillis: 5_000 });
      assert.equal(server.connections.opened, 17);
      ended.abort();
      await Promise.all(stuck);
    }));

  test('watches take no connection from requests', () =>
    withMeeting(async ({ server, client }) => {
      const watch = { resourceVersion: '1', timeoutSeconds: 300 };
      const bodies = await Promise.all(
        Array.from({ length: 20 }, () => client.watch(CONFIG_MAPS, watch, { signal })),
      );
      await client.get(CONFIG_MAPS, PLACE, { signal });
      assert.equal(server.connections.opened, 21);
      for (const body of bodies) body.on('error', () => undefined).destroy();
      await waitFor('the watches to be gone', () => server.connections.open.size === 1);
    }));

  test('a new authority is trusted when its file is written, and running watches go on', () =>
    withMeeting(async ({ server, connection, client, authorityFile }) => {
      await client.get(CONFIG_MAPS, PLACE, { signal });
      const watch = { resourceVersion: '1', timeoutSeconds: 300 };
      const body = await client.watch(CONFIG_MAPS, watch, { signal });
      const ended: string[] = [];
      body.on('error', () => ended.push('error')).on('close', () => ended.push('close'));
      writeFileSync(authorityFile, (await makeServerPair()).authority);
      await assert.rejects(client.get(CONFIG_MAPS, PLACE, { signal }), /certificate|CERT/i);
      assert.deepEqual(ended, []);
      assert.equal(server.connections.open.size, 1, 'the old pool keeps the watch alone');
      await connection.close();
      await waitFor('the end of the watch', () => ended.length > 0 && server.connections.open.size === 0);
    }));

  test('a new token is sent when the file has one, a minute later at most', () =>
    withMeeting(async ({ server, client, tokenFile }) => {
      await client.get(CONFIG_MAPS, PLACE, { signal });
      writeFileSync(tokenFile, 'second\n');
      mock.timers.enable({ apis: ['Date'], now: Date.now() + 61_000 });
      try {
        await client.get(CONFIG_MAPS, PLACE, { signal });
      } finally {
        mock.timers.reset();
      }
      const tokens = server.requests.map(({ headers }) => headers.authorization);
      assert.deepEqual(tokens, ['Bearer first', 'Bearer second']);
    }));

  test('a new client certificate is shown when its files are written, half of them or both', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kube-'));
    const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
    const authorityFile = join(folder, 'ca.crt');
    const { pair, authority } = await makeServerPair();
    const [first, second] = [(await makeServerPair()).pair, (await makeServerPair()).pair];
    writeFileSync(authorityFile, authority);
    writeFileSync(certificate, first.certificate);
    writeFileSync(key, first.key);
    const server = await openScriptedServer(({ response }) => sendJson(response, configMap('one', '5')), {
      pair,
      authorityFile,
      clientFiles: { certificate, key },
    });
    const connection = Connection.parse(server.kubeconfig);
    const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
    try {
      await client.get(CONFIG_MAPS, PLACE, { signal });
      await client.get(CONFIG_MAPS, PLACE, { signal });
      // Whoever rotates them writes one file after the other.
      writeFileSync(certificate, second.certificate);
      await assert.rejects(client.get(CONFIG_MAPS, PLACE, { signal }), /key values mismatch/);
      writeFileSync(key, second.key);
      await client.get(CONFIG_MAPS, PLACE, { signal });
      const serial = (each: { certificate: string }) => new X509Certificate(each.certificate).serialNumber;
      const shown = server.requests.map(({ clientSerial }) => clientSerial);
      assert.deepEqual(shown, [serial(first), serial(first), serial(second)]);
      await waitFor('an end of the former connection', () => server.connections.open.size === 1);
    } finally {
      await connection.close();
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });

  test('a request after the end is refused', () =>
    withMeeting(async ({ connection, client }) => {
      await client.get(CONFIG_MAPS, PLACE, { signal });
      await connection.close();
      await assert.rejects(client.get(CONFIG_MAPS, PLACE, { signal }), { code: 'credentials' });
    }));
});

describe('where the API server is', () => {
  const saved = { ...process.env };
  const folder = mkdtempSync(join(tmpdir(), 'kube-'));
  before(() => {
    process.env['HOME'] = folder;
  });
  after(() => {
    process.env = saved;
    rmSync(folder, { recursive: true });
  });
  const kubeconfig = JSON.stringify({
    clusters: [
      { name: 'one', cluster: { server: 'https://one.example:6443/' } },
      { name: 'two', cluster: { server: 'https://two.example:6443' } },
    ],
    contexts: [
      { name: 'first', context: { cluster: 'one', user: 'someone', namespace: 'home' } },
      { name: 'second', context: { cluster: 'two', user: 'someone' } },
    ],
    users: [{ name: 'someone', user: {} }],
    'current-context': 'first',
  });

  test('stands in the file that KUBECONFIG names, in the current context', async () => {
    process.env['KUBECONFIG'] = join(folder, 'config');
    writeFileSync(process.env['KUBECONFIG'], kubeconfig);
    const connection = Connection.load();
    assert.equal(connection.server.host, 'one.example:6443');
    assert.equal(connection.namespace, 'home');
    await connection.close();
  });

  test('stands in another context that is asked for', () => {
    const connection = Connection.parse(kubeconfig, 'second');
    assert.equal(connection.server.host, 'two.example:6443');
    assert.equal(connection.namespace, undefined);
  });

  test('is not known of a context that is not there', () => {
    assert.throws(() => Connection.parse(kubeconfig, 'third'), /there is no context "third"/);
  });

  test('is not guessed when nothing says it', () => {
    delete process.env['KUBECONFIG'];
    assert.throws(() => Connection.load(), /no cluster is configured: set KUBECONFIG/);
  });

  test('is not read from a file that makes no sense, which is not quoted', () => {
    assert.throws(
      () => Connection.parse('users: [{ name: one, user: { token: secret } '),
      ({ message }: Error) => message === 'the kubeconfig cannot be read',
    );
  });

  test('is not read from a file that is not there', () => {
    process.env['KUBECONFIG'] = join(folder, 'absent');
    assert.throws(() => Connection.load(), /cannot be read: .*no such file.*absent/);
  });
});
