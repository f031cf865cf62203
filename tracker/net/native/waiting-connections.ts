/**
 * The connections of a native HTTP listener that wait: for the rest of a request, for the next one, for room to send. All
 * deadlines are the same time away, so the set, in the order in which they began to wait, is the queue of deadlines as
 * well.
 */
import type { RequestHead } from '../../protocol/http-request.ts';
import { PeerAddress } from '../../protocol/model.ts';

/** What all of them may hold together; beyond it, those that have waited longest go. */
const MAX_HELD_BYTES = 64 * 2 ** 20;

/** A connection that waits. */
export interface Connection {
  readonly fd: number;
  readonly source: PeerAddress;
  /** What the gate gets back at its end. */
  held: number;
  deadlineMillis: number;
  /** The begin of a request whose rest has not come. */
  readonly received: Uint8Array | null;
  /** What was read of that request already; null: it is to be read from its beginning. */
  head: RequestHead | null;
  /** The rest of replies that could not be sent yet. */
  readonly unsent: Uint8Array | null;
  closesAfterSending: boolean;
  /** Whether it is known for whom the connection speaks. */
  isIntroduced: boolean;
}

type Held = { -readonly [Name in 'received' | 'unsent']: Connection[Name] };

export class WaitingConnections {
  readonly #all = new Set<Connection>();
  /** Bytes of `received` and `unsent` of all. */
  #heldBytes = 0;

  get size(): number {
    return this.#all.size;
  }

  /** Those that wait, the one that has waited longest first. */
  values(): Iterable<Connection> {
    return this.#all;
  }

  has(connection: Connection): boolean {
    return this.#all.has(connection);
  }

  /** Adds a connection that holds nothing yet. */
  add(
    fd: number,
    source: PeerAddress,
    held: number,
    isIntroduced: boolean,
    deadlineMillis: number,
  ): Connection {
    const own = new PeerAddress();
    own.copyAddress(source);
    own.port = source.port;
    const connection: Connection = {
      fd,
      source: own,
      held,
      deadlineMillis,
      received: null,
      head: null,
      unsent: null,
      closesAfterSending: false,
      isIntroduced,
    };
    this.#all.add(connection);
    return connection;
  }

  /** Its time begins anew. */
  renew(connection: Connection, deadlineMillis: number): void {
    connection.deadlineMillis = deadlineMillis;
    this.#all.delete(connection);
    this.#all.add(connection);
  }

  /** Gives a connection other bytes to hold. */
  hold(connection: Connection, received: Uint8Array | null, unsent: Uint8Array | null): void {
    this.#heldBytes +=
      sizeOf(received) + sizeOf(unsent) - sizeOf(connection.received) - sizeOf(connection.unsent);
    const held: Held = connection;
    held.received = received;
    held.unsent = unsent;
  }

  delete(connection: Connection): void {
    this.hold(connection, null, null);
    this.#all.delete(connection);
  }

  /** Whether the one that has waited longest has to go. */
  isDue(oldest: Connection, nowMillis: number): boolean {
    return oldest.deadlineMillis <= nowMillis || this.#heldBytes > MAX_HELD_BYTES;
  }
}

/** Whether a connection waits for a request to begin. */
export function isIdle({ received, unsent }: Connection): boolean {
  return received === null && unsent === null;
}

function sizeOf(bytes: Uint8Array | null): number {
  return bytes?.length ?? 0;
}
