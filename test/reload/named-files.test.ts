/** Files that the configuration names and that change while the tracker runs: certificates, tokens, keys. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { connect, type PeerCertificate } from 'node:tls';
import { selfSigned } from '../api/certificates.ts';
import { announceTarget } from '../net/http-exchange.ts';
import { newInfoHash, UdpClient } from '../net/udp-exchange.ts';
import { type PartialConfig, temporaryFolder } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { ANY, startLiveTracker, stopInOrder, TOKEN } from './live-tracker.ts';

/** Writes a pair as `NAME.crt` and `NAME.key`. */
function writePair(folder: string, name: string, pair = selfSigned(name)): void {
  writeFileSync(join(folder, `${name}.crt`), pair.cert);
  writeFileSync(join(folder, `${name}.key`), pair.key);
}

function tlsConfig(folder: string, name: string): { ssl_cert_path: string; ssl_key_path: string } {
  return { ssl_cert_path: join(folder, `${name}.crt`), ssl_key_path: join(folder, `${name}.key`) };
}

/** The name in the certificate that a new connection is shown. */
async function servedName(port: number): Promise<PeerCertificate['subject']['CN']> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

/** A client that stays on one connection. */
function openClient(context: TestContext, port: number): (path: string) => Promise<number | undefined> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  context.after(() => agent.destroy());
  let connections = 0;
  return async (path) => {
    const sent = request({ host: '127.0.0.1', port, path, agent });
    sent.on('socket', (socket) => {
      if (socket.connecting) connections++;
    });
    sent.end();
    const [response] = (await once(sent, 'response')) as [{ statusCode?: number; resume(): void }]; // so says node:http
    response.resume();
    assert.equal(connections, 1, 'the connection is still the first');
    return response.statusCode;
  };
}

