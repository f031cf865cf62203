/**
 * What the tracker does with an announce and a scrape, whatever protocol they came by: check access, ask the swarm
 * store, answer with a verdict. One object per network thread; nothing here allocates per request.
 */
import { type Access, KeyState } from './access.ts';
import type { Policy } from './policy.ts';
import { type AnnounceReply, AnnounceRequest, type ScrapeEntry } from './protocol/model.ts';
import { isProbeInfoHash } from './protocol/probe-hash.ts';
import type { SwarmRules } from './swarm/swarm-rules.ts';
import type { Store } from './swarm/store.ts';

/** What comes of a request. */
export const Verdict = {
  done: 0,
  keyMissing: 1,
  keyMalformed: 2,
  keyUnknown: 3,
  keyExpired: 4,
  notListed: 5,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export class Tracker {
  readonly policy: Policy;
  readonly #store: Store;
  readonly #access: Access;
  readonly #rules: SwarmRules = { persistCompleted: false, removePeerless: true, staleAfterSeconds: 0 };
  #nowSeconds = 0;
  #wallSeconds = 0;

  constructor(store: Store, access: Access, policy: Policy) {
    this.#store = store;
    this.#access = access;
    this.policy = policy;
    this.readClock();
  }

  /** Looks at the clocks and at the limits. The owner calls it once for each batch of requests. */
  readClock(): void {
    this.#nowSeconds = this.#store.nowSeconds();
    this.#wallSeconds = Date.now() / 1000;
    this.#store.limits.configure(this.policy);
  }

  /** Seconds since 1970 at the last look at the clocks, with fraction. */
  get wallSeconds(): number {
    return this.#wallSeconds;
  }

  /**
   * Announces. The caller has filled `request` and, in `reply`, where peers go and of which family. Unless the verdict
   * is `done`, nothing changed and the reply is not filled in. The info hash of probes is answered and not kept.
   */
  announce(request: AnnounceRequest, reply: AnnounceReply): Verdict {
    const verdict = this.judge(request);
    if (verdict !== Verdict.done) return verdict;
    if (isProbeInfoHash(request.words, AnnounceRequest.INFO_HASH_WORD)) {
      reply.clear();
      return Verdict.done;
    }
    const { policy } = this;
    const { maxPeers } = policy;
    reply.peersWanted = request.numWant < 0 || request.numWant > maxPeers ? maxPeers : request.numWant;
    this.#rules.persistCompleted = policy.persistsCompleted;
    this.#rules.staleAfterSeconds = policy.intervalSeconds;
    this.#store.announce(request, reply, this.#nowSeconds, this.#rules);
    return Verdict.done;
  }

  /** Whether the announce may be made: key first, then whitelist. Changes nothing. */
  judge(request: AnnounceRequest): Verdict {
    if (this.policy.isPrivate) {
      const verdict = this.#judgeKey(request.key);
      if (verdict !== Verdict.done) return verdict;
    }
    if (!this.policy.isListed) return Verdict.done;
    return this.#access.isListed(request.words, AnnounceRequest.INFO_HASH_WORD)
      ? Verdict.done
      : Verdict.notListed;
  }

  /** Whether scrapes that come with this key are told the truth; others are told zeroes. */
  mayScrape(key: string): boolean {
    return !this.policy.isPrivate || this.#judgeKey(key) === Verdict.done;
  }

  /** Reads the counters of the torrent at `words[first]`: zeroes when it is unknown or, in listed mode, not listed. */
  scrape(words: Int32Array, first: number, entry: ScrapeEntry): void {
    if (this.policy.isListed && !this.#access.isListed(words, first)) entry.clear();
    else this.#store.scrape(words, first, entry);
  }

  #judgeKey(key: string): Verdict {
    if (key === '') return Verdict.keyMissing;
    const state = this.#access.checkKey(key, this.#wallSeconds);
    if (state === KeyState.malformed) return Verdict.keyMalformed;
    if (state === KeyState.unknown) return Verdict.keyUnknown;
    if (state === KeyState.expired && this.policy.checksKeyExpiration) return Verdict.keyExpired;
    return Verdict.done;
  }
}
