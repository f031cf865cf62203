/**
 * The queries of HTTP announces and scrapes: raw bytes of the request target, behind its `?`, to values (BEP 3, 7, 21,
 * 23, 48). Pure, and nothing is allocated for a query that is in order; what is wrong with one is told as the failure
 * reason that goes into the reply. The texts are those of Torrust Tracker 3.0.0, cut where its source positions began.
 *
 * Rules: every piece between `&` has exactly one `=`; names count as sent; of a repeated name an announce takes the
 * first value, a scrape takes every `info_hash`; only info hashes and peer ids are percent-decoded.
 */
import { asciiBytes } from './bencode.ts';
import { AnnounceEvent, AnnounceRequest, HASH_BYTES, HASH_WORDS, NUM_WANT_DEFAULT } from './model.ts';
import { Counter, decodePercent, indexOf, isText, quote, readCounter, readUnsigned } from './query-value.ts';

/** Where a query begins that isn't there: the request target has no `?`. */
export const NO_QUERY = -1;

const ANNOUNCE_FAILURE = 'Cannot parse query params for announce request: ';
const SCRAPE_FAILURE = 'Cannot parse query params for scrape request: ';
const QUERY_FAILURE = 'Cannot parse query params: ';

const AMPERSAND = 0x26;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ZERO = 0x30;
const ONE = 0x31;
const EQUALS = 0x3d;
const QUESTION = 0x3f;
const SPACE = 0x20;

const ABSENT = -1;
const NOT_BAD = -1;
const MAX_U32 = 0xffff_ffff;
const MAX_PORT = 0xffff;
/** More peers than this can't be meant; the cap keeps the field a small integer of the engine. */
const MAX_NUM_WANT = 0x7fff_ffff;

/** The parameters that are read, in the order in which an announce checks them. */
const PARAMETER_NAMES = [
  'info_hash',
  'peer_id',
  'port',
  'downloaded',
  'uploaded',
  'left',
  'event',
  'compact',
  'numwant',
  'ip',
] as const;
type ParameterName = (typeof PARAMETER_NAMES)[number];
const INFO_HASH = 0;
const PEER_ID = 1;
const PORT = 2;
const DOWNLOADED = 3;
const UPLOADED = 4;
const LEFT = 5;
const EVENT = 6;
const COMPACT = 7;
const NUMWANT = 8;
const IP = 9;
const UNKNOWN = -1;
const NAME_BYTES = PARAMETER_NAMES.map(asciiBytes);

const STARTED = asciiBytes('started');
const STOPPED = asciiBytes('stopped');
const COMPLETED = asciiBytes('completed');
const PAUSED = asciiBytes('paused');
const EMPTY = asciiBytes('empty');

/** What an HTTP announce asks. Made once per thread and filled again by each `decodeAnnounceQuery`. */
export class HttpAnnounce {
  /** All but the endpoint and the key: the address is known to the connection only. */
  readonly request = new AnnounceRequest();
  /** 0 to 65535; 0 is accepted over HTTP. */
  port = 0;
  /** Whether the peers are wanted in compact form; a query without `compact` asks for the long form. */
  compact = false;
  /** The range of the raw value of `ip` in the bytes that were read; empty when it is absent or has no value. */
  ipStart = 0;
  ipEnd = 0;

  /** Ranges of the values found: start and end for each of `PARAMETER_NAMES`. */
  readonly ranges = new Int32Array(2 * PARAMETER_NAMES.length);
}

/**
 * The info hashes of a scrape, without duplicates. Made once per thread and filled again by each `decodeScrapeQuery`.
 * `order` gives them ascending by byte, as the reply has to name them.
 */
export class HttpScrape {
  /** The most info hashes that are kept; more are left out of the reply. */
  readonly capacity: number;
  /** Info hashes as they came, five words each; `bytes` is the same memory. */
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** Places in `words`, in units of a hash, by ascending info hash; `count` of them are valid. */
  readonly order: Uint16Array;
  count = 0;

  /** Ranges of the values found, as in `HttpAnnounce`. */
  readonly ranges = new Int32Array(2 * PARAMETER_NAMES.length);

