/**
 * A strict reader of HTTP/1.x request heads (RFC 9112), for GET and HEAD without a body: bytes in, positions out, nothing
 * allocated. What could mean one thing to us and another to a proxy in front of us is refused, so that no request can be
 * smuggled: bare line feeds, folded lines, spaces before a colon, several hosts or lengths, any body of a GET or HEAD.
 * Other methods, which are not served, may have one: the connection ends with the answer that says so.
 */
import { asciiBytes } from './bencode.ts';

/** What came of reading: the whole head is there, or more bytes are needed, or the connection must be refused. */
export const HeadState = { complete: 0, incomplete: 1, bad: 2, targetTooLong: 3, headersTooLong: 4 } as const;
export type HeadState = (typeof HeadState)[keyof typeof HeadState];

export const HttpMethod = { get: 0, head: 1, other: 2 } as const;
export type HttpMethod = (typeof HttpMethod)[keyof typeof HttpMethod];

/** Room in a request line beside the target: a method, the spaces around the target, the version and the line's end. */
export const MAX_LINE_OVERHEAD = 32;
/** The most bytes between the request line and the end of the head. */
export const MAX_HEADER_BYTES = 16_384;
/** More `X-Forwarded-For` lines are refused. */
const MAX_FORWARDED = 16;

/** Where the parts of a request head are. Made once per thread and filled again by each `readRequestHead`. */
export class RequestHead {
  method: HttpMethod = HttpMethod.other;
  targetStart = 0;
  targetEnd = 0;
  /** Whether the client expects the connection to stay open after the reply. */
  keepsAlive = false;
  /** Whether the client said what ends the connection (`close`, `upgrade`), which no other header takes back. */
  saysClose = false;
  /** Whether it is a request of HTTP/1.0, whose connections close unless both sides say otherwise. */
  isHttp10 = false;
  /** Behind the empty line that ends the head. */
  end = 0;
  /** The ranges of the `X-Forwarded-For` values, start and end in turn; `forwardedCount` of them. */
  readonly forwarded = new Int32Array(2 * MAX_FORWARDED);
  forwardedCount = 0;

  /** How far an incomplete head was read: where the line begins that is not all there, and up to where it holds no end. */
  lineStart = 0;
  scanned = 0;
  /** Behind the request line; 0 while that is not there. */
  headersStart = 0;
  hosts = 0;
  lengths = 0;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const ASTERISK = 0x2a;
const SLASH = 0x2f;
const COLON = 0x3a;
const QUESTION = 0x3f;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;

const GET = asciiBytes('GET ');
const HEAD = asciiBytes('HEAD ');
const VERSION = asciiBytes('HTTP/1.');
const AUTHORITY = asciiBytes('://');
const CONNECTION = asciiBytes('connection');
const CONTENT_LENGTH = asciiBytes('content-length');
const TRANSFER_ENCODING = asciiBytes('transfer-encoding');
const FORWARDED_FOR = asciiBytes('x-forwarded-for');
const HOST = asciiBytes('host');
const EXPECT = asciiBytes('expect');
const CLOSE = asciiBytes('close');
const UPGRADE = asciiBytes('upgrade');
const KEEP_ALIVE = asciiBytes('keep-alive');

const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** 1 for the bytes of a token (RFC 9110, 5.6.2). */
const IS_TOKEN = markBytes(`!#$%&'*+-.^_\`|~${ALPHANUMERIC}`);
/** 1 for the bytes of a host, name or address, and its port. */
const IS_HOST = markBytes(`-._~:[]${ALPHANUMERIC}`);

/**
 * Reads the head that begins at `start` of `bytes`, of which those before `end` are there. What comes of a head depends
 * on its bytes alone, not on how many of them came at a time: more bytes turn `incomplete` into something else, and
 * nothing else into anything.
 */
export function readRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxTargetBytes: number,
  head: RequestHead,
): HeadState {
  head.lineStart = start;
  head.scanned = start;
  head.headersStart = 0;
  head.forwardedCount = 0;
  head.hosts = 0;
  head.lengths = 0;
  return readFurther(bytes, end, maxTargetBytes, head);
}

/**
 * Reads on where a look at fewer of the same bytes, at the same place, found the head incomplete. Bytes that come one by
 * one cost no more than all at once.
 */
