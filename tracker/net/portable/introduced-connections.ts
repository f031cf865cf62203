/**
 * What comes before the requests of a connection of `node:http` and `node:https`, which know nothing of it: whether its
 * address holds too many, and a PROXY protocol header. Where headers are read, each connection is held back until its
 * header is there, and then handed on with what came behind.
 */
import type { Server, Socket } from 'node:net';
import { PeerAddress } from '../../protocol/model.ts';
import { MAX_PROXY_HEADER_BYTES } from '../../protocol/proxy-protocol.ts';
import type { HttpService } from '../http-service.ts';
import { Introduced, type Introduction } from '../introduction.ts';

/** Reads the address and port that a connection comes from; false when it is gone. */
export type ReadSource = (socket: Socket, source: PeerAddress) => boolean;

export class IntroducedConnections {
  readonly #service: HttpService;
  readonly #introduction: Introduction;
  readonly #readSource: ReadSource;
  readonly #patienceMillis: number;
  readonly #waiting = new Set<Socket>();
  /** The clients that proxies speak for, by the four ends of the connection, which TLS shows as well. */
  readonly #clients = new Map<string, PeerAddress>();

  /** Puts itself in front of `server`. A header has to come within `patienceMillis`. */
  constructor(server: Server, service: HttpService, readSource: ReadSource, patienceMillis: number) {
    const { introduction } = service;
    this.#service = service;
    this.#introduction = introduction;
    this.#readSource = readSource;
    this.#patienceMillis = patienceMillis;
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      const handOn = () => {
        for (const listener of listeners) Reflect.apply(listener, server, [socket]);
      };
      if (service.limitsConnections && !this.#admits(socket, new PeerAddress())) return;
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

  /** Counts a connection among those of the address that it comes from. When there are too many, it is ended: false. */
  #admits(socket: Socket, source: PeerAddress): boolean {
    return this.#readSource(socket, source) ? this.#count(socket, source) : true;
  }

  #count(socket: Socket, client: PeerAddress): boolean {
    const held = this.#service.admitConnection(client);
    if (held === null) socket.destroy();
    else if (held !== 0) socket.once('close', () => this.#service.releaseConnection(held));
    return held !== null;
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
        if (!this.#count(socket, source)) return;
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
