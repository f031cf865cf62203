/** The server under the APIs: addresses, TLS, slow clients, and its end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import tls, { connect as connectTls } from 'node:tls';
import Koa from 'koa';
import { type ApiServer, type ApiServerOptions, openApiServer } from '../../tracker/api/server.ts';
import { ListenError } from '../../tracker/listen-error.ts';
import { needs } from '../support/parts.ts';
import { isRefusedVersion, OLD_CIPHERS, versionOf } from '../support/tls-versions.ts';
import { ask } from './asking.ts';
import { selfSigned } from './certificates.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

function hello(): Koa {
  return new Koa().use((ctx) => {
    ctx.body = 'hello';
  });
}

async function open(context: TestContext, options: Partial<ApiServerOptions> = {}): Promise<ApiServer> {
  const server = await openApiServer({ name: 'The test', app: hello(), bindAddress: LOOPBACK, ...options });
  context.after(() => server.close(0));
  return server;
}

/** The common name of the certificate that a server shows. */
async function shownName(port: number): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const name = socket.getPeerCertificate().subject.CN;
  socket.destroy();
  return String(name);
}

test('serves on the port that the kernel chose', async (context) => {
  const server = await open(context);
  assert.notEqual(server.address.port, 0);
  assert.equal((await ask(server.address.port, 'GET', '/')).body, 'hello');
});

test('serves over IPv6', needs('ipv6'), async (context) => {
  const server = await open(context, { bindAddress: { host: '::1', port: 0 } });
  assert.equal((await ask(server.address.port, 'GET', '/', { host: '::1' })).body, 'hello');
});

test('names the address that is in use', async (context) => {
  const { address } = await open(context);
  await assert.rejects(
    openApiServer({ name: 'The test', app: hello(), bindAddress: address }),
    (error) =>
      error instanceof ListenError &&
      error.code === 'EADDRINUSE' &&
      error.message ===
        `The test can't listen on 127.0.0.1:${address.port}: the port is in use by another program; stop that one or choose another port`,
  );
});

test('names the address that the machine does not have', async () => {
  await assert.rejects(
    openApiServer({ name: 'The test', app: hello(), bindAddress: { host: '203.0.113.1', port: 0 } }),
    (error) =>
      error instanceof ListenError &&
      error.code === 'EADDRNOTAVAIL' &&
      error.message === "The test can't listen on 203.0.113.1:0: this machine does not have that address",
  );
});

test('shows a new certificate without a restart', async (context) => {
  const server = await open(context, { tls: selfSigned('first') });
  assert.equal(await shownName(server.address.port), 'first');
  server.updateTls(selfSigned('second'));
  assert.equal(await shownName(server.address.port), 'second');
});

test('marks every answer as one that is neither to be cached nor guessed at', async (context) => {
  const { port } = (await open(context)).address;
  for (const path of ['/', '/nowhere']) {
    const { headers } = await ask(port, 'GET', path);
    assert.deepEqual([headers['cache-control'], headers['x-content-type-options']], ['no-store', 'nosniff']);
  }
});

test('speaks no TLS below 1.2, whatever Node.js was told, and with new certificates as well', async (context) => {
  const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
  Object.assign(tls, { DEFAULT_MIN_VERSION: 'TLSv1', DEFAULT_CIPHERS: OLD_CIPHERS });
  context.after(() => Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS }));
  // Of a key that older versions know.
  const pem = readFileSync(new URL('../probe/fixtures/self-signed.pem', import.meta.url), 'utf8');
  const server = await open(context, { tls: { cert: pem, key: pem } });
  await assert.rejects(versionOf(server.address.port, 'TLSv1.1'), isRefusedVersion);
  assert.equal(await versionOf(server.address.port, 'TLSv1.2'), 'TLSv1.2');
  server.updateTls({ cert: pem, key: pem });
  await assert.rejects(versionOf(server.address.port, 'TLSv1.1'), isRefusedVersion);
  assert.equal(await versionOf(server.address.port, 'TLSv1.2'), 'TLSv1.2');
});

const isBadCertificate = (error: unknown): boolean =>
  error instanceof ListenError &&
  error.code === 'bad-certificate' &&
  /^The test can't use its certificate or key: [^\n]+$/.test(error.message);

test('keeps its certificate when the new one is of no use', async (context) => {
  const server = await open(context, { tls: selfSigned('kept') });
  const stranger = selfSigned('stranger');
  for (const pair of [
    { cert: 'none', key: 'none' },
    { ...selfSigned('other'), key: stranger.key },
  ]) {
    assert.throws(() => server.updateTls(pair), isBadCertificate);
  }
  assert.equal(await shownName(server.address.port), 'kept');
});

test('does not open with a certificate of no use', async () => {
  const tls = { cert: 'none', key: 'none' };
  await assert.rejects(
    openApiServer({ name: 'The test', app: hello(), bindAddress: LOOPBACK, tls }),
    isBadCertificate,
  );
});

test(
  'ends connections that send no request, and those that are idle',
  { timeout: 60_000 },
  async (context) => {
    const { port } = (await open(context)).address;
    const silent = connect(port, '127.0.0.1');
    const stuck = connect(port, '127.0.0.1');
    const idle = connect(port, '127.0.0.1');
    context.after(() => [silent, stuck, idle].forEach((socket) => socket.destroy()));
    stuck.write('GET / HTTP/1.1\r\nHost: x\r\n');
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const began = performance.now();
    await Promise.all([silent, stuck, idle].map((socket) => text(socket)));
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds > 4, `${seconds} s`);
  },
);

test('lets a request end before it closes', async () => {
  const entered = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const app = new Koa().use(async (ctx) => {
    entered.resolve();
    await gate.promise;
    ctx.body = 'done';
  });
  const server = await openApiServer({ name: 'The test', app, bindAddress: LOOPBACK });
  const answer = ask(server.address.port, 'GET', '/');
  await entered.promise;
  const closed = server.close(60_000);
  await assert.rejects(ask(server.address.port, 'GET', '/'));
  gate.resolve();
  assert.equal((await answer).body, 'done');
  await closed;
});

test('cuts off what does not end', async () => {
  const entered = Promise.withResolvers<void>();
  const app = new Koa().use(() => {
    entered.resolve();
    return new Promise<void>(() => {});
  });
  const server = await openApiServer({ name: 'The test', app, bindAddress: LOOPBACK });
  const answer = assert.rejects(ask(server.address.port, 'GET', '/'));
  await entered.promise;
  await server.close(10);
  await answer;
});

test('does not wait for connections that are kept alive', async () => {
  const server = await openApiServer({ name: 'The test', app: hello(), bindAddress: LOOPBACK });
  const agent = new Agent({ keepAlive: true });
  const sent = request({ host: '127.0.0.1', port: server.address.port, agent }).end();
  // The event carries the response.
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  await text(response);
  await server.close(60_000);
  agent.destroy();
});
