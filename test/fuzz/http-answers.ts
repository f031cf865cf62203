/**
 * An HTTP client that sends bytes in pieces and reads whatever comes back: every answer on the connection, and how it
 * ended.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SocketAddress } from '../../tracker/config/address.ts';

/** One answer; texts are latin1. */
export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly allow: string;
  readonly closes: boolean;
  readonly body: string;
}

const STATE_DEADLINE_MILLIS = 20_000;
const ANSWER_HEAD = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/;
const NO_CHUNKS = '0\r\n\r\n';

/**
 * Sends the pieces one after the other, each when `step` has served the one before, then the end, and resolves with all
 * that came until the server closed.
 */
export async function exchange(
  address: SocketAddress,
  pieces: readonly Uint8Array[],
  step: () => void,
): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: address.port, noDelay: true, allowHalfOpen: true });
  let received = '';
  let isOver = false;
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => (received += text));
  socket.on('end', () => (isOver = true));
  // A server that refuses may reset the connection when more was sent; what it said before has been read.
  socket.on('error', () => (isOver = true));
  socket.on('close', () => (isOver = true));
  try {
    await once(socket, 'connect');
    for (const piece of pieces) {
      if (isOver) break;
      socket.write(piece);
      step();
      await hear();
    }
    if (!isOver) socket.end();
    const deadline = performance.now() + STATE_DEADLINE_MILLIS;
    for (;;) {
      await hear();
      if (isOver) break;
      step();
      assert.ok(
        performance.now() < deadline,
        'the server closes a connection whose client has nothing to say',
      );
    }
    return received;
  } finally {
    socket.destroy();
  }
}

/** Lets the client notice what has come: data in one turn of the event loop, the end behind it in the next. */
async function hear(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await nextTurn();
}

/** Takes the answers of a connection apart. Throws an assertion for anything that is no answer. */
export function readAnswers(text: string): HttpAnswer[] {
  const answers: HttpAnswer[] = [];
  let rest = text;
  while (rest !== '') {
    const match = ANSWER_HEAD.exec(rest);
    assert.ok(match, `an answer begins with ${JSON.stringify(rest.slice(0, 100))}`);
    const [head, status = '', lines = ''] = match;
    const headers = new Map(
      lines
        .split('\r\n')
        .slice(0, -1)
        .map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
        }),
    );
    rest = rest.slice(head.length);
    if (headers.get('transfer-encoding') === 'chunked') {
      // node:http refuses a request without a host with a body of no chunks.
      assert.ok(rest.startsWith(NO_CHUNKS));
      rest = rest.slice(NO_CHUNKS.length);
    }
    const length = Number(headers.get('content-length') ?? 0);
    // The answer to a HEAD request has a length and no body; no body here begins like an answer.
    const hasBody = rest !== '' && !rest.startsWith('HTTP/1.1 ');
    const body = hasBody ? rest.slice(0, length) : '';
    assert.ok(!hasBody || body.length === length, 'a body is whole');
    rest = rest.slice(body.length);
    answers.push({
      status: Number(status),
      type: headers.get('content-type') ?? '',
      allow: headers.get('allow') ?? '',
      closes: headers.get('connection') === 'close',
      body,
    });
  }
  return answers;
}
