/** `torrust-tracker run` as a process: the start, what it says, and the end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { defaultConfigText } from '../../tracker/config/generate.ts';
import { loadConfig } from '../../tracker/config/load.ts';
import {
  type PartialConfig,
  start,
  startTrackerProcess,
  superviseTracker,
  temporaryFolder,
  writeConfig,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { announce, announceTarget, get } from '../net/http-exchange.ts';
import { newInfoHash, UdpClient } from '../net/udp-exchange.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const EVERYTHING: PartialConfig = {
  udp_trackers: [ANY],
  http_trackers: [ANY],
  http_api: { ...ANY, access_tokens: { admin: 'a-token-of-the-test' } },
  // The tests announce from loopback, which is worth a warning after a while.
  source_guard: { exempt: ['127.0.0.0/8'] },
};
const ESCAPE = '\u001b';
/** Ports of their own for what a generated configuration starts. */
const ANY_PORTS = {
  TORRUST_TRACKER_CONFIG_OVERRIDE_UDP_TRACKERS: '[{bind_address="127.0.0.1:0"}]',
  TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_TRACKERS: '[{bind_address="127.0.0.1:0"}]',
  TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__BIND_ADDRESS: '127.0.0.1:0',
  TORRUST_TRACKER_CONFIG_OVERRIDE_HEALTH_CHECK_API__BIND_ADDRESS: '127.0.0.1:0',
  TORRUST_TRACKER_CONFIG_OVERRIDE_METRICS__BIND_ADDRESS: '127.0.0.1:0',
  TORRUST_TRACKER_CONFIG_OVERRIDE_NETWORK__WORKERS: '1',
  TORRUST_TRACKER_CONFIG_OVERRIDE_SWARM__MEMORY: '16MiB',
};

