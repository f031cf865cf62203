/**
 * Bencoded values (BEP 3), whole, changed and made up: the decoder gives back what was encoded, refuses or takes anything
 * else without an exception, and what it takes is written out as the bytes that it read, since there is only one way.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type BencodeValue, decodeBencode, encodeBencode } from '../../tracker/protocol/bencode.ts';
import { mutate, type Random } from './random.ts';

const MAX_BYTES = 2_000;
const MAX_DEPTH = 6;

// The file is ours: a list of texts, a byte for each character.
const CORPUS = (
  JSON.parse(readFileSync(new URL('./corpus/bencode.json', import.meta.url), 'utf8')) as string[]
).map((text) => Buffer.from(text, 'latin1'));

const PIECES = [
  'i',
  'e',
  'l',
  'd',
  '-',
  '0',
  '1:',
  '0:',
  'i-0e',
  'le',
  'de',
  'llllllll',
  '9007199254740993',
].map((text) => Buffer.from(text));

export class BencodeTrial {
  readonly counts = { taken: 0, refused: 0 };

  judge(random: Random): void {
    const made = encodeBencode(makeValue(random, 0));
    assert.ok(decodeBencode(made).kind === 'value', made.toString());
    const bytes = random.oneIn(20)
      ? random.bytes(random.below(50))
      : mutate(random, random.oneIn(2) ? made : random.pick(CORPUS), PIECES, MAX_BYTES);
    const result = decodeBencode(bytes);
    if (result.kind === 'fault') {
      assert.ok(result.offset >= 0 && result.offset <= bytes.length);
      this.counts.refused++;
      return;
    }
    assert.deepEqual(Buffer.from(encodeBencode(result.value)), bytes);
    this.counts.taken++;
  }
}

function makeValue(random: Random, depth: number): BencodeValue {
  switch (random.below(depth < MAX_DEPTH ? 4 : 2)) {
    case 0:
      return random.pick([0, 1, -1, random.next(), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);
    case 1:
      return random.bytes(random.below(12));
    case 2:
      return Array.from({ length: random.below(4) }, () => makeValue(random, depth + 1));
    default: {
      const size = random.below(4);
      const entries = Array.from(
        { length: size },
        () => [random.bytes(random.below(5)).toString('latin1'), makeValue(random, depth + 1)] as const,
      );
      return new Map(entries);
    }
  }
}
