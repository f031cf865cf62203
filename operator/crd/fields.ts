/**
 * The kinds of value of our custom resources, and the rules between fields.
 *
 * One zod schema is the source of everything: TypeScript types, the structural OpenAPI schema of the
 * CustomResourceDefinition, and the reference page. What OpenAPI can't say is attached here: Kubernetes' extensions, and rules
 * in CEL, each with its twin in TypeScript, so that a resource is judged the same with and without a cluster. Every
 * text, list and map has an upper bound, which keeps the estimated cost of the rules low.
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
 */
import * as z from 'zod';
import { ipFamily, matchCidr } from '../../tracker/config/address.ts';

/** A rule between the fields of a value. */
export interface Rule<T> {
  /** True when the value keeps the rule; `self` is the value. */
  readonly cel: string;
  /** Whole words for the user: what is wrong and what to do. */
  readonly message: string;
  /** The same in TypeScript. */
  holds(value: T): boolean;
}

/** A rule between a value and what it was before: only the API server knows both. */
export interface TransitionRule {
  /** True when the change is allowed; `self` is the new value, `oldSelf` the former. */
  readonly cel: string;
  readonly message: string;
}

/** What is attached to a schema beside what zod says about it. */
interface Attachment {
  /** Fields of the OpenAPI schema. */
  readonly openApi: Readonly<Record<string, unknown>>;
  /** True: `openApi` stands for all that zod says. */
  readonly instead: boolean;
  readonly rules: readonly TransitionRule[];
}

/** What is attached to each schema. */
export const attachments = z.registry<Attachment>();

const nothing: Attachment = { openApi: {}, instead: false, rules: [] };

function attach<S extends z.ZodType>(schema: S, more: Partial<Attachment>): S {
  attachments.add(schema, { ...(attachments.get(schema) ?? nothing), ...more });
  return schema;
}

/** Attaches rules. They are only asked about a value that is sound in itself, as the API server does. */
export function withRules<S extends z.ZodType>(
  schema: S,
  rules: readonly Rule<z.output<S>>[],
  transitions: readonly TransitionRule[] = [],
): S {
  const judged = schema.superRefine((value, context) => {
    for (const { holds, message } of rules) if (!holds(value)) context.addIssue({ code: 'custom', message });
  });
  const former = attachments.get(schema) ?? nothing;
  const added = [...rules, ...transitions].map(({ cel, message }) => ({ cel, message }));
  return attach(judged, { ...former, rules: [...former.rules, ...added] });
}

/** True or false. */
export function flag(otherwise: boolean) {
  return z.boolean().default(otherwise);
}

/** One of a few words. */
export function oneOf<const V extends readonly [string, ...string[]]>(...words: V) {
  return z.enum(words);
}

/** A whole number between two bounds, both allowed. */
export function wholeNumber(min: number, max: number) {
  return attach(z.int().min(min).max(max), { openApi: { format: 'int32' } });
}

/** A number of an object's generation, which only grows. */
export function generationNumber() {
  return attach(z.int().min(0), { openApi: { type: 'integer', format: 'int64', minimum: 0 }, instead: true });
}

/** A text of a bounded length; not empty. */
export function text(maxLength: number) {
  return z.string().min(1).max(maxLength);
}

/** A text that matches a pattern, which has to be one of RE2. */
export function textLike(pattern: RegExp, maxLength: number) {
  return z.string().max(maxLength).regex(pattern);
}

/** A time: RFC 3339. */
export function time() {
  return attach(z.string(), { openApi: { type: 'string', format: 'date-time' }, instead: true });
}

/** A port that a process without privileges may bind. */
export function port() {
  return wholeNumber(1024, 65535);
}

/** A port of a Service or of another machine. */
export function anyPort() {
  return wholeNumber(1, 65535);
}

/** The name of an object: a DNS subdomain (RFC 1123). */
export function objectName() {
  return textLike(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 253);
}

/** A name that is one label of a DNS name (RFC 1035). */
export function labelName(maxLength = 63) {
  return textLike(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, maxLength);
}

/** A DNS name of a certificate or a route; the first label may be a wildcard. */
export function dnsName() {
  return textLike(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 253);
}

/** A size of storage, as Kubernetes writes it. */
export function storageSize() {
  return textLike(/^[1-9][0-9]{0,9}(\.[0-9]{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/, 20);
}

/** A quantity of a resource: a number or a text such as `500m`. */
export function quantity() {
  return attach(z.union([z.int(), text(32)]), {
    openApi: { 'x-kubernetes-int-or-string': true },
    instead: true,
  });
}

/** An IP address without brackets. */
export function ipAddress() {
  return withRules(text(45), [
    {
      cel: 'isIP(self)',
      message: 'is not an IP address, such as 203.0.113.10',
      holds: (value) => ipFamily(value) !== undefined,
    },
  ]);
}

/** A range of addresses. */
export function cidr() {
  return withRules(text(49), [
    {
      cel: 'isCIDR(self)',
      message: 'is not a range of addresses, such as 10.0.0.0/8 or fd00::/8',
      holds: (value) => matchCidr(value) !== undefined,
    },
  ]);
}

/** A map of texts, such as labels or annotations. */
export function textMap(maxLength = 253) {
  return attach(z.record(z.string().min(1).max(317), z.string().max(maxLength)), {
    openApi: { maxProperties: 64 },
  });
}

/** A list that is replaced as a whole. */
export function listOf<S extends z.ZodType>(element: S, maxItems: number) {
  return attach(z.array(element).max(maxItems), { openApi: { 'x-kubernetes-list-type': 'atomic' } });
}

/** A list whose entries are told apart by a field, so that several writers may share it. */
export function listByKey<S extends z.ZodObject>(
  element: S,
  key: string & keyof S['shape'],
  maxItems: number,
) {
  const unique = z
    .array(element)
    .max(maxItems)
    .superRefine((entries, context) => {
      const names = entries.map((entry) => entry[key]);
      names.forEach((name, index) => {
        if (names.indexOf(name) < index) {
          context.addIssue({ code: 'custom', path: [index], message: `Duplicate value: ${String(name)}` });
        }
      });
    });
  return attach(unique, {
    openApi: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] },
  });
}

/** More than anything that Kubernetes or the tracker has; whoever walks through it needs no more stack. */
const MAX_NESTING = 64;

/** A part of another resource's schema that is passed on as it is: the API server judges it there. */
export function passedOn() {
  const judged = z
    .record(z.string(), z.unknown())
    .refine((value) => !isNestedDeeper(value, MAX_NESTING), `is nested deeper than ${MAX_NESTING} levels`);
  return attach(judged, {
    openApi: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    instead: true,
  });
}

/** Goes level by level, since a walk into the depth is what has to be avoided. */
function isNestedDeeper(value: unknown, limit: number): boolean {
  let level = [value];
  for (let depth = 0; depth <= limit; depth++) {
    level = level.flatMap((each): unknown[] =>
      typeof each === 'object' && each !== null ? Object.values(each) : [],
    );
    if (level.length === 0) return false;
  }
  return true;
}
