/**
 * Token buckets in bounded shared memory, one for each client that was seen of late: a cache of eight places for each
 * hash, one cache line. A client without a place has a full bucket, and so has one that was silent for long; a new client
 * takes the place of the fullest bucket. So a flood from many addresses costs no memory, and the bucket of a single
 * flooder, the emptiest of all, stays.
 *
 * A bucket is one number: the time at which it will be full (the generic cell rate algorithm, ITU-T I.371). A request
 * moves that time on by `increment`, and is refused when it lies more than `tolerance` ahead. Being one number, it is
 * changed by one compare-and-exchange; and while the bucket is more than half full, when nothing is decided by one
 * request, by a plain store, which costs a fraction.
 *
 *   per place: tag (0: nobody), time in ticks, which wraps after 68 minutes
 *
 * A client that used its bucket up, and asks again after just a multiple of those 68 minutes, is taken for one that did
 * so a moment ago, and has to wait for the time of one request.
 */

/** Parts of a second in which buckets are measured. */
export const TICKS_PER_SECOND = 2 ** 20;
/** Threads look at the clock at different moments, so that a bucket may be changed by one that is so far ahead. */
const SLACK_TICKS = TICKS_PER_SECOND / 16;

const PLACES_PER_SET = 8;
const PLACE_WORDS = 2;
const SET_WORDS = PLACES_PER_SET * PLACE_WORDS;

/** How fast buckets are filled and how much they hold, in ticks. */
export interface BucketSize {
  /** The time in which one request's worth comes in. */
  readonly increment: number;
  /** The time in which a whole bucket comes in, less one increment. */
  readonly tolerance: number;
}

/** The size of buckets for a rate. `burst`, from 1 to ten minutes' worth, may come at once. */
export function bucketSize(perSecond: number, burst: number): BucketSize {
  const increment = Math.max(1, Math.round(TICKS_PER_SECOND / perSecond));
  return { increment, tolerance: (burst - 1) * increment };
}

/**
 * Takes one request's worth from the bucket at `words[at]`. Returns 0, or the ticks to wait when there is not so much in
 * it; then it is left as it is.
 */
export function takeToken(words: Int32Array, at: number, nowTicks: number, size: BucketSize): number {
  for (;;) {
    const time = words[at];
    const backlog = backlogOf(time, nowTicks, size);
    if (backlog > size.tolerance) return backlog - size.tolerance;
    const next = (nowTicks + backlog + size.increment) | 0;
    if (backlog < size.tolerance >> 1) {
      words[at] = next;
      return 0;
    }
    if (Atomics.compareExchange(words, at, time, next) === time) return 0;
  }
}

/** Ticks until a bucket is full. A time that no request can have set is one that has passed, before it wrapped. */
function backlogOf(time: number, nowTicks: number, { increment, tolerance }: BucketSize): number {
  const backlog = (time - nowTicks) | 0;
  return backlog < 0 || backlog > tolerance + increment + SLACK_TICKS ? 0 : backlog;
}

export class BucketTable {
  /** Shared memory: can be posted to a worker. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #mask: number;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#mask = this.#words.length / SET_WORDS - 1;
  }

  /** Makes a table of `8 * 2 ** setsLog2` places. */
  static create(setsLog2: number): BucketTable {
    return new BucketTable(new SharedArrayBuffer(4 * SET_WORDS * 2 ** setsLog2));
  }

  static attach(buffer: SharedArrayBuffer): BucketTable {
    return new BucketTable(buffer);
  }

  /** Takes one request's worth from a client's bucket; as `takeToken`. `tag` tells clients of the same hash apart. */
  take(hash: number, tag: number, nowTicks: number, size: BucketSize): number {
    const words = this.#words;
    const first = (hash & this.#mask) * SET_WORDS;
    const wanted = tag === 0 ? 1 : tag;
    let fullest = first;
    let least = Infinity;
    for (let place = first; place < first + SET_WORDS; place += PLACE_WORDS) {
      if (words[place] === wanted) return takeToken(words, place + 1, nowTicks, size);
      const backlog = words[place] === 0 ? -1 : backlogOf(words[place + 1], nowTicks, size);
      if (backlog >= least) continue;
      fullest = place;
      least = backlog;
    }
    words[fullest + 1] = (nowTicks + size.increment) | 0;
    words[fullest] = wanted;
    return 0;
  }

  /** Fills all buckets. */
  clear(): void {
    this.#words.fill(0);
  }
}