describe('A tracker', { concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`serves all that is configured, and ends with 0 at ${signal}`, async (context) => {
      const tracker = await startTrackerProcess(context, { ...EVERYTHING, network: { workers: 2 } });
      const client = await UdpClient.open(context, tracker.udp[0]);
      assert.equal((await client.announce(newInfoHash())).leechers, 1);
      assert.equal((await announce(tracker.http[0], newInfoHash())).complete, 1);
      const stats = await fetch(`${tracker.api}/api/v1/stats?token=a-token-of-the-test`);
      assert.equal(stats.status, 200);
      await stats.body?.cancel();
      const ready = await fetch(`${tracker.health}/readyz`);
      assert.deepEqual(await ready.json(), { ready: true, reasons: [], database_trouble: null });
      const checked = await fetch(`${tracker.health}/health_check?strict=1`);
      assert.match(await checked.text(), /^\{"status":"Ok"/);

      assert.deepEqual(await tracker.stop(signal), { code: 0, signal: null });
      assert.equal(tracker.stderr(), '');
      const messages = tracker.log().map(({ msg }) => msg);
      assert.deepEqual(messages.slice(-2), [`${signal}: stopping`, 'Stopped']);
      assert.deepEqual(
        tracker.log().filter(({ level }) => level !== 'info'),
        [],
      );
    });
  }

  test('ends while a client keeps a connection and another is slow', async (context) => {
    const tracker = await startTrackerProcess(context, EVERYTHING);
    const begins = ['', 'GET /announce', 'GET /health_check HTTP/1.1\r\nHost: t\r\n\r\n'];
    for (const begin of begins) {
      const socket = connect(tracker.http[0].port, '127.0.0.1').on('error', () => undefined);
      context.after(() => socket.destroy());
      await once(socket, 'connect');
      socket.write(begin);
    }
    const begun = performance.now();
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
    assert.ok(performance.now() - begun < 15_000, 'within the grace');
  });

  test('ends at once when it is asked again while a slow client holds it up', async (context) => {
    const tracker = await startTrackerProcess(context, EVERYTHING);
    const socket = connect(tracker.http[0].port, '127.0.0.1').on('error', () => undefined);
    context.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write('GET /announce');
    process.kill(tracker.pid, 'SIGTERM');
    await waitFor('the first signal is noted', () => tracker.stdout().includes('stopping'));
    const ended = tracker.stop('SIGINT');
    const asking = setInterval(() => void tracker.stop('SIGINT'), 100);
    const exit = await ended.finally(() => clearInterval(asking));
    // One that comes while the process ends already is left to the system.
    assert.ok(exit.code === 1 || exit.signal === 'SIGINT', JSON.stringify(exit));
  });

  test('takes two signals at once, as a process group gets them, for one', async (context) => {
    const tracker = await startTrackerProcess(context, EVERYTHING);
    process.kill(tracker.pid, 'SIGTERM');
    assert.deepEqual(await tracker.stop('SIGTERM'), { code: 0, signal: null });
  });

  test('ends at a signal while it waits for its database', async (context) => {
    // A port where nobody listens any more.
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    server.close();
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, {
      core: {
        listed: true,
        database: { driver: 'mysql', host: '127.0.0.1', port: address.port, user: 'u', database: 'd' },
      },
    });
    const running = start(context, ['run', '--config', path], { env: {}, folder });
    await waitFor('it waits', () => running.stdout().includes('Waiting for the database'));
    assert.deepEqual(await running.end('SIGTERM'), { code: 0, signal: null });
    assert.equal(running.stderr(), '');
  });

  test('says nothing secret, whatever it logs', async (context) => {
    const secrets = [
      'a-token-of-the-test',
      'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ',
      '00112233445566778899aabbccddeeff',
    ];
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, 'ids'), `*first:${secrets[2]}\n`);
    const tracker = await startTrackerProcess(
      context,
      {
        ...EVERYTHING,
        logging: { trace_filter: 'trace' },
        core: { private: true, database: { driver: 'sqlite3', path: join(folder, 'tracker.db') } },
        udp_tracker_server: { connection_id_keys_file: join(folder, 'ids') },
      },
      { folder },
    );
    const asked = [
      fetch(`${tracker.api}/api/v1/keys?token=${secrets[0]}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ key: secrets[1], seconds_valid: 3600 }),
      }),
      fetch(`${tracker.api}/api/v1/stats`, { headers: { authorization: `Bearer ${secrets[0]}` } }),
    ];
    assert.deepEqual((await Promise.all(asked)).map(({ status }) => status), [200, 200]); // prettier-ignore
    await get(tracker.http[0], announceTarget(newInfoHash(), {}, secrets[1]));
    await tracker.stop();
    for (const secret of secrets) {
      assert.ok(!(tracker.stdout() + tracker.stderr()).includes(secret), secret);
    }
  });

  test('welcomes people on stderr, without colours where no terminal is', async (context) => {
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, { ...EVERYTHING, logging: { trace_style: 'full' } });
    const env = { FORCE_COLOR: '1' };
    const tracker = await superviseTracker(context, ['run', '-c', path], { env, folder });
    await waitFor('the welcome', () => tracker.stderr().includes('Ctrl-C'));
    const welcome = tracker.stderr();
    assert.match(welcome, /^The tracker is up\.$/m);
    for (const url of [
      `udp://127.0.0.1:${tracker.udp[0].port}/announce`,
      `http://127.0.0.1:${tracker.http[0].port}/announce`,
      tracker.api,
      `${tracker.health}/health_check`,
    ]) {
      assert.ok(welcome.includes(url), url);
    }
    assert.match(welcome, /tracker\.toml/);
    assert.ok(!welcome.includes('a-token-of-the-test'));
    await tracker.stop();
    assert.ok(!(tracker.stdout() + tracker.stderr()).includes(ESCAPE));
    assert.match(tracker.stdout(), /^\[[\d:.]+\] INFO: HTTP TRACKER: Started on: http:/m);
  });

  test('tells the log and people where its users reach it', async (context) => {
    const publicUrl = 'udp://tracker.example.org:6969/announce';
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, {
      udp_trackers: [{ ...ANY, public_url: publicUrl }],
      logging: { trace_style: 'full' },
    });
    const tracker = await superviseTracker(context, ['run', '-c', path], { env: {}, folder });
    await waitFor('the welcome', () => tracker.stderr().includes('Ctrl-C'));
    const own = `udp://127.0.0.1:${tracker.udp[0].port}`;
    assert.ok(tracker.stderr().includes(`${own}/announce, ${publicUrl}\n`));
    assert.ok(tracker.stdout().includes(`INFO: ${own} is for the public: ${publicUrl}\n`));
    await tracker.stop();
  });

  test('says which files its services over HTTPS are known by, and nothing of what is in them', async (context) => {
    const pem = new URL('../probe/fixtures/self-signed.pem', import.meta.url).pathname;
    const tls_config = { ssl_cert_path: pem, ssl_key_path: pem };
    const tracker = await startTrackerProcess(context, {
      http_trackers: [ANY, { ...ANY, tls_config }],
      http_api: { ...ANY, tls_config },
    });
    const lines = tracker.log().map(({ msg }) => msg);
    const paths = [`Using https: cert path: ${pem}.`, `Using https: key path: ${pem}.`];
    assert.deepEqual(lines.filter((line) => line.startsWith('Using https')), [...paths, ...paths]); // prettier-ignore
    assert.ok(!tracker.stdout().includes('PRIVATE KEY'));
    await tracker.stop();
  });

  test('writes the configuration that it is to generate, for its owner alone, and starts with it', async (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, 'etc', 'mine.toml');
    const args = ['run', '--config', path, '--generate'];
    const first = await superviseTracker(context, args, { env: ANY_PORTS, folder });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const text = readFileSync(path, 'utf8');
    const [, token] = /^admin = "(.{43})"$/m.exec(text) ?? [];
    assert.ok(token);
    const { status } = await fetch(`${first.api}/api/v1/stats?token=${token}`);
    assert.equal(status, 200);
    assert.equal(await first.stop().then(({ code }) => code), 0);
    assert.ok(!(first.stdout() + first.stderr()).includes(token));
    const second = await superviseTracker(context, args, { env: ANY_PORTS, folder });
    await second.stop();
    assert.equal(readFileSync(path, 'utf8'), text);
  });

  test('writes the file that a variable names, with what a container needs, when it is to', async (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, 'etc', 'mine.toml');
    const env = {
      ...ANY_PORTS,
      TORRUST_TRACKER_CONFIG_TOML_PATH: path,
      TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__PATH: join(folder, 'sqlite3.db'),
    };
    const tracker = await superviseTracker(context, ['run', '--generate', 'container'], { env, folder });
    await tracker.stop();
    const { core, http_api, metrics } = loadConfig({ path, env: {}, cwd: folder }).config;
    assert.equal(core.database?.path, '/var/lib/torrust/tracker/database/sqlite3.db');
    assert.deepEqual([http_api?.bind_address, metrics.bind_address], ['0.0.0.0:1212', '0.0.0.0:1314']);
  });

  test('writes nothing when the whole configuration is in a variable', async (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, 'mine.toml');
    const env = {
      ...ANY_PORTS,
      TORRUST_TRACKER_CONFIG_TOML_PATH: path,
      TORRUST_TRACKER_CONFIG_TOML: defaultConfigText(),
    };
    const tracker = await superviseTracker(context, ['run', '--generate'], { env, folder });
    await tracker.stop();
    assert.ok(!existsSync(path));
  });

  test('writes ./tracker.toml where there is none, and says so', async (context) => {
    const folder = temporaryFolder(context);
    const tracker = await superviseTracker(context, ['run'], { env: ANY_PORTS, folder });
    assert.ok(existsSync(join(folder, 'tracker.toml')));
    assert.match(tracker.stdout(), /a new one was written to .*tracker\.toml/);
    await tracker.stop();
    // No terminal is there and no style is set, so that machines read it, who want nothing but JSON.
    assert.equal(tracker.stderr(), '');
    assert.ok(tracker.log().every(({ level }) => level !== ''));
  });

  test('gives its peers and whitelist to all its network threads', async (context) => {
    const tracker = await startTrackerProcess(context, {
      ...EVERYTHING,
      core: { listed: true, database: { driver: 'sqlite3' } },
      network: { workers: 3 },
    });
    const infoHash = newInfoHash();
    const added = await fetch(
      `${tracker.api}/api/v1/whitelist/${infoHash.toString('hex')}?token=a-token-of-the-test`,
      { method: 'POST' },
    );
    assert.equal(added.status, 200);
    await added.body?.cancel();
    // Each connection is given to one of the threads by the kernel.
    for (let port = 1000; port < 1024; port++) {
      const { complete } = await announce(tracker.http[0], infoHash, {
        port,
        peer_id: `a-peer-of-test--${port}`,
      });
      assert.equal(complete, port - 999);
    }
    await tracker.stop();
  });
});
