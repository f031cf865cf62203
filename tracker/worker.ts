/**
 * Entry of a network thread: attach the shared memory, open the sockets, serve, report. The main thread starts it
 * (`network-threads.ts`), tells it what changed, and stops it.
 *
 * A thread with portable sockets lives on Node's event loop and hears the main thread by events. One with native sockets
 * blocks in its own loop and looks for messages at each tick.
 */
import assert from 'node:assert/strict';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Access } from './access.ts';
import { ConnectionIds } from './connection-id.ts';
import { ConnectionKeys } from './connection-keys.ts';
import { Gate } from './gate.ts';
import { HttpService } from './net/http-service.ts';
import { ListenError } from './listen-error.ts';
import type { Listener, ListenerSetup, OpenedListener } from './net/listener.ts';
import { openHttpServer } from './net/portable/http-server.ts';
import { openUdpSocket } from './net/portable/udp-socket.ts';
import { RequestTraces } from './net/request-traces.ts';
import { UdpService } from './net/udp-service.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './run/network-threads.ts';
import { Policy } from './policy.ts';
import { CounterRows, THREAD_LOAD_AT } from './swarm/counters.ts';
import { Store } from './swarm/store.ts';
import { ThreadLoad } from './swarm/thread-load.ts';
import { Tracker } from './tracker.ts';

assert(parentPort, 'a network thread has one that started it');
const port = parentPort;
// The thread that starts this one passes exactly this.
const setup = workerData as WorkerSetup;
const ids = new ConnectionIds(ConnectionKeys.attach(setup.connectionKeys));
const rows = CounterRows.attach(setup.counters);
const policy = Policy.attach(setup.policy);
const tracker = new Tracker(Store.attach(setup.store), Access.attach(setup.access), policy);
const gate = new Gate(setup.gate, setup.gateSettings, policy, rows.row(setup.index));
const load = new ThreadLoad(rows.row(setup.index), THREAD_LOAD_AT);
const traces = setup.traces && new RequestTraces(setup.traces, setup.index);
const services = setup.places.map((place) => ({
  tracker,
  traces,
  ids,
  gate,
  counters: rows.row(setup.index, place),
}));

/** How often a thread with portable sockets looks at how late it is. */
const LOOK_MILLIS = 100;

/** Milliseconds that are left for closing, once the main thread has asked for it. */
let graceMillis: number | null = null;

function hear(message: ToWorker, listeners: readonly OpenedListener[]): void {
  if (message.kind === 'stop') {
    graceMillis = message.graceMillis;
    return;
  }
  gate.update(message.gate);
  message.live.forEach((live, index) => listeners[index].update(live));
}

async function servePortable(): Promise<void> {
  const listeners: Listener[] = [];
  for (const [index, listener] of setup.listeners.entries())
    listeners.push(await openPortable(listener, services[index]));
  const stopped = new Promise<void>((resolve) => {
    port.on('message', (message: ToWorker) => {
      hear(message, listeners);
      if (graceMillis !== null) resolve();
    });
  });
  reportListening(listeners);
  let dueMillis = performance.now() + LOOK_MILLIS;
  const looks = setInterval(() => {
    const nowMillis = performance.now();
    load.noteDelay('portable', Math.max(0, nowMillis - dueMillis));
    load.noteCpu();
    load.noteCollections();
    dueMillis = nowMillis + LOOK_MILLIS;
  }, LOOK_MILLIS);
  await stopped;
  clearInterval(looks);
  await Promise.all(listeners.map((listener) => listener.close(graceMillis ?? 0)));
}

function openPortable(listener: ListenerSetup, own: (typeof services)[number]): Promise<Listener> {
  if (listener.kind === 'udp') {
    const service = new UdpService(listener, own);
    return openUdpSocket(listener, service, setup.sharesPorts);
  }
  return openHttpServer(listener, new HttpService(listener, own), setup.sharesPorts);
}

async function serveNative(): Promise<void> {
  // Loaded only where it is used: elsewhere the C library may be missing.
  const { openNativeListeners } = await import('./net/native/listeners.ts');
  const { listeners, serve, close } = openNativeListeners(
    setup.listeners,
    setup.sharesPorts,
    services,
    (millis) => load.noteDelay('native', millis),
  );
  reportListening(listeners);
  serve(() => {
    load.noteCpu();
    load.noteCollections();
    for (
      let received = receiveMessageOnPort(port);
      received !== undefined;
      received = receiveMessageOnPort(port)
    ) {
      hear(received.message as ToWorker, listeners); // the main thread posts nothing else
    }
    return graceMillis !== null;
  });
  close(graceMillis ?? 0);
}

function reportListening(listeners: readonly OpenedListener[]): void {
  report({
    kind: 'listening',
    listeners: listeners.map(({ address, receiveBufferBytes }) => ({ address, receiveBufferBytes })),
  });
}

function report(message: FromWorker): void {
  port.postMessage(message);
}

try {
  await (setup.isNative ? serveNative() : servePortable());
} catch (error) {
  // Only what a user can mend is told; anything else is a fault of ours and ends the thread, and so the tracker.
  if (!(error instanceof ListenError)) throw error;
  report({ kind: 'failed', message: error.message, code: error.code });
} finally {
  port.close();
}
