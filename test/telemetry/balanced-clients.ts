/**
 * Clients anywhere on the Internet, as a load balancer on loopback passes them on: it puts a PROXY protocol header with
 * the client's address in front. What a test sends from loopback itself is never banned, and is local to every guard.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Agent, type ClientRequestArgs } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { encodeConnectRequest } from '../../tracker/protocol/udp-client.ts';
import { headerV2 } from '../support/proxy-headers.ts';

export type Family = 'ipv4' | 'ipv6';

const BALANCERS: Readonly<Record<Family, string>> = { ipv4: '127.0.0.1', ipv6: '::1' };
/** Nobody limits these. They ask behind every datagram, so that silence is known from a reply that is late. */
const WITNESSES: Readonly<Record<Family, string>> = { ipv4: '192.0.2.1', ipv6: '2001:db8:ffff::1' };
const CLIENT_PORT = 50_000;
const DEADLINE_MILLIS = 20_000;

/** What the configuration says of the balancers and of the witnesses. */
export const TRUSTED_BALANCERS = ['127.0.0.1/32', '::1/128'];
export const EXEMPT_WITNESSES = ['192.0.2.0/24', '2001:db8:ffff::/48'];

/** The socket of a load balancer, behind which any client sends datagrams to one listener. */
export class BalancedUdp {
  /** How often a witness asked, and was answered. */
  witnessed = 0;
  readonly #socket: Socket;
  readonly #tracker: SocketAddress;
  readonly #family: Family;
  #received: Buffer[] = [];
  #onReply: () => void = () => undefined;

  private constructor(socket: Socket, tracker: SocketAddress, family: Family) {
    this.#socket = socket;
    this.#tracker = tracker;
    this.#family = family;
    socket.on('message', (reply) => {
      this.#received.push(reply);
      this.#onReply();
    });
  }

  /** It is closed after the test. */
  static async open(context: TestContext, tracker: SocketAddress, family: Family): Promise<BalancedUdp> {
    const socket = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
    context.after(() => socket.close());
    socket.bind(0, BALANCERS[family]);
    await once(socket, 'listening');
    return new BalancedUdp(socket, tracker, family);
  }

  /** Sends a datagram of a client, or as it is when `client` is null; resolves with the reply, null for silence. */
  async ask(client: string | null, datagram: Uint8Array): Promise<Buffer | null> {
    this.#received = [];
    const marker = randomBytes(4).readInt32BE();
    const isMarker = (reply: Buffer) =>
      reply.length === 16 && reply.readInt32BE(0) === 0 && reply.readInt32BE(4) === marker;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error('the tracker owes a witness a reply')), DEADLINE_MILLIS);
    this.#onReply = () => {
      if (this.#received.some(isMarker)) resolve();
    };
    this.#send(client, datagram);
    this.#send(WITNESSES[this.#family], encodeConnectRequest(marker));
    await promise.finally(() => clearTimeout(timer));
    this.witnessed++;
    const others = this.#received.filter((reply) => !isMarker(reply));
    assert.ok(others.length <= 1, `${others.length} replies to one datagram`);
    return others[0] ?? null;
  }

  #send(client: string | null, datagram: Uint8Array): void {
    const header = client === null ? Buffer.alloc(0) : headerV2('datagram', client, CLIENT_PORT);
    this.#socket.send(
      Buffer.concat([header, datagram]),
      this.#tracker.port,
      this.#family === 'ipv4' ? '127.0.0.1' : '::1',
    );
  }
}

/** Has a request of `node:http` come from a client behind the load balancer, over TLS where that is wanted. */
export class BalancedAgent extends Agent {
  readonly #client: string;
  readonly #isTls: boolean;

  constructor(client: string, isTls: boolean) {
    super({ keepAlive: false });
    this.#client = client;
    this.#isTls = isTls;
  }

  override createConnection({ host, port }: ClientRequestArgs): Duplex {
    const socket = connect({ host: host ?? '', port: Number(port) });
    socket.write(headerV2('stream', this.#client, CLIENT_PORT));
    return this.#isTls ? connectTls({ socket, rejectUnauthorized: false }) : socket;
  }
}
