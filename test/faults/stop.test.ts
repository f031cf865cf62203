/**
 * A tracker that is stopped while it has all the work that it can do: what had come is answered, and what comes later is told
 * that nobody is there. Nobody waits in vain.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { LAST_REQUEST_MILLIS } from '../../tracker/server-close.ts';
import { decodeUdpReply, encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { PROFILES } from '../bench/population.ts';
import { announceTarget } from '../net/http-exchange.ts';
import { announceBytes, newInfoHash } from '../net/udp-exchange.ts';
import { startTrackerProcess, type TrackerProcess } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

const ANY = { bind_address: '127.0.0.1:0' };
const UDP_CLIENTS = 40;
const HTTP_CLIENTS = 10;
const STOPS = 3;
/** An answer that takes so long is none. */
const PATIENCE_MILLIS = 5_000;

/** What became of the requests of several clients, each of which waits for one answer at a time. */
interface Seen {
  answered: number;
  /** Neither answered nor refused. */
  lost: number;
  /** How many clients were told that nobody is there. */
  refused: number;
}

test('A tracker that is stopped under full load answers all that had come', async (context) => {
  for (let i = 0; i < STOPS; i++) {
    const tracker = await startTrackerProcess(context, { udp_trackers: [ANY], http_trackers: [ANY] });
    const load = startLoad(context, tracker);
    let stoppedMillis = Infinity;
    const udp: Seen = { answered: 0, lost: 0, refused: 0 };
    const http: Seen = { answered: 0, lost: 0, refused: 0 };
    const clients = Array.from({ length: UDP_CLIENTS }, () => announceOverUdp(context, tracker, udp));
    clients.push(
      ...Array.from({ length: HTTP_CLIENTS }, () => announceOverHttp(tracker, http, () => stoppedMillis)),
    );
    const busy = () => udp.answered > 100 * UDP_CLIENTS && http.answered > 20 * HTTP_CLIENTS;
    await waitFor('all of them to be served', busy);
    stoppedMillis = performance.now();
    assert.deepEqual(await tracker.stop(), { code: 0, signal: null });
    await Promise.all(clients);
    load.kill('SIGKILL');
    context.diagnostic(
      `stopped under full load: ${udp.answered} announces of UDP and ${http.answered} of HTTP answered, ` +
        `${udp.lost} and ${http.lost} lost`,
    );
    assert.deepEqual({ udp: udp.lost, http: http.lost }, { udp: 0, http: 0 });
    assert.deepEqual([udp.refused, http.refused], [UDP_CLIENTS, HTTP_CLIENTS]);
  }
});

/** Asks for as much as the tracker can do over UDP. */
function startLoad(context: TestContext, tracker: TrackerProcess) {
  const options = {
    profile: PROFILES['1'],
    port: tracker.udp[0].port,
    pid: process.pid,
    warmUpSeconds: 1,
    seconds: 60,
    ratePerSecond: null,
    seed: 1,
  };
  const script = join(import.meta.dirname, '../bench/udp-load-process.ts');
  const load = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: 'ignore' });
  context.after(() => load.kill('SIGKILL'));
  return load;
}

/** Announces, one after the other, until an announce is refused. */
async function announceOverUdp(context: TestContext, tracker: TrackerProcess, seen: Seen): Promise<void> {
  const socket = createSocket('udp4');
  context.after(() => {
    try {
      socket.close();
    } catch {
      // Closed already.
    }
  });
  socket.connect(tracker.udp[0].port, '127.0.0.1');
  await once(socket, 'connect');
  // That nobody is there is told by whatever is asked of the socket next, and that may be twice.
  socket.on('error', () => undefined);
  const infoHash = newInfoHash();
  let request = encodeConnectRequest(1);
  let connectionId = 0n;
  try {
    for (;;) {
      const answer = once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MILLIS) });
      socket.send(request);
      // The event brings a datagram.
      const reply = decodeUdpReply((await answer)[0] as Buffer, 4);
      if (reply.kind === 'connect') connectionId = reply.connectionId;
      else seen.answered++;
      request = announceBytes({ connectionId, infoHash });
    }
  } catch (error) {
    const isLate = error instanceof Error && error.name === 'AbortError';
    if (isLate) seen.lost++;
    else seen.refused++;
  }
  socket.close();
}

/**
 * Announces on a connection that is kept, and on a new one when the tracker ends that, until nobody is there. An announce is
 * lost when it fails before the stop; or when the tracker had taken its connection, which it closed without an answer although
 * the announce was sent before the tracker closes connections on which nobody asks.
 */
async function announceOverHttp(
  tracker: TrackerProcess,
  seen: Seen,
  stoppedMillis: () => number,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const target = announceTarget(newInfoHash());
  for (;;) {
    const sentMillis = performance.now();
    const fate = await fateOf(tracker.http[0].port, target, agent);
    if (fate === 'answered') {
      seen.answered++;
      continue;
    }
    const isStopped = performance.now() >= stoppedMillis();
    const isInTime = sentMillis < stoppedMillis() + LAST_REQUEST_MILLIS;
    if (!isStopped || (fate === 'dropped' && isInTime)) seen.lost++;
    else seen.refused++;
    break;
  }
  agent.destroy();
}

/**
 * What becomes of an announce. `dropped`: the tracker had its connection, since that was answered before, or ended in order;
 * the kernel resets one that nobody has taken when a listener goes, and refuses those who come later.
 */
async function fateOf(
  port: number,
  target: string,
  agent: Agent,
): Promise<'answered' | 'dropped' | 'refused'> {
  const asked = request({ host: '127.0.0.1', port, path: target, agent });
  try {
    asked.end();
    // The event brings a response.
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    assert.match(await text(response), /8:complete/);
    return 'answered';
  } catch (error) {
    const isByKernel = error instanceof Error && 'syscall' in error;
    return isByKernel && !asked.reusedSocket ? 'refused' : 'dropped';
  }
}
