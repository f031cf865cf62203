/** What a client is told when its request is refused; the texts are Torrust Tracker's, without source positions. */
import { MALFORMED_KEY_FAILURE } from '../protocol/http-route.ts';
import { Verdict } from '../tracker.ts';

/** The failure reasons of the gate; they are our own. */
export const LOCAL_SOURCE_TEXT = 'The address of this announce is one that other clients cannot reach';
export const TOO_MANY_REQUESTS_TEXT = 'Too many requests';
export const BANNED_TEXT = 'This address is banned';

/** The failure reason for a verdict other than `done`. `infoHash` is 40 hex digits. */
export function verdictText(verdict: Verdict, key: string, infoHash: string): string {
  switch (verdict) {
    case Verdict.keyMissing:
      return 'Authentication error: Missing authentication key param for private tracker.';
    case Verdict.keyMalformed:
      return MALFORMED_KEY_FAILURE;
    case Verdict.keyUnknown:
      return `Authentication error: Failed to read key: ${key}`;
    case Verdict.keyExpired:
      return 'Authentication error: Key has expired';
    case Verdict.notListed:
      return `The torrent: ${infoHash}, is not whitelisted`;
    case Verdict.done:
      return '';
  }
}
