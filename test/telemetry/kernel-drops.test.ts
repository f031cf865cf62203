/**
 * Datagrams that the kernel drops because nobody reads them in time: the tracker is stopped in the middle of a burst, and
 * counts afterwards what the kernel counted for its sockets. Only native sockets are told.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { SOCKET_PATHS } from '../net/tracker-threads.ts';
import { UdpClient } from '../net/udp-exchange.ts';
import { needs } from '../support/parts.ts';
import { startTrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { scrape } from './exposition.ts';

/** Each sends this many datagrams at once; the kernel gives each to one of the tracker's threads. */
const CLIENTS = 8;
const DATAGRAMS = 1000;
const REQUESTS = 'torrust_tracker_requests_total';
const DROPS = 'torrust_tracker_udp_kernel_drops_total';

const FAMILIES = [
  { bind: '127.0.0.1:0', local: '127.0.0.1', table: '/proc/net/udp' },
  { bind: '[::1]:0', local: '::1', table: '/proc/net/udp6' },
] as const;

/** What the kernel dropped on all sockets of a port, and the bytes that wait there, as its table has them. */
function readKernel(
  table: string,
  port: number,
): { readonly dropped: number; readonly waitingBytes: number } {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync(table, 'latin1')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const own = rows.filter(([, address]) => address.endsWith(local));
  assert.equal(own.length, 2, 'each thread has a socket');
  return {
    dropped: own.reduce((sum, columns) => sum + Number(columns.at(-1)), 0),
    waitingBytes: own.reduce((sum, columns) => sum + Number.parseInt(columns[4].split(':')[1], 16), 0),
  };
}

/** Sends connect requests from many ports, and resolves when all of them have left. */
async function burst(context: TestContext, tracker: SocketAddress, local: string): Promise<void> {
  for (let client = 0; client < CLIENTS; client++) {
    const socket = createSocket(local.includes(':') ? 'udp6' : 'udp4');
    context.after(() => socket.close());
    socket.bind(0, local);
    await once(socket, 'listening');
    const datagram = encodeConnectRequest(1);
    const sent = Array.from({ length: DATAGRAMS }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      socket.send(datagram, tracker.port, local, (error) => (error === null ? resolve() : reject(error)));
      return promise;
    });
    await Promise.all(sent);
  }
}

// Native sockets are Linux's own.
for (const sockets of SOCKET_PATHS.filter((path) => path === 'native')) {
  test(
    'datagrams that the kernel drops are counted as the kernel counts them',
    needs('ipv6'),
    async (context) => {
      const tracker = await startTrackerProcess(context, {
        udp_trackers: FAMILIES.map(({ bind }) => ({ bind_address: bind })),
        network: { sockets, workers: 2, receive_buffer_bytes: 2 ** 16 },
      });
      const droppedOverall = () =>
        FAMILIES.reduce(
          (sum, { table }, index) => sum + readKernel(table, tracker.udp[index].port).dropped,
          0,
        );
      let sent = 0;
      // Twice each, since the kernel tells each socket how many it dropped in all.
      for (const [index, { local, table }] of [...FAMILIES.entries(), ...FAMILIES.entries()]) {
        const address = tracker.udp[index];
        const before = droppedOverall();
        process.kill(tracker.pid, 'SIGSTOP');
        try {
          await burst(context, address, local);
        } finally {
          process.kill(tracker.pid, 'SIGCONT');
        }
        sent += CLIENTS * DATAGRAMS;
        // What comes before there is room is dropped as well.
        await waitFor('room', () => readKernel(table, address.port).waitingBytes === 0);
        const dropped = droppedOverall();
        assert.ok(dropped > before + DATAGRAMS, `the kernel dropped ${dropped - before}`);
        // The kernel tells of drops with the datagrams that come after them, to each socket of its own.
        const exposition = await waitFor('the counter to be that of the kernel', async () => {
          const client = await UdpClient.open(context, address, local);
          await client.connect();
          sent++;
          const found = await scrape(tracker.metrics);
          return found.value(DROPS) === dropped && found;
        });
        assert.equal(droppedOverall(), dropped, 'nothing is dropped later');
        assert.equal(exposition.sum(REQUESTS, { protocol: 'udp', outcome: 'ok' }), sent - dropped);
      }
      assert.equal((await tracker.stop()).code, 0);
    },
  );
}
