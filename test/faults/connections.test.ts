/** Far more connections than anybody needs, and connections that speak no TLS: other clients don't notice. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { selfSigned } from '../api/certificates.ts';
import { SOCKET_PATHS } from '../net/tracker-threads.ts';
import { needs } from '../support/parts.ts';
import { startTrackerProcess, temporaryFolder, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

const CONNECTIONS = 15_000;
/** An address has some 28,000 ports for connections to one place. */
const ADDRESSES = 4;
const AT_A_TIME = 250;
const HALF_REQUEST = 'GET /announce?info_hash=';
const GARBAGE_CONNECTIONS = 500;
const PROBES = 20;
/** What a tracker may open for itself meanwhile, such as what watches its files: far less than the connections. */
const OWN_DESCRIPTORS = 10;

const openDescriptors = ({ pid }: TrackerProcess) => readdirSync(`/proc/${pid}/fd`).length;

/** Asks for the health of a listener on a connection of its own. Returns the milliseconds it took. */
async function ask(port: number): Promise<number> {
  const begin = performance.now();
  const response = await fetch(`http://127.0.0.1:${port}/health_check`, { headers: { connection: 'close' } });
  assert.equal(response.status, 200);
  await response.text();
  return performance.now() - begin;
}

/** Opens connections that send `first` and then wait; those that are ended are told. */
async function crowd(context: TestContext, port: number, count: number, first: () => string | Buffer) {
  const sockets = new Set<Socket>();
  context.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  let opened = 0;
  let ended = 0;
  for (let begun = 0; begun < count; begun += AT_A_TIME) {
    for (let i = begun; i < Math.min(count, begun + AT_A_TIME); i++) {
      const localAddress = `127.9.0.${1 + (i % ADDRESSES)}`;
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      sockets.add(socket);
      socket.on('connect', () => {
        opened++;
        socket.write(first());
      });
      socket.on('data', () => undefined);
      // Being shown the door may be a reset.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        ended++;
        sockets.delete(socket);
      });
    }
    await waitFor('the connections to be made or ended', () => opened + ended >= begun);
  }
  return { ended: () => ended };
}

describe(`${CONNECTIONS.toLocaleString('en')} connections that wait`, needs('descriptors'), () => {
  for (const sockets of SOCKET_PATHS) {
    test(`keep ${sockets} sockets from nobody, and leave nothing behind`, async (context) => {
      const tracker = await startTrackerProcess(context, {
        http_trackers: [{ bind_address: '127.0.0.1:0' }],
        network: { workers: 1, sockets, receive_buffer_bytes: 2 ** 20 },
      });
      const { port } = tracker.http[0];
      await ask(port);
      const before = openDescriptors(tracker);
      const { ended } = await crowd(context, port, CONNECTIONS, () => HALF_REQUEST);
      const millis: number[] = [];
      for (let i = 0; i < PROBES; i++) millis.push(await ask(port));
      await waitFor('the others to be shown the door', () => ended() === CONNECTIONS);
      await waitFor(
        'as few descriptors as before',
        () => openDescriptors(tracker) <= before + OWN_DESCRIPTORS,
      );
      assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
      const [median, slowest] = [millis.toSorted((a, b) => a - b)[PROBES / 2], Math.max(...millis)];
      context.diagnostic(
        `${context.name}: ${PROBES} requests beside them took ${median.toFixed(0)} ms in the middle, ${slowest.toFixed(0)} ms at most`,
      );
    });
  }
});

test('Connections that speak no TLS where TLS is spoken end, and others are served', async (context) => {
  const folder = temporaryFolder(context);
  const { cert, key } = selfSigned('tracker.example');
  writeFileSync(join(folder, 'tls.crt'), cert);
  writeFileSync(join(folder, 'tls.key'), key);
  const tls_config = { ssl_cert_path: join(folder, 'tls.crt'), ssl_key_path: join(folder, 'tls.key') };
  const tracker = await startTrackerProcess(
    context,
    {
      http_trackers: [{ bind_address: '127.0.0.1:0' }, { bind_address: '127.0.0.1:0', tls_config }],
    },
    { folder },
  );
  const [plain, tls] = tracker.http;
  await ask(plain.port);
  const before = openDescriptors(tracker);
  const garbage = () => randomBytes(1 + Math.floor(Math.random() * 600));
  const { ended } = await crowd(context, tls.port, GARBAGE_CONNECTIONS, garbage);
  await waitFor('all of them to end', async () => {
    await ask(plain.port);
    return ended() === GARBAGE_CONNECTIONS;
  });
  await waitFor('as few descriptors as before', () => openDescriptors(tracker) <= before + OWN_DESCRIPTORS);
  assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
});
