/**
 * What a probe is pointed at: the announce URL as a user writes it, taken apart.
 *
 *   host:port   udp://host:port[/announce[/KEY]][?...]   http[s]://host[:port][/prefix][/announce[/KEY]][?...]
 */
import { isIPv6 } from 'node:net';

export interface UdpTarget {
  readonly kind: 'udp';
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query, sent as URL data (BEP 41); `''` when the URL has none. */
  readonly urlData: string;
}

export interface HttpTarget {
  readonly kind: 'http';
  readonly secure: boolean;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Paths with the key, if there is one. */
  readonly announcePath: string;
  readonly scrapePath: string;
  /** The query of the URL, to which the parameters are added; `''` when there is none. */
  readonly query: string;
}

export type TrackerTarget = UdpTarget | HttpTarget;
export type ParsedTarget = TrackerTarget | { readonly kind: 'bad'; readonly reason: string };

/** Reads an announce URL, and puts `key` into it unless it is `''`. Never throws; the reason doesn't repeat the URL. */
export function parseTrackerUrl(text: string, key: string): ParsedTarget {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  const url = URL.parse(hasScheme ? text : `udp://${text}`);
  if (url === null || url.hostname === '') return { kind: 'bad', reason: 'not a URL of a tracker' };
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const keySegment = key === '' ? '' : `/${encodeURIComponent(key)}`;
  if (url.protocol === 'udp:') {
    if (url.port === '' || url.port === '0')
      return { kind: 'bad', reason: 'the URL of a UDP tracker needs a port' };
    const given = url.pathname === '/' ? '' : url.pathname;
    const urlData = keySegment === '' ? given + url.search : `/announce${keySegment}${url.search}`;
    return { kind: 'udp', host, port: Number(url.port), urlData };
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') {
    const secure = url.protocol === 'https:';
    const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
    if (port === 0) return { kind: 'bad', reason: 'nobody can be reached at port 0' };
    const { prefix, rest } = splitPath(url.pathname);
    const tail = keySegment === '' ? rest : keySegment;
    const announcePath = `${prefix}/announce${tail}`;
    return {
      kind: 'http',
      secure,
      host,
      port,
      announcePath,
      scrapePath: `${prefix}/scrape${tail}`,
      query: url.search.slice(1),
    };
  }
  return { kind: 'bad', reason: `${url.protocol.slice(0, -1)} is none of udp, http and https` };
}

/** Scheme, host and port for people; never a path, which may hold a key. */
export function displayUrl(target: TrackerTarget): string {
  const host = isIPv6(target.host) ? `[${target.host}]` : target.host;
  if (target.kind === 'udp') return `udp://${host}:${target.port}`;
  return new URL(`${target.secure ? 'https' : 'http'}://${host}:${target.port}/`).href;
}

/** The 20 bytes of an info hash in 40 hexadecimal digits; null for anything else. */
export function parseInfoHash(text: string): Uint8Array | null {
  return /^[0-9a-f]{40}$/i.test(text) ? Uint8Array.from(Buffer.from(text, 'hex')) : null;
}

/** What stands before `/announce` (or `/scrape`), and the segment behind it, which is the key. */
function splitPath(path: string): { prefix: string; rest: string } {
  const match = /^(.*)\/(?:announce|scrape)(\/[^/]+)?\/?$/.exec(path);
  if (match === null) return { prefix: path.replace(/\/+$/, ''), rest: '' };
  return { prefix: match[1] ?? '', rest: match[2] ?? '' };
}
