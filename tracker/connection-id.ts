/**
 * Connection ids of the UDP tracker (BEP 15): what proves that a client receives at the address it sends from. Eight
 * bytes that need no memory of the client:
 *
 *   0 time slot (2)   2 tag of the slot (2)   4 MAC over slot, address and port (4)
 *
 * A slot is two seconds. Tag and MAC are SipHash-2-4 under a key of `connection-keys.ts`. The MAC alone decides for an
 * id that is valid; the tag tells an id that we gave to another address from one that we never gave. A bare MAC would
 * have to be computed for every slot of the lifetime.
 */
import type { ConnectionKeys } from './connection-keys.ts';
import type { PeerAddress } from './protocol/model.ts';
import { sipHash24 } from './sip-hash.ts';

const SLOT_SECONDS = 2;
/** Clocks of replicas differ: an id of the next slot is as good as one of this. */
const SKEW_SLOTS = 1;

export const IdState = { valid: 0, expired: 1, otherAddress: 2, forged: 3 } as const;
export type IdState = (typeof IdState)[keyof typeof IdState];

/** Issues and verifies ids. Holds scratch space, so each thread has its own. */
export class ConnectionIds {
  readonly #shared: ConnectionKeys;
  #version = -1;
  #keys: readonly Int32Array[] = [];
  readonly #message = new Int32Array(6);
  readonly #mac = new Int32Array(2);
  #slot = 0;
  /** The tag of `#slot` under the signing key. */
  #slotTag = 0;

  /** The id that `issue` made last. */
  high = 0;
  low = 0;
  /** The age of the id that `verify` saw last. */
  ageSeconds = 0;

  constructor(keys: ConnectionKeys) {
    this.#shared = keys;
  }

  /** Sets the time, in seconds since 1970, and takes over changed keys. The owner calls it once for each batch. */
  readClock(wallSeconds: number): void {
    const slot = Math.floor(wallSeconds / SLOT_SECONDS);
    if (slot === this.#slot && this.#version === this.#shared.version) return;
    this.#version = this.#shared.version;
    this.#keys = this.#shared.read();
    this.#slot = slot;
    this.#slotTag = this.#tag(this.#keys[0], slot);
  }

  /** Makes an id for an address and its port: `high` and `low`. */
  issue(source: PeerAddress): void {
    this.high = (this.#slot << 16) | this.#slotTag;
    this.low = this.#addressMac(this.#keys[0], this.#slot, source);
  }

  /** Judges the id that came from an address and its port. `lifetimeSeconds` is how long ids are good. */
  verify(high: number, low: number, source: PeerAddress, lifetimeSeconds: number): IdState {
    // The distance from now in slots, as a signed 16-bit number.
    const age = ((this.#slot - (high >>> 16)) << 16) >> 16;
    const slot = this.#slot - age;
    this.ageSeconds = age * SLOT_SECONDS;
    for (const key of this.#keys) {
      if (this.#addressMac(key, slot, source) !== low) continue;
      if (age < -SKEW_SLOTS) return IdState.forged;
      return age * SLOT_SECONDS <= lifetimeSeconds ? IdState.valid : IdState.expired;
    }
    const tag = high & 0xffff;
    return this.#keys.some((key) => this.#tag(key, slot) === tag) ? IdState.otherAddress : IdState.forged;
  }

  #addressMac(key: Int32Array, slot: number, source: PeerAddress): number {
    const message = this.#message;
    message[0] = slot;
    message[1] = source.port;
    message[2] = source.words[0];
    let count = 3;
    if (source.family === 6) {
      message[3] = source.words[1];
      message[4] = source.words[2];
      message[5] = source.words[3];
      count = 6;
    }
    sipHash24(key, message, count, this.#mac);
    return this.#mac[0];
  }

  /** 16 bits that only the holder of the key can give to a slot. */
  #tag(key: Int32Array, slot: number): number {
    this.#message[0] = slot;
    sipHash24(key, this.#message, 1, this.#mac);
    return this.#mac[0] & 0xffff;
  }
}
