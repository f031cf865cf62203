/**
 * The token that every request of the REST API carries: `Authorization: Bearer TOKEN`, or `?token=TOKEN` as Torrust
 * Tracker 3.0.0 has it. Refusals are status 500 there, and so they are here.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Middleware } from 'koa';
import { type Reply, sendReply, textReply, unhandled } from './reply.ts';
import { queryOf } from './routes.ts';

const MISSING = unhandled('unauthorized');
const WRONG = unhandled('token not valid');
const OTHER_SCHEME = unhandled('unknown token provided');
const TWICE = textReply(400, 'Failed to deserialize query string: duplicate field `token`');

const BEARER = /^bearer(?: +(.*))?$/i;

/** Lets requests pass that carry one of `tokens`. Comes before the routes, so that nobody else learns which exist. */
export function requireToken(tokens: () => Iterable<string>): Middleware {
  return async (ctx, next) => {
    const refusal = checkToken(ctx.get('authorization'), queryOf(ctx).getAll('token'), tokens());
    if (refusal === undefined) await next();
    else sendReply(ctx, refusal);
  };
}

/** The refusal of a request, undefined when it may pass. A bearer token wins over the query. */
function checkToken(
  authorization: string,
  inQuery: readonly string[],
  tokens: Iterable<string>,
): Reply | undefined {
  if (inQuery.length > 1) return TWICE;
  const bearer = BEARER.exec(authorization);
  const token = bearer === null ? inQuery[0] : (bearer[1] ?? '').trim();
  // A proxy may need the header for itself: with a token in the query, other schemes are none of our business.
  if (token === undefined) return authorization === '' ? MISSING : OTHER_SCHEME;
  return isValid(token, tokens) ? undefined : WRONG;
}

/** Compares hashes, and always all of them, so that time tells neither how much of a token was right nor which. */
function isValid(token: string, tokens: Iterable<string>): boolean {
  const given = hashOf(token);
  let found = false;
  for (const valid of tokens) {
    if (timingSafeEqual(given, hashOf(valid)) && valid !== '') found = true;
  }
  return found;
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
