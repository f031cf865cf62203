/**
 * The values that every protocol of the tracker shares: what a peer asks, and what it is told.
 *
 * Both are objects made once per thread and filled again for each request, over one small buffer each, so that an
 * announce allocates nothing. Sources: BEP 3 (announce), BEP 7 (IPv6), BEP 15 (UDP), BEP 23 (compact peers).
 */

/** What an announce tells about the download; the numbers are those of BEP 15. */
export const AnnounceEvent = { none: 0, completed: 1, started: 2, stopped: 3 } as const;
export type AnnounceEvent = (typeof AnnounceEvent)[keyof typeof AnnounceEvent];

export type AddressFamily = 4 | 6;

/** Bytes of an info hash and of a peer id. */
export const HASH_BYTES = 20;
/** 32-bit words of an info hash and of a peer id. */
export const HASH_WORDS = 5;
/** Bytes of a compact endpoint: address and port, network order (BEP 23, BEP 7). */
export const IPV4_ENDPOINT_BYTES = 6;
export const IPV6_ENDPOINT_BYTES = 18;

/** `numWant` of a request that names none. */
export const NUM_WANT_DEFAULT = -1;

/**
 * An announce request, protocol-independent. Offsets in `bytes` (the same memory seen as `halves` and `words`):
 *
 *   0 info hash (20) | 20 peer id (20) | 40 uploaded (8) | 48 downloaded (8) | 56 left (8) | 64 endpoint (6 or 18)
 *
 * The info hash, the peer id and the endpoint are raw network bytes. A 64-bit counter is two numeric words, high first.
 */
export class AnnounceRequest {
  static readonly INFO_HASH_WORD = 0;
  static readonly PEER_ID_WORD = 5;
  static readonly UPLOADED_WORD = 10;
  static readonly DOWNLOADED_WORD = 12;
  static readonly LEFT_WORD = 14;
  static readonly ENDPOINT_BYTE = 64;
  static readonly ENDPOINT_HALF = 32;
  static readonly ENDPOINT_WORD = 16;

  readonly words = new Int32Array(21);
  readonly halves = new Uint16Array(this.words.buffer);
  readonly bytes = new Uint8Array(this.words.buffer);
  family: AddressFamily = 4;
  event: AnnounceEvent = AnnounceEvent.none;
  /** Peers wanted; negative when the request leaves it to the tracker. */
  numWant: number = NUM_WANT_DEFAULT;
  /** The authentication key that came with the request, `''` when there was none. */
  key = '';

  /** Sets the address and the port that the swarm will tell others. */
  setEndpoint(address: PeerAddress, port: number): void {
    this.family = address.family;
    const words = this.words;
    words[16] = address.words[0];
    let portByte = 68;
    if (address.family === 6) {
      words[17] = address.words[1];
      words[18] = address.words[2];
      words[19] = address.words[3];
      portByte = 80;
    }
    // In network order, as one number: who reads a half of two bytes just written waits for both to reach the cache.
    this.halves[portByte >> 1] = ((port & 0xff) << 8) | (port >>> 8);
  }
}

/**
 * An IP address and the port that a datagram or connection came from. `bytes` holds the address in network order: 4
 * bytes for IPv4, 16 for IPv6. An IPv4-mapped IPv6 address is always held as the IPv4 address it means.
 */
export class PeerAddress {
  readonly words = new Int32Array(4);
  readonly bytes = new Uint8Array(this.words.buffer);
  family: AddressFamily = 4;
  port = 0;

  /** Takes over the address of another, not its port. */
  copyAddress(other: PeerAddress): void {
    this.words.set(other.words);
    this.family = other.family;
  }

  /** Whether the address is of 127.0.0.0/8 or is `::1`. */
  isLoopback(): boolean {
    const bytes = this.bytes;
    if (this.family === 4) return bytes[0] === 127;
    return (
      this.words[0] === 0 &&
      this.words[1] === 0 &&
      this.words[2] === 0 &&
      bytes[12] === 0 &&
      bytes[13] === 0 &&
      bytes[14] === 0 &&
      bytes[15] === 1
    );
  }
}

/** Bits of `AnnounceReply.change`: what an announce changed in the swarm. */
export const SwarmChange = {
  none: 0,
  torrentAdded: 1,
  peerAdded: 2,
  peerRemoved: 4,
  completed: 8,
} as const;

/**
 * What an announce is answered. The caller sets the first group before the call; the store fills the second.
 * Endpoints are written as compact peers from `ipv4Half` and `ipv6Half` of `halves` on; a caller that gives the same
 * index for both gets one family at most (`families`).
 */
export class AnnounceReply {
  /** Where endpoints go, the same memory in two widths: usually the datagram that will be sent. */
  halves: Uint16Array;
  words: Int32Array;
  ipv4Half = 0;
  ipv6Half = 0;
  /** Where peer ids go, five words each, those of the IPv4 peers first; null when nobody wants them. */
  peerIds: Int32Array | null = null;
  /** Which families may be handed out: bit 0 IPv4, bit 1 IPv6. */
  families = 3;
  /** The most peers to hand out. */
  peersWanted = 0;

  seeders = 0;
  leechers = 0;
  /** Downloads completed. */
  completed = 0;
  ipv4Peers = 0;
  ipv6Peers = 0;
  /** Bits of `SwarmChange`. */
  change = 0;
  /** False when the store was full and the announcer was answered without being kept. */
  stored = true;
  /** Bits of `SwarmLimit`: the limits of the store that the announce ran into; it may be kept all the same. */
  beyond = 0;

  constructor(halves: Uint16Array) {
    this.halves = halves;
    this.words = new Int32Array(halves.buffer, halves.byteOffset, halves.length >> 1);
  }

  /** Says that the swarm is empty and that nothing changed. */
  clear(): void {
    this.seeders = 0;
    this.leechers = 0;
    this.completed = 0;
    this.ipv4Peers = 0;
    this.ipv6Peers = 0;
    this.change = SwarmChange.none;
    this.stored = false;
    this.beyond = 0;
  }
}

/** What a scrape tells of one torrent (BEP 15, BEP 48). */
export class ScrapeEntry {
  seeders = 0;
  completed = 0;
  leechers = 0;

  clear(): void {
    this.seeders = 0;
    this.completed = 0;
    this.leechers = 0;
  }
}
