/** A part of the tracker dies, or never comes: the process ends with the cause, or as soon as it is told to. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  type PartialConfig,
  runCommand,
  start,
  startTrackerProcess,
  temporaryFolder,
  writeConfig,
} from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { ANY } from './live-tracker.ts';

const FAULT = new URL('./processes/fault.ts', import.meta.url).href;

const THREADS: Record<string, { thread: string; says: RegExp; config: PartialConfig }> = {
  'a network thread with native sockets': {
    thread: 'network-1',
    says: /a network thread ended with code 1: a fault in network-1 that a test made/,
    config: { udp_trackers: [ANY], network: { workers: 2, sockets: 'native' } },
  },
  'a network thread with portable sockets': {
    thread: 'network-0',
    says: /a network thread ended with code 1: a fault in network-0 that a test made/,
    config: { http_trackers: [ANY], network: { workers: 2, sockets: 'portable' } },
  },
  'the thread of the database': {
    thread: 'database',
    says: /the database thread is gone: a fault in database that a test made/,
    config: { udp_trackers: [ANY], core: { database: { driver: 'sqlite3' } } },
  },
};

describe('A tracker ends with code 1 and the cause', { concurrency: 2 }, () => {
  for (const [title, { thread, says, config }] of Object.entries(THREADS)) {
    test(`when ${title} dies`, async (context) => {
      const folder = temporaryFolder(context);
      const file = join(folder, 'fault');
      const env = { FAULT_FILE: file, NODE_OPTIONS: `--import=${FAULT}` };
      const tracker = await startTrackerProcess(context, config, { folder, env });
      writeFileSync(file, thread);
      await waitFor('the cause', () => tracker.stdout().includes('"level":"fatal"'));
      // No signal is sent: a process that has ended takes none.
      assert.deepEqual(await tracker.stop('SIGCONT'), { code: 1, signal: null });
      const [line] = tracker.log().filter(({ level }) => level === 'fatal');
      assert.match(line.msg, /^The tracker can't go on: /);
      assert.match(line.msg, says);
    });
  }
});

describe('A start', { concurrency: 2 }, () => {
  test('that fails half-way leaves nothing of what it had started', async (context) => {
    const busy = createServer().listen(0, '127.0.0.1');
    context.after(() => busy.close());
    await once(busy, 'listening');
    const address = busy.address();
    assert.ok(typeof address === 'object' && address !== null);
    const folder = temporaryFolder(context);
    const database = { driver: 'sqlite3' as const, path: join(folder, 'tracker.db') };
    const path = writeConfig(folder, {
      udp_trackers: [ANY],
      http_trackers: [ANY],
      http_api: { bind_address: `127.0.0.1:${address.port}`, access_tokens: { admin: 'a-token' } },
      core: { listed: true, database },
    });
    const { code, stdout, stderr } = await runCommand(context, ['run', '-c', path], { folder });
    assert.equal(code, 1);
    assert.match(stderr, /^error: The REST API can't listen on .*: the port is in use.*\n$/);
    assert.match(stdout, /UDP TRACKER: Started on/);
    // SQLite removes its log when the last connection is closed in order.
    assert.deepEqual([existsSync(database.path), existsSync(`${database.path}-wal`)], [true, false]);
  });

  test('that waits for a silent database ends at SIGTERM, and is not ready until then', async (context) => {
    // Takes connections and says nothing, as a server behind a broken network does.
    const silent = createServer().listen(0, '127.0.0.1');
    context.after(() => silent.close());
    await once(silent, 'listening');
    const address = silent.address();
    assert.ok(typeof address === 'object' && address !== null);
    const folder = temporaryFolder(context);
    const path = writeConfig(folder, {
      core: {
        private: true,
        database: { driver: 'mysql', host: '127.0.0.1', port: address.port, user: 'u', database: 'd' },
      },
      udp_trackers: [ANY],
    });
    const running = start(context, ['run', '--config', path], { env: {}, folder });
    await once(silent, 'connection');
    const begun = performance.now();
    assert.deepEqual(await running.end('SIGTERM'), { code: 0, signal: null });
    assert.ok(performance.now() - begun < 25_000, 'within the grace');
    assert.match(running.stdout(), /Stopped before the tracker was up/);
    assert.doesNotMatch(running.stdout(), /Started on/);
  });

  test('tells what is not configured, as Torrust does', async (context) => {
    const bare = await startTrackerProcess(context, {});
    const messages = bare.log().map(({ level, msg }) => `${level} ${msg}`);
    for (const line of [
      'warn No services enabled in configuration',
      'info No UDP blocks in configuration',
      'info No HTTP blocks in configuration',
      'info No API block in configuration',
    ]) {
      assert.ok(messages.includes(line), line);
    }
    await bare.stop();
    const some = await startTrackerProcess(context, { udp_trackers: [ANY] });
    assert.doesNotMatch(some.stdout(), /No services|No UDP/);
    assert.match(some.stdout(), /No HTTP blocks in configuration/);
    assert.match(some.stdout(), /Network: (native|portable) sockets, 1 thread"/);
    await some.stop();
  });
});