  constructor(capacity: number) {
    this.capacity = capacity;
    // One place more than the capacity: a hash is decoded before it is known whether it is new.
    this.words = new Int32Array((capacity + 1) * HASH_WORDS);
    this.bytes = new Uint8Array(this.words.buffer);
    this.order = new Uint16Array(capacity);
  }
}

/**
 * Reads the query of an announce: `bytes` from `start` (behind the `?`, or `NO_QUERY`) to `end`.
 * Returns null when all is well, else the failure reason, in latin1 characters.
 */
export function decodeAnnounceQuery(
  bytes: Uint8Array,
  start: number,
  end: number,
  announce: HttpAnnounce,
): string | null {
  if (start === NO_QUERY) return `${ANNOUNCE_FAILURE}missing query params for announce request`;
  const ranges = announce.ranges;
  const queryEnd = trimEnd(bytes, start, end);
  const badPiece = splitQuery(bytes, trimStart(bytes, start, queryEnd), queryEnd, ranges);
  if (badPiece !== NOT_BAD) return invalidPiece(bytes, badPiece, queryEnd);

  const request = announce.request;
  const badHash =
    readHash(bytes, ranges, INFO_HASH, request.bytes) ?? readHash(bytes, ranges, PEER_ID, request.bytes);
  if (badHash !== null) return ANNOUNCE_FAILURE + badHash;

  if (ranges[2 * PORT] === ABSENT) return ANNOUNCE_FAILURE + missing(PORT);
  announce.port = readUnsigned(bytes, ranges[2 * PORT], ranges[2 * PORT + 1], MAX_PORT);
  if (announce.port < 0) return invalidValue(bytes, ranges, PORT);

  for (let name = DOWNLOADED; name <= LEFT; name++) {
    const counter = readParameterCounter(bytes, ranges, name, request.words);
    if (counter === Counter.bad) return invalidValue(bytes, ranges, name);
    if (counter === Counter.overflow) return overflowingValue(bytes, ranges, name);
  }

  const event = readEvent(bytes, ranges[2 * EVENT], ranges[2 * EVENT + 1]);
  if (event < 0) return invalidValue(bytes, ranges, EVENT);
  request.event = event as AnnounceEvent; // readEvent gives one of them or a negative number

  const compact = readCompact(bytes, ranges[2 * COMPACT], ranges[2 * COMPACT + 1]);
  if (compact < 0) return invalidValue(bytes, ranges, COMPACT);
  announce.compact = compact === 1;

  if (!readNumWant(bytes, ranges[2 * NUMWANT], ranges[2 * NUMWANT + 1], request)) {
    return invalidValue(bytes, ranges, NUMWANT);
  }

  announce.ipStart = Math.max(ranges[2 * IP], 0);
  announce.ipEnd = Math.max(ranges[2 * IP + 1], 0);
  request.key = '';
  return null;
}

/**
 * Reads the query of a scrape: `bytes` from `start` (behind the `?`, or `NO_QUERY`) to `end`. One bad info hash fails
 * it all, also beyond the capacity. Returns null when all is well, else the failure reason, in latin1 characters.
 */
export function decodeScrapeQuery(
  bytes: Uint8Array,
  start: number,
  end: number,
  scrape: HttpScrape,
): string | null {
  scrape.count = 0;
  if (start === NO_QUERY) return `${SCRAPE_FAILURE}missing query params for scrape request`;
  const ranges = scrape.ranges;
  const queryEnd = trimEnd(bytes, start, end);
  const queryStart = trimStart(bytes, start, queryEnd);
  const badPiece = splitQuery(bytes, queryStart, queryEnd, ranges);
  if (badPiece !== NOT_BAD) return invalidPiece(bytes, badPiece, queryEnd);
  if (ranges[2 * INFO_HASH] === ABSENT) return SCRAPE_FAILURE + missing(INFO_HASH);

  for (let pieceStart = queryStart; pieceStart < queryEnd;) {
    const equals = indexOf(bytes, EQUALS, pieceStart, queryEnd);
    const pieceEnd = indexOf(bytes, AMPERSAND, equals, queryEnd);
    if (parameterIndex(bytes, pieceStart, equals) === INFO_HASH) {
      ranges[2 * INFO_HASH] = equals + 1;
      ranges[2 * INFO_HASH + 1] = pieceEnd;
      const length = decodePercent(
        bytes,
        equals + 1,
        pieceEnd,
        scrape.bytes,
        scrape.count * HASH_BYTES,
        HASH_BYTES,
      );
      if (length !== HASH_BYTES) return SCRAPE_FAILURE + invalidHash(bytes, ranges, INFO_HASH, length);
      keepHash(scrape);
    }
    pieceStart = pieceEnd + 1;
  }
  return null;
}

