/**
 * The request targets of the HTTP tracker: raw bytes of the target in a request line to a route, the range of the
 * authentication key and the range of the query. Pure, and nothing is allocated.
 *
 *   /announce  /announce/KEY  /scrape  /scrape/KEY  /health_check      each with ?query or without
 *
 * Also in absolute form (RFC 9112, 3.2.2: `http://host/announce?...`), as clients behind a proxy may send it.
 */
import { asciiBytes } from './bencode.ts';
import { NO_QUERY } from './http-query.ts';
import { decodeEscape } from './percent-escape.ts';

export const HttpRoute = { none: 0, announce: 1, scrape: 2, healthCheck: 3 } as const;
export type HttpRoute = (typeof HttpRoute)[keyof typeof HttpRoute];

/** What the path says about an authentication key. A bad one fails the request, in every mode. */
export const PathKey = { absent: 0, wellFormed: 1, malformed: 2 } as const;
export type PathKey = (typeof PathKey)[keyof typeof PathKey];

/** The failure reason of a request whose path has a malformed key. Told only after faults of the query. */
export const MALFORMED_KEY_FAILURE = 'Authentication error: Invalid format for authentication key param.';

/** Characters of an authentication key: ASCII letters and digits. */
const KEY_CHARACTERS = 32;

const PERCENT = 0x25;
const SLASH = 0x2f;
const COLON = 0x3a;
const QUESTION = 0x3f;

const ANNOUNCE = asciiBytes('/announce');
const SCRAPE = asciiBytes('/scrape');
const HEALTH_CHECK = asciiBytes('/health_check');

/** Where the parts of a request target are. Made once per thread and filled again by each `matchRoute`. */
export class HttpTarget {
  route: HttpRoute = HttpRoute.none;
  pathKey: PathKey = PathKey.absent;
  /** The range of the key in the bytes, as sent; empty when there is none. */
  keyStart = 0;
  keyEnd = 0;
  /** The range of the query; `queryStart` is `NO_QUERY` when there is no `?`. */
  queryStart: number = NO_QUERY;
  queryEnd = 0;
}

/** Reads the request target from `start` to `end` of `bytes` into `target`, and returns its route. */
export function matchRoute(bytes: Uint8Array, start: number, end: number, target: HttpTarget): HttpRoute {
  const pathStart = findPath(bytes, start, end);
  let pathEnd = pathStart;
  while (pathEnd < end && bytes[pathEnd] !== QUESTION) pathEnd++;
  target.queryStart = pathEnd < end ? pathEnd + 1 : NO_QUERY;
  target.queryEnd = end;
  target.pathKey = PathKey.absent;
  target.keyStart = target.keyEnd = 0;

  if (startsWith(bytes, pathStart, pathEnd, ANNOUNCE)) {
    target.route = matchKey(bytes, pathStart + ANNOUNCE.length, pathEnd, target)
      ? HttpRoute.announce
      : HttpRoute.none;
  } else if (startsWith(bytes, pathStart, pathEnd, SCRAPE)) {
    target.route = matchKey(bytes, pathStart + SCRAPE.length, pathEnd, target)
      ? HttpRoute.scrape
      : HttpRoute.none;
  } else {
    const isHealthCheck =
      pathEnd - pathStart === HEALTH_CHECK.length && startsWith(bytes, pathStart, pathEnd, HEALTH_CHECK);
    target.route = isHealthCheck ? HttpRoute.healthCheck : HttpRoute.none;
  }
  return target.route;
}

/** The key of a target whose `pathKey` is well-formed, percent-decoded; `''` for any other. */
export function readPathKey(bytes: Uint8Array, target: HttpTarget): string {
  if (target.pathKey !== PathKey.wellFormed) return '';
  let key = '';
  for (let i = target.keyStart; i < target.keyEnd;) {
    const escaped = bytes[i] === PERCENT ? decodeEscape(bytes, i, target.keyEnd) : -1;
    key += String.fromCharCode(escaped >= 0 ? escaped : bytes[i]);
    i += escaped >= 0 ? 3 : 1;
  }
  return key;
}

/** Where the path begins: behind scheme and authority when the target is in absolute form. */
function findPath(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end || bytes[start] === SLASH) return start;
  for (let i = start; i + 2 < end; i++) {
    if (bytes[i] === QUESTION || bytes[i] === SLASH) return start;
    if (bytes[i] !== COLON || bytes[i + 1] !== SLASH || bytes[i + 2] !== SLASH) continue;
    for (let path = i + 3; path < end; path++) {
      if (bytes[path] === SLASH || bytes[path] === QUESTION) return path;
    }
    return end;
  }
  return start;
}

/** Takes in what follows the name of a route: nothing, or a slash and a key that is one non-empty path segment. */
function matchKey(bytes: Uint8Array, start: number, end: number, target: HttpTarget): boolean {
  if (start === end) return true;
  const keyStart = start + 1;
  if (bytes[start] !== SLASH || keyStart === end) return false;
  let characters = 0;
  let alphanumeric = true;
  for (let i = keyStart; i < end;) {
    const byte = bytes[i];
    if (byte === SLASH) return false;
    const escaped = byte === PERCENT ? decodeEscape(bytes, i, end) : -1;
    if (!isAlphanumeric(escaped >= 0 ? escaped : byte)) alphanumeric = false;
    i += escaped >= 0 ? 3 : 1;
    characters++;
  }
  target.keyStart = keyStart;
  target.keyEnd = end;
  target.pathKey = alphanumeric && characters === KEY_CHARACTERS ? PathKey.wellFormed : PathKey.malformed;
  return true;
}

function isAlphanumeric(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a);
}

function startsWith(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}
