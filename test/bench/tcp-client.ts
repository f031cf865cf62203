/**
 * The calls of a TCP client that a tracker has no use for. Everything else is in tracker/net/native/libc.ts, whose rule
 * for pointers, plain numbers, is kept here.
 */
import koffi from 'koffi';
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from '../../tracker/net/native/constants.ts';
import { allocateNative, type Libc } from '../../tracker/net/native/libc.ts';
import { setOption, systemError } from '../../tracker/net/native/socket-address.ts';

const IPPROTO_IP = 0;
const IP_BIND_ADDRESS_NO_PORT = 24;
const ADDRESS_BYTES = 16;

/** Opens blocking connections to one port of 127.0.0.1, each from an address of its own choice. */
export class TcpClient {
  readonly #libc: Libc;
  readonly #connect: (fd: number, address: number, length: number) => number;
  readonly #memory = allocateNative(2 * ADDRESS_BYTES);
  readonly #words = new Int32Array(this.#memory.buffer);

  constructor(libc: Libc, port: number) {
    this.#libc = libc;
    // Without a name the symbols of the program itself are searched, and Node brings the C library.
    this.#connect = koffi.load(null).func('int connect(int fd, uintptr_t address, uint32_t length)');
    const view = new DataView(this.#memory.buffer);
    view.setUint16(0, AF_INET, true);
    view.setUint16(2, port);
    view.setUint8(4, 127);
    view.setUint8(7, 1);
    view.setUint16(ADDRESS_BYTES, AF_INET, true);
  }

  /** Connects from an IPv4 address, given as a word in network order. Returns the socket. Throws what went wrong. */
  open(sourceWord: number): number {
    const fd = this.#libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw systemError(this.#libc);
    this.#words[(ADDRESS_BYTES + 4) >> 2] = sourceWord;
    // The kernel chooses the port when it knows both ends, so that more connections than ports are possible.
    setOption(this.#libc, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const { address } = this.#memory;
    if (
      this.#libc.bind(fd, address + ADDRESS_BYTES, ADDRESS_BYTES) < 0 ||
      this.#connect(fd, address, ADDRESS_BYTES) < 0
    ) {
      const error = systemError(this.#libc);
      this.#libc.close(fd);
      throw error;
    }
    return fd;
  }
}
