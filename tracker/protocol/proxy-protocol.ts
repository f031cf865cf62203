/**
 * The PROXY protocol (HAProxy, "The PROXY protocol, versions 1 & 2", 2020/03/05): what a proxy puts in front of a
 * connection, or of each datagram, to say for whom it speaks. Bytes in, an address out; nothing is allocated.
 *
 *   v1  "PROXY TCP4 192.0.2.1 198.51.100.1 6881 7070\r\n", at most 107 bytes
 *   v2  0 signature (12)   12 version 2 and command (1)   13 family and transport (1)   14 length of what follows (2)
 *       16 source and destination address (4 or 16 each)   source and destination port (2 each)   TLVs
 *
 * Strict: whatever the document does not allow is refused, since what follows would be read as somebody's request.
 * `LOCAL` connections, such as a proxy's own health checks, and those of unknown clients keep the address that they came
 * from; TLVs are passed over.
 */
import { asciiBytes } from './bencode.ts';
import { readIpText } from './ip-text.ts';
import { PeerAddress } from './model.ts';

/** What came of reading: the header is there, or more bytes are needed, or there is no valid one. */
export const ProxyHeaderState = { complete: 0, incomplete: 1, bad: 2 } as const;
export type ProxyHeaderState = (typeof ProxyHeaderState)[keyof typeof ProxyHeaderState];

/** What a header is in front of; for a datagram, it is whole or bad, and only version 2 will do. */
export type ProxiedTransport = 'stream' | 'datagram';

/** A header with more TLVs than fit into this is refused. */
export const MAX_PROXY_HEADER_BYTES = 4096;

/** What a header says. Made once per thread and filled again by each `readProxyHeader`. */
export class ProxyHeader {
  /** Whether it names a client; if not, the proxy speaks for itself. */
  namesClient = false;
  /** The client's address and port, when it names one. */
  readonly client = new PeerAddress();
  /** Behind the header. */
  end = 0;
}

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const V2_HEAD_BYTES = 16;
const VERSION_AND_LOCAL = 0x20;
const VERSION_AND_PROXY = 0x21;
/** Family and transport in one byte: nothing, IPv4 or IPv6. Paths of Unix sockets are of no use here. */
const UNSPECIFIED = 0x00;
const INET = { stream: 0x11, datagram: 0x12 } as const;
const INET6 = { stream: 0x21, datagram: 0x22 } as const;
/** Two addresses and two ports. */
const INET_BYTES = 12;
const INET6_BYTES = 36;

const MAX_V1_BYTES = 107;
const V1_PREFIX = asciiBytes('PROXY ');
const V1_TCP4 = asciiBytes('TCP4 ');
const V1_TCP6 = asciiBytes('TCP6 ');
const V1_UNKNOWN = asciiBytes('UNKNOWN');
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const ZERO = 0x30;
const MAX_PORT = 65535;

/** Whether bytes begin like a header of either version, as far as they are there; for telling of those that may not. */
export function looksLikeProxyHeader(bytes: Uint8Array, start: number, end: number): boolean {
  return startsWith(bytes, start, end, SIGNATURE) || startsWith(bytes, start, end, V1_PREFIX);
}

/**
 * Reads the header that begins at `start` of `bytes`, of which those before `end` are there. What comes of a header
 * depends on its bytes alone, not on how many of them came at a time.
 */
export function readProxyHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
  transport: ProxiedTransport,
  header: ProxyHeader,
): ProxyHeaderState {
  header.namesClient = false;
  const length = end - start;
  let state: ProxyHeaderState = ProxyHeaderState.bad;
  if (agrees(bytes, start, Math.min(length, SIGNATURE.length), SIGNATURE)) {
    state = readV2(bytes, start, length, transport, header);
  } else if (transport === 'stream' && agrees(bytes, start, Math.min(length, V1_PREFIX.length), V1_PREFIX)) {
    state = readV1(bytes, start, length, header);
  }
  return state === ProxyHeaderState.incomplete && transport === 'datagram' ? ProxyHeaderState.bad : state;
}

