/**
 * The body of `POST /api/v1/keys`: `{"key": string|null, "seconds_valid": integer|null}`, both members present. Refused
 * bodies are told what is wrong in the words of the JSON reader of Torrust (serde), so far as they are fixed.
 */
import { quoteDebug, type Parsed, refused, textReply, value } from './reply.ts';
import { MAX_U64 } from './whole-number.ts';

/** What a caller wants of a new key: its text (null: any), and its lifetime (null: for ever). */
export interface KeyForm {
  readonly key: string | null;
  readonly secondsValid: bigint | null;
}

/** A number as it was written, because 64 bits do not fit into JavaScript's. */
class JsonNumber {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

/** Reads a body. `contentType` without parameters, lower case. */
export function parseKeyForm(contentType: string, body: string): Parsed<KeyForm> {
  if (!/^application\/(?:[^/]+\+)?json$/.test(contentType)) {
    return refused(textReply(415, 'Expected request with `Content-Type: application/json`'));
  }
  let form: unknown;
  try {
    form = parseExactly(body);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return refused(textReply(400, `Failed to parse the request body as JSON: ${cause}`));
  }
  if (typeof form !== 'object' || form === null || Array.isArray(form) || form instanceof JsonNumber) {
    return refuseForm(`invalid type: ${describe(form)}, expected struct AddKeyForm at ${endOf(body)}`);
  }
  const members = new Map<string, unknown>(Object.entries(form));
  const key = members.get('key');
  const seconds = members.get('seconds_valid');
  if (key !== undefined && key !== null && typeof key !== 'string') {
    return refuseForm(`key: invalid type: ${describe(key)}, expected a string`);
  }
  const secondsValid = seconds === undefined || seconds === null ? value(null) : parseSeconds(seconds);
  if (secondsValid.kind === 'refused') return secondsValid;
  if (key === undefined) return refuseForm(`missing field \`key\` at ${endOf(body)}`);
  if (seconds === undefined) return refuseForm(`missing field \`seconds_valid\` at ${endOf(body)}`);
  return value({ key, secondsValid: secondsValid.value });
}

function parseSeconds(seconds: unknown): Parsed<bigint> {
  if (seconds instanceof JsonNumber) {
    const { digits } = seconds;
    if (/^\d+$/.test(digits) && BigInt(digits) <= MAX_U64) return value(BigInt(digits));
    if (/^-[1-9]\d*$/.test(digits) && BigInt(digits) >= -(2n ** 63n)) {
      return refuseForm(`seconds_valid: invalid value: integer \`${digits}\`, expected u64`);
    }
  }
  return refuseForm(`seconds_valid: invalid type: ${describe(seconds)}, expected u64`);
}

function refuseForm(fault: string): Parsed<never> {
  return refused(textReply(422, `Failed to deserialize the JSON body into the target type: ${fault}`));
}

function parseExactly(body: string): unknown {
  const keepDigits = (_name: string, member: unknown, context: { readonly source?: string }): unknown =>
    typeof member === 'number' ? new JsonNumber(context.source ?? String(member)) : member;
  // The compiler's library does not know the third argument yet, which the engine gives (JSON.parse source text access).
  return JSON.parse(body, keepDigits as (name: string, member: unknown) => unknown);
}

/** A value of the wrong type, in serde's words. */
function describe(member: unknown): string {
  if (member instanceof JsonNumber) {
    const { digits } = member;
    return /^-?\d+$/.test(digits) && digits.length < 20
      ? `integer \`${digits}\``
      : `floating point \`${Number(digits)}\``;
  }
  if (typeof member === 'string') return `string ${quoteDebug(member)}`;
  if (typeof member === 'boolean') return `boolean \`${member}\``;
  if (member === null) return 'null';
  return Array.isArray(member) ? 'sequence' : 'map';
}

/** The place of the last character of a JSON text, which is where a member is found missing. */
function endOf(body: string): string {
  const lines = body.trimEnd().split('\n');
  return `line ${lines.length} column ${Buffer.byteLength(lines.at(-1) ?? '')}`;
}
