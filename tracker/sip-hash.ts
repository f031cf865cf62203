/**
 * SipHash-2-4 in pairs of 32-bit words (Aumasson and Bernstein, 2012): a keyed 64-bit MAC that costs a fraction of a
 * call into `node:crypto`, for messages of whole 32-bit words. A carry is `Number(a < b)`, which takes no branch: half of
 * all branches on a carry would be guessed wrong.
 */

/**
 * Writes the MAC of the `count` words of `message`, taken as the bytes that they are in memory, to `mac`: low word
 * first. `key` is four words.
 */
export function sipHash24(key: Int32Array, message: Int32Array, count: number, mac: Int32Array): void {
  let v0l = key[0] ^ 0x70736575;
  let v0h = key[1] ^ 0x736f6d65;
  let v1l = key[2] ^ 0x6e646f6d;
  let v1h = key[3] ^ 0x646f7261;
  let v2l = key[0] ^ 0x6e657261;
  let v2h = key[1] ^ 0x6c796765;
  let v3l = key[2] ^ 0x79746573;
  let v3h = key[3] ^ 0x74656462;
  const blocks = (count >> 1) + 1;
  const rounds = 2 * blocks + 4;
  let low = 0;
  let high = 0;
  for (let round = 0; round < rounds; round++) {
    // Two rounds for each block, the last of which holds the length, and four to finish.
    if ((round & 1) === 0) {
      v0l ^= low;
      v0h ^= high;
      const block = round >> 1;
      if (block < blocks) {
        const isLast = block === blocks - 1;
        low = !isLast || count & 1 ? message[2 * block] : 0;
        high = isLast ? count << 26 : message[2 * block + 1];
        v3l ^= low;
        v3h ^= high;
      } else {
        if (block === blocks) v2l ^= 0xff;
        low = 0;
        high = 0;
      }
    }
    v0l = (v0l + v1l) | 0;
    v0h = (v0h + v1h + Number(v0l >>> 0 < v1l >>> 0)) | 0;
    let low13 = (v1l << 13) | (v1h >>> 19);
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = low13 ^ v0l;
    low13 = v0l;
    v0l = v0h;
    v0h = low13;
    v2l = (v2l + v3l) | 0;
    v2h = (v2h + v3h + Number(v2l >>> 0 < v3l >>> 0)) | 0;
    const low16 = (v3l << 16) | (v3h >>> 16);
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = low16 ^ v2l;
    v0l = (v0l + v3l) | 0;
    v0h = (v0h + v3h + Number(v0l >>> 0 < v3l >>> 0)) | 0;
    const low21 = (v3l << 21) | (v3h >>> 11);
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = low21 ^ v0l;
    v2l = (v2l + v1l) | 0;
    v2h = (v2h + v1h + Number(v2l >>> 0 < v1l >>> 0)) | 0;
    const low17 = (v1l << 17) | (v1h >>> 15);
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = low17 ^ v2l;
    const swap = v2l;
    v2l = v2h;
    v2h = swap;
  }
  mac[0] = v0l ^ v1l ^ v2l ^ v3l;
  mac[1] = v0h ^ v1h ^ v2h ^ v3h;
}
