/**
 * The client of `make e2e` that announces every second, whose figures say what a fault cost: here around a socket that
 * leaves announces without an answer.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { followRecords } from '../e2e/announcer.ts';
import { waitFor } from '../support/waiting.ts';

const PROGRAM = new URL('../e2e/announcer-process.ts', import.meta.url).pathname;
/** BEP 15. */
const CONNECT = 0;
const ANNOUNCE = 1;

/** Starts the client, and a tracker that answers all announces but those with these numbers; the first is 1. */
async function startClient(context: TestContext, unanswered: readonly number[]) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const seen = { announces: 0 };
  socket.on('message', (bytes, { address, port }) => {
    const action = bytes.readUInt32BE(8);
    if (action === ANNOUNCE && unanswered.includes(++seen.announces)) return;
    const reply = Buffer.alloc(action === CONNECT ? 16 : 20);
    reply.writeUInt32BE(action, 0);
    bytes.copy(reply, 4, 12, 16);
    socket.send(reply, port, address);
  });
  const folder = mkdtempSync(join(tmpdir(), 'torrust-announcer-'));
  const file = join(folder, 'announces');
  const url = `udp://127.0.0.1:${socket.address().port}/announce`;
  const client = spawn(process.execPath, [PROGRAM, url, file], { stdio: ['ignore', 'ignore', 'inherit'] });
  context.after(() => {
    client.kill('SIGKILL');
    socket.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { client, seen, announcer: followRecords(file, url) };
}

describe('The client that announces every second', { concurrency: true }, () => {
  test('counts an announce as lost that has only just gone without an answer', async (context) => {
    const { seen, announcer } = await startClient(context, [3]);
    await waitFor('the announce without an answer', () => seen.announces === 3);
    const { sent, answered } = await announcer.figuresSince(0);
    assert.deepEqual({ sent, answered }, { sent: 3, answered: 2 });
  });

  test('counts an announce as lost of which it can tell nothing any more', async (context) => {
    const { client, seen, announcer } = await startClient(context, [2]);
    await waitFor('the announce without an answer', () => seen.announces === 2);
    client.kill('SIGKILL');
    const { sent, answered } = await announcer.figuresSince(0);
    assert.deepEqual({ sent, answered }, { sent: 2, answered: 1 });
  });

  test('is healed by five answers in a row, and not while one of them is not there', async (context) => {
    const { seen, announcer } = await startClient(context, [3]);
    await announcer.healed();
    assert.ok(seen.announces >= 8, `${seen.announces} announces`);
    const { sent, answered, longestGapSeconds } = await announcer.figuresSince(0);
    assert.equal(sent - answered, 1);
    assert.ok(longestGapSeconds >= 0.5, `${longestGapSeconds} s`);
  });
});

test('The client that announces every second needs nothing but Node.js and modules of the tracker, as in a pod', () => {
  const program = readFileSync(PROGRAM, 'utf8');
  const needed = [...program.matchAll(/^import (?!type\b)[^;]*? from '([^']+)';$/gm)].map(([, from]) => from);
  assert.ok(needed.length > 0);
  for (const from of needed) assert.match(from, /^(node:|\.\.\/\.\.\/tracker\/)/);
});
