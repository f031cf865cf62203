/**
 * The strict reader of HTTP request heads: what it accepts, what it refuses, and that neither depends on how the bytes
 * come. What could be read in two ways must be refused, because a proxy in front may read it the other way.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  HeadState,
  HttpMethod,
  MAX_HEADER_BYTES,
  readFurther,
  readRequestHead,
  RequestHead,
} from '../../tracker/protocol/http-request.ts';

const MAX_TARGET_BYTES = 100;
/** Room that the reader gives a request line beside the target. */
const LINE_OVERHEAD = 32;

interface Seen {
  readonly method: string;
  readonly target: string;
  readonly keepsAlive: boolean;
  readonly saysClose: boolean;
  readonly isHttp10: boolean;
  readonly forwarded: readonly string[];
  /** What stands behind the head. */
  readonly rest: string;
}

const PLAIN: Seen = {
  method: 'get',
  target: '/',
  keepsAlive: true,
  saysClose: false,
  isHttp10: false,
  forwarded: [],
  rest: '',
};

/** Reads a head that stands in the middle of other bytes, into an object that held another head before. */
function read(text: string, head = usedHead()): HeadState {
  const bytes = Buffer.from(`####${text}\r\n\r\n`, 'latin1');
  return readRequestHead(bytes, 4, 4 + text.length, MAX_TARGET_BYTES, head);
}

/** Reads on in a head of which one byte more is there; the first time, with none. */
function readPiece(text: string, length: number, head: RequestHead): HeadState {
  const bytes = Buffer.from(`####${text.slice(0, length)}\r\n\r\n`, 'latin1');
  return length === 0
    ? readRequestHead(bytes, 4, 4, MAX_TARGET_BYTES, head)
    : readFurther(bytes, 4 + length, MAX_TARGET_BYTES, head);
}

function see(text: string): Seen {
  const head = usedHead();
  assert.equal(read(text, head), HeadState.complete);
  const part = (start: number, end: number) => text.slice(start - 4, end - 4);
  return {
    method: nameOf(HttpMethod, head.method),
    target: part(head.targetStart, head.targetEnd),
    keepsAlive: head.keepsAlive,
    saysClose: head.saysClose,
    isHttp10: head.isHttp10,
    forwarded: Array.from({ length: head.forwardedCount }, (_, i) =>
      part(head.forwarded[2 * i], head.forwarded[2 * i + 1]),
    ),
    rest: part(head.end, 4 + text.length),
  };
}

function usedHead(): RequestHead {
  const head = new RequestHead();
  const other = Buffer.from(
    'HEAD /other HTTP/1.0\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n',
  );
  assert.equal(readRequestHead(other, 0, other.length, MAX_TARGET_BYTES, head), HeadState.complete);
  return head;
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(names).find(([, each]) => each === value)?.[0] ?? `${value}`;
}

