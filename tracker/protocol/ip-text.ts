/**
 * IP addresses as text in raw bytes: dotted decimals for IPv4, the canonical form of RFC 5952 for IPv6. Pure, and
 * nothing is allocated. Readers take what the Rust standard library takes, so that the same headers and parameters
 * are understood as by Torrust Tracker.
 */
import { writeDecimal } from './bencode.ts';
import type { PeerAddress } from './model.ts';
import { hexDigit } from './percent-escape.ts';

/** Bytes that the longest IPv6 address takes as text; an IPv4 address takes less. */
export const MAX_IPV6_TEXT_BYTES = 39;

const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const IPV6_GROUPS = 8;

/** The address under construction; reading is synchronous, so one will do. */
const groups = new Uint16Array(IPV6_GROUPS);
const quad = new Uint8Array(4);

/** Writes the IPv4 address of 4 bytes at `offset` of `address` as text. Returns the offset behind it in `out`. */
export function writeIpv4Text(out: Uint8Array, at: number, address: Uint8Array, offset: number): number {
  let end = writeDecimal(out, at, address[offset]);
  for (let i = 1; i < 4; i++) {
    out[end] = DOT;
    end = writeDecimal(out, end + 1, address[offset + i]);
  }
  return end;
}

/** Writes the IPv6 address of 16 bytes at `offset` of `address` as text. Returns the offset behind it in `out`. */
export function writeIpv6Text(out: Uint8Array, at: number, address: Uint8Array, offset: number): number {
  // The first of the longest runs of zero groups is shortened, if it has two groups or more.
  let runStart = -1;
  let runLength = 1;
  for (let i = 0; i < IPV6_GROUPS;) {
    let next = i;
    while (next < IPV6_GROUPS && groupAt(address, offset, next) === 0) next++;
    if (next - i > runLength) {
      runStart = i;
      runLength = next - i;
    }
    i = next + 1;
  }
  let end = at;
  for (let i = 0; i < IPV6_GROUPS;) {
    if (i === runStart) {
      out[end++] = COLON;
      out[end++] = COLON;
      i += runLength;
      continue;
    }
    if (i > 0 && i !== runStart + runLength) out[end++] = COLON;
    end = writeHex(out, end, groupAt(address, offset, i));
    i++;
  }
  return end;
}

/** The address as text; for what happens seldom. */
export function formatIp({ bytes, family }: PeerAddress): string {
  const text = Buffer.alloc(MAX_IPV6_TEXT_BYTES);
  const end = (family === 4 ? writeIpv4Text : writeIpv6Text)(text, 0, bytes, 0);
  return text.toString('latin1', 0, end);
}

/**
 * Reads an address, and nothing but an address, from `start` to `end` of `bytes`. An IPv4-mapped IPv6 address becomes
 * the IPv4 address it means; the port of `address` stays. Returns false, with `address` as it was, for anything else:
 * names, brackets, ports, zones, leading zeros of a decimal.
 */
export function readIpText(bytes: Uint8Array, start: number, end: number, address: PeerAddress): boolean {
  if (readQuad(bytes, start, end)) {
    address.family = 4;
    address.words.fill(0);
    address.bytes.set(quad);
    return true;
  }
  if (!readGroups(bytes, start, end)) return false;
  address.words.fill(0);
  if (isMapped()) {
    address.family = 4;
    for (let i = 0; i < 2; i++) writeGroup(address.bytes, 2 * i, groups[6 + i]);
  } else {
    address.family = 6;
    for (let i = 0; i < IPV6_GROUPS; i++) writeGroup(address.bytes, 2 * i, groups[i]);
  }
  return true;
}

function groupAt(address: Uint8Array, offset: number, index: number): number {
  return (address[offset + 2 * index] << 8) | address[offset + 2 * index + 1];
}

function writeGroup(out: Uint8Array, at: number, group: number): void {
  out[at] = group >>> 8;
  out[at + 1] = group & 0xff;
}

function writeHex(out: Uint8Array, at: number, group: number): number {
  let end = at;
  for (let shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0; shift >= 0; shift -= 4) {
    const digit = (group >>> shift) & 0xf;
    out[end++] = digit < 10 ? ZERO + digit : 0x57 + digit;
  }
  return end;
}

/** Reads four decimals between dots into `quad`. */
function readQuad(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (let i = 0; i < 4; i++) {
    if (i > 0 && (at >= end || bytes[at++] !== DOT)) return false;
    const first = at;
    let value = 0;
    while (at < end && at - first < 3 && bytes[at] >= ZERO && bytes[at] <= 0x39)
      value = value * 10 + (bytes[at++] - ZERO);
    const digits = at - first;
    if (digits === 0 || value > 255 || (digits > 1 && bytes[first] === ZERO)) return false;
    quad[i] = value;
  }
  return at === end;
}

/** Reads an IPv6 address into `groups`: hexadecimal groups, at most one `::`, the last two groups perhaps dotted. */
function readGroups(bytes: Uint8Array, start: number, end: number): boolean {
  groups.fill(0);
  let at = start;
  let count = 0;
  let gap = -1;
  if (at + 1 < end && bytes[at] === COLON && bytes[at + 1] === COLON) {
    gap = 0;
    at += 2;
  }
  while (at < end) {
    if (count === IPV6_GROUPS) return false;
    if (count <= IPV6_GROUPS - 2 && readQuad(bytes, at, end)) {
      groups[count++] = (quad[0] << 8) | quad[1];
      groups[count++] = (quad[2] << 8) | quad[3];
      break;
    }
    const first = at;
    let group = 0;
    for (let digit = 0; at < end && at - first < 4 && (digit = hexDigit(bytes[at])) >= 0; at++)
      group = (group << 4) | digit;
    if (at === first) return false;
    groups[count++] = group;
    if (at === end) break;
    if (bytes[at++] !== COLON || at === end) return false;
    if (bytes[at] === COLON) {
      if (gap >= 0) return false;
      gap = count;
      at++;
    }
  }
  if (gap < 0) return count === IPV6_GROUPS;
  // A `::` stands for one group at least.
  if (count === IPV6_GROUPS) return false;
  groups.copyWithin(IPV6_GROUPS - (count - gap), gap, count);
  groups.fill(0, gap, IPV6_GROUPS - (count - gap));
  return true;
}

function isMapped(): boolean {
  for (let i = 0; i < 5; i++) if (groups[i] !== 0) return false;
  return groups[5] === 0xffff;
}
