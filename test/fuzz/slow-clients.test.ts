/**
 * HTTP clients that cost the tracker more than they should: too slow to ask, too slow to listen, too much, or gone in
 * the middle. Each is shown the door within the stated time, others are served meanwhile, and nothing is left of it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { before, describe, test, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { get } from '../net/http-exchange.ts';
import { SOCKET_PATHS, threadsOfSuite } from '../net/tracker-threads.ts';
import { waitFor } from '../support/waiting.ts';
import { makeTracker, openNative } from './in-process-listeners.ts';

const HEALTH_REQUEST = 'GET /health_check HTTP/1.1\r\nHost: tracker\r\n\r\n';
/** The tracker gives five seconds; a busy machine gets some more. */
const DOOR_MILLIS = 30_000;
/** Less than those five seconds. */
const PROMPT_MILLIS = 4_000;
const CLIENTS = 5;
const PAUSE_MILLIS = 100;
/** For a process that has about thirty for itself. */
const FEW_DESCRIPTORS = 100;
/** More than all the requests need to be read. */
const MAX_STEPS = 300;
/** The begin of a TLS handshake whose rest never comes. */
const HALF_GREETING = Buffer.from('1603010200010001fc0303', 'hex');

/** A request with a reply of twenty thousand bytes. */
const LARGE_SCRAPE = `GET /scrape?${Array.from({ length: 250 }, (_, i) => `info_hash=${String(i).padStart(20, '0')}`).join('&')} HTTP/1.1\r\nHost: tracker\r\n\r\n`;

/** What one client of a kind does on its connection. What it needs to know of the end, the connection tells. */
type Nuisance = (socket: Socket) => void;

const NUISANCES: Record<string, Nuisance> = {
  'send a request byte by byte': (socket) => drip(socket, (i) => HEALTH_REQUEST[i % 40]),
  'send headers without end': (socket) => {
    socket.write(HEALTH_REQUEST.slice(0, -2));
    drip(socket, (i) => `X-${i}: y\r\n`);
  },
  'send empty lines without end': (socket) => drip(socket, () => '\r\n'),
  'send nothing but the end of a line': (socket) => socket.write('\r'),
  'ask and stop asking in the middle': (socket) => socket.write(HEALTH_REQUEST + HEALTH_REQUEST.slice(0, 30)),
  'ask for very much and never listen': (socket) => {
    socket.pause();
    const write = () => {
      while (socket.writable && socket.write(LARGE_SCRAPE));
    };
    socket.on('drain', write);
    write();
  },
  'go in the middle of a request': (socket) => socket.end(HEALTH_REQUEST.slice(0, 30)),
  'break the connection in the middle of replies': (socket) => {
    socket.write(HEALTH_REQUEST.repeat(200));
    socket.once('data', () => socket.resetAndDestroy());
  },
};

/** What is too large, with the status that it is refused with, if the client still hears it. */
const TOO_LARGE: Record<string, { readonly begin: string; readonly more: string; readonly status: number }> =
  {
    'a target without end': { begin: 'GET /announce?', more: 'xxxx', status: 414 },
    'a header without end': { begin: `${HEALTH_REQUEST.slice(0, -2)}X: `, more: 'x', status: 431 },
    'headers without end': { begin: HEALTH_REQUEST.slice(0, -2), more: 'X: y\r\n', status: 431 },
  };

function drip(socket: Socket, piece: (index: number) => string): void {
  let index = 0;
  const timer = setInterval(() => socket.write(piece(index++)), PAUSE_MILLIS);
  socket.on('close', () => clearInterval(timer));
}

async function open(context: TestContext, { port }: SocketAddress): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  context.after(() => socket.destroy());
  // Being shown the door with words unread is a reset, and that is as good an end as any.
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Waits until every connection has ended, with a client being served all the time. */
async function untilShownTheDoor(sockets: readonly Socket[], http: SocketAddress): Promise<void> {
  await waitFor(
    'the tracker to end the connections',
    async () => {
      assert.equal((await get(http, '/health_check')).status, 200);
      return sockets.every(({ closed }) => closed);
    },
    DOOR_MILLIS,
  );
}

