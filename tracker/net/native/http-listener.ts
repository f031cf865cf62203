/**
 * A plain HTTP listener on the native event loop: `accept4`, `recv`, `send`, with `TCP_DEFER_ACCEPT`, so that a
 * connection is handed over together with its request, and most of them are answered and closed without ever being
 * registered anywhere.
 *
 * A connection that waits has a record and a deadline (`waiting-connections.ts`), and counts among those of its address.
 */
import {
  HeadState,
  HttpMethod,
  readForwardedFor,
  readFurther,
  readRequestHead,
  RequestHead,
} from '../../protocol/http-request.ts';
import { PeerAddress } from '../../protocol/model.ts';
import { PacketMemory } from '../../protocol/udp.ts';
import { type HttpService, MAX_HEAD_BYTES, MAX_TARGET_BYTES } from '../http-service.ts';
import { ListenError } from '../../listen-error.ts';
import { LAST_REQUEST_MILLIS } from '../../server-close.ts';
import { Introduced } from '../introduction.ts';
import type { HttpListenerSetup } from '../listener.ts';
import {
  EPOLLIN,
  EPOLLOUT,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  TCP_DEFER_ACCEPT,
  TCP_NODELAY,
} from './constants.ts';
import type { EventLoop, EventSource, Ticking } from './event-loop.ts';
import type { HttpReplyMemory } from './http-reply-memory.ts';
import { allocateNative, Errno, type Libc } from './libc.ts';
import {
  openBoundSocket,
  readSocketAddress,
  setOption,
  SOCKET_ADDRESS_BYTES,
  systemError,
} from './socket-address.ts';
import type { NativeListener } from './native-listener.ts';
import { type Connection, isIdle, WaitingConnections } from './waiting-connections.ts';

/** Torrust Tracker's limit for a request's head, and for the wait for the next request on a connection. */
const PATIENCE_MILLIS = 5_000;
const PATIENCE_SECONDS = PATIENCE_MILLIS / 1000;
/** Connections that may wait in one thread, descriptors permitting; the one that has waited longest goes for a new one. */
const MAX_CONNECTIONS = 8_192;
const BACKLOG = 4_096;
/** Connections that are taken before other sockets of the thread have their turn. */
const ACCEPTS_PER_EVENT = 64;

const ADDRESS_LENGTH = SOCKET_ADDRESS_BYTES;
const INPUT = 64;

const REFUSAL_STATUS = {
  [HeadState.bad]: 400,
  [HeadState.targetTooLong]: 414,
  [HeadState.headersTooLong]: 431,
} as const;

