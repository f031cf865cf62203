/** What keeps `torrust-tracker run` from starting: one clear message, the right exit code, and nothing left behind. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { selfSigned } from '../api/certificates.ts';
import {
  type PartialConfig,
  runCommand,
  startTrackerProcess,
  temporaryFolder,
  writeConfig,
} from '../support/tracker-process.ts';

const ANY = '127.0.0.1:0';
const TOKENS = { access_tokens: { admin: 'a-token-of-the-test' } };

/** What can be busy, with a configuration that wants a port for it. */
const BUSY: Record<
  string,
  { transport: 'udp' | 'tcp'; config: (address: string) => PartialConfig; says: RegExp }
> = {
  'a UDP tracker': {
    transport: 'udp',
    config: (bind_address) => ({ udp_trackers: [{ bind_address }] }),
    says: /^error: The UDP tracker can't listen on 127\.0\.0\.1:\d+: the port is in use/,
  },
  'an HTTP tracker': {
    transport: 'tcp',
    config: (bind_address) => ({ http_trackers: [{ bind_address }] }),
    says: /^error: The HTTP tracker can't listen on 127\.0\.0\.1:\d+: the port is in use/,
  },
  'the REST API': {
    transport: 'tcp',
    config: (bind_address) => ({
      udp_trackers: [{ bind_address: ANY }],
      http_api: { bind_address, ...TOKENS },
    }),
    says: /^error: The REST API .*127\.0\.0\.1:\d+/,
  },
  'the health check': {
    transport: 'tcp',
    config: (bind_address) => ({ health_check_api: { bind_address } }),
    says: /^error: The health check .*127\.0\.0\.1:\d+/,
  },
  'the metrics': {
    transport: 'tcp',
    config: (bind_address) => ({ metrics: { bind_address } }),
    says: /^error: The metrics can't listen on 127\.0\.0\.1:\d+: the port is in use/,
  },
};

