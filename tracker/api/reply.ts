/**
 * What an API answers, as a value: handlers return one, and one place writes it to the connection. Texts, statuses
 * and content types are those of Torrust Tracker 3.0.0, which scripts compare to the letter.
 */
import type { Readable } from 'node:stream';
import type { Context } from 'koa';

/** An answer. `body` null is an empty one, and then there is no content type either. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Readable | null;
  /** The methods of a path that was asked with another one, for `Allow`. */
  readonly allow?: string;
  /** A trouble of the tracker's own behind it, which its log should tell. */
  readonly trouble?: string;
}

/** What reading an input gave: its value, or the reply that refuses it. */
export type Parsed<Value> =
  { readonly kind: 'value'; readonly value: Value } | { readonly kind: 'refused'; readonly reply: Reply };

const TEXT = 'text/plain; charset=utf-8';
export const JSON_TYPE = 'application/json';
export const JSON_UTF8_TYPE = 'application/json; charset=utf-8';

/** The answer to an action that succeeded. */
export const DONE: Reply = jsonReply('{"status":"ok"}');

/** The answer of every `health_check` path. */
export const HEALTHY: Reply = jsonReply('{"status":"Ok"}');

/** A JSON text that is sent as it is. */
export function jsonReply(body: string | Readable, contentType: string = JSON_TYPE, status = 200): Reply {
  return { status, contentType, body };
}

/** A refusal or failure in plain text. */
export function textReply(status: number, body: string): Reply {
  return { status, contentType: TEXT, body };
}

export function emptyReply(status: number): Reply {
  return { status, contentType: '', body: null };
}

/** Refuses a method that the path does not have. `methods` in the order of `Allow`. */
export function methodNotAllowed(methods: readonly string[]): Reply {
  return { ...emptyReply(405), allow: methods.join(',') };
}

/** Torrust's form of everything that it calls unhandled: a missing token as well as a failing database. */
export function unhandled(reason: string): Reply {
  return textReply(500, `Unhandled rejection: Err { reason: ${quoteDebug(reason)} }`);
}

export function value<Value>(parsed: Value): Parsed<Value> {
  return { kind: 'value', value: parsed };
}

export function refused(reply: Reply): Parsed<never> {
  return { kind: 'refused', reply };
}

/** Puts a text between quotes as Rust's `{:?}` does. */
export function quoteDebug(text: string): string {
  const escaped = text.replace(/["\\\u0000-\u001f\u007f]/g, (character) => {
    switch (character) {
      case '"':
      case '\\':
        return `\\${character}`;
      case '\n':
        return '\\n';
      case '\r':
        return '\\r';
      case '\t':
        return '\\t';
      default:
        return `\\u{${character.charCodeAt(0).toString(16)}}`;
    }
  });
  return `"${escaped}"`;
}

/** Writes a reply to the response of a request. Of a trouble behind it, the application's `trouble` event tells. */
export function sendReply(ctx: Context, reply: Reply): void {
  if (reply.trouble !== undefined) ctx.app.emit('trouble', reply.trouble);
  if (reply.allow !== undefined) ctx.set('Allow', reply.allow);
  // Koa takes a body that is null for "no content", so that the status has to come after it.
  if (reply.body !== null) ctx.set('Content-Type', reply.contentType);
  ctx.body = reply.body;
  ctx.status = reply.status;
}
