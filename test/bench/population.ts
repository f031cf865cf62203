/**
 * Who announces what in a benchmark: torrents with a skew, endpoints, leechers. Everything is computed from an index, so
 * that a million torrents need no memory of the load generator.
 */

/** A mix of requests over a population. */
export interface LoadProfile {
  readonly name: string;
  readonly torrents: number;
  /** Peer endpoints, spread evenly over the addresses. */
  readonly endpoints: number;
  /** Source addresses, at least one a socket; a port makes an endpoint of one. */
  readonly addresses: number;
  /** The share of requests that are connects, beside those that are needed. */
  readonly connectShare: number;
  /** The share of the other requests that are scrapes, of `SCRAPE_HASHES` torrents. */
  readonly scrapeShare: number;
  readonly numWant: number;
}

export const SCRAPE_HASHES = 10;

const FIRST = {
  name: '10k torrents',
  torrents: 10_000,
  endpoints: 100_000,
  addresses: 4,
  connectShare: 0,
  scrapeShare: 0.01,
  numWant: 30,
};

/** The profiles, by the name they have on the command line. */
export const PROFILES: Readonly<Record<string, LoadProfile>> = {
  '1': FIRST,
  '2': {
    ...FIRST,
    name: '1M torrents, 2M endpoints',
    torrents: 1_000_000,
    endpoints: 2_000_000,
    // A port has 16 bits, so that so many endpoints need more addresses than there are sockets.
    addresses: 64,
  },
  '3': { ...FIRST, name: 'half of the requests are connects', connectShare: 0.5 },
  '1w': { ...FIRST, name: '10k torrents, peers at 1,024 addresses', addresses: 1024 },
};

/** One of four endpoints still wants something. */
export function isLeecher(endpoint: number): boolean {
  return Math.imul(endpoint, 0x9e3779b1) >>> 30 === 0;
}

/** A torrent, the low ones far more often than the high ones: the cube of a uniform number. */
export function skewedTorrent(random: Random, torrents: number): number {
  const uniform = random.next() / 2 ** 31;
  return Math.floor(torrents * uniform * uniform * uniform);
}

/** Word `i` of the five words of a torrent's info hash. */
export function infoHashWord(torrent: number, i: number): number {
  let x = Math.imul(torrent + 1, 0x9e3779b1) + Math.imul(i + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}

/** The info hash of a torrent as 40 hex digits. */
export function infoHashText(torrent: number): string {
  const words = Int32Array.from({ length: 5 }, (_, i) => infoHashWord(torrent, i));
  return Buffer.from(words.buffer).toString('hex');
}

/** Source address number `index` as a word in network order: 127.b.c.d, none of them 127.0.0.1. */
export function sourceAddressWord(index: number): number {
  const number = index + 0x010001;
  return 127 | ((number >>> 16) << 8) | (((number >>> 8) & 0xff) << 16) | ((number & 0xff) << 24);
}

/** Xorshift (Marsaglia, 2003), 31 bits a number. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** The next number, 0 to 2^31 - 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 1;
  }

  /** The next number below `limit`. */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 31) * limit);
  }
}
