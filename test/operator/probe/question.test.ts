/** What the operator makes of pods that are no trackers of ours: whoever chose the image chose what they answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ask, askHealth } from '../../../operator/probe/question.ts';

/** Clears the screen of whoever reads it, and goes on for longer than anybody reads. */
const TEXT = `\u001b[2J\r${'all is well '.repeat(1000)}`;

async function openHostile(context: TestContext, body: string): Promise<{ host: string; port: number }> {
  const server = createServer((_request, response) => response.end(body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  // A server that listens on TCP has an address of this form.
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

function assertTame(text: string | null | undefined): void {
  assert.ok(text?.includes('\\u001b[2J\\u000dall is well'), String(text));
  assert.match(text ?? '', /^[\x20-\x7e]{1,400}$/);
}

test('the reason of a listener is quoted for a terminal, and in short', async (context) => {
  const address = await openHostile(context, `d14:failure reason${TEXT.length}:${TEXT}e`);
  const target = { kind: 'http', name: 'HTTP', secure: false, isBehindProxy: false, ...address } as const;
  assertTame(await ask(target, undefined, new AbortController().signal));
});

test('so is what the health check says of the database', async (context) => {
  const address = await openHostile(context, JSON.stringify({ database_trouble: TEXT }));
  const answer = await askHealth(address, new AbortController().signal);
  assertTame(answer.kind === 'answered' ? answer.databaseTrouble : answer.why);
});
