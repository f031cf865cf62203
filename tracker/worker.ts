/**
 * Entry of a network thread: attach the shared memory, open the sockets, serve, report. The main thread starts it
 * (`network-threads.ts`), tells it what changed, and stops it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Access } from './access.ts';
import { ConnectionIds } from './connection-id.ts';
import { ConnectionKeys } from './connection-keys.ts';
import { HttpService } from './net/http-service.ts';
import { ListenError, type Listener, type ListenerSetup } from './net/listener.ts';
import { openHttpServer } from './net/portable/http-server.ts';
import { openUdpSocket } from './net/portable/udp-socket.ts';
import { UdpService } from './net/udp-service.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './network-threads.ts';
import { Policy } from './policy.ts';
import { CounterRows } from './swarm/counters.ts';
import { Store } from './swarm/store.ts';
import { Tracker } from './tracker.ts';

// The thread that starts this one passes exactly this.
const setup = workerData as WorkerSetup;
const policy = Policy.attach(setup.policy);
const store = Store.attach(setup.store);
const access = Access.attach(setup.access);
const ids = new ConnectionIds(ConnectionKeys.attach(setup.connectionKeys));
const counters = CounterRows.attach(setup.counters).row(setup.index);
const tracker = new Tracker(store, access, policy);

function open(listener: ListenerSetup): Promise<Listener> {
  if (listener.kind === 'udp') {
    const service = new UdpService(listener, tracker, ids, counters);
    return openUdpSocket(listener, service, setup.sharesPorts);
  }
  return openHttpServer(listener, new HttpService(listener, tracker, counters), setup.sharesPorts);
}

function report(message: FromWorker): void {
  parentPort?.postMessage(message);
}

const listeners: Listener[] = [];
try {
  for (const listener of setup.listeners) listeners.push(await open(listener));
  report({
    kind: 'listening',
    listeners: listeners.map(({ address, receiveBufferBytes }) => ({ address, receiveBufferBytes })),
  });
} catch (error) {
  // Only what a user can mend is told; anything else is a fault of ours and ends the thread, and so the tracker.
  if (!(error instanceof ListenError)) throw error;
  report({ kind: 'failed', message: error.message, code: error.code });
}

parentPort?.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'update':
      message.live.forEach((live, index) => listeners[index].update(live));
      break;
    case 'stop':
      void Promise.all(listeners.map((listener) => listener.close(message.graceMillis))).then(() => {
        report({ kind: 'stopped' });
        parentPort?.close();
      });
      break;
  }
});
