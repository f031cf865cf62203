/**
 * The C library's calls for sockets and memory through koffi: the one file that knows it. 64-bit little-endian Linux (x64, arm64) with
 * glibc or musl. Pointers are numbers, which a 47-bit address fits into; calls that fail return -1 and leave `errno`.
 */
import { endianness } from 'node:os';
import koffi from 'koffi';

type Call = (...args: number[]) => number;

/** The calls. Sizes and offsets are bytes; `pointer` arguments are addresses as numbers. */
export interface Libc {
  readonly socket: Call;
  readonly bind: Call;
  readonly connect: Call;
  readonly listen: Call;
  readonly accept4: Call;
  readonly getsockname: Call;
  readonly setsockopt: Call;
  readonly getsockopt: Call;
  readonly recvmmsg: Call;
  readonly sendmmsg: Call;
  readonly recv: Call;
  readonly send: Call;
  readonly shutdown: Call;
  readonly close: Call;
  readonly epollCreate1: Call;
  readonly epollCtl: Call;
  readonly epollWait: Call;
  readonly madvise: Call;
  /** The error number of this thread's last call that failed. */
  errno(): number;
}

const SUPPORTED_ARCHITECTURES = new Set(['x64', 'arm64']);
const LIBRARY_NAMES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

export const Errno = { EINTR: 4, EAGAIN: 11, ENFILE: 23, EMFILE: 24 } as const;
/** Names of all error numbers. */
export const ERRNO_NAMES: Readonly<Record<string, number>> = koffi.os.errno;

/** Opens the library, or says in one line why native sockets are not to be had here. */
export function openLibc(): Libc | string {
  if (process.platform !== 'linux') return `native sockets need Linux, this is ${process.platform}`;
  if (!SUPPORTED_ARCHITECTURES.has(process.arch) || endianness() !== 'LE') {
    return `native sockets need x64 or arm64, this is ${process.arch}`;
  }
  for (const name of LIBRARY_NAMES) {
    try {
      return declare(koffi.load(name));
    } catch {
      // The next name may be this system's.
    }
  }
  return 'native sockets need glibc or musl, and neither could be loaded';
}

function declare(library: ReturnType<typeof koffi.load>): Libc {
  const declared = (prototype: string): Call => library.func(prototype) as Call; // koffi knows the types at run time only
  return {
    socket: declared('int socket(int domain, int type, int protocol)'),
    bind: declared('int bind(int fd, uintptr_t address, uint32_t length)'),
    connect: declared('int connect(int fd, uintptr_t address, uint32_t length)'),
    listen: declared('int listen(int fd, int backlog)'),
    accept4: declared('int accept4(int fd, uintptr_t address, uintptr_t length, int flags)'),
    getsockname: declared('int getsockname(int fd, uintptr_t address, uintptr_t length)'),
    setsockopt: declared('int setsockopt(int fd, int level, int name, uintptr_t value, uint32_t length)'),
    getsockopt: declared('int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t length)'),
    recvmmsg: declared(
      'int recvmmsg(int fd, uintptr_t messages, uint32_t count, int flags, uintptr_t timeout)',
    ),
    sendmmsg: declared('int sendmmsg(int fd, uintptr_t messages, uint32_t count, int flags)'),
    recv: declared('int64_t recv(int fd, uintptr_t buffer, uint64_t length, int flags)'),
    send: declared('int64_t send(int fd, uintptr_t buffer, uint64_t length, int flags)'),
    shutdown: declared('int shutdown(int fd, int how)'),
    close: declared('int close(int fd)'),
    epollCreate1: declared('int epoll_create1(int flags)'),
    epollCtl: declared('int epoll_ctl(int epoll, int operation, int fd, uintptr_t event)'),
    epollWait: declared('int epoll_wait(int epoll, uintptr_t events, int count, int timeout)'),
    madvise: declared('int madvise(uintptr_t address, uint64_t length, int advice)'),
    errno: () => koffi.errno(),
  };
}

/** Where shared memory lies. It stays there. */
export function addressOf(memory: SharedArrayBuffer): number {
  return Number(koffi.address(memory));
}

/** Memory outside the JavaScript heap at a fixed address, zeroed. Lives as long as the process. */
export interface NativeMemory {
  readonly address: number;
  readonly buffer: ArrayBuffer;
}

/** Takes memory from the C library, aligned to 16 bytes. */
export function allocateNative(bytes: number): NativeMemory {
  const pointer: unknown = koffi.alloc('uint8_t', bytes);
  const buffer = koffi.view(pointer, bytes);
  new Uint8Array(buffer).fill(0);
  return { address: Number(koffi.address(pointer)), buffer };
}
