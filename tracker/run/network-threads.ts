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
import type { AccessMemory } from '../access.ts';
import type { SocketAddress } from '../config/address.ts';
import type { GateMemory, GateSettings } from '../gate.ts';
import { ListenError } from '../listen-error.ts';
import type { ListenerSetup } from '../net/listener.ts';
import type { RequestTraceSettings } from '../net/request-traces.ts';
import type { StoreMemory } from '../swarm/store.ts';
import { workerModule } from '../worker-module.ts';

/** What all threads share. */
export interface SharedMemories {
  readonly store: StoreMemory;
  readonly access: AccessMemory;
  readonly policy: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly connectionKeys: SharedArrayBuffer;
  readonly gate: GateMemory;
  /** Absent: nothing is traced. */
  readonly traces?: RequestTraceSettings | undefined;
}

/** What a thread is started with. */
export interface WorkerSetup extends SharedMemories {
  readonly gateSettings: GateSettings;
  readonly index: number;
  readonly listeners: readonly ListenerSetup[];
  /** The places of these listeners among all: their rows of counters. */
  readonly places: readonly number[];
  readonly sharesPorts: boolean;
  readonly isNative: boolean;
}

export interface OpenListener {
  readonly address: SocketAddress;
  readonly receiveBufferBytes: number | null;
}

export type FromWorker =
  | { readonly kind: 'listening'; readonly listeners: readonly OpenListener[] }
  | { readonly kind: 'failed'; readonly message: string; readonly code: string };

export type ToWorker =
  | {
      readonly kind: 'update';
      readonly live: readonly ListenerSetup['live'][];
      readonly gate: GateSettings;
    }
  | { readonly kind: 'stop'; readonly graceMillis: number };

/** Platforms whose kernels spread requests over the sockets that share a port. */
const SHARING_PLATFORMS = new Set(['linux', 'freebsd']);

/** How often ports that the kernel is to choose are chosen, when others take them. */
const MAX_ATTEMPTS = 5;

/** How many network threads there can be: one where ports can't be shared. */
export function supportedThreads(wanted: number): number {
  return SHARING_PLATFORMS.has(process.platform) ? wanted : 1;
}

/** A network thread and the listeners that it has, by their places in the list of all. */
interface NetworkThread {
  readonly worker: Worker;
  readonly places: readonly number[];
}

export class NetworkThreads {
  readonly #threads: readonly NetworkThread[];
  readonly #listeners: OpenListener[] = [];
  #isStopping = false;
  /** The start failed, and the threads that were there are ended. */
  #isAbandoned = false;

  private constructor(threads: readonly NetworkThread[]) {
    this.#threads = threads;
  }

  /** How many threads there are. */
  get size(): number {
    return this.#threads.length;
  }

  /** The open listeners, in the order of their setups. */
  get listeners(): readonly OpenListener[] {
    return this.#listeners;
  }

  /**
   * Starts `count` threads for each kind of sockets that is needed, and waits until all of them listen: native ones, when
   * `isNative`, for UDP and plain HTTP, and portable ones for the rest. `onDeath` is called when one ends later, unasked.
   * Throws `ListenError` when a listener can't be opened.
   */
  static async start(
    count: number,
    isNative: boolean,
    setups: readonly ListenerSetup[],
    shared: SharedMemories,
    gateSettings: GateSettings,
    onDeath: (error: Error) => void,
  ): Promise<NetworkThreads> {
    for (let attempt = 1; ; attempt++) {
      const reserved: ListenerSetup[] = [];
      for (const setup of setups) reserved.push(await reserve(setup));
      try {
        return await NetworkThreads.#open(count, isNative, reserved, shared, gateSettings, onDeath);
      } catch (error) {
        // A port that the kernel chose may have got another user between its reservation and its threads.
        const isTaken = error instanceof ListenError && error.code === 'EADDRINUSE';
        if (!isTaken || attempt === MAX_ATTEMPTS || setups.every(({ bind }) => bind.port !== 0)) throw error;
      }
    }
  }

  static async #open(
    count: number,
    isNative: boolean,
    reserved: readonly ListenerSetup[],
    shared: SharedMemories,
    gateSettings: GateSettings,
    onDeath: (error: Error) => void,
  ): Promise<NetworkThreads> {
    const groups = groupListeners(reserved, isNative);
    const threads = groups.flatMap((group, groupIndex) =>
      Array.from({ length: count }, (_, index): NetworkThread => {
        const workerData: WorkerSetup = {
          ...shared,
          gateSettings,
          index: groupIndex * count + index,
          listeners: group.places.map((place) => reserved[place]),
          places: group.places,
          sharesPorts: count > 1,
          isNative: group.isNative,
        };
        return {
          places: group.places,
          worker: new Worker(workerModule('../worker', import.meta.url), {
            name: `network-${index}`,
            workerData,
          }),
        };
      }),
    );
    const network = new NetworkThreads(threads);
    try {
      const open = await Promise.all(
        threads.map(async ({ worker }) => {
          const opened = await listening(worker);
          network.#watch(worker, onDeath);
          return opened;
        }),
      );
      threads.forEach(({ places }, index) => {
        places.forEach((place, i) => (network.#listeners[place] = open[index][i]));
      });
      return network;
    } catch (error) {
      network.#isAbandoned = true;
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
      throw error;
    }
  }

  /** Passes on changed settings, in the order of the setups. */
  update(live: readonly ListenerSetup['live'][], gate: GateSettings): void {
    for (const { worker, places } of this.#threads) {
      this.#post(worker, { kind: 'update', live: places.map((place) => live[place]), gate });
    }
  }

  /** Stops intake, answers what has come, and ends the threads. */
  async stop(graceMillis: number): Promise<void> {
    this.#isStopping = true;
    await Promise.all(
      this.#threads.map(async ({ worker }) => {
        // A thread that has ended already has no number.
        if (worker.threadId < 0) return;
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
      if (this.#isAbandoned || (this.#isStopping && code === 0)) return;
      onDeath(new Error(`a network thread ended with code ${code}`, { cause }));
    });
  }
}

/** Sorts listeners by the kind of sockets that can serve them: TLS is for portable ones alone. */
function groupListeners(
  setups: readonly ListenerSetup[],
  isNative: boolean,
): { isNative: boolean; places: number[] }[] {
  const isServedNatively = (setup: ListenerSetup) =>
    isNative && (setup.kind === 'udp' || setup.live.tls === null);
  return [true, false]
    .map((kind) => ({
      isNative: kind,
      places: setups.flatMap((setup, place) => (isServedNatively(setup) === kind ? [place] : [])),
    }))
    .filter(({ places }) => places.length > 0);
}

/** The most threads that `NetworkThreads.start` makes of a count: so many rows of counters are needed. */
export function maxThreads(count: number): number {
  return 2 * count;
}

/** Waits for the first word of a thread. Rejects when it can't listen or dies. */
function listening(worker: Worker): Promise<readonly OpenListener[]> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number) =>
      reject(new Error(`a network thread ended with code ${code} before it listened`));
    worker.once('error', reject);
    worker.once('exit', onExit);
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject);
      worker.off('exit', onExit);
      if (message.kind === 'listening') resolve(message.listeners);
      else reject(new ListenError(message.message, message.code));
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
