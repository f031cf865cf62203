/**
 * The kinds of value that a configuration holds, and what is written about each key.
 *
 * A kind of value carries one text that says what is allowed; errors and the reference page both print it. A key
 * carries its meaning, whether a change is taken over while the tracker runs, and whether its value is a secret.
 */
import * as z from 'zod';
import { ipFamily, matchCidr, matchSocketAddress } from './address.ts';
import { matchByteSize } from './byte-size.ts';

/** What is known about a key beside the values that it takes. */
export interface KeyFacts {
  /** What the key does: whole sentences. */
  readonly description: string;
  /** `live`: a changed value is taken over while the tracker runs; `restart`: it waits for the next start. */
  readonly reload: 'live' | 'restart';
  /** The default in words, for a key that is absent by default. */
  readonly absent?: string;
}

/** What is known about a table. */
export interface SectionFacts {
  readonly description: string;
}

/** What is known about a kind of value. */
export interface KindFacts {
  /** What is allowed, in words. */
  readonly allowed: string;
  /** True when such a value must never be printed. */
  readonly secret: boolean;
}

/** The facts of every kind of value. */
export const kindFacts = z.registry<KindFacts>();
/** The facts of every key. */
export const keyFacts = z.registry<KeyFacts>();
/** The facts of every table that needs some. */
export const sectionFacts = z.registry<SectionFacts>();

/** The largest value of the 32-bit numbers of Torrust's configuration. */
export const maxUint32 = 4294967295;

/** Attaches the text that says what a kind of value allows. */
export function kind<S extends z.ZodType>(schema: S, allowed: string): S {
  kindFacts.add(schema, { allowed, secret: false });
  return schema;
}

/** As `kind`, for values that must never be printed. */
export function secretKind<S extends z.ZodType>(schema: S, allowed: string): S {
  kindFacts.add(schema, { allowed, secret: true });
  return schema;
}

/** Attaches what is known about a key. */
export function key<S extends z.ZodType>(schema: S, facts: KeyFacts): S {
  keyFacts.add(schema, facts);
  return schema;
}

/** Attaches what is known about a table. */
export function section<S extends z.ZodType>(schema: S, description: string): S {
  sectionFacts.add(schema, { description });
  return schema;
}

/** `true` or `false`. */
export function bool() {
  return kind(z.boolean(), 'true or false');
}

/** One of a few texts. */
export function oneOf<const V extends readonly [string, ...string[]]>(...values: V) {
  return kind(z.enum(values), values.map((value) => JSON.stringify(value)).join(', '));
}

/** A whole number between two bounds, both allowed. */
export function wholeNumber(min: number, max: number) {
  return kind(z.int().min(min).max(max), `a whole number from ${min} to ${max}`);
}

/** A whole number of seconds between two bounds, both allowed. */
export function seconds(min: number, max: number = maxUint32) {
  return kind(z.int().min(min).max(max), `a whole number of seconds from ${min} to ${max}`);
}

/**
 * A duration in seconds that is accepted in the form of Torrust's later versions too, a table of `secs` and
 * `nanos`; parts of a second are dropped.
 */
export function secondsOrDuration(min: number, max: number) {
  const duration = z.strictObject({ secs: z.int(), nanos: z.int().min(0).max(999999999).optional() });
  return kind(
    z.preprocess((value) => {
      const parsed = duration.safeParse(value);
      return parsed.success ? parsed.data.secs : value;
    }, z.int().min(min).max(max)),
    `a whole number of seconds from ${min} to ${max}`,
  );
}

/** Any text but the empty one; `what` says what it names. */
export function text(what: string) {
  return kind(z.string().min(1), what);
}

/** A secret text of any kind but the empty one. */
export function secretText() {
  return secretKind(z.string().min(1), 'a text');
}

/** A secret token: what a header line can carry, whose own spaces around a value are no part of it. */
export function token() {
  return secretKind(
    z.string().regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/),
    'a text of printable ASCII characters, without spaces at its ends',
  );
}

/** A table of tokens by their labels. */
export function tokens() {
  return secretKind(
    z.record(text('a label'), token()),
    'a table of labels, each with a token of printable ASCII characters, without spaces at its ends',
  );
}

/** A socket address. */
export function socketAddress() {
  return kind(
    z.string().refine((value) => matchSocketAddress(value) !== undefined),
    'an address and a port, such as "0.0.0.0:6969" or "[::]:6969"',
  );
}

/** An IP address without port and without brackets. */
export function ipAddress() {
  return kind(
    z.string().refine((value) => ipFamily(value) !== undefined),
    'an IPv4 or IPv6 address, such as "203.0.113.10"',
  );
}

/** A range of addresses. */
export function cidr() {
  return kind(
    z.string().refine((value) => matchCidr(value) !== undefined),
    'a range of addresses, such as "10.0.0.0/8" or "2001:db8::/32"; a single address is "192.0.2.1/32"',
  );
}

/** The word `auto` or a size with a unit. */
export function autoOrByteSize(minBytes: number, minText: string) {
  return kind(
    z.string().refine((value) => value === 'auto' || (matchByteSize(value) ?? 0) >= minBytes),
    `"auto" or a size such as "512MiB", at least "${minText}"`,
  );
}

/** The word `auto` or a whole number. */
export function autoOrNumber(min: number, max: number) {
  return kind(
    z.union([z.literal('auto'), z.int().min(min).max(max)]),
    `"auto" or a whole number from ${min} to ${max}`,
  );
}

/** A URL under one of the given schemes, without user and password: it is printed and shown. */
export function publicUrl(...schemes: readonly string[]) {
  return kind(
    z.string().refine((value) => {
      if (!URL.canParse(value)) return false;
      const url = new URL(value);
      return (
        schemes.includes(url.protocol.slice(0, -1)) &&
        url.hostname !== '' &&
        url.username === '' &&
        url.password === ''
      );
    }),
    `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}, without user and password`,
  );
}
