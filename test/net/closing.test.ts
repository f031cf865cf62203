/** The end of a network thread: nobody new is let in, and whoever was is answered. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { waitFor } from '../support/waiting.ts';
import { get } from './http-exchange.ts';
import { forEachSocketPath, startThreads } from './tracker-threads.ts';

/** Longer than the test takes, and shorter than what a listener waits for a request. */
const GRACE_MILLIS = 4_000;

forEachSocketPath((sockets) => {
  describe(`Several HTTP listeners that close (${sockets} sockets)`, () => {
    test('refuse new clients at once, and answer requests that have begun', async (context) => {
      const threads = await startThreads(sockets, { http: [{}, {}, {}] });
      const begun: Socket[] = [];
      context.after(() => begun.forEach((socket) => socket.destroy()));
      for (const listener of threads.http) {
        const socket = connect(listener.port, listener.host);
        begun.push(socket);
        await once(socket, 'connect');
        socket.write('GET /health_check HTTP/1.1\r\n');
        // The listener takes connections in their order, so with the answer to this one it has the other.
        assert.equal((await get(listener, '/health_check')).status, 200);
      }
      const closed = threads.close(GRACE_MILLIS);
      for (const listener of threads.http) {
        await waitFor('a listener that takes nobody', () => isRefused(listener));
      }
      for (const socket of begun) {
        const reply = textOf(socket);
        socket.write('Host: tracker\r\n\r\n');
        assert.match(await reply, /^HTTP\/1\.1 200 OK\r\n/);
      }
      await closed;
    });
  });
});

forEachSocketPath((sockets) => {
  const tls = new URL('../probe/fixtures/self-signed.pem', import.meta.url).pathname;
  const TRACKERS = { HTTP: {}, HTTPS: { tls_config: { ssl_cert_path: tls, ssl_key_path: tls } } };

  for (const [title, tracker] of Object.entries(TRACKERS)) {
    test(`${title} clients that keep their connection have all they ask answered until the end (${sockets} sockets)`, async () => {
      const threads = await startThreads(sockets, { http: [tracker] });
      const [http] = threads.http;
      const clients = Array.from({ length: 8 }, () => askUntilToldToClose(http, title === 'HTTPS'));
      // All of them have asked several times when the end comes.
      await Promise.all(clients.map(({ warm }) => warm));
      const begin = performance.now();
      await threads.close(GRACE_MILLIS);
      assert.ok(performance.now() - begin < GRACE_MILLIS, 'nobody is waited for who was told to close');
      for (const { ended } of clients) await ended;
    });
  }

  test(`clients that keep a connection and ask nothing hold the end up for a moment only (${sockets} sockets)`, async (context) => {
    const threads = await startThreads(sockets, { http: [{}] });
    const agent = new Agent({ keepAlive: true });
    context.after(() => agent.destroy());
    assert.equal((await get(threads.http[0], '/health_check', { agent })).status, 200);
    const begin = performance.now();
    await threads.close(GRACE_MILLIS);
    assert.ok(performance.now() - begin < GRACE_MILLIS);
  });
});

/**
 * Asks again and again on one connection, until a reply says that it is the last. `ended` rejects when a request is not
 * answered. `warm` is there after some answers.
 */
function askUntilToldToClose({ port, host }: SocketAddress, isTls: boolean) {
  const socket = isTls ? connectTls({ port, host, rejectUnauthorized: false }) : connect(port, host);
  const warm = Promise.withResolvers<void>();
  const ended = (async () => {
    let replies = 0;
    let heard = '';
    const ask = () => socket.write('GET /health_check HTTP/1.1\r\nHost: t\r\n\r\n');
    socket
      .setNoDelay()
      .setEncoding('latin1')
      .on('data', (text: string) => {
        heard += text;
        if (!heard.endsWith('{"status":"Ok"}')) return;
        if (/connection: close/i.test(heard)) return;
        heard = '';
        if (++replies === 5) warm.resolve();
        ask();
      });
    ask();
    await once(socket, 'close');
    assert.match(heard, /connection: close/i, 'the last request is answered');
  })();
  ended.catch(warm.reject);
  return { warm: warm.promise, ended };
}

async function isRefused({ host, port }: SocketAddress): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

/** All that comes until the other side closes. */
async function textOf(socket: Socket): Promise<string> {
  assert(!socket.destroyed, 'the connection is there');
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => (text += part));
  await once(socket, 'close');
  return text;
}
