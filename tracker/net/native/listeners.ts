/** The listeners of a native network thread, on one event loop, and that loop's life. */
import { Counter } from '../../swarm/counters.ts';
import { HttpService } from '../http-service.ts';
import type { ListenerSetup, OpenedListener } from '../listener.ts';
import { UdpService, type UdpServices } from '../udp-service.ts';
import { EventLoop, type NoteDelay } from './event-loop.ts';
import { openNativeHttpListener } from './http-listener.ts';
import { HttpReplyMemory } from './http-reply-memory.ts';
import { openLibc } from './libc.ts';
import { openNativeUdpSocket } from './udp-socket.ts';

export interface NativeListeners {
  readonly listeners: readonly OpenedListener[];
  /** Serves until `isDone`, which is asked about ten times a second, says so. Blocks the thread. */
  serve(isDone: () => boolean): void;
  /** Takes no more requests, answers those that have begun for `graceMillis` at most, and closes. Blocks the thread. */
  close(graceMillis: number): void;
}

/** Why native sockets are not to be had here, in one line; null when they are. */
export function nativeObstacle(): string | null {
  const libc = openLibc();
  return typeof libc === 'string' ? libc : null;
}

/** Opens UDP and plain HTTP listeners, each with services of its own, and tells how long the thread is busy. Throws `ListenError`. */
export function openNativeListeners(
  setups: readonly ListenerSetup[],
  sharesPorts: boolean,
  services: readonly UdpServices[],
  noteDelay?: NoteDelay,
): NativeListeners {
  const libc = openLibc();
  if (typeof libc === 'string') throw new Error(libc);
  const loop = new EventLoop(libc, noteDelay);
  const listeners = setups.map((setup, index) => {
    const own = services[index];
    if (setup.kind === 'udp') {
      const noteDrops = (dropped: number) => {
        own.counters[Counter.kernel_drops] += dropped;
      };
      const service = new UdpService(setup, own);
      return openNativeUdpSocket(libc, loop, setup, service, sharesPorts, noteDrops);
    }
    const reply = new HttpReplyMemory();
    const service = new HttpService(setup, own, reply.body);
    return openNativeHttpListener(libc, loop, setup, service, reply, sharesPorts);
  });
  return {
    listeners,
    serve: (isDone) => loop.run(isDone),
    close: (graceMillis) => {
      for (const listener of listeners) listener.stopIntake();
      const endMillis = performance.now() + graceMillis;
      loop.run(() => listeners.every((listener) => listener.isIdle()) || performance.now() > endMillis);
      for (const listener of listeners) listener.end();
      loop.close();
    },
  };
}
