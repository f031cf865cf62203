/**
 * The network threads, seen from the main thread: start them, tell them what changed, stop them, and notice when one
 * dies, which ends the tracker.
 *
 * Before the threads open their sockets, which they share by `SO_REUSEPORT`, each address is bound once without it: a
 * busy port is an error and not a silent share.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { AccessMemory } from './access.ts';
import type { SocketAddress } from './config/address.ts';
import { ListenError, type ListenerSetup } from './net/listener.ts';
import type { StoreMemory } from './swarm/store.ts';

/** What all threads share. */
export interface SharedMemories {
  readonly store: StoreMemory;
  readonly access: AccessMemory;
  readonly policy: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly connectionKeys: SharedArrayBuffer;
}

/** What a thread is started with. */
export interface WorkerSetup extends SharedMemories {
  readonly index: number;
  readonly listeners: readonly ListenerSetup[];
  readonly sharesPorts: boolean;
}

export interface OpenListener {
  readonly address: SocketAddress;
  readonly receiveBufferBytes: number | null;
}

export type FromWorker =
  | { readonly kind: 'listening'; readonly listeners: readonly OpenListener[] }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string }
  | { readonly kind: 'stopped' };

export type ToWorker =
  | { readonly kind: 'update'; readonly live: readonly ListenerSetup['live'][] }
  | { readonly kind: 'stop'; readonly graceMillis: number };

/** Platforms whose kernels spread requests over the sockets that share a port. */
const SHARING_PLATFORMS = new Set(['linux', 'freebsd']);

/** How many network threads there can be: one where ports can't be shared. */
export function supportedThreads(wanted: number): number {
  return SHARING_PLATFORMS.has(process.platform) ? wanted : 1;
}

export class NetworkThreads {
  /** The open listeners, in the order of their setups. */
  readonly listeners: readonly OpenListener[];
  readonly #workers: readonly Worker[];
  #isStopping = false;

  private constructor(workers: readonly Worker[], listeners: readonly OpenListener[]) {
    this.#workers = workers;
    this.listeners = listeners;
  }

  /**
   * Starts `count` threads and waits until all of them listen. `onDeath` is called when one ends later, unasked. Throws
   * `ListenError` when a listener can't be opened.
   */
  static async start(
    count: number,
    setups: readonly ListenerSetup[],
    shared: SharedMemories,
    onDeath: (error: Error) => void,
  ): Promise<NetworkThreads> {
    const listeners: ListenerSetup[] = [];
    for (const setup of setups) listeners.push(await reserve(setup));
    const workers = Array.from(
      { length: count },
      (_, index) =>
        new Worker(workerUrl(), {
          name: `network-${index}`,
          workerData: { ...shared, index, listeners, sharesPorts: count > 1 } satisfies WorkerSetup,
        }),
    );
    try {
      const open = await Promise.all(workers.map((worker) => listening(worker)));
      const threads = new NetworkThreads(workers, open[0] ?? []);
      for (const worker of workers) threads.#watch(worker, onDeath);
      return threads;
    } catch (error) {
      await Promise.all(workers.map((worker) => worker.terminate()));
      throw error;
    }
  }

  /** Passes on changed settings, in the order of the setups. */
  update(live: readonly ListenerSetup['live'][]): void {
    for (const worker of this.#workers) this.#post(worker, { kind: 'update', live });
  }

  /** Stops intake, answers what has come, and ends the threads. */
  async stop(graceMillis: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all(
      this.#workers.map(async (worker) => {
        const exited = once(worker, 'exit');
        this.#post(worker, { kind: 'stop', graceMillis });
        await exited;
      }),
    );
  }

  #post(worker: Worker, message: ToWorker): void {
    worker.postMessage(message);
  }

  #watch(worker: Worker, onDeath: (error: Error) => void): void {
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (this.#isStopping && code === 0) return;
      onDeath(new Error(`a network thread ended with code ${code}`, { cause }));
    });
  }
}

/** The entry of a thread: `.ts` from a checkout, `.js` in the npm archive. */
function workerUrl(): URL {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  return new URL(`./worker${extension}`, import.meta.url);
}

/** Waits for the first word of a thread. Rejects when it can't listen or dies. */
function listening(worker: Worker): Promise<readonly OpenListener[]> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject);
      if (message.kind === 'listening') resolve(message.listeners);
      else if (message.kind === 'failed') reject(new ListenError(message.message, message.code));
    });
  });
}

/** Binds the address of a listener alone and lets it go again. Port 0 becomes the port that the kernel chose. */
async function reserve(setup: ListenerSetup): Promise<ListenerSetup> {
  const { bind, ipv6Only } = setup;
  if (setup.kind === 'udp') {
    const socket = createSocket({ type: bind.family === 4 ? 'udp4' : 'udp6', ipv6Only });
    try {
      socket.bind({ address: bind.host, port: bind.port, exclusive: true });
      await once(socket, 'listening');
      return { ...setup, bind: { ...bind, port: socket.address().port } };
    } catch (error) {
      throw ListenError.from('The UDP tracker', bind, error);
    } finally {
      socket.close();
    }
  }
  const server = createServer();
  try {
    server.listen({ host: bind.host, port: bind.port, ipv6Only, exclusive: true });
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : bind.port;
    return { ...setup, bind: { ...bind, port } };
  } catch (error) {
    throw ListenError.from('The HTTP tracker', bind, error);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
