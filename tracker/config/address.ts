/**
 * Addresses as a configuration writes them: sockets (`0.0.0.0:6969`, `[::]:6969`), plain IP addresses and CIDR ranges.
 *
 * The `match...` functions judge text of a user and answer undefined for nonsense; the `parse...` functions are
 * for text that the schema has already accepted.
 */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';

/** Address family by its number, so that `udp${family}` is the name of the socket type. */
export type AddressFamily = 4 | 6;

/** A socket address: `host` without brackets, IPv6 in its shortest form; port 0 lets the kernel choose. */
export interface SocketAddress {
  readonly host: string;
  readonly port: number;
  readonly family: AddressFamily;
}

/** A range of IP addresses: the first `prefixBits` bits of `address` count. */
export interface CidrRange {
  readonly address: string;
  readonly prefixBits: number;
  readonly family: AddressFamily;
}

const socketPattern = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;
const cidrPattern = /^([^/]+)\/(\d{1,3})$/;
const maxPort = 65535;

/** Reads `IP:PORT` or `[IPv6]:PORT`; undefined when the text is anything else (host names are not accepted). */
export function matchSocketAddress(text: string): SocketAddress | undefined {
  const [, bracketed, plain, portText] = socketPattern.exec(text) ?? [];
  const port = Number(portText);
  if (!(port <= maxPort)) return undefined;
  if (bracketed !== undefined && ipFamily(bracketed) === 6) {
    return { host: shortestIpv6(bracketed), port, family: 6 };
  }
  if (plain !== undefined && ipFamily(plain) === 4) return { host: plain, port, family: 4 };
  return undefined;
}

/** As `matchSocketAddress`, for text that is known to be one: anything else is a mistake of ours. */
export function parseSocketAddress(text: string): SocketAddress {
  const address = matchSocketAddress(text);
  assert.ok(address, `${text} is not a socket address`);
  return address;
}

/** Reads `IP/BITS`; undefined when the text is anything else. */
export function matchCidr(text: string): CidrRange | undefined {
  const [, address, bitsText] = cidrPattern.exec(text) ?? [];
  const family = address === undefined ? undefined : ipFamily(address);
  const prefixBits = Number(bitsText);
  if (address === undefined || family === undefined) return undefined;
  if (!(prefixBits <= (family === 4 ? 32 : 128))) return undefined;
  return { address, prefixBits, family };
}

/** As `matchCidr`, for text that is known to be a range. */
export function parseCidr(text: string): CidrRange {
  const range = matchCidr(text);
  assert.ok(range, `${text} is not a CIDR range`);
  return range;
}

/** The family of an IP address without brackets; undefined when it is none. Zones (`%eth0`) are not accepted. */
export function ipFamily(text: string): AddressFamily | undefined {
  if (text.includes('%')) return undefined;
  switch (isIP(text)) {
    case 4:
      return 4;
    case 6:
      return 6;
    default:
      return undefined;
  }
}

/** Tells whether an IP address means "every address": `0.0.0.0` and every spelling of `::`. */
export function isWildcard(ip: string): boolean {
  const family = ipFamily(ip);
  if (family === 6) return shortestIpv6(ip) === '::';
  return family === 4 && ip === '0.0.0.0';
}

/** The URL parser of the platform writes IPv6 in its canonical form (RFC 5952), between brackets. */
function shortestIpv6(ip: string): string {
  return new URL(`http://[${ip}]`).hostname.slice(1, -1);
}
