/** The question by which a container of the operator is told to be healthy, asked of the operator's own server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStatusServer } from '../../operator/kube/status-server.ts';

const DOCKERFILE = readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8');
const [, STAGE = ''] = DOCKERFILE.split(' AS operator\n');

/** Runs the command of the image against another port; resolves with its code. */
async function askAt(port: number): Promise<number | null> {
  const [, exposed = ''] = /^EXPOSE (\d+)\/tcp$/m.exec(STAGE) ?? [];
  const [, command = ''] = /^HEALTHCHECK (?:.*\\\n)? *CMD (\[.+\])$/m.exec(STAGE) ?? [];
  assert.ok(command.includes(`:${exposed}/`), command);
  // The form of Docker for commands without a shell.
  const [, ...args] = JSON.parse(command.replace(`:${exposed}/`, `:${port}/`)) as string[];
  const asked = spawn(process.execPath, args, { stdio: 'ignore' });
  await once(asked, 'exit');
  return asked.exitCode;
}

test('A container of the operator is healthy as long as the operator says so', async (context) => {
  let problem: string | undefined;
  const server = await openStatusServer({
    host: undefined,
    port: 0,
    alive: [{ name: 'test', problem: () => problem }],
  });
  let isOpen = true;
  context.after(() => (isOpen ? server.close(0) : undefined));
  assert.equal(await askAt(server.port), 0);
  problem = 'stuck';
  assert.equal(await askAt(server.port), 1);
  isOpen = false;
  await server.close(0);
  assert.equal(await askAt(server.port), 1);
});
