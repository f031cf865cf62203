/** HTTP itself, as clients and proxies speak it: methods, paths, versions, connections, and what is no HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { waitFor } from '../support/waiting.ts';
import { announceTarget, get } from './http-exchange.ts';
import { forEachSocketPath, SOCKET_PATHS, threadsOfSuite } from './tracker-threads.ts';
import { newInfoHash } from './udp-exchange.ts';

const HEALTH_REQUEST = 'GET /health_check HTTP/1.1\r\nHost: tracker\r\n\r\n';

/** A connection that says raw bytes and keeps all that it hears. */
class RawConnection {
  readonly socket: Socket;
  heard = '';
  isClosed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => (this.heard += text));
    socket.on('close', () => (this.isClosed = true));
    // A reset is an end like any other.
    socket.on('error', () => undefined);
  }

  static async open(context: TestContext, { port }: SocketAddress): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1');
    context.after(() => socket.destroy());
    await once(socket, 'connect');
    return new RawConnection(socket.setNoDelay());
  }

  /** Says something and waits until so many replies have come. */
  async say(text: string, replies: number): Promise<void> {
    this.socket.write(text, 'latin1');
    await waitFor(`${replies} replies`, () => this.heard.split('HTTP/1.1 ').length - 1 >= replies, 10_000);
  }

  async closed(): Promise<void> {
    await waitFor('the end of the connection', () => this.isClosed, 20_000);
  }
}

