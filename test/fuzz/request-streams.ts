/**
 * What a client may send over one HTTP connection: one request or several, most of them in order, many with something
 * that two readers could understand differently, some changed at random.
 *
 * No request changes the tracker when it is private and has no keys, and most replies repeat something of their request.
 * So the same bytes have the same answers each time, and an answer tells which request it is for.
 */
import { readFileSync } from 'node:fs';
import { mutate, type Random } from './random.ts';

export interface RequestStream {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Streams of the corpus, each of them a list of latin1 texts. */
export const CORPUS: readonly RequestStream[] = readCorpus();

const METHODS = [
  'HEAD',
  'POST',
  'OPTIONS',
  'CONNECT',
  'PROPFIND',
  'GETS',
  'get',
  'BREW',
  'G ET',
  'G\tET',
  '',
];
const VERSIONS = [
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/1.10',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/1.',
  'XTTP/1.1',
  '',
];
const LINE_ENDS = ['\n', '\r', '\r\r\n', '\n\r\n', ' \r\n', '\0\r\n', '\r\n '];
/** What may stand behind a head that says nothing of a body. */
const BODIES = [
  '\r\n',
  '\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  'hello',
  'GET /health_check HTTP/1.1\r\nHost: x\r\n\r\n',
];

const HARMLESS_HEADERS = [
  'User-Agent: Transmission/3.00',
  'Accept: */*',
  'Accept-Encoding: gzip, deflate',
  'Connection: keep-alive',
  'Connection: Keep-Alive, TE',
  'Content-Length: 0',
  'Cookie: a=b; c="d"',
  'X-Empty:',
  'X-Text: \u00e9\u00ff\t"',
  'Upgrade-Insecure-Requests: 1',
];
const HEADERS = [
  'Connection: close',
  'Connection: close, keep-alive',
  'connection:CLOSE',
  'Connection: upgrade',
  'Upgrade: h2c',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
  'Keep-Alive: timeout=1',
  'Content-Length: 5',
  'Content-Length: 00',
  'Content-Length: +0',
  'Content-Length: -1',
  'Content-Length: 0, 0',
  'Content-Length: 0x5',
  'Content-Length : 5',
  'Content-Length:\v5',
  'Content-Length:',
  'Content_Length: 5',
  'content-length: 4294967296',
  'Content-Length: 18446744073709551616',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer_Encoding: chunked',
  'X: y\r\n z',
  ' X: y',
  '\tX: y',
  'X',
  ': y',
  'X Y: z',
  'X(): y',
  'X: \0',
  'X: \u007f',
  'X: a\rb',
  '\u00e9: y',
  'Expect: 100-continue',
  'Expect: something',
  'Host: x',
  'Host : x',
  'Trailer: X',
  'TE: trailers',
  'X-Forwarded-For: 192.0.2.1, 2001:db8::1',
  'X-Forwarded-For: 192.0.2.2 ,bad',
  'x-forwarded-for:',
  'X-Forwarded-For: [::1]:80',
];
const PIECES = [
  ...HEADERS,
  ...BODIES,
  ...LINE_ENDS,
  '\r\n\r\n',
  'GET ',
  ' HTTP/1.1\r\n',
  '%00',
  '&',
  '?',
].map((text) => Buffer.from(text, 'latin1'));
const MAX_STREAM_BYTES = 100_000;

/** A stream of the generator's own making or a changed one of the corpus. */
export function makeStream(random: Random): RequestStream {
  const isOfCorpus = random.oneIn(8);
  const { bytes } = isOfCorpus ? random.pick(CORPUS) : { bytes: Buffer.from(makeRequests(random), 'latin1') };
  const isChanged = isOfCorpus || random.oneIn(3);
  return {
    name: `a ${isChanged ? 'changed' : 'made'} stream`,
    bytes: isChanged ? mutate(random, bytes, PIECES, MAX_STREAM_BYTES) : bytes,
  };
}

/** Cuts bytes into pieces, in one of several ways. */
export function cutStream(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  const step = random.pick([1, 3, 40, 400]);
  // Long streams in tiny pieces would take all the time.
  const most = Math.max(step, Math.ceil(bytes.length / 200));
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(most);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

function makeRequests(random: Random): string {
  let text = '';
  for (let requests = 1 + random.below(4); requests > 0; requests--) {
    text += random.oneIn(12) ? '\r\n' : '';
    text += makeRequest(random);
    text += random.oneIn(12) ? random.pick(BODIES) : '';
  }
  return text;
}

function makeRequest(random: Random): string {
  const end = () => (random.oneIn(150) ? random.pick(LINE_ENDS) : '\r\n');
  const method = random.oneIn(12) ? random.pick(METHODS) : 'GET';
  const version = random.oneIn(25) ? random.pick(VERSIONS) : 'HTTP/1.1';
  const space = random.oneIn(100) ? '  ' : ' ';
  let text = `${method}${space}${makeTarget(random)} ${version}${end()}`;
  const headers = random.oneIn(40) ? [] : ['Host: tracker.example'];
  for (let more = random.below(4); more > 0; more--) {
    headers.push(random.pick(random.oneIn(4) ? HEADERS : HARMLESS_HEADERS));
  }
  if (random.oneIn(60)) headers.push(`X-Long: ${'x'.repeat(random.below(17_000))}`);
  if (random.oneIn(2)) headers.reverse();
  for (const header of headers) text += header + end();
  return text + end();
}

function makeTarget(random: Random): string {
  const hash = random.bytes(20).toString('hex').replaceAll(/../g, '%$&');
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
      return `/scrape?info_hash=${hash}`;
    case 3:
    case 4:
      return `/announce?info_hash=${hash}&peer_id=-TT0001-000000000001&port=${random.below(100_000)}x`;
    case 5:
      return `/announce/${random.bytes(16).toString('hex')}?info_hash=${hash}&peer_id=-TT0001-000000000001&port=1`;
    case 6:
      return `http://tracker.example/scrape?info_hash=${hash}`;
    case 7:
      return '/health_check';
    case 8:
      return random.pick([
        '/',
        '*',
        '/announces',
        '/scrape',
        '/announce?',
        '?',
        'tracker.example:80',
        '/#',
        '//announce',
      ]);
    default:
      return random.oneIn(6)
        ? `/announce?${'x'.repeat(random.oneIn(2) ? 65_522 + random.below(4) : random.below(80_000))}`
        : `/announce?q=${random.bytes(random.below(12)).toString('latin1')}`;
  }
}

function readCorpus(): RequestStream[] {
  const text = readFileSync(new URL('./corpus/request-streams.json', import.meta.url), 'utf8');
  // The file is ours; each entry is a name and the texts that a client sends one after the other.
  const entries = JSON.parse(text) as Record<string, string[]>;
  return Object.entries(entries).map(([name, texts]) => ({
    name,
    bytes: Buffer.from(texts.join(''), 'latin1'),
  }));
}
