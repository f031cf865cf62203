/**
 * What the answers to a connection's bytes ought to be: node:http says which requests are in them, and an `HttpService`
 * without sockets what each is answered.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SocketAddress } from '../../tracker/config/address.ts';
import { HttpService, MAX_HEAD_BYTES } from '../../tracker/net/http-service.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { exchange, type HttpAnswer } from './http-answers.ts';
import type { TrackerParts } from './in-process-listeners.ts';

const UPGRADE_OPTION = /(^|[,\s])upgrade([,\s]|$)/i;

export interface ReferenceAnswers {
  /** To each request that node:http reports, up to the one whose answer closes the connection. */
  readonly answers: readonly HttpAnswer[];
  /** Whether node:http met bytes that are no request, half of one, or a tunnel, and gave the connection up. */
  readonly hasFault: boolean;
}

export class HttpReference {
  readonly #services: readonly HttpService[];
  readonly #address: SocketAddress;
  readonly #source = new PeerAddress();
  readonly #target = Buffer.alloc(2 * MAX_HEAD_BYTES);
  readonly #server;
  #service: HttpService;
  #answers: HttpAnswer[] = [];
  #hasFault = false;

  private constructor(parts: TrackerParts, server: ReturnType<typeof createServer>, port: number) {
    this.#services = parts.setups
      .filter((setup) => setup.kind === 'http')
      .map((setup) => new HttpService(setup, parts));
    [this.#service] = this.#services;
    this.#server = server;
    this.#address = { host: '127.0.0.1', port, family: 4 };
    this.#source.bytes.set([127, 0, 0, 1]);
    server.on('request', (request, response) => this.#note(request, response));
    const giveUp = (socket: Duplex) => {
      this.#hasFault = true;
      socket.destroy();
    };
    server.on('clientError', (_error, socket) => giveUp(socket));
    server.on('connect', (_request, socket) => giveUp(socket));
  }

  static async open(parts: TrackerParts): Promise<HttpReference> {
    const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A listening TCP server has an address object, never a path.
    return new HttpReference(parts, server, (server.address() as AddressInfo).port);
  }

  /** The answers of the HTTP listener number `place`. */
  async answersTo(bytes: Buffer, place: number): Promise<ReferenceAnswers> {
    this.#service = this.#services[place];
    this.#answers = [];
    this.#hasFault = false;
    await exchange(this.#address, [bytes], () => undefined);
    const last = this.#answers.findIndex(({ closes }) => closes);
    const answers = last < 0 ? this.#answers : this.#answers.slice(0, last + 1);
    return { answers, hasFault: this.#hasFault };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #note(request: IncomingMessage, response: ServerResponse): void {
    this.#answers.push(this.#answer(request, response.shouldKeepAlive));
    response.writeHead(200, { 'content-length': 0 }).end();
  }

  #answer(request: IncomingMessage, keepsAlive: boolean): HttpAnswer {
    const service = this.#service;
    const length = this.#target.write(request.url ?? '', 'latin1');
    const isKnown = service.knows(this.#target, 0, length);
    const isHead = request.method === 'HEAD';
    if (!isKnown || (request.method !== 'GET' && !isHead)) {
      const allow = isKnown ? 'GET,HEAD' : '';
      return { status: isKnown ? 405 : 404, type: '', allow, closes: true, body: '' };
    }
    const forwarded = request.headersDistinct['x-forwarded-for']?.join(',') ?? '';
    service.readClock();
    const bodyBytes = service.answer(this.#target, 0, length, this.#source, forwarded);
    return {
      status: service.status,
      type: service.contentType,
      allow: '',
      closes: !keepsAlive || UPGRADE_OPTION.test(request.headers.connection ?? ''),
      body: isHead ? '' : Buffer.from(service.body.subarray(0, bodyBytes)).toString('latin1'),
    };
  }
}
