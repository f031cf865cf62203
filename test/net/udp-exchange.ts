/**
 * A UDP client that says whatever a test wants, and knows silence from a reply that is late: behind each datagram it
 * sends a connect request that must be answered, and a tracker answers one socket in order.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { AnnounceEvent, type AddressFamily } from '../../tracker/protocol/model.ts';
import {
  decodeUdpReply,
  encodeAnnounceRequest,
  encodeConnectRequest,
  encodeScrapeRequest,
  type UdpAnnounce,
  type UdpReply,
} from '../../tracker/protocol/udp-client.ts';
import type { Cleaner } from '../support/tracker-process.ts';
import type { Counts } from './tracker-threads.ts';

const DEADLINE_MILLIS = 10_000;

export type Reply<Kind extends UdpReply['kind']> = Extract<UdpReply, { kind: Kind }>;

/** Counters of an exchange over IPv4, with the connect request that `UdpClient.exchange` sends behind it. */
export function withMarker(counts: Counts): Counts {
  const sum: Counts = { ...counts };
  for (const name of ['udp4_requests', 'udp4_connections_handled', 'udp4_responses'] as const) {
    sum[name] = (counts[name] ?? 0) + 1;
  }
  return sum;
}

export class UdpClient {
  readonly address: string;
  readonly port: number;
  readonly family: AddressFamily;
  readonly #socket: Socket;
  readonly #tracker: { readonly host: string; readonly port: number };
  #nextTransaction = 1;
  #received: Buffer[] = [];
  #onReply: () => void = () => undefined;

  private constructor(socket: Socket, tracker: { host: string; port: number }) {
    this.#socket = socket;
    this.#tracker = tracker;
    const { address, port, family } = socket.address();
    this.address = address;
    this.port = port;
    this.family = family === 'IPv4' ? 4 : 6;
    socket.on('message', (reply, from) => {
      // A reply has to come from where the request went (RFC 1122, 4.1.3.5).
      assert.equal(from.port, tracker.port);
      assert.equal(from.address, tracker.host);
      this.#received.push(reply);
      this.#onReply();
    });
  }

  /** Opens a socket on a local address that is closed after the test; `host` is how it reaches the tracker. */
  static async open(
    context: Cleaner,
    tracker: SocketAddress,
    local = '127.0.0.1',
    host = local.includes(':') ? '::1' : '127.0.0.1',
    localPort = 0,
  ): Promise<UdpClient> {
    const socket = createSocket(local.includes(':') ? 'udp6' : 'udp4');
    context.after(() => socket.close());
    socket.bind(localPort, local);
    await once(socket, 'listening');
    return new UdpClient(socket, { host, port: tracker.port });
  }

  /** Sends datagrams as they are, and resolves with what was answered to them: nothing, for silence. */
  async exchange(...datagrams: readonly Uint8Array[]): Promise<Buffer[]> {
    this.#received = [];
    for (const datagram of datagrams) this.#send(datagram);
    const marker = randomBytes(4).readInt32BE();
    this.#send(encodeConnectRequest(marker));
    const isMarker = (reply: Buffer) =>
      reply.length === 16 && reply.readInt32BE(0) === 0 && reply.readInt32BE(4) === marker;
    await this.#awaitReplies(() => this.#received.some(isMarker), 'the reply to a connect request');
    return this.#received.filter((reply) => !isMarker(reply));
  }

  /** Sends one request that must be answered once. */
  async ask(datagram: Uint8Array): Promise<UdpReply> {
    this.#received = [];
    this.#send(datagram);
    await this.#awaitReplies(() => this.#received.length > 0, 'a reply');
    return decodeUdpReply(this.#received[0], this.family);
  }

  async connect(): Promise<bigint> {
    const reply = await this.ask(encodeConnectRequest(this.#nextTransaction++));
    assert.equal(reply.kind, 'connect');
    return reply.connectionId;
  }

  /** Announces with a connection id of this client, unless another is given, and expects to be served. */
  async announce(infoHash: Uint8Array, announce: Partial<UdpAnnounce> = {}): Promise<Reply<'announce'>> {
    const reply = await this.tryAnnounce(infoHash, announce);
    assert.equal(reply.kind, 'announce', JSON.stringify(reply, withBigint));
    return reply;
  }

  async tryAnnounce(infoHash: Uint8Array, announce: Partial<UdpAnnounce> = {}): Promise<UdpReply> {
    const connectionId = announce.connectionId ?? (await this.connect());
    const transactionId = this.#nextTransaction++;
    const reply = await this.ask(announceBytes({ transactionId, infoHash, ...announce, connectionId }));
    if (reply.kind !== 'malformed')
      assert.equal(reply.transactionId, announce.transactionId ?? transactionId);
    return reply;
  }

  async scrape(infoHashes: readonly Uint8Array[]): Promise<Reply<'scrape'>> {
    const connectionId = await this.connect();
    const transactionId = this.#nextTransaction++;
    const reply = await this.ask(encodeScrapeRequest(connectionId, transactionId, infoHashes));
    assert.equal(reply.kind, 'scrape', JSON.stringify(reply, withBigint));
    assert.equal(reply.transactionId, transactionId);
    return reply;
  }

  #send(datagram: Uint8Array): void {
    this.#socket.send(datagram, this.#tracker.port, this.#tracker.host);
  }

  async #awaitReplies(isDone: () => boolean, what: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`the tracker owes ${what} for ${DEADLINE_MILLIS} ms`)),
      DEADLINE_MILLIS,
    );
    this.#onReply = () => {
      if (isDone()) resolve();
    };
    this.#onReply();
    await promise.finally(() => clearTimeout(timer));
  }
}

/** An announce request; a leecher with nothing yet, where the test says nothing else. */
export function announceBytes(announce: Partial<UdpAnnounce>): Uint8Array {
  return encodeAnnounceRequest({
    connectionId: 0n,
    transactionId: 77,
    infoHash: new Uint8Array(20),
    peerId: Buffer.from('-TT0001-000000000001'),
    downloadedBytes: 0n,
    leftBytes: 1n,
    uploadedBytes: 0n,
    event: AnnounceEvent.none,
    clientKey: 0,
    numWant: -1,
    port: 6881,
    urlData: '',
    ...announce,
  });
}

/** A peer id of its own for each number. */
export function peerId(number: number): Buffer {
  return Buffer.from(`-TT0001-${String(number).padStart(12, '0')}`);
}

/** An info hash that no other test uses. */
export function newInfoHash(): Buffer {
  return randomBytes(20);
}

function withBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
