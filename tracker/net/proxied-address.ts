/**
 * The address of a client behind reverse proxies, from `X-Forwarded-For`. Entries that are not plain IP addresses are
 * passed over, as Torrust Tracker does. Without trusted proxies the right-most entry counts; with them, the right-most
 * one that is not itself a trusted proxy, and only when the connection comes from a trusted one.
 */
import { BlockList } from 'node:net';
import { parseCidr } from '../config/address.ts';
import { PeerAddress } from '../protocol/model.ts';
import { MAX_IPV6_TEXT_BYTES, readIpText, writeIpv4Text, writeIpv6Text } from '../protocol/ip-text.ts';

export class ProxiedAddress {
  /** The address that `resolve` found; its port is that of the connection. */
  readonly address = new PeerAddress();
  readonly #trusted: BlockList | null;
  readonly #text = Buffer.alloc(MAX_IPV6_TEXT_BYTES);

  /** `trustedProxies`: CIDR ranges. */
  constructor(trustedProxies: readonly string[]) {
    this.#trusted = trustedProxies.length === 0 ? null : new BlockList();
    for (const range of trustedProxies) {
      const { address, prefixBits, family } = parseCidr(range);
      this.#trusted?.addSubnet(address, prefixBits, `ipv${family}`);
    }
  }

  /** Finds the client of a connection from `source` with the header's text. False when the header names no address. */
  resolve(source: PeerAddress, forwardedFor: string): boolean {
    const { address } = this;
    address.port = source.port;
    if (this.#trusted !== null && !this.#isTrusted(source)) {
      address.copyAddress(source);
      return true;
    }
    let found = false;
    for (const entry of forwardedFor.split(',').toReversed()) {
      const text = entry.trim();
      const bytes = Buffer.from(text, 'latin1');
      if (!readIpText(bytes, 0, bytes.length, address)) {
        // What stands to the left of it was written by nobody that we trust.
        if (this.#trusted !== null) return false;
        continue;
      }
      found = true;
      if (this.#trusted === null || !this.#isTrusted(address)) return true;
    }
    return found;
  }

  #isTrusted(address: PeerAddress): boolean {
    const write = address.family === 4 ? writeIpv4Text : writeIpv6Text;
    const end = write(this.#text, 0, address.bytes, 0);
    return this.#trusted?.check(this.#text.toString('latin1', 0, end), `ipv${address.family}`) ?? false;
  }
}
