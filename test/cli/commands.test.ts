/** The commands that end by themselves: help, version, config, probe and health; their output and exit codes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseToml } from '../../tracker/config/toml.ts';
import {
  type CommandResult,
  runCommand,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
  writeConfig,
} from '../support/tracker-process.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const KEY = 'YZSl4lMZupRuOpSRC3krIKR5BPB14nrJ';
const HASH = '9c38422213e30bff212b30c360d26f9a02136422';
const V2 = `[metadata]
schema_version = "2.0.0"
[logging]
threshold = "info"
[core]
listed = false
private = false
[core.database]
driver = "mysql"
path = "mysql://user:pass-of-the-test@localhost:3306/torrust"
[core.net]
on_reverse_proxy = true
[[http_trackers]]
bind_address = "0.0.0.0:7070"
[http_api.access_tokens]
admin = "a-token-of-the-test"
`;

describe('The command', { concurrency: 2 }, () => {
  const helps: Record<string, RegExp> = {
    '': /Usage: torrust-tracker \[options\] \[command\][^]*run[^]*config[^]*probe[^]*health[^]*version/,
    run: /--config <file>[^]*--generate/,
    config: /check[^]*print[^]*default[^]*migrate <file>/,
    'config check': /--config <file>/,
    probe: /--key <key>[^]*--info-hash[^]*--json[^]*--watch[^]*--timeout/,
    health: /health \[options\] \[url\]/,
    version: /Usage: torrust-tracker version/,
  };
  for (const [command, says] of Object.entries(helps)) {
    test(`explains "${command}" with --help`, async (context) => {
      const words = command === '' ? [] : command.split(' ');
      const { code, stdout, stderr } = await runCommand(context, [...words, '--help']);
      assert.match(stdout, says);
      assert.equal(stderr, '');
      assert.equal(code, 0);
    });
  }

  test('says its version in three ways', async (context) => {
    for (const words of [['version'], ['--version'], ['-V']]) {
      const { code, stdout } = await runCommand(context, words);
      assert.match(stdout, /^\d+\.\d+\.\d+\S*\n$/);
      assert.equal(code, 0);
    }
  });

  for (const words of [
    ['rnu'],
    ['run', '--confg', 'x'],
    ['probe'],
    ['config', 'migrate'],
    ['probe', 'udp://t:1', '-i', 'short'],
    ['probe', 'udp://t:1', '--timeout', '0'],
    ['probe', 'ftp://t'],
    ['health', 'ftp://t'],
  ]) {
    // prettier-ignore
    test(`refuses "${words.join(' ')}" with 2 and one complaint`, async (context) => {
      const { code, stdout, stderr } = await runCommand(context, words);
      assert.match(stderr, /^error: .+/);
      assert.ok(!stderr.includes('    at '));
      assert.equal(stdout, '');
      assert.equal(code, 2);
    });
  }
});

describe('"config', { concurrency: 2 }, () => {
  test('check" says that all is in order, and warns', async (context) => {
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, {
      core: { announce_policy: { interval: 900 }, tracker_policy: { max_peer_timeout: 900 } },
    });
    const { code, stdout, stderr } = await runCommand(context, ['config', 'check', '-c', path]);
    assert.match(stdout, /^ok: .*tracker\.toml \(layout 3\.0\.0\)\n$/);
    assert.match(stderr, /^warning: core\.tracker_policy\.max_peer_timeout .*\n$/);
    assert.equal(code, 0);
  });

  test('check" says every mistake, and ends with 2', async (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, 'tracker.toml');
    writeFileSync(path, V2.replace('2.0.0', '3.0.0'));
    const { code, stderr } = await runCommand(context, ['config', 'check', '-c', path]);
    assert.match(stderr, /^error: The configuration has \d+ mistakes:/);
    assert.match(stderr, /logging\.threshold/);
    assert.match(stderr, /core\.net/);
    assert.ok(!/pass-of-the-test|a-token-of-the-test/.test(stderr));
    assert.equal(code, 2);
  });

  test('check" and "config print" write no file where there is none', async (context) => {
    const folder = temporaryFolder(context);
    for (const word of ['check', 'print']) {
      assert.equal((await runCommand(context, ['config', word], { folder })).code, 0);
    }
    assert.deepEqual(readdirSync(folder), []);
  });

  test('print" prints what is in force, secrets masked', async (context) => {
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, {
      http_api: { access_tokens: { admin: 'a-token-of-the-test' } },
      core: {
        database: { driver: 'mysql', path: 'mysql://user:pass-of-the-test@localhost:3306/torrust' },
      },
    });
    const env = { TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__ANNOUNCE_POLICY__INTERVAL: '777' };
    const { code, stdout } = await runCommand(context, ['config', 'print', '-c', path], { env });
    const printed = parseToml(stdout, 'the output');
    assert.match(JSON.stringify(printed['core']), /"interval":777,"interval_min":120/);
    assert.ok(!/pass-of-the-test|a-token-of-the-test/.test(stdout));
    assert.equal(code, 0);
  });

  test('default" prints a configuration that "config check" takes, with a new token each time', async (context) => {
    const folder = temporaryFolder(context);
    const texts = await Promise.all(
      [0, 1].map(async () => (await runCommand(context, ['config', 'default'])).stdout),
    );
    const tokens = texts.map((text) => /^admin = "(.{43})"$/m.exec(text)?.[1]);
    assert.ok(tokens[0] !== undefined && tokens[0] !== tokens[1]);
    writeFileSync(join(folder, 'tracker.toml'), texts[0]);
    const { code, stderr } = await runCommand(context, ['config', 'check'], { folder });
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('migrate" prints an older configuration in the layout of today, secrets kept', async (context) => {
    const folder = temporaryFolder(context);
    writeFileSync(join(folder, 'old.toml'), V2);
    const migrated = await runCommand(context, ['config', 'migrate', 'old.toml'], { folder });
    assert.equal(migrated.code, 0);
    assert.match(migrated.stdout, /schema_version = "3\.0\.0"/);
    assert.match(migrated.stdout, /on_reverse_proxy = true/);
    assert.match(migrated.stdout, /a-token-of-the-test/);
    writeFileSync(join(folder, 'new.toml'), migrated.stdout);
    const { code } = await runCommand(context, ['config', 'check', '-c', 'new.toml'], { folder });
    assert.equal(code, 0);
  });

  test('migrate" of a file that does not exist ends with 2', async (context) => {
    const { code, stderr } = await runCommand(context, ['config', 'migrate', 'nowhere.toml']);
    assert.match(stderr, /^error: .*nowhere\.toml.*\n$/);
    assert.equal(code, 2);
  });
});

describe('"probe', { concurrency: 2 }, () => {
  const trackers = trackersOfSuite();

  for (const kind of ['udp', 'http'] as const) {
    const url = () => {
      const [{ host, port }] = trackers.open[kind];
      return `${kind}://${host}:${port}/announce`;
    };

    test(`" asks a tracker over ${kind} and shows each step`, async (context) => {
      const { code, stdout, stderr } = await runCommand(context, ['probe', url()], {
        env: { FORCE_COLOR: '1' },
      });
      assert.match(stdout, /^(udp|http):.*\n(.*ms.*\n)*.*announce +[\d.]+ ms +1 seeder, 0 leechers/);
      assert.ok(!stdout.includes('\u001b'), 'no colours where no terminal is');
      assert.equal(stderr, '');
      assert.equal(code, 0);
    });

    test(`" over ${kind} leaves no peer behind`, async (context) => {
      await runCommand(context, ['probe', url(), '-i', HASH]);
      const { stdout } = await runCommand(context, ['probe', url(), '-i', HASH, '--ask', 'scrape', '--json']);
      assert.match(stdout, /"seeders":0,"completed":0,"leechers":0/);
    });

    test(`" over ${kind} is one line of JSON with --json`, async (context) => {
      const { stdout } = await runCommand(context, ['probe', url(), '--json']);
      assert.equal(stdout.trim().split('\n').length, 1);
      const result: unknown = JSON.parse(stdout);
      assert.ok(typeof result === 'object' && result !== null && 'ok' in result && 'steps' in result);
      assert.equal(result.ok, true);
    });
  }

  test('" prints what Torrust\'s clients print with --json=torrust', async (context) => {
    const [udp] = trackers.open.udp;
    const [http] = trackers.open.http;
    const overUdp = await runCommand(context, ['probe', `udp://127.0.0.1:${udp.port}`, '--json=torrust']);
    assert.match(
      overUdp.stdout,
      /^\{\n {2}"AnnounceIpv4": \{\n {4}"transaction_id": -?\d+,\n {4}"announce_interval": 120,\n {4}"leechers": 0,\n {4}"seeders": 1,\n {4}"peers": \[\]\n {2}\}\n\}$/,
    );
    const overHttp = await runCommand(context, ['probe', `http://127.0.0.1:${http.port}`, '--json=torrust']);
    assert.match(overHttp.stdout, /^\{"complete":1,"incomplete":0,"interval":120,"min interval":120,"peers":\[\]\}\n$/); // prettier-ignore
    const scrape = ['-i', HASH, '--ask', 'scrape', '--json=torrust'];
    const scraped = await runCommand(context, ['probe', `http://127.0.0.1:${http.port}`, ...scrape]);
    assert.equal(scraped.stdout, `{"${HASH}":{"complete":0,"downloaded":0,"incomplete":0}}\n`);
  });

  test('" prints what Torrust\'s checker prints with --json=torrust-checker, also of a tracker that is away', async (context) => {
    const [udp] = trackers.open.udp;
    const url = `udp://127.0.0.1:${udp.port}`;
    const { code, stdout } = await runCommand(context, ['probe', '--json', 'torrust-checker', url]);
    const passed = ['Setup', 'Connect', 'Announce', 'Scrape'].map((step) => [step, { Ok: null }]);
    assert.deepEqual(JSON.parse(stdout), [
      { Udp: { Ok: { remote_addr: `127.0.0.1:${udp.port}`, results: passed } } },
    ]);
    assert.equal(code, 0);
    const away = `http://127.0.0.1:${await closedPort()}`;
    const failed = await runCommand(context, ['probe', away, '--json=torrust-checker']);
    assert.match(failed.stdout, /^\[\n {2}\{\n {4}"Http": \{\n {6}"Err": /);
    assert.equal(failed.code, 1);
  });

  test('" leaves stdout empty when there is no reply for --json=torrust', async (context) => {
    const away = `udp://127.0.0.1:${await closedPort()}`;
    const { code, stdout, stderr } = await runCommand(context, ['probe', away, '--json=torrust']);
    assert.equal(stdout, '');
    assert.match(stderr, /ECONNREFUSED/);
    assert.equal(code, 1);
  });

  test('" brings the key of a private tracker, over both protocols', async (context) => {
    const open = await startTrackerProcess(context, {
      udp_trackers: [ANY],
      http_trackers: [ANY],
      http_api: { ...ANY, access_tokens: { admin: 'a-token-of-the-test' } },
      core: { private: true, database: { driver: 'sqlite3' } },
    });
    const added = await fetch(`${open.api}/api/v1/keys?token=a-token-of-the-test`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key: KEY, seconds_valid: null }),
    });
    assert.equal(added.status, 200);
    await added.body?.cancel();
    for (const url of [`udp://127.0.0.1:${open.udp[0].port}`, `http://127.0.0.1:${open.http[0].port}`]) {
      const refused = await runCommand(context, ['probe', url]);
      assert.match(refused.stdout, /Missing authentication key/);
      assert.equal(refused.code, 1);
      for (const args of [[url, '--key', KEY], [`${url}/announce/${KEY}`]]) {
        assert.equal((await runCommand(context, ['probe', ...args])).code, 0);
      }
    }
    await open.stop();
  });

  test('" ends with 1 when nobody answers', async (context) => {
    const port = await closedPort();
    for (const scheme of ['udp', 'http']) {
      const url = `${scheme}://127.0.0.1:${port}`;
      const { code, stdout, stderr } = await runCommand(context, ['probe', url, '--timeout', '1']);
      assert.ok(stdout.startsWith(url));
      assert.equal(stderr, '');
      assert.equal(code, 1);
    }
  });
});

describe('"health', { concurrency: 2 }, () => {
  const cases: Record<string, { status: number; says: string; code: number }> = {
    'of success': { status: 200, says: 'STATUS: 200 OK', code: 0 },
    'of a success without content': { status: 204, says: 'STATUS: 204 No Content', code: 0 },
    'of failure': { status: 503, says: 'Non-success status received.', code: 1 },
    'of a path that is not there': { status: 404, says: 'Non-success status received.', code: 1 },
  };
  for (const [title, { status, says, code }] of Object.entries(cases)) {
    test(`" judges a status ${title}`, async (context) => {
      const server = createServer((_, response) => response.writeHead(status).end());
      context.after(() => server.close().closeAllConnections());
      const result = await runCommand(context, ['health', `http://127.0.0.1:${await listen(server)}/x`]);
      assert.deepEqual(seen(result), { code, stdout: `Health check ...\n${says}\n`, stderr: '' });
    });
  }

  test('" says that nobody answers', async (context) => {
    const result = await runCommand(context, ['health', `http://127.0.0.1:${await closedPort()}/`]);
    assert.match(result.stdout, /^Health check \.\.\.\nERROR: .+\n$/);
    assert.equal(result.code, 1);
  });

  test('" asks whether the tracker of its container serves, at the port of the container', async (context) => {
    const asked: unknown[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url);
      response.end();
    });
    context.after(() => server.close().closeAllConnections());
    const env = { HEALTH_CHECK_API_PORT: String(await listen(server)) };
    assert.equal((await runCommand(context, ['health'], { env })).code, 0);
    assert.deepEqual(asked, ['/readyz']);
  });

  test('" is content with a tracker that is up', async (context) => {
    const tracker = await startTrackerProcess(context, { udp_trackers: [ANY] });
    const result = await runCommand(context, ['health', `${tracker.health}/health_check`]);
    assert.deepEqual(seen(result), { code: 0, stdout: 'Health check ...\nSTATUS: 200 OK\n', stderr: '' });
    await tracker.stop();
  });
});

/** A tracker for the suite that is being described. */
function trackersOfSuite(): { readonly open: TrackerProcess } {
  const cleanups: (() => void)[] = [];
  let open: TrackerProcess | undefined;
  before(async () => {
    const cleaner = { after: (cleanup: () => void) => void cleanups.push(cleanup) };
    open = await startTrackerProcess(cleaner, { udp_trackers: [ANY], http_trackers: [ANY] });
  });
  after(async () => {
    await open?.stop();
    for (const cleanup of cleanups.toReversed()) cleanup();
  });
  return {
    get open() {
      assert(open, 'the suite has begun');
      return open;
    },
  };
}

function seen({ code, stdout, stderr }: CommandResult) {
  return { code, stdout, stderr };
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** A port where nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  return port;
}
