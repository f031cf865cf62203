/**
 * A UDP listener on `recvmmsg` and `sendmmsg`: many datagrams a call, in memory that is laid out once. Replies leave from
 * the address that was asked (`IP_PKTINFO`, `IPV6_PKTINFO`), and the kernel says how many datagrams it dropped
 * (`SO_RXQ_OVFL`).
 *
 * Memory, an array of `BATCH` each: mmsghdr to receive, mmsghdr to send, iovec to receive, iovec to send, socket
 * addresses, control data, datagrams, replies. Message number i of both directions shares address and control data, so
 * that a reply goes back to where its request came from without a copy.
 *
 *   mmsghdr  0 name   8 name length   16 iovec   24 iovecs   32 control   40 control length   48 flags   56 length
 *   cmsghdr  0 length (8)   8 level (4)   12 type (4)   16 data
 */
import { PeerAddress } from '../../protocol/model.ts';
import { PacketMemory } from '../../protocol/udp.ts';
import type { UdpListenerSetup } from '../listener.ts';
import { RECEIVE_BYTES, REPLY_BYTES, type UdpService } from '../udp-service.ts';
import {
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  IPV6_RECVPKTINFO,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_RXQ_OVFL,
  SOCK_DGRAM,
  SOL_SOCKET,
} from './constants.ts';
import type { EventLoop, EventSource } from './event-loop.ts';
import { allocateNative, Errno, type Libc } from './libc.ts';
import {
  getOption,
  openBoundSocket,
  readSocketAddress,
  refuseDatagrams,
  setOption,
  SOCKET_ADDRESS_BYTES,
} from './socket-address.ts';
import type { NativeListener } from './native-listener.ts';

/** Datagrams a call. */
const BATCH = 64;
/** What has come already is answered within this: a full buffer takes a tenth. */
const DRAIN_MILLIS = 1_000;
/** Batches that are served before other sockets of the thread have their turn. */
const BATCHES_PER_EVENT = 16;

const MESSAGE_BYTES = 64;
const MESSAGE_CONTROL_LENGTH = 40;
const MESSAGE_NAME_LENGTH = 8;
const MESSAGE_LENGTH = 56;
const IOVEC_BYTES = 16;
const IOVEC_LENGTH = 8;
const CONTROL_BYTES = 96;
const CONTROL_DATA = 16;

/** The first bytes of a link-local IPv6 address (fe80::/10), which means nothing without its interface. */
const LINK_LOCAL_MASK = 0xc0ff;
const LINK_LOCAL = 0x80fe;

const RECEIVE_MESSAGES = 0;
const SEND_MESSAGES = RECEIVE_MESSAGES + BATCH * MESSAGE_BYTES;
const RECEIVE_IOVECS = SEND_MESSAGES + BATCH * MESSAGE_BYTES;
const SEND_IOVECS = RECEIVE_IOVECS + BATCH * IOVEC_BYTES;
const ADDRESSES = SEND_IOVECS + BATCH * IOVEC_BYTES;
const CONTROLS = ADDRESSES + BATCH * SOCKET_ADDRESS_BYTES;
const DATAGRAMS = CONTROLS + BATCH * CONTROL_BYTES;
const REPLIES = DATAGRAMS + BATCH * RECEIVE_BYTES;
const TOTAL_BYTES = REPLIES + BATCH * REPLY_BYTES;

