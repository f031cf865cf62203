/**
 * Random choices that a seed repeats on any machine, and random changes to bytes. fast-check is for small inputs that it
 * can shrink; this is for many, at hardly any cost each.
 */
import { randomInt } from 'node:crypto';

/** The generator is sfc32 (Chris Doty-Humphrey, PractRand): small, fast, and good for more draws than any run makes. */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  /** `seed`: any 32-bit integer. */
  constructor(seed: number) {
    this.#c = seed | 0;
    // The first outputs still show the seed.
    for (let i = 0; i < 15; i++) this.next();
  }

  /** An unsigned integer of 32 bits. */
  next(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** An integer from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor((this.next() / 2 ** 32) * bound);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) bytes[i] = this.next();
    return bytes;
  }
}

/** Bytes at which readers of numbers, texts and lengths turn. */
const TURNING_BYTES = [0, 1, 2, 3, 4, 0x09, 0x0a, 0x0d, 0x20, 0x25, 0x26, 0x3a, 0x3d, 0x3f, 0x7f, 0x80, 0xff];

/**
 * A changed copy of `bytes`, of at most `maxBytes`: bits, bytes and ranges set, dropped, doubled or put elsewhere, or
 * one of `pieces` put in.
 */
export function mutate(
  random: Random,
  bytes: Uint8Array,
  pieces: readonly Uint8Array[],
  maxBytes: number,
): Buffer {
  let mutant: Buffer = Buffer.from(bytes);
  for (let changes = 1 + random.below(4); changes > 0; changes--) mutant = change(random, mutant, pieces);
  return mutant.subarray(0, maxBytes);
}

function change(random: Random, bytes: Buffer, pieces: readonly Uint8Array[]): Buffer {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + 1 + random.below(random.oneIn(4) ? 200 : 8));
  const before = bytes.subarray(0, at);
  switch (random.below(7)) {
    case 0:
      if (at < bytes.length) bytes[at] ^= 1 << random.below(8);
      return bytes;
    case 1:
      if (at < bytes.length) bytes[at] = random.pick(TURNING_BYTES);
      return bytes;
    case 2:
      return Buffer.concat([before, bytes.subarray(end)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([before, random.pick(pieces), bytes.subarray(random.oneIn(2) ? at : end)]);
    case 5:
      return Buffer.concat([before, random.bytes(random.below(20)), bytes.subarray(at)]);
    default:
      return before;
  }
}

/** The seed of a run: `FUZZ_SEED` repeats an earlier one. */
export function chooseSeed(): number {
  const given = process.env['FUZZ_SEED'];
  return given === undefined ? randomInt(2 ** 32) : Number(given) >>> 0;
}
