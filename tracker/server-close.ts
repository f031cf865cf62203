/**
 * The end of a server of `node:http` or `node:https`. Its own `close` cuts kept connections at once, also those on which a
 * request is coming, whose client then can't tell whether it was heard. Here they have a moment more, and each reply says
 * that it is the last.
 */
import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer } from 'node:net';

/** How long a kept connection may go on to send the request that is on its way when the server stops. */
export const LAST_REQUEST_MILLIS = 500;

/** Takes no new connections, answers what comes in a moment and what has begun, and cuts off after `graceMillis`. */
export async function closeServer(server: Server, graceMillis: number): Promise<void> {
  const closed = once(server, 'close');
  server.prependListener('request', (_request, response: ServerResponse) => {
    response.setHeader('Connection', 'close');
  });
  NetServer.prototype.close.call(server);
  // What is there to be read is read between a timer and an immediate, so that no idle connection holds a request.
  const endIdle = () => setImmediate(() => server.closeIdleConnections());
  const lastCall = setTimeout(endIdle, Math.min(LAST_REQUEST_MILLIS, graceMillis));
  const patience = setTimeout(() => server.closeAllConnections(), graceMillis);
  await closed;
  clearTimeout(lastCall);
  clearTimeout(patience);
  // Ends the looks for slow clients, which go on until then.
  server.close();
}
