/**
 * Where a native HTTP reply is put together: the body at a fixed place, which the service writes, and the head right in
 * front of it, so that both leave in one `send`.
 */
import { MAX_BODY_BYTES } from '../http-service.ts';
import { allocateNative } from './libc.ts';

/** More than the longest head. */
const HEAD_ROOM_BYTES = 256;

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  414: 'URI Too Long',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
};

export class HttpReplyMemory {
  /** Where the service writes the body. */
  readonly body: Uint8Array;
  readonly bytes: Uint8Array;
  /** The address of byte 0 of `bytes`. */
  readonly address: number;
  /** The reply that `finish` made: from `start` to `end` of `bytes`. */
  start = 0;
  end = 0;

  readonly #heads = new Map<string, Uint8Array>();

  constructor() {
    const { address, buffer } = allocateNative(HEAD_ROOM_BYTES + MAX_BODY_BYTES);
    this.address = address;
    this.bytes = new Uint8Array(buffer);
    this.body = this.bytes.subarray(HEAD_ROOM_BYTES);
  }

  /**
   * Writes the head in front of a body of `bodyBytes`; `contentType` is `''` when there is none. A reply to HEAD has the
   * head of a GET and no body.
   */
  finish(status: number, contentType: string, bodyBytes: number, keepsAlive: boolean, isHead: boolean): void {
    const key = `${status}${keepsAlive ? '+' : '-'}${contentType}`;
    let head = this.#heads.get(key);
    if (head === undefined) {
      head = makeHead(status, contentType, keepsAlive);
      this.#heads.set(key, head);
    }
    // "Content-Length: " stands last in the head, and the digits grow to the left of the empty line.
    let at = HEAD_ROOM_BYTES - END_OF_HEAD.length;
    this.bytes.set(END_OF_HEAD, at);
    let rest = bodyBytes;
    do {
      this.bytes[--at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0);
    at -= head.length;
    this.bytes.set(head, at);
    this.start = at;
    this.end = HEAD_ROOM_BYTES + (isHead ? 0 : bodyBytes);
  }
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');

function makeHead(status: number, contentType: string, keepsAlive: boolean): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ''}`,
    ...(contentType === '' ? [] : [`Content-Type: ${contentType}`]),
    ...(status === 405 ? ['Allow: GET,HEAD'] : []),
    `Connection: ${keepsAlive ? 'keep-alive' : 'close'}`,
    'Content-Length: ',
  ];
  return Buffer.from(lines.join('\r\n'));
}
