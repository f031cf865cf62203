/**
 * Many datagrams in one call, for both ends of a benchmark: memory for `recvmmsg` and `sendmmsg` that is laid out once.
 *
 * An array of `size` each: mmsghdr, iovec, socket address, control data, datagram. The layout of the structures is drawn
 * in tracker/net/native/udp-socket.ts.
 */
import { AF_INET, IP_PKTINFO, IPPROTO_IP } from '../../tracker/net/native/constants.ts';
import { allocateNative, Errno, type Libc } from '../../tracker/net/native/libc.ts';
import { systemError } from '../../tracker/net/native/socket-address.ts';
import { PacketMemory } from '../../tracker/protocol/udp.ts';

/** Blocks until one datagram is there, then takes all that are. */
export const MSG_WAITFORONE = 0x10000;

const MESSAGE_BYTES = 64;
const MESSAGE_LENGTH = 56;
const IOVEC_BYTES = 16;
const IOVEC_LENGTH = 8;
const ADDRESS_BYTES = 16;
/** One cmsghdr (16) with an in_pktinfo (12), padded to 8. */
const CONTROL_BYTES = 32;
const CONTROL_LENGTH = 28;
const CONTROL_LOCAL_ADDRESS = 20;

export class DatagramBatch {
  readonly size: number;
  readonly memory: PacketMemory;
  readonly #libc: Libc;
  readonly #base: number;
  readonly #iovecs: number;
  readonly #addresses: number;
  readonly #controls: number;
  readonly #datagrams: number;
  readonly #datagramBytes: number;

  /** Memory for `size` datagrams of up to `datagramBytes`, a multiple of four. Addresses are IPv4. */
  constructor(libc: Libc, size: number, datagramBytes: number) {
    this.#libc = libc;
    this.size = size;
    this.#datagramBytes = datagramBytes;
    this.#iovecs = size * MESSAGE_BYTES;
    this.#addresses = this.#iovecs + size * IOVEC_BYTES;
    this.#controls = this.#addresses + size * ADDRESS_BYTES;
    this.#datagrams = this.#controls + size * CONTROL_BYTES;
    const totalBytes = (this.#datagrams + size * datagramBytes + 7) & ~7;
    const { address, buffer } = allocateNative(totalBytes);
    this.#base = address;
    this.memory = new PacketMemory(buffer, 0, totalBytes);
    for (let i = 0; i < size; i++) this.#layOut(i);
  }

  /** The offset in `memory` of datagram `i`. */
  offset(i: number): number {
    return this.#datagrams + i * this.#datagramBytes;
  }

  /** The bytes of datagram `i` that were received. */
  receivedBytes(i: number): number {
    return this.memory.words[(i * MESSAGE_BYTES + MESSAGE_LENGTH) >> 2];
  }

  /** Sets how many bytes of datagram `i` are sent, or can be received. */
  setBytes(i: number, bytes: number): void {
    this.memory.words[(this.#iovecs + i * IOVEC_BYTES + IOVEC_LENGTH) >> 2] = bytes;
  }

  /** Sets where every datagram goes: IPv4 address in network order, as a word of memory, and port. */
  setDestination(addressWord: number, port: number): void {
    const { view, words } = this.memory;
    for (let i = 0; i < this.size; i++) {
      const at = this.#addresses + i * ADDRESS_BYTES;
      view.setUint16(at, AF_INET, true);
      view.setUint16(at + 2, port);
      words[(at + 4) >> 2] = addressWord;
    }
  }

  /** Lets every datagram carry the address that it is sent from, which `setSource` then sets. */
  enableSources(): void {
    const { view } = this.memory;
    for (let i = 0; i < this.size; i++) {
      const control = this.#controls + i * CONTROL_BYTES;
      view.setBigUint64(control, BigInt(CONTROL_LENGTH), true);
      view.setInt32(control + 8, IPPROTO_IP, true);
      view.setInt32(control + 12, IP_PKTINFO, true);
      const message = i * MESSAGE_BYTES;
      view.setBigUint64(message + 32, BigInt(this.#base + control), true);
      view.setBigUint64(message + 40, BigInt(CONTROL_BYTES), true);
    }
  }

  /** Sets the address that datagram `i` is sent from, in network order, as a word of memory. */
  setSource(i: number, addressWord: number): void {
    this.memory.words[(this.#controls + i * CONTROL_BYTES + CONTROL_LOCAL_ADDRESS) >> 2] = addressWord;
  }

  /** Receives. Returns how many datagrams came, 0 when there was none or the call was interrupted. */
  receive(fd: number, flags: number): number {
    const count = this.#libc.recvmmsg(fd, this.#base, this.size, flags, 0);
    return Math.max(0, count);
  }

  /** Sends the first `count` datagrams. Throws when the system refuses one. */
  send(fd: number, count: number): void {
    for (let from = 0; from < count;) {
      const sent = this.#libc.sendmmsg(fd, this.#base + from * MESSAGE_BYTES, count - from, 0);
      if (sent >= 0) from += sent;
      else if (this.#libc.errno() !== Errno.EINTR) throw systemError(this.#libc);
    }
  }

  #layOut(i: number): void {
    const { view } = this.memory;
    const message = i * MESSAGE_BYTES;
    const iovec = this.#iovecs + i * IOVEC_BYTES;
    const setPointer = (at: number, offset: number): void =>
      view.setBigUint64(at, BigInt(this.#base + offset), true);
    setPointer(message, this.#addresses + i * ADDRESS_BYTES);
    view.setUint32(message + 8, ADDRESS_BYTES, true);
    setPointer(message + 16, iovec);
    view.setBigUint64(message + 24, 1n, true);
    setPointer(iovec, this.offset(i));
    view.setBigUint64(iovec + IOVEC_LENGTH, BigInt(this.#datagramBytes), true);
  }
}