/** Opens the listener on a loop. Throws `ListenError`. */
export function openNativeUdpSocket(
  libc: Libc,
  loop: EventLoop,
  setup: UdpListenerSetup,
  service: UdpService,
  sharesPort: boolean,
  onKernelDrops: (dropped: number) => void,
): NativeListener {
  const { fd, address } = openBoundSocket(libc, 'The UDP tracker', SOCK_DGRAM, setup.bind, {
    ipv6Only: setup.ipv6Only,
    sharesPort,
  });
  const wanted = setup.receiveBufferBytes;
  // Only a privileged process may go beyond the system's limit.
  if (!setOption(libc, fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted))
    setOption(libc, fd, SOL_SOCKET, SO_RCVBUF, wanted);
  setOption(libc, fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  const tellsAddress = /^[0:.]*$/.test(setup.bind.host);
  if (tellsAddress) {
    if (setup.bind.family === 4) setOption(libc, fd, IPPROTO_IP, IP_PKTINFO, 1);
    else setOption(libc, fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  const socket = new NativeUdpSocket(libc, fd, service, onKernelDrops);
  loop.watch(fd, socket);
  return {
    setup,
    address,
    receiveBufferBytes: getOption(libc, fd, SOL_SOCKET, SO_RCVBUF),
    update: (live) => {
      if ('cookieLifetimeSeconds' in live) service.update(live);
    },
    stopIntake: () => {
      loop.forget(fd);
      refuseDatagrams(libc, fd, setup.bind.family);
      socket.drain();
      libc.close(fd);
    },
    isIdle: () => true,
    end: () => undefined,
  };
}

class NativeUdpSocket implements EventSource {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #service: UdpService;
  readonly #onKernelDrops: (dropped: number) => void;
  readonly #base: number;
  readonly #memory: PacketMemory;
  readonly #source = new PeerAddress();
  /** By message number: whether the client is one of IPv4, which on an IPv6 socket the address family does not say. */
  readonly #isIpv4 = new Uint8Array(BATCH);
  #kernelDrops = 0;

  constructor(libc: Libc, fd: number, service: UdpService, onKernelDrops: (dropped: number) => void) {
    this.#libc = libc;
    this.#fd = fd;
    this.#service = service;
    this.#onKernelDrops = onKernelDrops;
    const { address, buffer } = allocateNative(TOTAL_BYTES);
    this.#base = address;
    this.#memory = new PacketMemory(buffer, 0, TOTAL_BYTES);
    for (let i = 0; i < BATCH; i++) {
      this.#layOut(i, RECEIVE_MESSAGES, RECEIVE_IOVECS, DATAGRAMS + i * RECEIVE_BYTES, RECEIVE_BYTES);
      this.#layOut(i, SEND_MESSAGES, SEND_IOVECS, REPLIES + i * REPLY_BYTES, 0);
    }
  }

  handle(): void {
    for (let batch = 0; batch < BATCHES_PER_EVENT; batch++) {
      if (this.#serveBatch() < BATCH) return;
    }
  }

  /** Answers what has come already. */
  drain(): void {
    const endMillis = performance.now() + DRAIN_MILLIS;
    while (performance.now() < endMillis) {
      if (this.#serveBatch() < 0 && this.#libc.errno() === Errno.EAGAIN) return;
    }
  }

  /** Receives, answers and sends one batch. Returns how many datagrams came, -1 when the call failed. */
  #serveBatch(): number {
    const count = this.#libc.recvmmsg(this.#fd, this.#base + RECEIVE_MESSAGES, BATCH, MSG_DONTWAIT, 0);
    // What is wrong with one datagram, such as an ICMP error that came back, is no reason to stop.
    if (count <= 0) return count;
    const { words } = this.#memory;
    const source = this.#source;
    this.#service.readClock();
    let firstUnsent = 0;
    for (let i = 0; i < count; i++) {
      const message = (RECEIVE_MESSAGES + i * MESSAGE_BYTES) >> 2;
      const reply = (SEND_MESSAGES + i * MESSAGE_BYTES) >> 2;
      readSocketAddress(this.#memory, ADDRESSES + i * SOCKET_ADDRESS_BYTES, source);
      const replyBytes = this.#service.answer(
        this.#memory,
        DATAGRAMS + i * RECEIVE_BYTES,
        words[message + MESSAGE_LENGTH / 4],
        source,
        this.#memory,
        REPLIES + i * REPLY_BYTES,
      );
      // Known only now: the datagram may say that it comes from somebody else.
      this.#isIpv4[i] = source.family === 4 ? 1 : 0;
      words[reply + MESSAGE_NAME_LENGTH / 4] = words[message + MESSAGE_NAME_LENGTH / 4];
      words[reply + MESSAGE_CONTROL_LENGTH / 4] = this.#readControl(
        CONTROLS + i * CONTROL_BYTES,
        words[message + MESSAGE_CONTROL_LENGTH / 4],
      );
      words[(SEND_IOVECS + i * IOVEC_BYTES + IOVEC_LENGTH) >> 2] = replyBytes;
      // The kernel wrote what it used; the next call needs to know what there is.
      words[message + MESSAGE_NAME_LENGTH / 4] = SOCKET_ADDRESS_BYTES;
      words[message + MESSAGE_CONTROL_LENGTH / 4] = CONTROL_BYTES;
      if (replyBytes > 0) continue;
      this.#send(firstUnsent, i);
      firstUnsent = i + 1;
    }
    this.#send(firstUnsent, count);
    return count;
  }

  /** Sends the replies from number `from` to before `to`. One that can't be sent is lost, as a datagram may be. */
  #send(from: number, to: number): void {
    while (from < to) {
      const first = this.#base + SEND_MESSAGES + from * MESSAGE_BYTES;
      const sent = this.#libc.sendmmsg(this.#fd, first, to - from, 0);
      if (sent < 0) {
        if (this.#libc.errno() !== Errno.EINTR) from++;
        continue;
      }
      for (let i = 0; i < sent; i++) {
        this.#service.countSent(this.#isIpv4[from + i] === 1 ? 4 : 6);
      }
      from += sent;
    }
  }

  /**
   * Reads the control data of a datagram: takes note of drops, and leaves the local address at the front, for the reply.
   * Returns the bytes of control data that the reply has.
   */
  #readControl(offset: number, length: number): number {
    const { words } = this.#memory;
    let replyLength = 0;
    for (let at = offset; at + CONTROL_DATA <= offset + length;) {
      const word = at >> 2;
      const size = words[word];
      if (size < CONTROL_DATA) break;
      const space = (size + 7) & ~7;
      const level = words[word + 2];
      const type = words[word + 3];
      if (level === SOL_SOCKET && type === SO_RXQ_OVFL) this.#noteDrops(words[word + CONTROL_DATA / 4] >>> 0);
      else if (level === IPPROTO_IP && type === IP_PKTINFO) {
        // The route decides the interface; only the address must be the one that was asked.
        words[word + CONTROL_DATA / 4] = 0;
        replyLength = this.#moveControl(at, space, offset);
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) {
        if ((words[word + CONTROL_DATA / 4] & LINK_LOCAL_MASK) !== LINK_LOCAL)
          words[word + CONTROL_DATA / 4 + 4] = 0;
        replyLength = this.#moveControl(at, space, offset);
      }
      at += space;
    }
    return replyLength;
  }

  /** Puts one entry of control data alone to the front; the kernel refuses to send back some of the others. */
  #moveControl(at: number, space: number, offset: number): number {
    if (at !== offset) this.#memory.bytes.copyWithin(offset, at, at + space);
    return space;
  }

  #noteDrops(total: number): void {
    if (total === this.#kernelDrops) return;
    this.#onKernelDrops((total - this.#kernelDrops) >>> 0);
    this.#kernelDrops = total;
  }

  #layOut(index: number, messages: number, iovecs: number, data: number, dataBytes: number): void {
    const { view } = this.#memory;
    const message = messages + index * MESSAGE_BYTES;
    const iovec = iovecs + index * IOVEC_BYTES;
    const setPointer = (at: number, offset: number) =>
      view.setBigUint64(at, BigInt(this.#base + offset), true);
    setPointer(message, ADDRESSES + index * SOCKET_ADDRESS_BYTES);
    view.setUint32(message + MESSAGE_NAME_LENGTH, SOCKET_ADDRESS_BYTES, true);
    setPointer(message + 16, iovec);
    view.setBigUint64(message + 24, 1n, true);
    setPointer(message + 32, CONTROLS + index * CONTROL_BYTES);
    view.setBigUint64(message + MESSAGE_CONTROL_LENGTH, BigInt(CONTROL_BYTES), true);
    setPointer(iovec, data);
    view.setBigUint64(iovec + IOVEC_LENGTH, BigInt(dataBytes), true);
  }
}
