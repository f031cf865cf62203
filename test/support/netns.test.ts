import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { createNetwork } from './netns.ts';
import { needs } from './parts.ts';

const LISTEN = `
  const server = require('node:net').createServer((socket) => socket.end(socket.remoteAddress));
  server.listen(7000, '::', () => console.log('listening'));`;
const ASK = `
  const socket = require('node:net').connect(7000, process.argv[1]);
  socket.pipe(process.stdout);`;

test('hosts reach each other at routable addresses of both families', needs('netns'), async (context) => {
  const network = await createNetwork({ clients: 2, ipv6: true });
  context.after(() => network.close());
  const server = network.tracker.spawn(process.execPath, ['-e', LISTEN], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert(server.stdout);
  await once(server.stdout, 'data');
  for (const client of network.clients) {
    assert(network.tracker.ipv6 !== undefined && client.ipv6 !== undefined);
    const seen = await client.run(process.execPath, ['-e', ASK, network.tracker.ipv4]);
    assert.equal(seen, `::ffff:${client.ipv4}`);
    assert.equal(await client.run(process.execPath, ['-e', ASK, network.tracker.ipv6]), client.ipv6);
  }
});

test('a closed network leaves neither namespaces nor processes', needs('netns'), async () => {
  const network = await createNetwork({ clients: 1, ipv6: false });
  const sleeper = network.tracker.spawn('sleep', ['600']);
  await network.close();
  assert.equal(sleeper.signalCode, 'SIGKILL');
  assert.doesNotMatch(listNamespaces(), new RegExp(`^tt-${process.pid}-`, 'm'));
});

test('what a killed run left is removed by the next', needs('netns'), async () => {
  const module = JSON.stringify(import.meta.resolve('./netns.ts'));
  const script = `await (await import(${module})).createNetwork({clients: 1, ipv6: false}); process.kill(process.pid, 'SIGKILL')`;
  const abandoned = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  await once(abandoned, 'exit');
  const leftBehind = new RegExp(`^tt-${abandoned.pid}-`, 'm');
  assert.match(listNamespaces(), leftBehind);
  await (await createNetwork({ clients: 1, ipv6: false })).close();
  assert.doesNotMatch(listNamespaces(), leftBehind);
});

function listNamespaces(): string {
  return spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
}
