/** What keeps a listener of any kind from opening, in words for the user. */

/** A socket address: `host` without brackets. */
interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A listener that can't be opened. The message is one line for the user. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  /** The system's error code, for example `EADDRINUSE`. */
  readonly code: string;

  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** The error of a listener, `what`, that could not bind. */
  static from(what: string, bind: ListenAddress, cause: unknown): ListenError {
    const code = errorCode(cause);
    const message = `${what} can't listen on ${formatSocketAddress(bind)}: ${explain(code, cause)}`;
    return new ListenError(message, code, { cause });
  }
}

/** `IP:PORT`, or `[IP]:PORT` for IPv6. */
export function formatSocketAddress(address: ListenAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}

function explain(code: string, cause: unknown): string {
  if (code === 'EADDRINUSE')
    return 'the port is in use by another program; stop that one or choose another port';
  if (code === 'EADDRNOTAVAIL') return 'this machine does not have that address';
  if (code === 'EACCES') return 'that port needs more rights; choose one above 1023';
  if (code === 'EAFNOSUPPORT') return 'this machine has no such address family';
  return cause instanceof Error ? cause.message : String(cause);
}
