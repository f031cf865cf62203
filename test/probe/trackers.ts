/**
 * Trackers to probe: the npm package bittorrent-tracker, and servers that answer as a test tells them.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import type { TestContext } from 'node:test';
import { Server } from 'bittorrent-tracker';

/** Starts the foreign tracker on ports of its own; it is closed after the test. */
export async function startForeignTracker(
  context: TestContext,
  options: { refuse?: string; hostname?: string } = {},
): Promise<{ tracker: Server; httpPort: number; udpPort: number; events: string[] }> {
  const { refuse, hostname = '127.0.0.1' } = options;
  const tracker = new Server({
    ws: false,
    stats: false,
    interval: 300_000,
    ...(refuse !== undefined && { filter: (_infoHash, _params, callback) => callback(new Error(refuse)) }),
  });
  const events: string[] = [];
  for (const event of ['start', 'update', 'stop'] as const) tracker.on(event, () => events.push(event));
  tracker.on('warning', () => undefined);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  tracker.on('error', reject);
  tracker.listen(0, { http: hostname, udp: '127.0.0.1', udp6: '::1' }, resolve);
  context.after(() => new Promise((closed) => tracker.close(closed)));
  await promise;
  return { tracker, httpPort: tracker.http.address().port, udpPort: tracker.udp4.address().port, events };
}

/** Opens a UDP socket that hands every datagram to `answer`; what that returns is sent back. */
export async function startUdpServer(
  context: TestContext,
  answer: (request: Buffer, from: RemoteInfo) => readonly Uint8Array[],
): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket('udp4');
  socket.on('message', (request, from) => {
    for (const reply of answer(request, from)) socket.send(reply, from.port, from.address);
  });
  context.after(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, port: socket.address().port };
}

/** Opens an HTTP server; connections that still stand after the test are cut. */
export async function startHttpServer(context: TestContext, listener: RequestListener): Promise<number> {
  return listen(context, createServer(listener));
}

/** Lets a server listen on a port of its own and closes it after the test. Resolves with the port. */
export async function listen(context: TestContext, server: HttpServer): Promise<number> {
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}