forEachSocketPath((sockets) => {
  describe(`HTTP with ${sockets} sockets:`, () => {
    const suite = threadsOfSuite(sockets, { http: [{}] });

    describe('is answered with this status:', () => {
      const cases: Record<
        string,
        { method: string; target: string; body?: string; status: number; allow?: string }
      > = {
        'the health check': { method: 'GET', target: '/health_check', status: 200 },
        'the health check with a query': { method: 'GET', target: '/health_check?a', status: 200 },
        'a path that is not there': { method: 'GET', target: '/', status: 404 },
        'a path that begins like another': { method: 'GET', target: '/announcement', status: 404 },
        'a path in other letters': { method: 'GET', target: '/Announce?a=b', status: 404 },
        'an empty key': { method: 'GET', target: '/announce/?a=b', status: 404 },
        'a path below a key': { method: 'GET', target: '/announce/a/b', status: 404 },
        'a POST to the announce': { method: 'POST', target: '/announce', status: 405, allow: 'GET,HEAD' },
        'a PUT to a scrape with a key': {
          method: 'PUT',
          target: '/scrape/key',
          status: 405,
          allow: 'GET,HEAD',
        },
        'a DELETE of the health check': {
          method: 'DELETE',
          target: '/health_check',
          status: 405,
          allow: 'GET,HEAD',
        },
        'a POST with a body': {
          method: 'POST',
          target: '/announce',
          body: 'port=6881',
          status: 405,
          allow: 'GET,HEAD',
        },
        'a POST with a body to nowhere': { method: 'POST', target: '/', body: 'port=6881', status: 404 },
        'a GET with a body': { method: 'GET', target: '/health_check', body: 'a', status: 400 },
        'a POST to nowhere': { method: 'POST', target: '/nowhere', status: 404 },
        'the longest target': { method: 'GET', target: `/health_check?${'a'.repeat(65_520)}`, status: 200 },
        'a target that is too long': {
          method: 'GET',
          target: `/announce?${'a'.repeat(65_525)}`,
          status: 414,
        },
      };
      test('431 for headers that are too long, and 200 for as many bytes in a target', async () => {
        const [http] = suite.threads.http;
        const long = await get(http, '/health_check', { headers: { long: 'a'.repeat(17_000) } });
        assert.equal(long.status, 431);
        assert.equal((await get(http, `/health_check?${'a'.repeat(17_000)}`)).status, 200);
      });

      for (const [title, { method, target, body, status, allow }] of Object.entries(cases)) {
        test(`${status} for ${title}`, async () => {
          const { threads } = suite;
          const headers = { 'content-length': String(body?.length ?? 0) };
          const hasLength = method !== 'GET' || body !== undefined;
          const asking = { method, ...(hasLength && { headers }), ...(body !== undefined && { body }) };
          // None of these is an announce or a scrape.
          const counts = { tcp4_responses: 1, ...(status === 200 && { tcp4_health_checks: 1 }) };
          const answer = await threads.expectCounts(counts, () => get(threads.http[0], target, asking));
          assert.equal(answer.status, status);
          assert.equal(answer.headers.allow, allow);
          assert.equal(answer.body, status === 200 ? '{"status":"Ok"}' : '');
          if (status === 200) assert.equal(answer.headers['content-type'], 'application/json');
        });
      }
    });

    test('HEAD is answered like GET, without the body', async () => {
      const target = announceTarget(newInfoHash());
      const [http] = suite.threads.http;
      const got = await get(http, target);
      const head = await get(http, target, { method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(head.body, '');
      assert.equal(head.headers['content-length'], String(got.body.length));
      assert.equal(head.headers['content-type'], got.headers['content-type']);
    });

    test('a connection is kept for the next request', async (context) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      context.after(() => agent.destroy());
      const [http] = suite.threads.http;
      for (let round = 0; round < 20; round++) {
        const { status } = await get(http, announceTarget(newInfoHash()), { agent });
        assert.equal(status, 200);
      }
      const sockets = Object.values(agent.freeSockets).flatMap((free) => free ?? []);
      assert.equal(sockets.length, 1);
      assert.ok(sockets[0].bytesRead > 20 * 100, 'one socket has read it all');
    });

    test('requests in one piece are answered in their order', async (context) => {
      const connection = await RawConnection.open(context, suite.threads.http[0]);
      const scrape = 'GET /scrape?a=b HTTP/1.1\r\nHost: tracker\r\n\r\n';
      await connection.say(HEALTH_REQUEST + scrape + HEALTH_REQUEST, 3);
      const bodies = connection.heard.split('HTTP/1.1 ').map((reply) => reply.split('\r\n\r\n')[1]);
      assert.match(
        bodies.slice(1).join('|'),
        /^\{"status":"Ok"\}\|d14:failure reason.*e\|\{"status":"Ok"\}$/,
      );
    });

    test('a request may come in single bytes', async (context) => {
      const connection = await RawConnection.open(context, suite.threads.http[0]);
      for (const character of HEALTH_REQUEST.slice(0, -1)) {
        connection.socket.write(character);
        // A turn of the event loop, so that the bytes are sent one by one.
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(connection.heard, '');
      await connection.say('\n', 1);
      assert.match(connection.heard, /^HTTP\/1\.1 200 /);
    });

    describe('the connection is closed after the reply', () => {
      const cases: Record<string, string> = {
        'when the client says so': 'GET /health_check HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n',
        'in other letters': 'GET /health_check HTTP/1.1\r\nHost: t\r\nconnection: Close\r\n\r\n',
        'of HTTP/1.0': 'GET /health_check HTTP/1.0\r\n\r\n',
      };
      for (const [title, request] of Object.entries(cases)) {
        test(title, async (context) => {
          const connection = await RawConnection.open(context, suite.threads.http[0]);
          await connection.say(request, 1);
          await connection.closed();
          assert.match(connection.heard, /^HTTP\/1\.1 200 [^]*\{"status":"Ok"\}$/);
          assert.match(connection.heard, /connection: close/i);
        });
      }
    });

    test('an absolute target is taken for its path', async (context) => {
      const connection = await RawConnection.open(context, suite.threads.http[0]);
      await connection.say('GET http://tracker/health_check HTTP/1.1\r\nHost: tracker\r\n\r\n', 1);
      assert.match(connection.heard, /^HTTP\/1\.1 200 /);
    });

    describe('is refused, and the connection closed:', () => {
      const cases: Record<string, string> = {
        'no HTTP at all': '\x13BitTorrent protocol\r\n\r\n',
        'a TLS greeting': '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n',
        'another version': 'GET /health_check HTTP/3.0\r\nHost: t\r\n\r\n',
        'a line that is no header': 'GET /health_check HTTP/1.1\r\nHost: t\r\nnonsense\r\n\r\n',
        'a space before the colon': 'GET /health_check HTTP/1.1\r\nHost : t\r\n\r\n',
        'a folded header': 'GET /health_check HTTP/1.1\r\nHost: t\r\n folded\r\n\r\n',
        'HTTP/1.1 without a host': 'GET /health_check HTTP/1.1\r\n\r\n',
        'two lengths of a body':
          'GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
        'a length and chunks':
          'POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        'a head without an end': `GET /health_check HTTP/1.1\r\nHost: t\r\n${'X-Long: y\r\n'.repeat(3000)}`,
      };
      for (const [title, request] of Object.entries(cases)) {
        test(title, async (context) => {
          const { threads } = suite;
          await threads.expectCounts({ tcp4_responses: 1 }, async () => {
            const connection = await RawConnection.open(context, threads.http[0]);
            connection.socket.write(request, 'latin1');
            await connection.closed();
            // A reset may overtake the reply.
            if (connection.heard !== '') assert.match(connection.heard, /^HTTP\/1\.1 4(00|31) /);
          });
          assert.equal((await get(threads.http[0], '/health_check')).status, 200);
        });
      }
    });

    test('a client that goes before its reply harms nobody', async (context) => {
      const { threads } = suite;
      for (let round = 0; round < 20; round++) {
        const connection = await RawConnection.open(context, threads.http[0]);
        connection.socket.write(`GET ${announceTarget(newInfoHash())} HTTP/1.1\r\nHost: t\r\n\r\n`);
        connection.socket.resetAndDestroy();
      }
      assert.equal((await get(threads.http[0], '/health_check')).status, 200);
    });

    test('many connections are served at once', async () => {
      const { threads } = suite;
      const answers = await Promise.all(
        Array.from({ length: 200 }, () => get(threads.http[0], announceTarget(newInfoHash()))),
      );
      assert.ok(answers.every(({ status }) => status === 200));
    });
  });
});

describe('A client over HTTP that lets the tracker wait', () => {
  // Both at once: the patience of the tracker is five seconds.
  const suites = SOCKET_PATHS.map((sockets) => threadsOfSuite(sockets, { http: [{}] }));

  test('with the first byte, with half a request or between two loses its connection', async (context) => {
    await Promise.all(
      suites.map(async ({ threads }) => {
        const silent = await RawConnection.open(context, threads.http[0]);
        const slow = await RawConnection.open(context, threads.http[0]);
        const idle = await RawConnection.open(context, threads.http[0]);
        slow.socket.write(HEALTH_REQUEST.slice(0, 20));
        await idle.say(HEALTH_REQUEST, 1);
        await Promise.all([silent.closed(), slow.closed(), idle.closed()]);
        assert.match(idle.heard, /\{"status":"Ok"\}$/);
        assert.equal((await get(threads.http[0], '/health_check')).status, 200);
      }),
    );
  });
});
