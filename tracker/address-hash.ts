/**
 * Keyed hashes of an address and of its network, a /24 of IPv4 or a /64 of IPv6, for every table that is asked about the
 * client of a request. One object for all tables of a thread: the address that was hashed last is not hashed again.
 */
import { randomBytes } from 'node:crypto';
import type { PeerAddress } from './protocol/model.ts';
import { halfSipHash } from './swarm/half-sip-hash.ts';

/** The part of an IPv4 address's word that names its /24, whatever the byte order. */
export const [IPV4_NETWORK_MASK] = new Int32Array(Uint8Array.of(255, 255, 255, 0).buffer);
const IPV6_NETWORK_WORDS = 2;
/** Spreads the bits of an address over those of its network's hash, which nobody outside knows (Knuth's constant). */
const SPREAD = 0x9e3779b1 | 0;

export class AddressHash {
  /** Hashes of the address that was read last, and of its network. */
  address = 0;
  network = 0;
  readonly #keyLow: number;
  readonly #keyHigh: number;
  readonly #last = new Int32Array(4);
  #lastFamily = 0;
  readonly #scratch = new Int32Array(1);

  /** `key`: two words. */
  constructor(key: Int32Array) {
    this.#keyLow = key[0];
    this.#keyHigh = key[1];
  }

  /** Makes a key, so that nobody outside can choose what collides. */
  static createKey(): Int32Array {
    return new Int32Array(new Uint8Array(randomBytes(8)).buffer);
  }

  /** Hashes an address. */
  read({ words, bytes, family }: PeerAddress): void {
    const last = this.#last;
    if (family === 4) {
      const word = words[0];
      if (this.#lastFamily === 4 && last[0] === word) return;
      last[0] = word;
      this.#lastFamily = 4;
      this.#scratch[0] = word & IPV4_NETWORK_MASK;
      this.network = halfSipHash(this.#scratch, 0, 1, this.#keyLow, this.#keyHigh);
      // Addresses of a network differ in their last byte, and then in the last byte of the product, of which tables take
      // the low bits; all others follow from the network's hash.
      this.address = Math.imul(this.network ^ bytes[3], SPREAD);
      return;
    }
    if (
      this.#lastFamily === 6 &&
      last[0] === words[0] &&
      last[1] === words[1] &&
      last[2] === words[2] &&
      last[3] === words[3]
    ) {
      return;
    }
    last.set(words);
    this.#lastFamily = 6;
    this.network = halfSipHash(words, 0, IPV6_NETWORK_WORDS, this.#keyLow, this.#keyHigh);
    this.address = halfSipHash(
      words,
      IPV6_NETWORK_WORDS,
      4 - IPV6_NETWORK_WORDS,
      this.#keyLow ^ this.network,
      this.#keyHigh,
    );
  }
}