export function readFurther(
  bytes: Uint8Array,
  end: number,
  maxTargetBytes: number,
  head: RequestHead,
): HeadState {
  let at = head.lineStart;
  if (head.headersStart === 0) {
    // An empty line before a request is to be ignored (RFC 9112, 2.2).
    while (at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) at += 2;
    head.lineStart = at;
    const limit = at + maxTargetBytes + MAX_LINE_OVERHEAD;
    const lineEnd = findRestOfLine(bytes, end, limit, head);
    if (lineEnd === BAD_LINE) return HeadState.bad;
    if (lineEnd === MORE) return end >= limit ? HeadState.targetTooLong : HeadState.incomplete;
    const line = readRequestLine(bytes, at, lineEnd, maxTargetBytes, head);
    if (line !== HeadState.complete) return line;
    at = lineEnd + 2;
    head.headersStart = at;
  }
  const limit = head.headersStart + MAX_HEADER_BYTES;
  for (;;) {
    head.lineStart = at;
    const headerEnd = findRestOfLine(bytes, end, limit, head);
    if (headerEnd === BAD_LINE) return HeadState.bad;
    if (headerEnd === MORE) return end >= limit ? HeadState.headersTooLong : HeadState.incomplete;
    if (headerEnd === at) {
      head.end = at + 2;
      // HTTP/1.1 demands one host; none or several are two meanings.
      return head.hosts === 1 || (head.isHttp10 && head.hosts === 0) ? HeadState.complete : HeadState.bad;
    }
    let colon = at;
    while (colon < headerEnd && IS_TOKEN[bytes[colon]] === 1) colon++;
    if (colon === at || colon === headerEnd || bytes[colon] !== COLON) return HeadState.bad;
    if (!readHeader(bytes, at, colon, headerEnd, head)) return HeadState.bad;
    if (isName(bytes, at, colon, HOST)) head.hosts++;
    // Two lengths are two meanings, even when both say that there is no body.
    if (isName(bytes, at, colon, CONTENT_LENGTH) || isName(bytes, at, colon, TRANSFER_ENCODING)) {
      if (++head.lengths > 1) return HeadState.bad;
    }
    at = headerEnd + 2;
  }
}

/** The values of the `X-Forwarded-For` headers of a head that was read, joined by commas. */
export function readForwardedFor(bytes: Uint8Array, { forwarded, forwardedCount }: RequestHead): string {
  if (forwardedCount === 0) return '';
  const values = Array.from({ length: forwardedCount }, (_, i) =>
    Buffer.from(bytes.subarray(forwarded[2 * i], forwarded[2 * i + 1])).toString('latin1'),
  );
  return values.join(',');
}

/** The end of the line at hand, as `findLineEnd`, from where it was not looked for yet, before `end` and `limit`. */
function findRestOfLine(bytes: Uint8Array, end: number, limit: number, head: RequestHead): number {
  const last = Math.min(end, limit);
  const lineEnd = findLineEnd(bytes, Math.max(head.lineStart, head.scanned), last);
  // The last byte may be the first half of the end.
  head.scanned = lineEnd === MORE ? last - 1 : head.lineStart;
  return lineEnd;
}

const MORE = -1;
const BAD_LINE = -2;

/** Where the CR of the line's end is; `MORE` when it has not come, `BAD_LINE` for control bytes in the line. */
function findLineEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (byte >= SPACE ? byte !== 0x7f : byte === TAB) continue;
    if (byte !== CR) return BAD_LINE;
    if (i + 1 === end) return MORE;
    return bytes[i + 1] === LF ? i : BAD_LINE;
  }
  return MORE;
}

function readRequestLine(
  bytes: Uint8Array,
  start: number,
  lineEnd: number,
  maxTargetBytes: number,
  head: RequestHead,
): HeadState {
  let at = start;
  while (at < lineEnd && IS_TOKEN[bytes[at]] === 1) at++;
  if (at === start || bytes[at] !== SPACE) return HeadState.bad;
  head.method = startsWith(bytes, start, lineEnd, GET)
    ? HttpMethod.get
    : startsWith(bytes, start, lineEnd, HEAD)
      ? HttpMethod.head
      : HttpMethod.other;
  head.targetStart = ++at;
  while (at < lineEnd && bytes[at] > SPACE && bytes[at] < 0x7f) at++;
  head.targetEnd = at;
  if (at === head.targetStart || bytes[at] !== SPACE) return HeadState.bad;
  if (!hasTargetForm(bytes, head.targetStart, at)) return HeadState.bad;
  if (at - head.targetStart > maxTargetBytes) return HeadState.targetTooLong;
  const version = at + 1;
  if (lineEnd - version !== VERSION.length + 1 || !startsWith(bytes, version, lineEnd, VERSION))
    return HeadState.bad;
  const minor = bytes[lineEnd - 1] - ZERO;
  if (minor !== 0 && minor !== 1) return HeadState.bad;
  head.isHttp10 = minor === 0;
  head.keepsAlive = !head.isHttp10;
  head.saysClose = false;
  return HeadState.complete;
}

