/**
 * The event loop of a native network thread: `epoll` over all of its sockets. The thread blocks only here, for at most
 * `TICK_MILLIS` at a time, so that it can look for what the main thread has to say.
 */
import { BATCH_SAMPLE_EVERY } from '../../swarm/thread-load.ts';
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN } from './constants.ts';
import { allocateNative, Errno, type Libc } from './libc.ts';
import { systemError } from './socket-address.ts';

/** The longest time between two ticks. */
export const TICK_MILLIS = 100;
const MAX_EVENTS = 256;
/** Told how long the loop was busy with what a look found, for one look in `BATCH_SAMPLE_EVERY`. */
export type NoteDelay = (millis: number) => void;
/** `struct epoll_event` is packed on x64 and nowhere else: events (4), data (8). */
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = process.arch === 'x64' ? 4 : 8;

/** Something with a file descriptor that events happen to. */
export interface EventSource {
  /** `events`: bits of EPOLLIN and its kin. */
  handle(events: number): void;
}

/** Something that has to be done from time to time. */
export interface Ticking {
  /** Called about every `TICK_MILLIS`. `nowMillis` is monotonic. */
  tick(nowMillis: number): void;
}

export class EventLoop {
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #memory = allocateNative(MAX_EVENTS * EVENT_BYTES + 16);
  readonly #view = new DataView(this.#memory.buffer);
  readonly #controlOffset = MAX_EVENTS * EVENT_BYTES;
  readonly #sources: (EventSource | undefined)[] = [];
  readonly #ticking = new Set<Ticking>();
  readonly #noteDelay: NoteDelay;
  /** How many looks that find something come before the next that is measured. */
  #untilMeasured: number = BATCH_SAMPLE_EVERY;

  constructor(libc: Libc, noteDelay: NoteDelay = () => undefined) {
    this.#libc = libc;
    this.#noteDelay = noteDelay;
    this.#epoll = libc.epollCreate1(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw systemError(libc);
  }

  /** Watches a descriptor for readability. */
  watch(fd: number, source: EventSource): void {
    this.#sources[fd] = source;
    this.#control(EPOLL_CTL_ADD, fd, EPOLLIN);
  }

  /** Changes what a descriptor is watched for. */
  change(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events);
  }

  /** Watches a descriptor no more. The owner closes it. */
  forget(fd: number): void {
    if (this.#sources[fd] === undefined) return;
    this.#sources[fd] = undefined;
    this.#control(EPOLL_CTL_DEL, fd, 0);
  }

  /** Calls `source.tick` about every `TICK_MILLIS`. */
  addTicking(source: Ticking): void {
    this.#ticking.add(source);
  }

  /** Serves events until `isDone`, which is asked at every tick, says so. */
  run(isDone: () => boolean): void {
    let nextTick = 0;
    for (;;) {
      const count = this.#libc.epollWait(this.#epoll, this.#memory.address, MAX_EVENTS, TICK_MILLIS);
      if (count < 0 && this.#libc.errno() !== Errno.EINTR) throw systemError(this.#libc);
      const isMeasured = count > 0 && --this.#untilMeasured === 0;
      const beganMillis = isMeasured ? performance.now() : 0;
      for (let i = 0; i < count; i++) {
        const at = i * EVENT_BYTES;
        // A source may have been forgotten by what an earlier event of the same batch did.
        this.#sources[this.#view.getInt32(at + DATA_OFFSET, true)]?.handle(this.#view.getUint32(at, true));
      }
      const nowMillis = performance.now();
      if (isMeasured) {
        this.#untilMeasured = BATCH_SAMPLE_EVERY;
        this.#noteDelay(nowMillis - beganMillis);
      }
      if (nowMillis < nextTick) continue;
      nextTick = nowMillis + TICK_MILLIS;
      for (const source of this.#ticking) source.tick(nowMillis);
      if (isDone()) return;
    }
  }

  close(): void {
    this.#libc.close(this.#epoll);
  }

  #control(operation: number, fd: number, events: number): void {
    this.#view.setUint32(this.#controlOffset, events, true);
    this.#view.setInt32(this.#controlOffset + DATA_OFFSET, fd, true);
    const event = this.#memory.address + this.#controlOffset;
    if (this.#libc.epollCtl(this.#epoll, operation, fd, event) < 0) throw systemError(this.#libc);
  }
}
