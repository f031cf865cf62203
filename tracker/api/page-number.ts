/** The numbers of a page in a query, `offset` and `limit`, read as Torrust Tracker reads them. */
import { type Parsed, refused, textReply, value } from './reply.ts';
import { MAX_U32, parseWholeNumber } from './whole-number.ts';

/** The number under a name in a query; `absent` when there is none. */
export function parsePageNumber(query: URLSearchParams, name: string, absent: number): Parsed<number> {
  const texts = query.getAll(name);
  if (texts.length > 1) return refuseQuery(`duplicate field \`${name}\``);
  const text = texts[0] ?? '';
  if (text === '') return value(absent);
  const number = parseWholeNumber(text, MAX_U32);
  return number.kind === 'value' ? value(Number(number.value)) : refuseQuery(number.fault);
}

function refuseQuery(fault: string): Parsed<never> {
  return refused(textReply(400, `Failed to deserialize query string: ${fault}`));
}
