/** Bans of a whole tracker: over UDP and HTTP, through a load balancer, and over a restart. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { announceTarget } from '../net/http-exchange.ts';
import { newInfoHash } from '../net/udp-exchange.ts';
import { headerV1, headerV2 } from '../support/proxy-headers.ts';
import {
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const TOKEN = 'a-token-of-the-test';
/** Only a load balancer can speak for addresses that may be banned: all that a test can send from are local. */
const PROXY = '127.0.0.2';
const CONFIG: PartialConfig = {
  udp_trackers: [ANY],
  http_trackers: [ANY],
  http_api: { ...ANY, access_tokens: { admin: TOKEN } },
  proxy_protocol: { trusted_proxies: [`${PROXY}/32`] },
};

/** Of the clients, those whose connect requests are answered. */
async function answeredOverUdp(context: TestContext, tracker: SocketAddress, clients: readonly string[]) {
  const socket = createSocket('udp4');
  context.after(() => socket.close());
  socket.bind(0, PROXY);
  await once(socket, 'listening');
  const answered: string[] = [];
  // One socket is served in order: the last client is never banned, and with its answer all answers are there.
  const last = new Promise<void>((resolve) => {
    socket.on('message', (reply: Buffer) => {
      const client = [...clients, ''][reply.readInt32BE(4)];
      if (client === '') resolve();
      else answered.push(client);
    });
  });
  for (const [index, client] of [...clients, '192.0.2.99'].entries()) {
    const header = headerV2('datagram', client, 1);
    socket.send(Buffer.concat([header, encodeConnectRequest(index)]), tracker.port, '127.0.0.1');
  }
  await last;
  return answered;
}

async function announceOverHttp(tracker: SocketAddress, client: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: tracker.port, localAddress: PROXY });
  socket.write(headerV1(client, 1));
  socket.write(`GET ${announceTarget(newInfoHash())} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return text(socket);
}

async function askApi(
  tracker: TrackerProcess,
  method: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const response = await fetch(`${tracker.api}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  assert.equal(response.status, 200);
  return response.json();
}

test('ignores a banned client over UDP, tells it over HTTP, until the ban is lifted', async (context) => {
  const tracker = await startTrackerProcess(context, CONFIG);
  const clients = ['203.0.113.7', '203.0.113.8', '198.51.100.1', '2001:db8::1'];
  const [udp] = tracker.udp;
  const [http] = tracker.http;
  assert.deepEqual(await answeredOverUdp(context, udp, clients), clients);
  await askApi(tracker, 'POST', 'bans', { address: '203.0.113.7' });
  await askApi(tracker, 'POST', 'bans', { address: '2001:db8::/64', seconds: 3600 });
  assert.deepEqual(await answeredOverUdp(context, udp, clients), ['203.0.113.8', '198.51.100.1']);
  assert.match(
    await announceOverHttp(http, '203.0.113.7'),
    /failure reason22:This address is banned8:retry in5:never/,
  );
  assert.match(await announceOverHttp(http, '203.0.113.8'), /8:interval/);
  await askApi(tracker, 'DELETE', 'ban/203.0.113.7');
  assert.match(await announceOverHttp(http, '203.0.113.7'), /8:interval/);
  await askApi(tracker, 'DELETE', 'bans');
  assert.deepEqual(await answeredOverUdp(context, udp, clients), clients);
  const metrics = await (await fetch(tracker.metrics)).text();
  assert.match(metrics, /^torrust_tracker_http_requests_banned_total 1$/m);
  assert.match(metrics, /^torrust_tracker_banned_addresses 0$/m);
  assert.equal((await tracker.stop()).code, 0);
});

test('keeps bans over a restart where a file is named, and only there', async (context) => {
  const folder = temporaryFolder(context);
  const config: PartialConfig = { ...CONFIG, bans: { path: 'bans.json' } };
  const first = await startTrackerProcess(context, config, { folder });
  await askApi(first, 'POST', 'bans', { address: '203.0.113.7' });
  // Saved before the answer: not even a kill loses it.
  assert.equal((await first.stop('SIGKILL')).signal, 'SIGKILL');
  assert.match(readFileSync(join(folder, 'bans.json'), 'utf8'), /"203\.0\.113\.7"/);

  const second = await startTrackerProcess(context, config, { folder });
  const clients = ['203.0.113.7', '203.0.113.8'];
  assert.deepEqual(await answeredOverUdp(context, second.udp[0], clients), ['203.0.113.8']);
  assert.ok(second.log().some(({ msg }) => msg === 'Bans: 1 are in force again'));
  await askApi(second, 'DELETE', 'ban/203.0.113.7');
  assert.equal((await second.stop()).code, 0);

  const third = await startTrackerProcess(context, config, { folder });
  assert.deepEqual(await answeredOverUdp(context, third.udp[0], clients), clients);
  await askApi(third, 'POST', 'bans', { address: '203.0.113.7' });
  assert.equal((await third.stop()).code, 0);

  const fourth = await startTrackerProcess(context, CONFIG, { folder });
  assert.deepEqual(await answeredOverUdp(context, fourth.udp[0], clients), clients);
  assert.equal((await fourth.stop()).code, 0);
});