/**
 * Whether a target is in origin form (`/path`), in asterisk form, or in absolute form (`http://host/path`; RFC 9112, 3.2).
 * The form of a tunnel (`host:port`) is none that we could serve.
 */
function hasTargetForm(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start];
  if (first === SLASH) return true;
  if (first === ASTERISK) return end - start === 1;
  let at = start;
  while (at < end && isLetter(bytes[at])) at++;
  if (at === start || !startsWith(bytes, at, end, AUTHORITY)) return false;
  const host = at + AUTHORITY.length;
  at = host;
  while (at < end && IS_HOST[bytes[at]] === 1) at++;
  return at > host && (at === end || bytes[at] === SLASH || bytes[at] === QUESTION);
}

/** Takes in a header that matters. False when the request must be refused for it. */
function readHeader(
  bytes: Uint8Array,
  start: number,
  colon: number,
  end: number,
  head: RequestHead,
): boolean {
  let from = colon + 1;
  while (from < end && isBlank(bytes[from])) from++;
  let to = end;
  while (to > from && isBlank(bytes[to - 1])) to--;
  switch (colon - start) {
    case CONNECTION.length:
      if (isName(bytes, start, colon, CONNECTION)) readConnection(bytes, from, to, head);
      return true;
    case CONTENT_LENGTH.length:
      return !isName(bytes, start, colon, CONTENT_LENGTH) || isLength(bytes, from, to, head.method);
    case TRANSFER_ENCODING.length:
      return head.method === HttpMethod.other || !isName(bytes, start, colon, TRANSFER_ENCODING);
    case EXPECT.length:
      return !isName(bytes, start, colon, EXPECT);
    case FORWARDED_FOR.length:
      return !isName(bytes, start, colon, FORWARDED_FOR) || noteForwarded(head, from, to);
    default:
      return true;
  }
}

/** Whether a length is one that a request may have: of a GET or HEAD only that of nothing, which is no body. */
function isLength(bytes: Uint8Array, start: number, end: number, method: HttpMethod): boolean {
  if (method !== HttpMethod.other) return end - start === 1 && bytes[start] === ZERO;
  for (let i = start; i < end; i++) if (bytes[i] < ZERO || bytes[i] > NINE) return false;
  return end > start;
}

/**
 * Reads the options of a `Connection` header. What ends the connection counts wherever it stands, what keeps it only
 * where it is an option by itself.
 */
function readConnection(bytes: Uint8Array, start: number, end: number, head: RequestHead): void {
  for (let at = start; at < end; at++) {
    let words = 0;
    let keepsAlive = false;
    while (at < end && bytes[at] !== COMMA) {
      if (isBlank(bytes[at])) {
        at++;
        continue;
      }
      const word = at;
      while (at < end && bytes[at] !== COMMA && !isBlank(bytes[at])) at++;
      words++;
      // Behind a request to upgrade may come bytes of another protocol, which no reader of this one should see.
      if (isName(bytes, word, at, CLOSE) || isName(bytes, word, at, UPGRADE)) head.saysClose = true;
      else if (isName(bytes, word, at, KEEP_ALIVE)) keepsAlive = true;
    }
    if (keepsAlive && words === 1) head.keepsAlive = true;
  }
  if (head.saysClose) head.keepsAlive = false;
}

function noteForwarded(head: RequestHead, start: number, end: number): boolean {
  if (head.forwardedCount === MAX_FORWARDED) return false;
  head.forwarded[2 * head.forwardedCount] = start;
  head.forwarded[2 * head.forwardedCount + 1] = end;
  head.forwardedCount++;
  return true;
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** Whether the bytes are a name, whatever their case; `name` is in lower case. */
function isName(bytes: Uint8Array, start: number, end: number, name: Uint8Array): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i];
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name[i]) return false;
  }
  return true;
}

function startsWith(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}

function markBytes(characters: string): Uint8Array {
  const marks = new Uint8Array(256);
  for (const character of characters) marks[character.charCodeAt(0)] = 1;
  return marks;
}