/** Notes the range of the first value of each known name. Returns where the first bad piece begins, or `NOT_BAD`. */
function splitQuery(bytes: Uint8Array, start: number, end: number, ranges: Int32Array): number {
  // For so few elements a loop is several times faster than `fill`.
  for (let i = 0; i < ranges.length; i++) ranges[i] = ABSENT;
  for (let pieceStart = start; ;) {
    const equals = indexOfSeparator(bytes, pieceStart, end);
    if (equals === end || bytes[equals] !== EQUALS) return pieceStart;
    const pieceEnd = indexOfSeparator(bytes, equals + 1, end);
    if (pieceEnd !== end && bytes[pieceEnd] === EQUALS) return pieceStart;
    noteParameter(bytes, pieceStart, equals, pieceEnd, ranges);
    if (pieceEnd === end) return NOT_BAD;
    pieceStart = pieceEnd + 1;
  }
}

/** Where the next `=` or `&` stands from `start` on; `end` when there is none. */
function indexOfSeparator(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (byte === EQUALS || byte === AMPERSAND) return i;
  }
  return end;
}

/** Keeps the range of a value whose name is known and has come for the first time. */
function noteParameter(
  bytes: Uint8Array,
  start: number,
  equals: number,
  end: number,
  ranges: Int32Array,
): void {
  const name = parameterIndex(bytes, start, equals);
  if (name === UNKNOWN || ranges[2 * name] !== ABSENT) return;
  ranges[2 * name] = equals + 1;
  ranges[2 * name + 1] = end;
}

/** The place of a name in `PARAMETER_NAMES`. Its length and first letter leave one candidate. */
function parameterIndex(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start];
  let candidate = UNKNOWN;
  switch (end - start) {
    case 2:
      candidate = IP;
      break;
    case 4:
      candidate = first === 0x70 ? PORT : LEFT; // p
      break;
    case 5:
      candidate = EVENT;
      break;
    case 7:
      candidate = first === 0x70 ? PEER_ID : first === 0x63 ? COMPACT : NUMWANT; // p, c
      break;
    case 8:
      candidate = UPLOADED;
      break;
    case 9:
      candidate = INFO_HASH;
      break;
    case 10:
      candidate = DOWNLOADED;
      break;
  }
  return candidate !== UNKNOWN && isText(bytes, start, end, NAME_BYTES[candidate]) ? candidate : UNKNOWN;
}

/** Reads the info hash or the peer id of an announce to its place in `out`; null, or what is wrong with it. */
function readHash(bytes: Uint8Array, ranges: Int32Array, name: number, out: Uint8Array): string | null {
  const start = ranges[2 * name];
  if (start === ABSENT) return missing(name);
  const length = decodePercent(bytes, start, ranges[2 * name + 1], out, name * HASH_BYTES, HASH_BYTES);
  return length === HASH_BYTES ? null : invalidHash(bytes, ranges, name, length);
}

/** Reads a byte counter of an announce to its two words; zero when it is absent. */
function readParameterCounter(
  bytes: Uint8Array,
  ranges: Int32Array,
  name: number,
  words: Int32Array,
): Counter {
  const word = counterWord(name);
  const start = ranges[2 * name];
  if (start !== ABSENT) return readCounter(bytes, start, ranges[2 * name + 1], words, word);
  words[word] = 0;
  words[word + 1] = 0;
  return Counter.good;
}

/** The word of `AnnounceRequest` that a byte counter goes to. */
function counterWord(name: number): number {
  if (name === DOWNLOADED) return AnnounceRequest.DOWNLOADED_WORD;
  return name === UPLOADED ? AnnounceRequest.UPLOADED_WORD : AnnounceRequest.LEFT_WORD;
}

