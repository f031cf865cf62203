/**
 * Sizes with a unit, as `swarm.memory` writes them: `512MiB`, `2GB`, and Kubernetes' short forms (`512Mi`).
 */
import assert from 'node:assert/strict';

const factors: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const sizePattern = /^(\d+(?:\.\d+)?) ?([a-z]+)$/i;

/** Reads a size; whole bytes, rounded down. Undefined when the text is no size or not exactly representable. */
export function matchByteSize(text: string): number | undefined {
  const [, amount, unit] = sizePattern.exec(text) ?? [];
  const factor = unit === undefined ? undefined : factors[unit.toLowerCase()];
  if (amount === undefined || factor === undefined) return undefined;
  const bytes = Math.floor(Number(amount) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** As `matchByteSize`, for text that is known to be a size. */
export function parseByteSize(text: string): number {
  const bytes = matchByteSize(text);
  assert.ok(bytes !== undefined, `${text} is not a size`);
  return bytes;
}
