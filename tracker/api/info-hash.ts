/** Info hashes as callers of the API write them: 40 hex digits in either case. */
import { type Parsed, refused, textReply, value } from './reply.ts';

const INFO_HASH = /^[0-9a-f]{40}$/;

/** Reads an info hash; the value is in lower case. */
export function parseInfoHash(text: string): Parsed<string> {
  const infoHash = text.toLowerCase();
  if (INFO_HASH.test(infoHash)) return value(infoHash);
  return refused(
    textReply(
      400,
      `Invalid URL: invalid infohash param: string "${text}", expected a 40 character long string`,
    ),
  );
}