describe('A tracker does not start', { concurrency: 2 }, () => {
  for (const [title, { transport, config, says }] of Object.entries(BUSY)) {
    test(`when the port of ${title} is busy`, async (context) => {
      const port = await occupy(context, transport);
      const folder = temporaryFolder(context);
      const path = writeConfig(folder, config(`127.0.0.1:${port}`));
      const { code, stderr } = await runCommand(context, ['run', '-c', path], { folder });
      assert.match(stderr, says);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      assert.equal(code, 1);
    });
  }

  test('on a port that another tracker shares among its threads', async (context) => {
    const sharing = { network: { workers: 2 } };
    const first = await startTrackerProcess(context, {
      udp_trackers: [{ bind_address: ANY }],
      http_trackers: [{ bind_address: ANY }],
      ...sharing,
    });
    for (const config of [
      { udp_trackers: [{ bind_address: `127.0.0.1:${first.udp[0].port}` }] },
      { http_trackers: [{ bind_address: `127.0.0.1:${first.http[0].port}` }] },
    ]) {
      const folder = temporaryFolder(context);
      const path = writeConfig(folder, { ...config, ...sharing });
      const { code, stderr } = await runCommand(context, ['run', '-c', path], { folder });
      assert.match(stderr, /^error: The (UDP|HTTP) tracker can't listen on .*: the port is in use.*\n$/);
      assert.equal(code, 1);
    }
    await first.stop();
  });

  test('on an address that this machine does not have', async (context) => {
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, { udp_trackers: [{ bind_address: '192.0.2.1:0' }] });
    const { code, stderr } = await runCommand(context, ['run', '-c', path], { folder });
    assert.match(stderr, /^error: The UDP tracker can't listen on 192\.0\.2\.1:0: this machine .*\n$/);
    assert.equal(code, 1);
  });

  const databases: Record<string, (folder: string) => string> = {
    'is a folder': (folder) => folder,
    'is no database': (folder) => {
      writeFileSync(join(folder, 'notes.txt'), 'These are notes and no database.\n'.repeat(100));
      return join(folder, 'notes.txt');
    },
    'lies below a file': (folder) => {
      writeFileSync(join(folder, 'file'), '');
      return join(folder, 'file', 'tracker.db');
    },
  };
  for (const [title, pathIn] of Object.entries(databases)) {
    test(`when its SQLite file ${title}`, async (context) => {
      const folder = temporaryFolder(context);
      const database = { driver: 'sqlite3' as const, path: pathIn(folder) };
      const path = writeConfig(folder, { core: { listed: true, database } });
      const { code, stderr } = await runCommand(context, ['run', '-c', path], { folder });
      assert.match(stderr, /^error: .+\n$/);
      assert.ok(stderr.includes(database.path), stderr);
      assert.equal(code, 2);
    });
  }

  const mistakes: Record<string, { text: string; says: RegExp }> = {
    'is no TOML': { text: 'core = [', says: /^error: / },
    'is empty': { text: '', says: /schema_version/ },
    'has a key that does not exist': {
      text: '[metadata]\nschema_version = "3.0.0"\n[logging]\ntrace_filter = "info"\n[core]\nlisted = false\nprivate = false\npirvate = true\n',
      says: /core\.pirvate.*\n?.*private/,
    },
    'has several mistakes': {
      text: '[metadata]\nschema_version = "3.0.0"\n[logging]\ntrace_filter = "loud"\n[core]\nlisted = 1\nprivate = false\n',
      says: /2 mistakes[^]*trace_filter[^]*listed/,
    },
    'is of a version that nobody knows': { text: '[metadata]\nschema_version = "9.0.0"\n', says: /9\.0\.0/ },
  };
  for (const [title, { text, says }] of Object.entries(mistakes)) {
    test(`when its configuration ${title}`, async (context) => {
      const folder = temporaryFolder(context);
      const path = join(folder, 'tracker.toml');
      writeFileSync(path, text);
      const { code, stdout, stderr } = await runCommand(context, ['run', '-c', path], { folder });
      assert.match(stderr, says);
      assert.ok(!stderr.includes('    at '), 'no stack of calls');
      assert.equal(stdout, '');
      assert.equal(code, 2);
    });
  }

  const files: Record<string, { config: (folder: string) => PartialConfig; says: RegExp }> = {
    'certificate is missing': {
      config: (folder) => ({
        http_trackers: [
          {
            bind_address: ANY,
            tls_config: { ssl_cert_path: join(folder, 'no.crt'), ssl_key_path: join(folder, 'no.key') },
          },
        ],
      }),
      says: /no\.crt: it does not exist\n/,
    },
    'certificate is none': {
      config: (folder) => {
        writeFileSync(join(folder, 'a.crt'), 'nothing');
        writeFileSync(join(folder, 'a.key'), 'nothing');
        return {
          http_trackers: [
            {
              bind_address: ANY,
              tls_config: { ssl_cert_path: join(folder, 'a.crt'), ssl_key_path: join(folder, 'a.key') },
            },
          ],
        };
      },
      says: /HTTPS tracker can't use the certificate in .*a\.crt: the file has no certificate in PEM form\n/,
    },
    'key is none': {
      config: (folder) => {
        const pair = selfSigned('localhost');
        writeFileSync(join(folder, 'a.crt'), pair.cert);
        return {
          http_api: {
            bind_address: ANY,
            tls_config: { ssl_cert_path: join(folder, 'a.crt'), ssl_key_path: join(folder, 'a.crt') },
          },
        };
      },
      says: /REST API can't use the key in .*a\.crt: the file has no private key in PEM form\n/,
    },
    'file of connection-id keys has no good line': {
      config: (folder) => {
        writeFileSync(join(folder, 'ids'), '*first:feedfacefeedface\n');
        return {
          udp_trackers: [{ bind_address: ANY }],
          udp_tracker_server: { connection_id_keys_file: join(folder, 'ids') },
        };
      },
      says: /line 1 is not "ID:HEX"/,
    },
    'file of connection-id keys is missing': {
      config: (folder) => ({ udp_tracker_server: { connection_id_keys_file: join(folder, 'ids') } }),
      says: /keys in .*ids can't be used: it does not exist\n/,
    },
  };
  for (const [title, { config, says }] of Object.entries(files)) {
    test(`when its ${title}`, async (context) => {
      const folder = temporaryFolder(context);
      const path = writeConfig(folder, config(folder));
      const { code, stderr } = await runCommand(context, ['run', '-c', path], { folder });
      assert.match(stderr, says);
      assert.match(stderr, /^error: .+\n$/);
      assert.ok(!stderr.includes('feedface'));
      assert.ok(code === 1 || code === 2);
    });
  }

  test('with a configuration that does not exist', async (context) => {
    const { code, stderr } = await runCommand(context, ['run', '-c', 'nowhere.toml']);
    assert.match(stderr, /^error: The configuration file nowhere\.toml does not exist.*\n$/);
    assert.equal(code, 2);
  });
});

/** Takes a port of the loopback address until the test ends. */
async function occupy(context: TestContext, transport: 'udp' | 'tcp'): Promise<number> {
  if (transport === 'udp') {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    context.after(() => socket.close());
    await once(socket, 'listening');
    return socket.address().port;
  }
  const server = createServer().listen(0, '127.0.0.1');
  context.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