describe('A running tracker', { concurrency: 2 }, () => {
  for (const service of ['HTTP tracker', 'REST API'] as const) {
    test(`shows the new certificate of its ${service}, and drops no connection for it`, async (context) => {
      const folder = temporaryFolder(context);
      writePair(folder, 'own', selfSigned('first'));
      const listener = { ...ANY, tls_config: tlsConfig(folder, 'own') };
      const isApi = service === 'REST API';
      const config: PartialConfig = isApi
        ? { http_api: { ...listener, access_tokens: { admin: TOKEN } } }
        : { http_trackers: [listener], network: { workers: 2 } };
      const tracker = await startLiveTracker(context, config, folder);
      const port = isApi ? Number(new URL(tracker.api).port) : tracker.http[0].port;
      const path = isApi ? '/api/health_check' : '/health_check';
      const ask = openClient(context, port);
      assert.equal(await ask(path), 200);
      assert.equal(await servedName(port), 'first');

      // First the certificate alone, which does not belong to the key that is there.
      const second = selfSigned('second');
      writeFileSync(join(folder, 'own.crt'), second.cert);
      await waitFor('the refusal', async () => {
        assert.equal(await ask(path), 200);
        return tracker.lines(/"level":"error"/).length > 0;
      });
      const refusal = await tracker.line(/"level":"error"/);
      assert.match(refusal, /what was in force stays.*own\.crt: it does not belong to the key in .*own\.key/);
      assert.equal(await servedName(port), 'first');

      writeFileSync(join(folder, 'own.key'), second.key);
      await waitFor('the new certificate', async () => {
        assert.equal(await ask(path), 200);
        // Each of the threads has to have it.
        const names = await Promise.all(Array.from({ length: 8 }, () => servedName(port)));
        return names.every((name) => name === 'second');
      });
      assert.equal(await ask(path), 200);
      assert.equal(tracker.lines(/certificate of .*: taken over/).length, 1);

      for (const broken of ['', second.cert.slice(0, 100), 'no certificate']) {
        const count = tracker.lines(/"level":"error"/).length;
        writeFileSync(join(folder, 'own.crt'), broken);
        await tracker.line(/"level":"error"/, count + 1);
        assert.equal(await servedName(port), 'second');
      }
      await stopInOrder(tracker);
    });
  }

  test('changes the certificate of one listener while that of another is broken', async (context) => {
    const folder = temporaryFolder(context);
    writePair(folder, 'one');
    writePair(folder, 'two');
    const http_trackers = ['one', 'two'].map((name) => ({ ...ANY, tls_config: tlsConfig(folder, name) }));
    const tracker = await startLiveTracker(context, { http_trackers }, folder);
    rmSync(join(folder, 'one.key'));
    assert.match(await tracker.line(/http_trackers\[0\]/), /one\.key: it does not exist/);
    writePair(folder, 'two', selfSigned('new'));
    const [one, two] = tracker.http;
    await waitFor('the new certificate', async () => (await servedName(two.port)) === 'new');
    assert.equal(await servedName(one.port), 'one');
    await stopInOrder(tracker);
  });

  test('lets new tokens in and old ones out when their mounted volume is swapped', async (context) => {
    const folder = temporaryFolder(context);
    const tokens = join(folder, 'tokens');
    mkdirSync(tokens);
    const mount = (version: string, token: string) => {
      mkdirSync(join(tokens, `..${version}`));
      writeFileSync(join(tokens, `..${version}`, 'admin'), `${token}\n`);
      symlinkSync(`..${version}`, join(tokens, '..data_tmp'));
      renameSync(join(tokens, '..data_tmp'), join(tokens, '..data'));
    };
    mount('one', 'first-token');
    symlinkSync(join('..data', 'admin'), join(tokens, 'admin'));
    const config = { http_api: { ...ANY, access_tokens_dir: tokens } };
    const tracker = await startLiveTracker(context, config, folder);
    const statusOf = async (token: string) => {
      const reply = await fetch(`${tracker.api}/api/v1/stats`, {
        headers: { authorization: `Bearer ${token}` },
      });
      await reply.body?.cancel();
      return reply.status;
    };
    assert.deepEqual([await statusOf('first-token'), await statusOf('second-token')], [200, 500]);
    mount('two', 'second-token');
    await tracker.line(/The tokens of the REST API: taken over/);
    assert.deepEqual([await statusOf('first-token'), await statusOf('second-token')], [500, 200]);
    mount('three', 'a tökén');
    assert.match(await tracker.line(/"level":"error"/), /tokens.*what was in force stays.*printable ASCII/);
    assert.equal(await statusOf('second-token'), 200);
    for (const secret of ['first-token', 'second-token', 'a tökén']) {
      assert.ok(!tracker.stdout().includes(secret), secret);
    }
    await stopInOrder(tracker);
  });

  test('rotates the keys of connection ids without an error for a client', async (context) => {
    const folder = temporaryFolder(context);
    const file = join(folder, 'ids');
    const [old, next] = ['old:00112233445566778899aabbccddeeff', 'next:ffeeddccbbaa99887766554433221100'];
    writeFileSync(file, `*${old}\n`);
    const tracker = await startLiveTracker(
      context,
      {
        udp_trackers: [ANY],
        udp_tracker_server: { connection_id_keys_file: file },
        network: { workers: 1 },
      },
      folder,
    );
    const client = await UdpClient.open(context, tracker.udp[0]);
    const isServed = async (connectionId: bigint) =>
      (await client.tryAnnounce(newInfoHash(), { connectionId })).kind === 'announce';
    const taken = (count: number) => tracker.line(/The keys of connection ids: taken over/, count);

    const first = await client.connect();
    writeFileSync(file, `*${old}\n${next}\n`);
    await taken(1);
    assert.ok(await isServed(first));
    writeFileSync(file, `${old}\n*${next}\n`);
    await taken(2);
    const second = await client.connect();
    assert.ok((await isServed(first)) && (await isServed(second)));
    writeFileSync(file, `${next}\n`);
    assert.match(await tracker.line(/"level":"error"/), /exactly one line must begin with/);
    assert.ok((await isServed(first)) && (await isServed(second)));
    writeFileSync(file, `*${next}\n`);
    await taken(3);
    assert.ok(await isServed(second));
    assert.equal(await isServed(first), false);
    assert.ok(!/00112233|ffeeddcc/i.test(tracker.stdout()));
    await stopInOrder(tracker);
  });

  test('reads a configuration that lies in a mounted volume', async (context) => {
    const folder = temporaryFolder(context);
    const tracker = await startLiveTracker(context, { http_trackers: [ANY] }, folder);
    const path = join(folder, 'tracker.toml');
    tracker.rewrite({ http_trackers: [{ ...ANY, external_ip_in_reply: true }] });
    mkdirSync(join(folder, '..one'));
    renameSync(path, join(folder, '..one', 'tracker.toml'));
    symlinkSync('..one', join(folder, '..data'));
    symlinkSync(join('..data', 'tracker.toml'), path);
    await tracker.line(/Taken over.*external_ip_in_reply/);
    const volume = temporaryFolder(context);
    renameSync(join(folder, '..one'), join(volume, 'gone'));
    await tracker.line(/"level":"error".*tracker\.toml/);
    mkdirSync(join(folder, '..two'));
    const text = '[metadata]\nschema_version = "3.0.0"\n[logging]\ntrace_filter = "info"\n[core]\n';
    const rest = 'listed = false\nprivate = false\n[[http_trackers]]\nbind_address = "127.0.0.1:0"\n';
    writeFileSync(join(folder, '..two', 'tracker.toml'), `${text}${rest}`);
    symlinkSync('..two', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await tracker.line(/Taken over.*external_ip_in_reply/, 2);
    const { port } = tracker.http[0];
    await waitFor('the thread has heard of it', async () => {
      const reply = await fetch(`http://127.0.0.1:${port}${announceTarget(newInfoHash())}`);
      return !(await reply.text()).includes('external ip');
    });
    await stopInOrder(tracker);
  });
});
