/**
 * What a network thread writes down of requests that are to be traced, and the main thread reads a little later: a ring
 * of records of one size for each thread, in memory that both share. The thread wakes nobody up, waits for nobody and
 * allocates nothing; when the ring is full it counts what it could not write.
 *
 *   ring:   0 records written (u32) | 8 requests not written (f64) | 64 records read (u32) | 128 records
 *   record: 0 start (f64) | 8 duration (f64) | 16 protocol, kind, family, outcome (u8 each)
 *           20 length of traceparent (u16) | 22 of tracestate (u16) | 24 traceparent | 88 tracestate
 *
 * The head's two sides lie in cache lines of their own, since each is written by another thread.
 */
import type { AddressFamily } from '../protocol/model.ts';
import {
  REFUSAL_REASONS,
  type RefusalReason,
  type RefusalReasonName,
  REQUEST_KINDS,
  type RequestKind,
  type RequestKindName,
} from '../swarm/refusals.ts';

/** A request that was answered. No address and nothing that a client sent, but for its trace. */
export interface TracedRequest {
  readonly protocol: 'udp' | 'http';
  readonly kind: RequestKindName;
  readonly family: AddressFamily;
  readonly outcome: 'ok' | RefusalReasonName;
  /** Milliseconds since 1970, with fraction. */
  readonly startMillis: number;
  readonly durationMillis: number;
  /** The trace that the client's request belongs to (W3C Trace Context); `''` for none. */
  readonly traceparent: string;
  readonly tracestate: string;
}

/** The same in the form in which a thread knows it: `refusal` null for a request that was served. */
export interface RequestRecord {
  readonly protocol: 'udp' | 'http';
  readonly kind: RequestKind;
  readonly family: AddressFamily;
  readonly refusal: RefusalReason | null;
  readonly startMillis: number;
  readonly durationMillis: number;
  readonly traceparent: string;
  readonly tracestate: string;
}

/** So many records wait at most; a power of two. */
export const RING_RECORDS = 128;
/**
 * What is kept of `traceparent`, whose first version has 55 characters: enough to tell a longer one of a later version,
 * which is read, from one of the first, which is not (W3C Trace Context, 3.2.4).
 */
const TRACEPARENT_BYTES = 64;
/** A longer `tracestate` may be dropped, and is (3.3.1.5). */
const TRACESTATE_BYTES = 512;
const WRITTEN_WORD = 0;
const LOST_AT = 8;
const READ_WORD = 16;
const HEAD_BYTES = 128;
const TRACEPARENT_AT = 24;
const TRACESTATE_AT = TRACEPARENT_AT + TRACEPARENT_BYTES;
const RECORD_BYTES = TRACESTATE_AT + TRACESTATE_BYTES;
const RING_BYTES = HEAD_BYTES + RING_RECORDS * RECORD_BYTES;

/** Memory for the rings of so many threads. */
export function createTraceRings(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * RING_BYTES);
}

/** The rings in a memory, by their threads. */
export function attachTraceRings(memory: SharedArrayBuffer): TraceRing[] {
  return Array.from({ length: memory.byteLength / RING_BYTES }, (_, thread) => new TraceRing(memory, thread));
}

export class TraceRing {
  readonly #words: Int32Array;
  readonly #lost: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(memory: SharedArrayBuffer, thread: number) {
    const at = thread * RING_BYTES;
    this.#words = new Int32Array(memory, at, HEAD_BYTES / 4);
    this.#lost = new Float64Array(memory, at + LOST_AT, 1);
    this.#bytes = new Uint8Array(memory, at, RING_BYTES);
    this.#view = new DataView(memory, at, RING_BYTES);
  }

  /** Requests that were offered while the ring was full. */
  get lost(): number {
    return this.#lost[0];
  }

  /** Writes a record, or counts it when there is no room. Only the thread of the ring does so. */
  write(record: RequestRecord): void {
    const words = this.#words;
    const written = words[WRITTEN_WORD];
    if (((written - Atomics.load(words, READ_WORD)) | 0) >= RING_RECORDS) {
      this.#lost[0]++;
      return;
    }
    const at = recordAt(written);
    const view = this.#view;
    view.setFloat64(at, record.startMillis);
    view.setFloat64(at + 8, record.durationMillis);
    view.setUint8(at + 16, record.protocol === 'udp' ? 0 : 1);
    view.setUint8(at + 17, record.kind);
    view.setUint8(at + 18, record.family);
    view.setUint8(at + 19, record.refusal === null ? 0 : 1 + record.refusal);
    const { traceparent } = record;
    const tracestate = record.tracestate.length > TRACESTATE_BYTES ? '' : record.tracestate;
    view.setUint16(at + 20, this.#writeText(at + TRACEPARENT_AT, traceparent, TRACEPARENT_BYTES));
    view.setUint16(at + 22, this.#writeText(at + TRACESTATE_AT, tracestate, TRACESTATE_BYTES));
    Atomics.store(words, WRITTEN_WORD, (written + 1) | 0);
  }

  /** Hands on what was written since the last time. Only the main thread does so. */
  read(take: (request: TracedRequest) => void): void {
    const words = this.#words;
    const written = Atomics.load(words, WRITTEN_WORD);
    for (let read = words[READ_WORD]; read !== written; read = (read + 1) | 0) {
      const request = this.#decode(recordAt(read));
      Atomics.store(words, READ_WORD, (read + 1) | 0);
      take(request);
    }
  }

  #decode(at: number): TracedRequest {
    const view = this.#view;
    const outcome = view.getUint8(at + 19);
    return {
      protocol: view.getUint8(at + 16) === 0 ? 'udp' : 'http',
      kind: REQUEST_KINDS[view.getUint8(at + 17)],
      family: view.getUint8(at + 18) === 4 ? 4 : 6,
      outcome: outcome === 0 ? 'ok' : REFUSAL_REASONS[outcome - 1],
      startMillis: view.getFloat64(at),
      durationMillis: view.getFloat64(at + 8),
      traceparent: this.#readText(at + TRACEPARENT_AT, view.getUint16(at + 20)),
      tracestate: this.#readText(at + TRACESTATE_AT, view.getUint16(at + 22)),
    };
  }

  /** Writes the first `most` characters of a text, which is Latin-1 as all headers are. Returns how many there are. */
  #writeText(at: number, text: string, most: number): number {
    const length = Math.min(text.length, most);
    for (let i = 0; i < length; i++) this.#bytes[at + i] = text.charCodeAt(i);
    return length;
  }

  #readText(at: number, length: number): string {
    // Decoders take no memory that others may write, so a copy of it.
    return Buffer.from(this.#bytes.subarray(at, at + length)).toString('latin1');
  }
}

function recordAt(index: number): number {
  return HEAD_BYTES + (index & (RING_RECORDS - 1)) * RECORD_BYTES;
}
