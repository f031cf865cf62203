/**
 * Keeps the completed counters of the store and of the database together: every second, what was completed is written
 * behind in one batch, and torrents seen for the first time get their number of earlier times. While the database is
 * away the batch waits, and is written under its own id when it is back, so that nothing is lost or counted twice.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/client.ts';
import { DatabaseError } from '../db/error.ts';
import type { Policy } from '../policy.ts';
import type { Store } from '../swarm/store.ts';

const INTERVAL_MILLIS = 1_000;
/** How long the end of the tracker waits for a database that is away, when something is left to write. */
const LAST_TRY_MILLIS = 5_000;
const LAST_TRY_INTERVAL_MILLIS = 1_000;
const MAX_TORRENTS_PER_SHARD = 1_000;
/** Torrents that are asked for in one query. While so many wait, the rest stays in the store, which is bounded. */
const BASES_PER_QUERY = 10_000;

/** What the owner wants to hear of. */
export interface CompletedSyncHooks {
  /** An error that is not "the database is away"; the rounds go on. */
  onError(error: unknown): void;
  /** The end has come, and so many completed downloads are not known to be in the database. */
  onLoss(downloads: number): void;
}

interface Batch {
  readonly id: string;
  readonly increments: ReadonlyMap<string, number>;
}

export class CompletedSync {
  readonly #store: Store;
  readonly #database: Database;
  readonly #policy: Policy;
  readonly #hooks: CompletedSyncHooks;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  /** What was taken from the store and is not yet in the database. */
  #batch: Batch | null = null;
  readonly #basesWanted = new Set<string>();
  /** Whatever is still under way has been given up. */
  #isOver = false;
  #isTotalKnown = false;
  /** Whether the torrents in the store have asked for their bases, which each does when it comes. */
  #hasAsked: boolean;
  /** Downloads completed over all time, as the database knew last; 0 when counters are not kept. */
  totalCompleted = 0;

  /** Starts the rounds. */
  constructor(store: Store, database: Database, policy: Policy, hooks: CompletedSyncHooks) {
    this.#store = store;
    this.#database = database;
    this.#policy = policy;
    this.#hasAsked = policy.persistsCompleted;
    this.#hooks = hooks;
    this.#ended = this.#work();
  }

  /** Torrents whose counters wait to be read from or written to the database. */
  get torrentsWaiting(): number {
    return this.#basesWanted.size + (this.#batch?.increments.size ?? 0);
  }

  /** Writes all that there is, if the database is there or comes back in a moment, and ends within `limitMillis`. */
  async stop(limitMillis: number): Promise<void> {
    const giveUpMillis = performance.now() + LAST_TRY_MILLIS;
    this.#abort.abort();
    const timer = new AbortController();
    const limit = sleep(limitMillis, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.#finish(giveUpMillis), limit]);
    timer.abort();
    this.#isOver = true;
    const lost = this.#unwritten();
    if (lost > 0) this.#hooks.onLoss(lost);
  }

  async #finish(giveUpMillis: number): Promise<void> {
    await this.#ended;
    await this.#writeAll();
    if (this.#batch !== null && (await this.#isBackBefore(giveUpMillis))) await this.#writeAll();
  }

  /** A batch may have waited from before, and a round takes so many torrents only. */
  async #writeAll(): Promise<void> {
    while (await this.#round());
  }

  /** The pauses between the tries of a database that is down grow long; here none of them is waited for. */
  async #isBackBefore(giveUpMillis: number): Promise<boolean> {
    while (this.#database.state().kind === 'down') {
      if (performance.now() >= giveUpMillis) return false;
      this.#database.retry();
      await sleep(LAST_TRY_INTERVAL_MILLIS);
    }
    return true;
  }

  /** Takes what is left, which is then gone, and counts it. */
  #unwritten(): number {
    let downloads = 0;
    for (const increment of this.#batch?.increments.values() ?? []) downloads += increment;
    this.#batch = null;
    for (;;) {
      const news = this.#store.takeNews(MAX_TORRENTS_PER_SHARD);
      if (news.length === 0) return downloads;
      for (const { completions } of news) downloads += completions;
    }
  }

  async #work(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      await this.#round();
      await sleep(INTERVAL_MILLIS, undefined, { signal: this.#abort.signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  /** Takes the news and writes them. Returns whether the database had something to do, and did it. */
  async #round(): Promise<boolean> {
    if (this.#isOver) return false;
    try {
      await this.#askAnew();
      if (this.#batch === null && this.#basesWanted.size < BASES_PER_QUERY) this.#take();
      const hasWork = this.#batch !== null || this.#basesWanted.size > 0;
      // The bases come before the batch, or they would contain it, and it would count twice.
      while (this.#basesWanted.size > 0) {
        const asked = [...this.#basesWanted].slice(0, BASES_PER_QUERY);
        const bases = await this.#database.loadCompleted(asked);
        for (const infoHash of asked) {
          this.#basesWanted.delete(infoHash);
          this.#store.addBase(infoHash, bases.get(infoHash) ?? 0);
        }
      }
      if (this.#batch !== null) {
        await this.#database.addCompleted(this.#batch.id, this.#batch.increments);
        this.#batch = null;
        this.#isTotalKnown = false;
      }
      if (this.#policy.persistsCompleted && !this.#isTotalKnown) {
        this.totalCompleted = await this.#database.totalCompleted();
        this.#isTotalKnown = true;
      }
      return hasWork;
    } catch (error) {
      const isAway = error instanceof DatabaseError && error.code === 'unavailable';
      if (!isAway && !this.#isOver) this.#hooks.onError(error);
      return false;
    }
  }

  /** Has torrents ask for their bases that came while counters were not kept. */
  async #askAnew(): Promise<void> {
    if (this.#policy.persistsCompleted === this.#hasAsked) return;
    this.#hasAsked = this.#policy.persistsCompleted;
    if (!this.#hasAsked) return;
    for (const _ of this.#store.wantBases()) await nextTurn();
  }

  /** Takes the news of the store. What comes with the first batch waits in the store while the database is away. */
  #take(): void {
    const increments = new Map<string, number>();
    for (const { infoHash, wantsBase, completions } of this.#store.takeNews(MAX_TORRENTS_PER_SHARD)) {
      if (wantsBase) this.#basesWanted.add(infoHash);
      if (completions > 0) increments.set(infoHash, completions);
    }
    if (increments.size > 0) this.#batch = { id: randomUUID(), increments };
  }
}