/** A request of HTTP/1.1 with a host and these header lines. */
function withHeaders(...lines: readonly string[]): string {
  return `GET / HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
}

const ACCEPTED: Record<string, { readonly text: string; readonly seen: Partial<Seen> }> = {
  'a GET': { text: 'GET /announce?a=b HTTP/1.1\r\nHost: a\r\n\r\n', seen: { target: '/announce?a=b' } },
  'a HEAD': { text: 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', seen: { method: 'head' } },
  'another method': { text: 'PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n', seen: { method: 'other' } },
  'a body of another method': {
    text: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n',
    seen: { method: 'other' },
  },
  'chunks of another method': {
    text: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
    seen: { method: 'other' },
  },
  'a method that begins like GET': { text: 'GETS / HTTP/1.1\r\nHost: a\r\n\r\n', seen: { method: 'other' } },
  'a method in lower case, which is another one': {
    text: 'get / HTTP/1.1\r\nHost: a\r\n\r\n',
    seen: { method: 'other' },
  },
  'a target in absolute form': {
    text: 'GET http://a/announce HTTP/1.1\r\nHost: a\r\n\r\n',
    seen: { target: 'http://a/announce' },
  },
  'a target in absolute form, of an IPv6 host with a port': {
    text: 'GET http://[2001:db8::1]:7070?a=b HTTP/1.1\r\nHost: a\r\n\r\n',
    seen: { target: 'http://[2001:db8::1]:7070?a=b' },
  },
  'a target of a host alone': {
    text: 'GET HTTPS://a HTTP/1.1\r\nHost: a\r\n\r\n',
    seen: { target: 'HTTPS://a' },
  },
  'a target that is everything': {
    text: 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    seen: { method: 'other', target: '*' },
  },
  'the longest target': {
    text: `GET /${'x'.repeat(MAX_TARGET_BYTES - 1)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    seen: { target: `/${'x'.repeat(MAX_TARGET_BYTES - 1)}` },
  },
  'the longest request line': {
    text: `${'M'.repeat(LINE_OVERHEAD - 12)} /${'x'.repeat(MAX_TARGET_BYTES - 1)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    seen: { method: 'other', target: `/${'x'.repeat(MAX_TARGET_BYTES - 1)}` },
  },
  'empty lines before it': { text: '\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', seen: {} },
  'a host without a value': { text: 'GET / HTTP/1.1\r\nHost:\r\n\r\n', seen: {} },
  'a name in any case': { text: 'GET / HTTP/1.1\r\nhOsT: a\r\n\r\n', seen: {} },
  'an empty value, blanks around a value, and bytes beyond ASCII': {
    text: withHeaders('A:', 'B: \t b \t', 'C: \u00e9\u00ff\tc'),
    seen: {},
  },
  'a body of nothing': { text: withHeaders('Content-Length:\t0 '), seen: {} },
  'a request behind it': { text: `${withHeaders()}GET /2`, seen: { rest: 'GET /2' } },

  'HTTP/1.0, which closes': {
    text: 'GET / HTTP/1.0\r\n\r\n',
    seen: { isHttp10: true, keepsAlive: false },
  },
  'HTTP/1.0 that wants something else to stay': {
    text: 'GET / HTTP/1.0\r\nConnection: te, a keep-alive, keep-alive b\r\n\r\n',
    seen: { isHttp10: true, keepsAlive: false },
  },
  'HTTP/1.0 that wants to stay, among other options': {
    text: 'GET / HTTP/1.0\r\nConnection: te , Keep-Alive\t,a\r\n\r\n',
    seen: { isHttp10: true, keepsAlive: true },
  },
  'HTTP/1.0 with a host': {
    text: 'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
    seen: { isHttp10: true, keepsAlive: false },
  },
  'HTTP/1.0 that wants to stay': {
    text: 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    seen: { isHttp10: true, keepsAlive: true },
  },
  'Connection: close': {
    text: withHeaders('Connection: close'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'Connection: CLOSE': {
    text: withHeaders('connection:CLOSE'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'close among other options': {
    text: withHeaders('Connection: te ,\tclose, x'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'a wish for another protocol, behind which it may come': {
    text: withHeaders('Connection: keep-alive, Upgrade', 'Upgrade: h2c'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'close where it is no option by itself': {
    text: withHeaders('Connection: keep-alive, a close b'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'close before keep-alive': {
    text: withHeaders('Connection: close, keep-alive'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'close in one header and keep-alive in the next': {
    text: withHeaders('Connection: close', 'Connection: keep-alive'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'keep-alive before close': {
    text: withHeaders('Connection: keep-alive', 'Connection: close'),
    seen: { keepsAlive: false, saysClose: true },
  },
  'an option that only begins like close': { text: withHeaders('Connection: closed, clos'), seen: {} },
  'a Connection header without options': { text: withHeaders('Connection: , ,'), seen: {} },

  'one X-Forwarded-For': {
    text: withHeaders('X-Forwarded-For:  192.0.2.1, 192.0.2.2 '),
    seen: { forwarded: ['192.0.2.1, 192.0.2.2'] },
  },
  'several X-Forwarded-For, in their order': {
    text: withHeaders('x-forwarded-for: a', 'X-FORWARDED-FOR:', 'X-Forwarded-For: b'),
    seen: { forwarded: ['a', '', 'b'] },
  },
  'as many X-Forwarded-For as are read': {
    text: withHeaders(...Array.from({ length: 16 }, (_, i) => `X-Forwarded-For: ${i}`)),
    seen: { forwarded: Array.from({ length: 16 }, (_, i) => `${i}`) },
  },
};

const BAD: Record<string, string> = {
  'a line that ends in LF alone': 'GET / HTTP/1.1\nHost: a\r\n\r\n',
  'a header that ends in LF alone': 'GET / HTTP/1.1\r\nHost: a\n\r\n',
  'a head that ends in LF alone': 'GET / HTTP/1.1\r\nHost: a\r\n\n',
  'a CR inside a line': 'GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n',
  'two CR before an LF': 'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n',
  'a zero byte in the target': 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n',
  'a zero byte in a value': withHeaders('A: \0'),
  'a vertical tab before a value': withHeaders('Content-Length:\v0'),
  'a DEL in a value': withHeaders('A: \u007f'),

  'a line without a method': ' / HTTP/1.1\r\nHost: a\r\n\r\n',
  'a method that is no token': 'G(T / HTTP/1.1\r\nHost: a\r\n\r\n',
  'a method alone': 'GET\r\nHost: a\r\n\r\n',
  'two spaces before the target': 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
  'two spaces behind the target': 'GET /  HTTP/1.1\r\nHost: a\r\n\r\n',
  'a tab for a space': 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n',
  'a space in the target': 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target beyond ASCII': 'GET /\u00e9 HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target without a slash': 'GET a HTTP/1.1\r\nHost: a\r\n\r\n',
  'a query alone': 'GET ?a=b HTTP/1.1\r\nHost: a\r\n\r\n',
  'more than everything': 'GET *a HTTP/1.1\r\nHost: a\r\n\r\n',
  'a scheme without a host': 'GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n',
  'a scheme with one slash': 'GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n',
  'no scheme': 'GET ://a/b HTTP/1.1\r\nHost: a\r\n\r\n',
  'a host that is none': 'GET http://a{b/c HTTP/1.1\r\nHost: a\r\n\r\n',
  'a user at a host': 'GET http://user@a/b HTTP/1.1\r\nHost: a\r\n\r\n',
  'a host and a port, as for a tunnel': 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n',
  'a request without a version (HTTP/0.9)': 'GET /\r\n\r\n',
  'a space behind the version': 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n',
  'HTTP/1.2': 'GET / HTTP/1.2\r\nHost: a\r\n\r\n',
  'HTTP/2.0': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'HTTP/1.10': 'GET / HTTP/1.10\r\nHost: a\r\n\r\n',
  'HTTP/1.': 'GET / HTTP/1.\r\nHost: a\r\n\r\n',
  'http in lower case': 'GET / http/1.1\r\nHost: a\r\n\r\n',
  'a TLS handshake': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',

  'no host': 'GET / HTTP/1.1\r\nA: b\r\n\r\n',
  'two hosts': 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n',
  'two hosts over HTTP/1.0': 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n',
  'a space before the colon': withHeaders('A : b'),
  'a space before the colon of a length': withHeaders('Content-Length : 5'),
  'a folded line': withHeaders('A: b', ' c'),
  'a folded line with a tab': withHeaders('A: b', '\tc'),
  'a blank before the first header': 'GET / HTTP/1.1\r\n Host: a\r\n\r\n',
  'a header without a colon': withHeaders('A'),
  'a header without a name': withHeaders(': a'),
  'a name that is no token': withHeaders('A(B): c'),
  'a name beyond ASCII': withHeaders('\u00e9: c'),

  'a body': withHeaders('Content-Length: 5'),
  'a body of a strange nothing': withHeaders('Content-Length: 00'),
  'a signed length': withHeaders('Content-Length: +0'),
  'a length without digits': withHeaders('Content-Length:'),
  'a list of lengths': withHeaders('Content-Length: 0, 0'),
  'two lengths': withHeaders('Content-Length: 0', 'Content-Length: 5'),
  'the same length twice': withHeaders('Content-Length: 0', 'content-length: 0'),
  'a chunked body': withHeaders('Transfer-Encoding: chunked'),
  'any transfer encoding': withHeaders('transfer-encoding: identity'),
  'an empty transfer encoding': withHeaders('Transfer-Encoding:'),
  'a chunked body over HTTP/1.0': 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
  'a length and a transfer encoding': withHeaders('Content-Length: 0', 'Transfer-Encoding: chunked'),
  'something expected': withHeaders('Expect: 100-continue'),
  'a length of another method that is none': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n',
  'a length and chunks of another method':
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
  'more X-Forwarded-For than are read': withHeaders(...Array<string>(17).fill('X-Forwarded-For: a')),
};

const TOO_LONG: Record<string, string> = {
  'a target that is a byte too long': `GET /${'x'.repeat(MAX_TARGET_BYTES)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  'a target without an end': `GET ${'x'.repeat(MAX_TARGET_BYTES + LINE_OVERHEAD)}`,
  'a method without an end': 'x'.repeat(MAX_TARGET_BYTES + LINE_OVERHEAD),
  'a method that takes the room of the target': `${'M'.repeat(MAX_TARGET_BYTES + LINE_OVERHEAD - 12)} / HTTP/1.1\r\n`,
};

suite('a request head is read:', () => {
  for (const [title, { text, seen }] of Object.entries(ACCEPTED)) {
    test(title, () => assert.deepEqual(see(text), { ...PLAIN, ...seen }));
  }
});

suite('a request head is refused:', () => {
  for (const [title, text] of Object.entries(BAD)) {
    test(title, () => assert.equal(read(text), HeadState.bad));
  }
});

suite('a request line is refused as too long:', () => {
  for (const [title, text] of Object.entries(TOO_LONG)) {
    test(title, () => assert.equal(read(text), HeadState.targetTooLong));
  }
});

suite('headers are read up to a length in all, and refused beyond it:', () => {
  const begin = 'GET / HTTP/1.1\r\n';
  const rest = 'Host: a\r\nX: \r\n\r\n'.length;
  const cases: Record<string, { text: string; state: HeadState }> = {
    'the most': { text: `${'x'.repeat(MAX_HEADER_BYTES - rest)}\r\n\r\n`, state: HeadState.complete },
    'a byte more': {
      text: `${'x'.repeat(MAX_HEADER_BYTES - rest + 1)}\r\n\r\n`,
      state: HeadState.headersTooLong,
    },
    'one without an end': { text: 'x'.repeat(MAX_HEADER_BYTES), state: HeadState.headersTooLong },
    many: { text: 'y\r\nX: '.repeat(MAX_HEADER_BYTES / 6), state: HeadState.headersTooLong },
  };
  for (const [title, { text, state }] of Object.entries(cases)) {
    test(title, () => {
      const whole = `${begin}Host: a\r\nX: ${text}`;
      assert.equal(read(whole), state);
      // However much of it has come, it is never anything else.
      for (let cut = 0; cut < whole.length; cut += cut < MAX_HEADER_BYTES ? 500 : 1) {
        const early = read(whole.slice(0, cut));
        const isRefused = cut >= begin.length + MAX_HEADER_BYTES && state !== HeadState.complete;
        assert.equal(early, isRefused ? state : HeadState.incomplete, `cut at ${cut}`);
      }
    });
  }
});

test('every cut of a head that is read is incomplete', () => {
  for (const [title, { text, seen }] of Object.entries(ACCEPTED)) {
    const length = text.length - (seen.rest ?? '').length;
    for (let cut = 0; cut < length; cut++) {
      assert.equal(read(text.slice(0, cut)), HeadState.incomplete, `${title}, cut at ${cut}`);
    }
  }
});

test('every cut of a head that is refused is incomplete, until it is refused for the same reason', () => {
  for (const [texts, state] of [
    [BAD, HeadState.bad],
    [TOO_LONG, HeadState.targetTooLong],
  ] as const) {
    for (const [title, text] of Object.entries(texts)) {
      const states = Array.from({ length: text.length + 1 }, (_, cut) => read(text.slice(0, cut)));
      const first = states.indexOf(state);
      assert.ok(first > 0, title);
      states.forEach((each, cut) =>
        assert.equal(each, cut < first ? HeadState.incomplete : state, `${title}, cut at ${cut}`),
      );
    }
  }
});

test('heads one behind the other are read one by one', () => {
  const texts = Object.values(ACCEPTED).map(({ text, seen }) =>
    text.slice(0, text.length - (seen.rest ?? '').length),
  );
  const bytes = Buffer.from(texts.join(''), 'latin1');
  const head = new RequestHead();
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; at = head.end) {
    assert.equal(readRequestHead(bytes, at, bytes.length, MAX_TARGET_BYTES, head), HeadState.complete);
    ends.push(head.end - at);
  }
  assert.deepEqual(
    ends,
    texts.map(({ length }) => length),
  );
});

test('any bytes are judged by the first that decide, and every range lies in the head', () => {
  const part = fc.oneof(
    fc.constantFrom(
      'GET ',
      '/',
      ' HTTP/1.1\r\n',
      '\r\n',
      'Host: a\r\n',
      'Content-Length:',
      ' 0',
      '\r',
      '\n',
      ' ',
    ),
    fc.constantFrom(
      'Connection: close',
      'X-Forwarded-For: 1',
      'Transfer-Encoding',
      ':',
      ',',
      '\t',
      '\0',
      '\u00ff',
    ),
    fc.string({ maxLength: 4, unit: 'binary-ascii' }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 14 }), (parts) => {
      const text = `GET / HTTP/1.1\r\n${parts.join('')}`;
      const head = usedHead();
      const whole = read(text, head);
      if (whole === HeadState.complete) {
        assert.ok(head.targetStart >= 4 && head.targetStart < head.targetEnd && head.targetEnd < head.end);
        assert.ok(head.end <= 4 + text.length);
        for (let i = 0; i < head.forwardedCount; i++) {
          assert.ok(
            head.forwarded[2 * i] <= head.forwarded[2 * i + 1] && head.forwarded[2 * i + 1] < head.end,
          );
        }
      }
      let decided = false;
      const pieces = usedHead();
      for (let cut = 0; cut <= text.length; cut++) {
        const state = read(text.slice(0, cut));
        if (!decided) assert.equal(readPiece(text, cut, pieces), state, `byte by byte, at ${cut}`);
        if (state === HeadState.incomplete) assert.ok(!decided, `undecided again at ${cut}`);
        else {
          assert.equal(state, whole);
          decided = true;
        }
      }
      if (whole === HeadState.complete) assert.deepEqual(pieces, head);
    }),
    { numRuns: 500 },
  );
});