describe('Clients that are a nuisance', () => {
  const tls = new URL('../probe/fixtures/self-signed.pem', import.meta.url).pathname;
  const suites = SOCKET_PATHS.map((sockets) => ({
    sockets,
    suite: threadsOfSuite(sockets, {
      http: [{}, { tls_config: { ssl_cert_path: tls, ssl_key_path: tls } }],
    }),
  }));
  const openDescriptors = () => readdirSync('/proc/self/fd').length;
  let descriptors = 0;
  before(async () => {
    for (const { suite } of suites) await get(suite.threads.http[0], '/health_check');
    descriptors = openDescriptors();
  });

  describe('are shown the door', { concurrency: true }, () => {
    for (const { sockets, suite } of suites) {
      describe(`by ${sockets} sockets when they`, { concurrency: true }, () => {
        for (const [title, nuisance] of Object.entries(NUISANCES)) {
          test(title, async (context) => {
            const [http] = suite.threads.http;
            const clients = await Promise.all(Array.from({ length: CLIENTS }, () => open(context, http)));
            for (const client of clients) {
              client.on('data', () => undefined);
              nuisance(client);
            }
            await untilShownTheDoor(clients, http);
          });
        }

        for (const [title, { begin, more, status }] of Object.entries(TOO_LARGE)) {
          test(`send ${title}`, async (context) => {
            const [http] = suite.threads.http;
            const client = await open(context, http);
            let heard = '';
            client.setEncoding('latin1').on('data', (text: string) => (heard += text));
            client.write(begin + more.repeat(20_000));
            await untilShownTheDoor([client], http);
            if (heard !== '') assert.match(heard, new RegExp(`^HTTP/1\\.1 (${status}|431) `));
          });
        }

        test('begin no TLS, or half of it', async (context) => {
          const [http, https] = suite.threads.http;
          const clients = [await open(context, https), await open(context, https)];
          clients[0].write(HALF_GREETING);
          for (const client of clients) client.on('data', () => undefined);
          await untilShownTheDoor(clients, http);
        });
      });
    }
  });

  test('leave no descriptor behind', async () => {
    await waitFor('as few descriptors as before', () => openDescriptors() <= descriptors, DOOR_MILLIS);
  });
});

test('Clients whose long requests have no end hold only so much memory of native sockets together', async (context) => {
  // All that is held is more than the 64 MiB that may be.
  const parts = makeTracker({ http_trackers: [{ bind_address: '127.0.0.1:0' }] }, 2 ** 20);
  const listeners = openNative(parts);
  context.after(() => listeners.close());
  const clients = await Promise.all(
    Array.from({ length: 1_200 }, () => open(context, listeners.addresses[0])),
  );
  const request = `GET /announce?${'x'.repeat(60_000)}`;
  await Promise.all(clients.map((client) => new Promise((resolve) => client.write(request, resolve))));
  // A clock that stands still ends nobody's time.
  const nowMillis = performance.now();
  const clock = context.mock.method(performance, 'now', () => nowMillis);
  for (let step = 0; step < MAX_STEPS && !clients.some(({ closed }) => closed); step++) {
    listeners.step();
    await nextTurn();
  }
  clock.mock.restore();
  const gone = clients.filter(({ closed }) => closed).length;
  assert.ok(gone > 0, 'some are shown the door');
  assert.ok(gone < 200, 'and no more than have to go');
});

describe('More clients than there are descriptors', { concurrency: true }, () => {
  for (const sockets of SOCKET_PATHS) {
    test(`keep ${sockets} sockets from nobody for long`, async (context) => {
      const http = await startCrowdedTracker(context, sockets);
      const clients: Socket[] = [];
      for (let i = 0; i < 2 * FEW_DESCRIPTORS; i++) {
        const client = await open(context, http);
        client.on('data', () => undefined).write(HEALTH_REQUEST.slice(0, 30));
        clients.push(client);
      }
      const begin = performance.now();
      await waitFor('a client to be served', () => isServed(http), DOOR_MILLIS);
      if (sockets === 'native') {
        // Who has waited longest goes for a new one, so that nobody waits until somebody's time is over.
        assert.ok(performance.now() - begin < PROMPT_MILLIS, 'a client is served at once');
        let heard = '';
        const last = clients.at(-1);
        last?.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
        last?.write(HEALTH_REQUEST.slice(30));
        await waitFor('the last client to be served', () => heard.startsWith('HTTP/1.1 200 '), DOOR_MILLIS);
        assert.ok(clients.filter(({ closed }) => closed).length >= FEW_DESCRIPTORS);
      }
      await waitFor('the others to be gone', () => clients.every(({ closed }) => closed), DOOR_MILLIS);
    });
  }
});

/** Starts a tracker that may have few descriptors, and resolves with its address. */
async function startCrowdedTracker(context: TestContext, sockets: string): Promise<SocketAddress> {
  const script = new URL('./processes/crowded-tracker.ts', import.meta.url).pathname;
  const command = `ulimit -n ${FEW_DESCRIPTORS} && exec "$0" "$@"`;
  const tracker = spawn('sh', ['-c', command, process.execPath, script, sockets], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => tracker.kill('SIGKILL'));
  const [line] = (await once(tracker.stdout, 'data')) as [Buffer]; // no encoding is set
  return { host: '127.0.0.1', port: Number(line.toString()), family: 4 };
}

async function isServed(http: SocketAddress): Promise<boolean> {
  // Where there is no descriptor for it, a connection may be reset.
  const answer = await get(http, '/health_check').catch(() => undefined);
  return answer?.status === 200;
}
