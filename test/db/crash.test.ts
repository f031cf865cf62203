/** A database thread that dies is noticed at once: nothing waits for it, and its owner hears why. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './drivers.ts';

/** Runs in every thread of the process before its own code: lets a test kill the database thread with a message. */
const preload = `
  import { BroadcastChannel, isMainThread } from 'node:worker_threads';
  if (!isMainThread) {
    const channel = new BroadcastChannel('fate');
    channel.onmessage = () => { throw new Error('struck by lightning'); };
    channel.unref();
  }`;

const script = (client: string, path: string): string => `
  import { BroadcastChannel } from 'node:worker_threads';
  import { openDatabase } from ${JSON.stringify(client)};
  const crash = Promise.withResolvers();
  const database = await openDatabase({ kind: 'sqlite3', path: ${JSON.stringify(path)} }, { onCrash: crash.resolve });
  const fate = new BroadcastChannel('fate');
  fate.postMessage('now');
  const error = await crash.promise;
  const call = await database.loadKeys().catch((reason) => reason);
  await database.close();
  fate.close();
  console.log(JSON.stringify({ code: error.code, message: error.message, cause: error.cause.message, call: call.code, state: database.state().kind }));`;

test('a database thread that dies rejects every call and gives its cause', (context) => {
  const client = new URL('../../tracker/db/client.ts', import.meta.url).href;
  const folder = temporaryFolder(context);
  const main = join(folder, 'main.mjs');
  writeFileSync(main, script(client, join(folder, 'tracker.db')));
  const hook = `data:text/javascript,${encodeURIComponent(preload)}`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', hook, main], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    code: 'unavailable',
    message: 'the database thread is gone: struck by lightning',
    cause: 'struck by lightning',
    call: 'unavailable',
    state: 'down',
  });
});
