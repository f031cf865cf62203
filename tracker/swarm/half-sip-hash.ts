/**
 * HalfSipHash-1-3: a keyed 32-bit hash over 32-bit words (Aumasson and Bernstein's SipHash with half the width; the
 * Linux kernel's `hsiphash` for its tables). Under a random key nobody outside can choose inputs that collide.
 */

/** Hashes `count` words from `first` on, as the `4 * count` bytes that they are in memory. Returns a signed word. */
export function halfSipHash(
  words: Int32Array,
  first: number,
  count: number,
  keyLow: number,
  keyHigh: number,
): number {
  let v0 = keyLow;
  let v1 = keyHigh;
  let v2 = 0x6c796765 ^ keyLow;
  let v3 = 0x74656462 ^ keyHigh;
  const rounds = count + 4;
  for (let i = 0; i < rounds; i++) {
    // The words, then the length block, then three rounds that finish.
    const word = i < count ? words[first + i] : i === count ? count << 26 : 0;
    if (i === count + 1) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}