function readV2(
  bytes: Uint8Array,
  start: number,
  length: number,
  transport: ProxiedTransport,
  header: ProxyHeader,
): ProxyHeaderState {
  // Each byte is judged as soon as it is there.
  if (length <= SIGNATURE.length) return ProxyHeaderState.incomplete;
  const command = bytes[start + 12];
  if (command !== VERSION_AND_LOCAL && command !== VERSION_AND_PROXY) return ProxyHeaderState.bad;
  if (length === 13) return ProxyHeaderState.incomplete;
  const kind = bytes[start + 13];
  // Of a proxy that speaks for itself, nothing but the length counts.
  const isSilent = command === VERSION_AND_LOCAL || kind === UNSPECIFIED;
  const isIpv4 = kind === INET[transport];
  if (!isSilent && !isIpv4 && kind !== INET6[transport]) return ProxyHeaderState.bad;
  if (length < V2_HEAD_BYTES) return ProxyHeaderState.incomplete;
  const bytesBehind = (bytes[start + 14] << 8) | bytes[start + 15];
  if (V2_HEAD_BYTES + bytesBehind > MAX_PROXY_HEADER_BYTES) return ProxyHeaderState.bad;
  if (!isSilent && bytesBehind < (isIpv4 ? INET_BYTES : INET6_BYTES)) return ProxyHeaderState.bad;
  if (length < V2_HEAD_BYTES + bytesBehind) return ProxyHeaderState.incomplete;
  const at = start + V2_HEAD_BYTES;
  header.end = at + bytesBehind;
  if (isSilent) return ProxyHeaderState.complete;
  const addressBytes = isIpv4 ? 4 : 16;
  setAddress(header.client, bytes, at, addressBytes);
  const port = at + 2 * addressBytes;
  header.client.port = (bytes[port] << 8) | bytes[port + 1];
  header.namesClient = true;
  return ProxyHeaderState.complete;
}

function readV1(bytes: Uint8Array, start: number, length: number, header: ProxyHeader): ProxyHeaderState {
  const limit = start + Math.min(length, MAX_V1_BYTES);
  let lineEnd = start;
  while (lineEnd < limit && bytes[lineEnd] !== CR) {
    // Words of printable characters.
    if (bytes[lineEnd] < SPACE || bytes[lineEnd] > 0x7e) return ProxyHeaderState.bad;
    lineEnd++;
  }
  if (lineEnd + 1 >= limit)
    return length >= MAX_V1_BYTES ? ProxyHeaderState.bad : ProxyHeaderState.incomplete;
  if (bytes[lineEnd + 1] !== LF) return ProxyHeaderState.bad;
  header.end = lineEnd + 2;
  const at = start + V1_PREFIX.length;
  if (startsWith(bytes, at, lineEnd, V1_UNKNOWN)) {
    const behind = at + V1_UNKNOWN.length;
    // What follows after a space is to be ignored.
    return behind === lineEnd || bytes[behind] === SPACE ? ProxyHeaderState.complete : ProxyHeaderState.bad;
  }
  const isIpv4 = startsWith(bytes, at, lineEnd, V1_TCP4);
  if (!isIpv4 && !startsWith(bytes, at, lineEnd, V1_TCP6)) return ProxyHeaderState.bad;
  return readV1Endpoints(bytes, at + V1_TCP4.length, lineEnd, isIpv4, header);
}

/** Reads source address, destination address, source port and destination port, one space between each. */
function readV1Endpoints(
  bytes: Uint8Array,
  start: number,
  end: number,
  isIpv4: boolean,
  header: ProxyHeader,
): ProxyHeaderState {
  const sourceEnd = wordEnd(bytes, start, end);
  const destinationEnd = wordEnd(bytes, sourceEnd + 1, end);
  const sourcePortEnd = wordEnd(bytes, destinationEnd + 1, end);
  const { client } = header;
  const isSound =
    readV1Address(bytes, sourceEnd + 1, destinationEnd, isIpv4, client) &&
    readPort(bytes, sourcePortEnd + 1, end) >= 0 &&
    readV1Address(bytes, start, sourceEnd, isIpv4, client);
  client.port = readPort(bytes, destinationEnd + 1, sourcePortEnd);
  if (!isSound || client.port < 0) return ProxyHeaderState.bad;
  header.namesClient = true;
  return ProxyHeaderState.complete;
}

function readV1Address(
  bytes: Uint8Array,
  start: number,
  end: number,
  isIpv4: boolean,
  into: PeerAddress,
): boolean {
  let hasColon = false;
  for (let i = start; i < end; i++) hasColon ||= bytes[i] === 0x3a;
  return hasColon !== isIpv4 && readIpText(bytes, start, end, into);
}

/** A port in decimal digits without leading zeros; -1 for anything else. */
function readPort(bytes: Uint8Array, start: number, end: number): number {
  if (end <= start || end - start > 5 || (bytes[start] === ZERO && end - start > 1)) return -1;
  let port = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
  }
  return port > MAX_PORT ? -1 : port;
}

function wordEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== SPACE) at++;
  return Math.min(at, end);
}

/** Takes an address of 4 or 16 bytes; an IPv4-mapped one is the IPv4 address that it means. */
function setAddress(address: PeerAddress, bytes: Uint8Array, at: number, length: number): void {
  address.words.fill(0);
  let first = at;
  if (length === 16 && isMapped(bytes, at)) first = at + 12;
  const size = at + length - first;
  address.family = size === 4 ? 4 : 6;
  for (let i = 0; i < size; i++) address.bytes[i] = bytes[first + i];
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

function startsWith(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  return end - start >= text.length && agrees(bytes, start, text.length, text);
}

function agrees(bytes: Uint8Array, start: number, length: number, text: Uint8Array): boolean {
  for (let i = 0; i < length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}
