/** Reads the body of a request, up to a limit. */
import type { IncomingMessage } from 'node:http';
import { type Parsed, refused, textReply, value } from './reply.ts';

/** Torrust's limit. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;

const TOO_LARGE = refused(textReply(413, 'Failed to buffer the request body: length limit exceeded'));

/**
 * Reads the body as UTF-8. What is beyond the limit is read as well and thrown away, because a client that is cut off
 * while it sends does not see the reply.
 */
export async function readBody(request: IncomingMessage): Promise<Parsed<string>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    // Without an encoding set, a request gives buffers.
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes <= MAX_BODY_BYTES) chunks.push(buffer);
    else chunks.length = 0;
  }
  return bytes > MAX_BODY_BYTES ? TOO_LARGE : value(Buffer.concat(chunks).toString('utf8'));
}