/** The event that a value names, negative when it names none. Absent, empty, `empty` and `paused` are no event. */
function readEvent(bytes: Uint8Array, start: number, end: number): number {
  if (start === ABSENT || start === end) return AnnounceEvent.none;
  if (isText(bytes, start, end, STARTED)) return AnnounceEvent.started;
  if (isText(bytes, start, end, STOPPED)) return AnnounceEvent.stopped;
  if (isText(bytes, start, end, COMPLETED)) return AnnounceEvent.completed;
  if (isText(bytes, start, end, PAUSED) || isText(bytes, start, end, EMPTY)) return AnnounceEvent.none;
  return -1;
}

/** 1 or 0, 0 when absent, negative when the value is neither. */
function readCompact(bytes: Uint8Array, start: number, end: number): number {
  if (start === ABSENT) return 0;
  if (end - start !== 1) return -1;
  return bytes[start] === ONE ? 1 : bytes[start] === ZERO ? 0 : -1;
}

/** Sets the peers wanted: none for 0, the tracker's choice when absent or negative. False when it is no number. */
function readNumWant(bytes: Uint8Array, start: number, end: number, request: AnnounceRequest): boolean {
  request.numWant = NUM_WANT_DEFAULT;
  if (start === ABSENT) return true;
  const negative = bytes[start] === MINUS && start < end;
  // A sign is followed by digits, not by another sign.
  if (negative && bytes[start + 1] === PLUS) return false;
  const value = readUnsigned(bytes, negative ? start + 1 : start, end, MAX_U32);
  if (value < 0) return false;
  if (!negative || value === 0) request.numWant = Math.min(value, MAX_NUM_WANT);
  return true;
}

/** Takes in the hash behind the last one kept, unless it is known or there is no room. */
function keepHash(scrape: HttpScrape): void {
  const { order, count } = scrape;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const difference = compareHashes(scrape.bytes, order[middle], count);
    if (difference === 0) return;
    if (difference < 0) low = middle + 1;
    else high = middle;
  }
  if (count === scrape.capacity) return;
  order.copyWithin(low + 1, low, count);
  order[low] = count;
  scrape.count = count + 1;
}

/** Below zero when the hash at place `left` comes before that at `right`, zero when they are equal. */
function compareHashes(bytes: Uint8Array, left: number, right: number): number {
  const first = left * HASH_BYTES;
  const second = right * HASH_BYTES;
  for (let i = 0; i < HASH_BYTES; i++) {
    const difference = bytes[first + i] - bytes[second + i];
    if (difference !== 0) return difference;
  }
  return 0;
}

/** White space around the query, and question marks before it, don't count. */
function trimStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] <= SPACE) at++;
  while (at < end && bytes[at] === QUESTION) at++;
  return at;
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && bytes[at - 1] <= SPACE) at--;
  return at;
}

function invalidPiece(bytes: Uint8Array, start: number, end: number): string {
  return `${QUERY_FAILURE}invalid param ${quote(bytes, start, indexOf(bytes, AMPERSAND, start, end))}`;
}

function missing(name: number): string {
  return `missing param ${PARAMETER_NAMES[name]}`;
}

function invalidValue(bytes: Uint8Array, ranges: Int32Array, name: number): string {
  return `${ANNOUNCE_FAILURE}invalid param value ${quoteValue(bytes, ranges, name)} for ${PARAMETER_NAMES[name]}`;
}

function overflowingValue(bytes: Uint8Array, ranges: Int32Array, name: number): string {
  return `${ANNOUNCE_FAILURE}param value overflow ${quoteValue(bytes, ranges, name)} for ${PARAMETER_NAMES[name]}`;
}

/** The text about an info hash or a peer id of `length` bytes, without its prefix. */
function invalidHash(bytes: Uint8Array, ranges: Int32Array, name: number, length: number): string {
  const parameter: ParameterName = PARAMETER_NAMES[name];
  const noun = parameter === 'info_hash' ? 'infohash' : 'peer id';
  const verdict = length < HASH_BYTES ? 'not enough' : 'too many';
  const value = quoteValue(bytes, ranges, name);
  return `invalid param value ${value} for ${parameter} in ${verdict} bytes for ${noun}: got ${length} bytes, expected ${HASH_BYTES}`;
}

function quoteValue(bytes: Uint8Array, ranges: Int32Array, name: number): string {
  return quote(bytes, ranges[2 * name], ranges[2 * name + 1]);
}