/** Opens the listener on a loop. `reply.body` must be the body of `service`. Throws `ListenError`. */
export function openNativeHttpListener(
  libc: Libc,
  loop: EventLoop,
  setup: HttpListenerSetup,
  service: HttpService,
  reply: HttpReplyMemory,
  sharesPort: boolean,
): NativeListener {
  const what = 'The HTTP tracker';
  const { fd, address } = openBoundSocket(libc, what, SOCK_STREAM | SOCK_NONBLOCK, setup.bind, {
    ipv6Only: setup.ipv6Only,
    sharesPort,
  });
  setOption(libc, fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, PATIENCE_SECONDS);
  // Accepted connections inherit it.
  setOption(libc, fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (libc.listen(fd, BACKLOG) < 0) {
    const error = systemError(libc);
    libc.close(fd);
    throw ListenError.from(what, setup.bind, error);
  }
  const listener = new NativeHttpListener(libc, loop, fd, service, reply);
  loop.watch(fd, listener);
  loop.addTicking(listener);
  return {
    setup,
    address,
    receiveBufferBytes: null,
    update: (live) => {
      if ('trustedProxies' in live) service.update(live);
    },
    stopIntake: () => listener.stopIntake(),
    isIdle: () => listener.isIdle,
    end: () => listener.endAll(),
  };
}

class NativeHttpListener implements EventSource, Ticking {
  readonly #libc: Libc;
  readonly #loop: EventLoop;
  readonly #fd: number;
  readonly #service: HttpService;
  readonly #reply: HttpReplyMemory;
  readonly #memory: PacketMemory;
  readonly #base: number;
  /** The request at hand. */
  #head = new RequestHead();
  readonly #source = new PeerAddress();
  readonly #waiting = new WaitingConnections();
  #nowMillis = performance.now();
  #isClosing = false;
  /** As of a waiting connection, for the one that was accepted last. */
  #isIntroduced = true;
  /** When connections between two requests are closed, once the end has begun. */
  #lastCallMillis = Infinity;

  constructor(libc: Libc, loop: EventLoop, fd: number, service: HttpService, reply: HttpReplyMemory) {
    this.#libc = libc;
    this.#loop = loop;
    this.#fd = fd;
    this.#service = service;
    this.#reply = reply;
    const bytes = INPUT + MAX_HEAD_BYTES;
    const { address, buffer } = allocateNative(bytes);
    this.#base = address;
    this.#memory = new PacketMemory(buffer, 0, bytes);
  }

  /** Takes new connections. */
  handle(): void {
    this.#nowMillis = performance.now();
    this.#service.readClock();
    for (let i = 0; i < ACCEPTS_PER_EVENT; i++) if (!this.#accept()) return;
  }

  tick(nowMillis: number): void {
    this.#nowMillis = nowMillis;
    if (nowMillis >= this.#lastCallMillis) this.#endIdle();
    for (const connection of this.#waiting.values()) {
      if (!this.#waiting.isDue(connection, nowMillis)) return;
      this.#end(connection);
    }
  }

  /** Reads from a waiting connection, or sends what is left. */
  resume(connection: Connection): void {
    this.#nowMillis = performance.now();
    if (connection.unsent !== null) {
      if (this.#sendRest(connection, connection.unsent)) this.#goOn(connection);
      return;
    }
    this.#service.readClock();
    const before = connection.received?.length ?? 0;
    if (connection.received !== null) this.#memory.bytes.set(connection.received, INPUT);
    const count = this.#receive(connection.fd, before);
    if (count === 0) {
      this.#end(connection);
      return;
    }
    // Nothing is there after all.
    if (count < 0) return;
    this.#waiting.hold(connection, null, null);
    this.#serve(connection.fd, connection.source, before + count, connection);
  }

  /** Whether no connection waits. */
  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  /** Takes no more connections. Kept ones have a moment more for a request that is on its way. */
  stopIntake(): void {
    this.#loop.forget(this.#fd);
    this.#isClosing = true;
    // What the kernel has accepted already is answered.
    this.#nowMillis = performance.now();
    this.#service.readClock();
    for (let i = 0; i < BACKLOG && this.#accept(); i++);
    this.#libc.close(this.#fd);
    this.#lastCallMillis = this.#nowMillis + LAST_REQUEST_MILLIS;
  }

  /** Closes every connection. */
  endAll(): void {
    this.#endIdle();
    for (const connection of this.#waiting.values()) this.#end(connection);
  }

  /** Takes a new connection. Returns whether one was there. */
  #accept(): boolean {
    this.#memory.view.setUint32(ADDRESS_LENGTH, SOCKET_ADDRESS_BYTES, true);
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    const fd = this.#libc.accept4(this.#fd, this.#base, this.#base + ADDRESS_LENGTH, flags);
    if (fd >= 0) {
      readSocketAddress(this.#memory, 0, this.#source);
      this.#isIntroduced = !this.#service.introduction.isOn;
      this.#serveNew(fd);
      return true;
    }
    const errno = this.#libc.errno();
    const isOutOfDescriptors = errno === Errno.EMFILE || errno === Errno.ENFILE;
    return isOutOfDescriptors && this.#endOldest();
  }

  #serveNew(fd: number): void {
    const count = this.#receive(fd, 0);
    if (count === 0) this.#libc.close(fd);
    else if (count > 0) this.#serve(fd, this.#source, count, null);
    else this.#wait(fd, null);
  }

  /** Receives behind `offset` bytes of input. Returns how many came, 0 at the end, -1 when nothing is there. */
  #receive(fd: number, offset: number): number {
    const count = this.#libc.recv(fd, this.#base + INPUT + offset, MAX_HEAD_BYTES - offset, MSG_DONTWAIT);
    if (count >= 0) return count;
    const errno = this.#libc.errno();
    return errno === Errno.EAGAIN || errno === Errno.EINTR ? -1 : 0;
  }

  /** Answers every request in the first `length` bytes of input, and lets the connection wait or closes it. */
  #serve(fd: number, source: PeerAddress, length: number, connection: Connection | null): void {
    const { bytes } = this.#memory;
    const end = INPUT + length;
    let at = INPUT;
    if (!(connection?.isIntroduced ?? this.#isIntroduced)) {
      at = this.#introduce(fd, source, length, connection);
      if (at < 0) return;
    }
    const begun = connection?.head ?? null;
    if (connection !== null && begun !== null) {
      this.#head = begun;
      connection.head = null;
    }
    while (at < end) {
      const state =
        begun !== null && at === INPUT
          ? readFurther(bytes, end, MAX_TARGET_BYTES, begun)
          : readRequestHead(bytes, at, end, MAX_TARGET_BYTES, this.#head);
      if (state === HeadState.incomplete && at === INPUT && length === MAX_HEAD_BYTES) {
        this.#refuse(fd, 431, connection);
        return;
      }
      if (state === HeadState.incomplete) {
        // The deadline of a request that has begun stays: slow clients must not hold a connection.
        const waiting = this.#wait(fd, connection, bytes.slice(at, end), at > INPUT);
        if (waiting !== null && at === INPUT) this.#leaveHead(waiting);
        return;
      }
      if (state !== HeadState.complete) {
        this.#refuse(fd, REFUSAL_STATUS[state], connection);
        return;
      }
      const keepsAlive = this.#answer(source);
      at = this.#head.end;
      if (!this.#send(fd, connection, !keepsAlive, at < end ? bytes.slice(at, end) : null)) return;
      if (!keepsAlive) {
        this.#close(fd, connection);
        return;
      }
    }
    this.#wait(fd, connection, null, true);
  }

  /** Leaves what was read of an incomplete request with its connection, so that it is not read again with each byte. */
  #leaveHead(connection: Connection): void {
    connection.head = this.#head;
    this.#head = new RequestHead();
  }

  /** Reads for whom a connection speaks. Returns where its first request begins; -1: it waits for more, or is closed. */
  #introduce(fd: number, source: PeerAddress, length: number, connection: Connection | null): number {
    const { bytes } = this.#memory;
    const { introduction } = this.#service;
    const introduced = introduction.read(bytes, INPUT, INPUT + length, source);
    if (introduced === Introduced.done) {
      if (connection === null) this.#isIntroduced = true;
      else if (!this.#meet(connection)) return -1;
      return introduction.end;
    }
    if (introduced === Introduced.refused) this.#close(fd, connection);
    else this.#wait(fd, connection, bytes.slice(INPUT, INPUT + length));
    return -1;
  }

  /** Counts a connection that has waited among those of its client. When there are too many, it is closed: false. */
  #meet(connection: Connection): boolean {
    connection.isIntroduced = true;
    this.#service.releaseConnection(connection.held);
    const held = this.#service.admitConnection(connection.source);
    connection.held = held ?? 0;
    if (held === null) this.#end(connection);
    return held !== null;
  }

  /**
   * Puts the answer to the request that was read into the reply memory. Returns whether the connection is kept: only by
   * requests that are served, because behind others may come what is no request, such as a body or what a tunnel carries.
   */
  #answer(source: PeerAddress): boolean {
    const { bytes } = this.#memory;
    const head = this.#head;
    const service = this.#service;
    const forwardedFor = readForwardedFor(bytes, head);
    if (head.method === HttpMethod.other) {
      const status = service.knows(bytes, head.targetStart, head.targetEnd) ? 405 : 404;
      this.#reply.finish(service.refuse(source, forwardedFor, status), '', 0, false, false);
      return false;
    }
    service.readTrace(bytes, head.targetEnd, head.end);
    const bodyBytes = service.answer(bytes, head.targetStart, head.targetEnd, source, forwardedFor);
    const keepsAlive = head.keepsAlive && service.status === 200 && !this.#isClosing;
    this.#reply.finish(
      service.status,
      service.contentType,
      bodyBytes,
      keepsAlive,
      head.method === HttpMethod.head,
    );
    return keepsAlive;
  }

  /** Says why the connection is refused, as far as that can be said at once, and closes it. */
  #refuse(fd: number, status: number, connection: Connection | null): void {
    const source = connection?.source ?? this.#source;
    this.#reply.finish(this.#service.refuse(source, '', status), '', 0, false, false);
    if (this.#send(fd, connection, true, null)) this.#close(fd, connection);
  }

  /**
   * Sends the reply. When the kernel takes only a part, the connection waits with the rest (and with `pending`, the
   * requests that came behind) and the result is false.
   */
  #send(fd: number, connection: Connection | null, closes: boolean, pending: Uint8Array | null): boolean {
    const { start, end, address, bytes } = this.#reply;
    const sent = this.#libc.send(fd, address + start, end - start, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent === end - start) {
      this.#service.countSent((connection?.source ?? this.#source).family);
      return true;
    }
    if (sent < 0 && this.#libc.errno() !== Errno.EAGAIN) {
      this.#close(fd, connection);
      return false;
    }
    const waiting = this.#wait(fd, connection, pending, true);
    if (waiting === null) return false;
    this.#waiting.hold(waiting, waiting.received, bytes.slice(start + Math.max(sent, 0), end));
    waiting.closesAfterSending = closes;
    this.#loop.change(fd, EPOLLOUT);
    return false;
  }

  /** After the rest of a reply is sent: closes the connection, or serves what came meanwhile. */
  #goOn(connection: Connection): void {
    if (connection.closesAfterSending) {
      this.#end(connection);
      return;
    }
    this.#loop.change(connection.fd, EPOLLIN);
    const { received } = connection;
    if (received === null) {
      this.#wait(connection.fd, connection, null, true);
      return;
    }
    this.#service.readClock();
    this.#memory.bytes.set(received, INPUT);
    this.#waiting.hold(connection, null, null);
    this.#serve(connection.fd, connection.source, received.length, connection);
  }

  /** Sends more of what could not be sent. Returns whether all is sent. */
  #sendRest(connection: Connection, unsent: Uint8Array): boolean {
    const { address, bytes } = this.#reply;
    bytes.set(unsent);
    const sent = this.#libc.send(connection.fd, address, unsent.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent === unsent.length) {
      this.#service.countSent(connection.source.family);
      this.#waiting.hold(connection, connection.received, null);
      return true;
    }
    if (sent >= 0) this.#waiting.hold(connection, connection.received, unsent.slice(sent));
    else if (this.#libc.errno() !== Errno.EAGAIN) this.#end(connection);
    return false;
  }

  /**
   * Lets a connection wait, a new one under a record of its own. `isFresh`: its time begins now. When the address of a new
   * one has too many, it is closed, and there is no record.
   */
  #wait(
    fd: number,
    connection: Connection | null,
    received: Uint8Array | null = null,
    isFresh = false,
  ): Connection | null {
    const deadlineMillis = this.#nowMillis + PATIENCE_MILLIS;
    if (connection !== null) {
      this.#waiting.hold(connection, received, connection.unsent);
      if (isFresh) this.#waiting.renew(connection, deadlineMillis);
      return connection;
    }
    const held = this.#service.admitConnection(this.#source);
    if (held === null) {
      this.#libc.close(fd);
      return null;
    }
    if (this.#waiting.size >= MAX_CONNECTIONS) this.#endOldest();
    const fresh = this.#waiting.add(fd, this.#source, held, this.#isIntroduced, deadlineMillis);
    this.#waiting.hold(fresh, received, null);
    this.#loop.watch(fd, { handle: () => this.resume(fresh) });
    return fresh;
  }

  /** Answers what has come on connections between two requests, and closes them: unread bytes would make it a reset. */
  #endIdle(): void {
    for (const connection of this.#waiting.values()) {
      if (!isIdle(connection)) continue;
      this.resume(connection);
      if (this.#waiting.has(connection) && isIdle(connection)) this.#end(connection);
    }
  }

  #close(fd: number, connection: Connection | null): void {
    if (connection === null) this.#libc.close(fd);
    else this.#end(connection);
  }

  /** Ends the connection that has waited longest, for a new one. Returns whether there was one. */
  #endOldest(): boolean {
    for (const oldest of this.#waiting.values()) {
      this.#end(oldest);
      return true;
    }
    return false;
  }

  #end(connection: Connection): void {
    this.#waiting.delete(connection);
    this.#service.releaseConnection(connection.held);
    this.#loop.forget(connection.fd);
    this.#libc.close(connection.fd);
  }
}
