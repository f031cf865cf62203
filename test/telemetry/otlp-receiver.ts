/**
 * An OpenTelemetry collector as tests use it: takes traces by OTLP over HTTP, and decodes the protobuf (the messages of
 * `opentelemetry/proto/trace/v1/trace.proto`, read by field numbers). It can also be one that refuses or never answers.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Cleaner } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';

export type AttributeValue = string | number | boolean;

/** A span as it arrived. Ids are hex digits; `parentId` is `''` for the first span of a trace. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  /** The `tracestate` of the trace, `''` for none. */
  readonly traceState: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly durationMillis: number;
  readonly isError: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly resource: Readonly<Record<string, AttributeValue>>;
}

export interface OtlpReceiver {
  /** The base URL, for `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** How often something was sent. */
  requests(): number;
  /** Waits for a span that fits. */
  span(what: string, fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
}

/** What the collector does with what it is sent. */
export type Manner = 'takes' | 'refuses' | 'is slow' | 'is silent';

/** How long a slow one takes to answer: longer than spans wait to be sent. */
const SLOW_MILLIS = 3_000;

/** Opens a collector that closes with the test. */
export async function openOtlpReceiver(context: Cleaner, manner: Manner = 'takes'): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  let requests = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests++;
      if (manner === 'is silent') return;
      if (manner === 'takes') {
        assert.equal(request.url, '/v1/traces');
        assert.equal(request.headers['content-type'], 'application/x-protobuf');
        const body = Buffer.concat(chunks);
        spans.push(...decodeTraces(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body));
      }
      const answer = () =>
        response
          .writeHead(manner === 'refuses' ? 503 : 200, { 'content-type': 'application/x-protobuf' })
          .end();
      if (manner === 'is slow') setTimeout(answer, SLOW_MILLIS).unref();
      else answer();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    requests: () => requests,
    span: (what, fits) => waitFor(`a span of ${what}`, () => spans.find(fits)),
  };
}

/** A field of a message: its number, and its value: bytes, or a number of 64 bits. */
interface Field {
  readonly number: number;
  readonly bytes: Buffer;
  readonly value: bigint;
}

function decodeTraces(request: Buffer): ReceivedSpan[] {
  return messages(request, 1).flatMap((resourceSpans) => {
    const resource = messages(resourceSpans, 1).map((each) => attributesOf(each, 1))[0] ?? {};
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => decodeSpan(span, resource));
  });
}

function decodeSpan(span: Buffer, resource: ReceivedSpan['resource']): ReceivedSpan {
  const fields = readFields(span);
  const first = (number: number) => fields.find((field) => field.number === number);
  const hex = (number: number) => first(number)?.bytes.toString('hex') ?? '';
  const status = first(15);
  const nanos = (number: number) => first(number)?.value ?? 0n;
  return {
    traceId: hex(1),
    spanId: hex(2),
    parentId: hex(4),
    traceState: first(3)?.bytes.toString() ?? '',
    name: first(5)?.bytes.toString() ?? '',
    kind: Number(first(6)?.value ?? 0n),
    durationMillis: Number(nanos(8) - nanos(7)) / 1_000_000,
    attributes: attributesOf(span, 9),
    isError:
      status !== undefined &&
      readFields(status.bytes).some(({ number, value }) => number === 3 && value === 2n),
    resource,
  };
}

/** The attributes in field `number`: pairs of a key (1) and a value (2) of one of several types. */
function attributesOf(message: Buffer, number: number): Record<string, AttributeValue> {
  return Object.fromEntries(
    messages(message, number).map((pair) => {
      const [key = Buffer.alloc(0)] = messages(pair, 1);
      const [field] = messages(pair, 2).flatMap(readFields);
      return [key.toString(), field === undefined ? '' : valueOf(field)];
    }),
  );
}

function valueOf({ number, bytes, value }: Field): AttributeValue {
  switch (number) {
    case 2:
      return value === 1n;
    case 3:
      return Number(value);
    case 4:
      return new Float64Array(new BigUint64Array([value]).buffer)[0];
    default:
      return bytes.toString();
  }
}

/** The contents of all fields with a number. */
function messages(message: Buffer, number: number): Buffer[] {
  return readFields(message).flatMap((field) => (field.number === number ? [field.bytes] : []));
}

/** Reads the wire format of protobuf: a tag, then a varint (0), eight bytes (1), a length and bytes (2), or four (5). */
function readFields(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    const none = Buffer.alloc(0);
    switch (tag & 7) {
      case 0:
        fields.push({ number, bytes: none, value: varint() });
        break;
      case 1:
        fields.push({ number, bytes: none, value: message.readBigUInt64LE(at) });
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        fields.push({ number, bytes: message.subarray(at, at + length), value: 0n });
        at += length;
        break;
      }
      default:
        at += 4;
    }
  }
  assert.equal(at, message.length, 'a message ends where its last field does');
  return fields;
}
