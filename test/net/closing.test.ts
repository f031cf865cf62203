/** The end of a network thread: nobody new is let in, and whoever was is answered. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
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
