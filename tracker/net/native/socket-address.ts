/**
 * Socket addresses in memory (`struct sockaddr_in`, `struct sockaddr_in6`), and sockets that are bound to one.
 *
 *   IPv4  0 family (2)   2 port (2, network order)   4 address (4)
 *   IPv6  0 family (2)   2 port (2, network order)   4 flow (4)   8 address (16)   24 scope (4)
 */
import type { SocketAddress } from '../../config/address.ts';
import { type AddressFamily, PeerAddress } from '../../protocol/model.ts';
import { readIpText } from '../../protocol/ip-text.ts';
import type { PacketMemory } from '../../protocol/udp.ts';
import { ListenError } from '../../listen-error.ts';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOL_SOCKET,
} from './constants.ts';
import { allocateNative, ERRNO_NAMES, type Libc } from './libc.ts';

/** Room for either kind of address. */
export const SOCKET_ADDRESS_BYTES = 32;

/** Of the protocol that answers nothing (RFC 863). */
const DISCARD_PORT = 9;

const MAPPED_PREFIX = 0xffff0000 | 0;

/** Reads the address at `offset`, a multiple of four, un-mapping an IPv4-mapped one. */
export function readSocketAddress(memory: PacketMemory, offset: number, into: PeerAddress): void {
  const { words, view } = memory;
  const word = offset >> 2;
  into.port = view.getUint16(offset + 2);
  if ((words[word] & 0xffff) === AF_INET) {
    into.family = 4;
    into.words[0] = words[word + 1];
    return;
  }
  if (words[word + 2] === 0 && words[word + 3] === 0 && words[word + 4] === MAPPED_PREFIX) {
    into.family = 4;
    into.words[0] = words[word + 5];
    return;
  }
  into.family = 6;
  for (let i = 0; i < 4; i++) into.words[i] = words[word + 2 + i];
}

export interface BoundSocket {
  readonly fd: number;
  readonly address: SocketAddress;
}

/** Opens a socket of `type` and binds it. `what` names it in an error. Throws `ListenError`. */
export function openBoundSocket(
  libc: Libc,
  what: string,
  type: number,
  bind: SocketAddress,
  options: { readonly ipv6Only: boolean; readonly sharesPort: boolean },
): BoundSocket {
  const fd = libc.socket(bind.family === 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
  if (fd < 0) throw ListenError.from(what, bind, systemError(libc));
  try {
    if (bind.family === 6) setOption(libc, fd, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6Only ? 1 : 0);
    // A TCP port is free again at once after a restart; for UDP the option would share the port.
    if (type % 8 === 1) setOption(libc, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.sharesPort) setOption(libc, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    const { address, buffer } = scratch;
    const view = new DataView(buffer);
    const length = writeSocketAddress(view, bind);
    if (libc.bind(fd, address, length) < 0) throw systemError(libc);
    view.setUint32(LENGTH_OFFSET, SOCKET_ADDRESS_BYTES, true);
    if (libc.getsockname(fd, address, address + LENGTH_OFFSET) < 0) throw systemError(libc);
    return { fd, address: { ...bind, port: view.getUint16(2) } };
  } catch (error) {
    libc.close(fd);
    throw ListenError.from(what, bind, error);
  }
}

/**
 * Lets the kernel deliver no more datagrams to a socket, which can read what has come already, and send: it is connected to
 * a place where nobody is, and others get word that nobody listens, or another socket of the port. Without effect where the
 * kernel refuses.
 */
export function refuseDatagrams(libc: Libc, fd: number, family: AddressFamily): void {
  const nobody = { family, host: family === 4 ? '127.0.0.1' : '::1', port: DISCARD_PORT };
  libc.connect(fd, scratch.address, writeSocketAddress(new DataView(scratch.buffer), nobody));
}

/** Sets an integer option. Returns whether the kernel took it. */
export function setOption(libc: Libc, fd: number, level: number, name: number, value: number): boolean {
  new DataView(scratch.buffer).setInt32(OPTION_OFFSET, value, true);
  return libc.setsockopt(fd, level, name, scratch.address + OPTION_OFFSET, 4) === 0;
}

/** Reads an integer option; -1 when the kernel has none. */
export function getOption(libc: Libc, fd: number, level: number, name: number): number {
  const view = new DataView(scratch.buffer);
  view.setUint32(LENGTH_OFFSET, 4, true);
  const { address } = scratch;
  if (libc.getsockopt(fd, level, name, address + OPTION_OFFSET, address + LENGTH_OFFSET) < 0) return -1;
  return view.getInt32(OPTION_OFFSET, true);
}

/** The last error of the system as an `Error` with its code. */
export function systemError(libc: Libc): Error {
  const number = libc.errno();
  const code = Object.entries(ERRNO_NAMES).find(([, value]) => value === number)?.[0] ?? `errno ${number}`;
  return Object.assign(new Error(code), { code });
}

const LENGTH_OFFSET = 48;
const OPTION_OFFSET = 56;
/** For calls that take a pointer to something small; a thread makes one call at a time. */
const scratch = allocateNative(64);

function writeSocketAddress(view: DataView, address: SocketAddress): number {
  const ip = new PeerAddress();
  const text = Buffer.from(address.host, 'latin1');
  readIpText(text, 0, text.length, ip);
  new Uint8Array(view.buffer).fill(0, 0, SOCKET_ADDRESS_BYTES);
  view.setUint16(0, address.family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, address.port);
  const size = address.family === 4 ? 4 : 16;
  new Uint8Array(view.buffer).set(ip.bytes.subarray(0, size), address.family === 4 ? 4 : 8);
  return address.family === 4 ? 16 : 28;
}
