/**
 * PROXY protocol headers in front of the connections of `node:http` and `node:https`, which know nothing of them: each
 * connection is held back until its header is read, and then handed on with what came behind.
 */
import type { Server, Socket } from 'node:net';
import { PeerAddress } from '../../protocol/model.ts';
import { MAX_PROXY_HEADER_BYTES } from '../../protocol/proxy-protocol.ts';
import { Introduced, type Introduction } from '../introduction.ts';

/** Reads the address and port that a connection comes from; false when it is gone. */
export type ReadSource = (socket: Socket, source: PeerAddress) => boolean;

export class IntroducedConnections {
  readonly #introduction: Introduction;
  readonly #readSource: ReadSource;
  readonly #patienceMillis: number;
  readonly #waiting = new Set<Socket>();
  /** The clients that proxies speak for, by the four ends of the connection, which TLS shows as well. */
  readonly #clients = new Map<string, PeerAddress>();

  /** Puts itself in front of `server`. A header has to come within `patienceMillis`. */
  constructor(server: Server, introduction: Introduction, readSource: ReadSource, patienceMillis: number) {
    this.#introduction = introduction;
    this.#readSource = readSource;
    this.#patienceMillis = patienceMillis;
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      const handOn = () => {
        for (const listener of listeners) Reflect.apply(listener, server, [socket]);
      };
      if (introduction.isOn) this.#introduce(socket, handOn);
      else handOn();
    });
  }

  /** The client that a proxy speaks for on the connection under a request; undefined: none but itself. */
  clientOf(socket: Socket): PeerAddress | undefined {
    return this.#clients.size === 0 ? undefined : this.#clients.get(nameOf(socket));
  }

  /** Ends the connections whose headers have not come. */
  endWaiting(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #introduce(socket: Socket, handOn: () => void): void {
    const name = nameOf(socket);
    const source = new PeerAddress();
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), this.#patienceMillis);
    const end = () => socket.destroy();
    const stopWaiting = () => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      socket.off('readable', read).off('error', end).off('end', end);
    };
    const read = () => {
      const chunk = socket.read() as Buffer | null; // without an encoding
      if (chunk === null) return;
      received = Buffer.concat([received, chunk]);
      if (!this.#readSource(socket, source)) {
        socket.destroy();
        return;
      }
      const introduced = this.#introduction.read(received, 0, received.length, source);
      if (introduced === Introduced.incomplete && received.length < MAX_PROXY_HEADER_BYTES) return;
      stopWaiting();
      if (introduced !== Introduced.done) {
        socket.destroy();
        return;
      }
      if (this.#introduction.end > 0) {
        // The client, or the proxy itself where its header names none.
        this.#clients.set(name, source);
        socket.once('close', () => {
          // The next connection may have the same ends, and be told of before the end of this one.
          if (this.#clients.get(name) === source) this.#clients.delete(name);
        });
      }
      const rest = received.subarray(this.#introduction.end);
      if (rest.length > 0) socket.unshift(rest);
      handOn();
    };
    this.#waiting.add(socket);
    socket.once('close', stopWaiting);
    socket.on('readable', read).on('error', end).on('end', end);
  }
}

/** No two open connections have the same: a proxy may use one port towards several addresses of the machine. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
