/**
 * Keeps the swarms over a restart: restores them from their file when the tracker has begun to answer, writes them every
 * so often, and once more when the tracker stops and nothing changes any more.
 *
 * As long as the file is not restored as a whole it is not written either, or a stop in the middle would cost the rest.
 */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SnapshotConfig } from '../config/tables/snapshot.ts';
import type { Policy } from '../policy.ts';
import type { Store } from '../swarm/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { SnapshotReadings } from '../telemetry/readings.ts';
import type { AsideReason } from './set-aside.ts';
import type { SnapshotFileNews } from './snapshot-file.ts';
import {
  type Restored,
  type RunningJob,
  type SnapshotJob,
  type SnapshotOutcome,
  startSnapshotJob,
  type Written,
} from './snapshot-thread.ts';

/** A timer can wait for 24 days. */
const MAX_WAIT_MILLIS = 2 ** 31 - 1;

export interface SnapshotParts {
  readonly store: Store;
  readonly policy: Policy;
  readonly logger: Logger;
  /** Called when a thread of ours dies. */
  onFailure(error: Error): void;
}

const REASONS: Readonly<Record<AsideReason, string>> = {
  foreign: 'is no snapshot of swarms',
  newer: 'was written by a newer version of the tracker',
  damaged: 'is damaged',
  unreadable: "can't be read",
};

export class SnapshotKeeper {
  readonly #parts: SnapshotParts;
  #config: SnapshotConfig;
  #wakeUp = new AbortController();
  #job: RunningJob | null = null;
  #ended: Promise<void> | null = null;
  #isStopping = false;
  /** Whether the time for the last snapshot is over. */
  #hasGivenUp = false;
  /** The file was restored, or can't be: it may be written. */
  #mayWrite = false;
  /** Something changed that asks for a snapshot now. */
  #isDue = false;
  #trouble: string | null = null;
  #figures: SnapshotReadings = {
    writtenAtSeconds: 0,
    peers: 0,
    bytes: 0,
    seconds: 0,
    writes: 0,
    failures: 0,
    restoredPeers: 0,
    restoredTorrents: 0,
  };

  constructor(parts: SnapshotParts, config: SnapshotConfig) {
    this.#parts = parts;
    this.#config = config;
  }

  /** A sentence about a file that can't be written or read; null when all is well, or there is none. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** What there is to say of snapshots, for metrics. */
  get figures(): SnapshotReadings {
    return this.#figures;
  }

  /** Begins to restore, and then to write. To be called when the tracker answers. */
  begin(): void {
    this.#ended = this.#work().catch((error: unknown) => {
      this.#parts.onFailure(error instanceof Error ? error : new Error(String(error)));
    });
  }

  /** Takes over another path or interval. A new path gets its first snapshot at once. */
  update(config: SnapshotConfig): void {
    const before = this.#config;
    if (config.path === before.path && config.interval === before.interval) return;
    this.#config = config;
    if (config.path !== before.path) {
      this.#isDue = config.path !== undefined;
      if (config.path === undefined) this.#trouble = null;
    }
    this.#wakeUp.abort();
  }

  /**
   * Ends the rounds, and writes the last snapshot: to be called when no network thread runs any more. Waits for a disk no
   * longer than `limitMillis`, so that what is stopped after this has its turn.
   */
  async stop(limitMillis: number): Promise<void> {
    this.#isStopping = true;
    this.#wakeUp.abort();
    this.#job?.abort();
    // A signal takes whole milliseconds only.
    const limit = AbortSignal.timeout(Math.floor(limitMillis));
    const givenUp = new Promise<null>((found) => limit.addEventListener('abort', () => found(null)));
    const { path } = this.#config;
    const written = await Promise.race([this.#writeLast(path), givenUp]);
    if (written === null) {
      this.#hasGivenUp = true;
      this.#job?.abandon();
      if (path === undefined) return;
      this.#parts.logger.warn(
        `Swarms could not be written to ${path} within ${Math.round(limitMillis / 1000)} s: the file of before stays`,
      );
    } else if (path !== undefined && written?.kind === 'written') this.#tellWritten(path, written);
  }

  /** Writes the last snapshot when the job that is under way has ended, if there is a file that may be written. */
  async #writeLast(path: string | undefined): Promise<SnapshotOutcome | undefined> {
    await this.#ended;
    if (!this.#mayWrite || path === undefined || this.#hasGivenUp) return undefined;
    return this.#write(path, false);
  }

  async #work(): Promise<void> {
    const { path } = this.#config;
    if (path !== undefined) {
      const outcome = await this.#run({ kind: 'restore', path });
      if (outcome.kind === 'aborted') return;
      this.#tellRestored(path, outcome);
    }
    this.#mayWrite = true;
    while (!this.#isStopping) {
      if (!this.#isDue) await this.#wait();
      const { path: to } = this.#config;
      if (!this.#isDue || to === undefined || this.#isStopping) continue;
      this.#isDue = false;
      await this.#write(to, true);
    }
  }

  /** Waits for the interval, after which a snapshot is due; shorter when something changed. */
  async #wait(): Promise<void> {
    this.#wakeUp = new AbortController();
    const { path, interval } = this.#config;
    const millis = path === undefined ? MAX_WAIT_MILLIS : Math.min(interval * 1000, MAX_WAIT_MILLIS);
    try {
      await sleep(millis, undefined, { signal: this.#wakeUp.signal, ref: false });
      this.#isDue = true;
    } catch {
      // Whoever cut the wait short has said what is to be done.
    }
  }

  async #write(path: string, isPaced: boolean): Promise<SnapshotOutcome> {
    const outcome = await this.#run({ kind: 'write', path, isPaced });
    if (outcome.kind === 'written') this.#noteWritten(path, outcome);
    if (outcome.kind === 'failed') {
      this.#figures = { ...this.#figures, failures: this.#figures.failures + 1 };
      this.#noteTrouble(
        `Swarms can't be written to ${path}: ${outcome.message}`,
        'The file of before stays, if there is one',
      );
    }
    return outcome;
  }

  async #run(job: SnapshotJob): Promise<SnapshotOutcome> {
    const { store, policy, logger } = this.#parts;
    // Relative paths begin in the working directory.
    const path = resolve(job.path);
    this.#job = startSnapshotJob({ ...job, path }, { store: store.memory, policy: policy.buffer }, (news) =>
      logger.warn(describeNews(job.path, news)),
    );
    try {
      return await this.#job.outcome;
    } finally {
      this.#job = null;
    }
  }

  #noteWritten(path: string, { peers, bytes, seconds }: Written): void {
    const { writes } = this.#figures;
    const writtenAtSeconds = Date.now() / 1000;
    this.#figures = { ...this.#figures, writtenAtSeconds, peers, bytes, seconds, writes: writes + 1 };
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#parts.logger.info(`Swarms are written to ${path} again`);
  }

  #noteTrouble(trouble: string, consequence: string): void {
    // The same trouble is told once, however often it comes.
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    this.#parts.logger.warn(`${trouble}. ${consequence}`);
  }

  #tellWritten(path: string, { peers, bytes, seconds }: Written): void {
    this.#parts.logger.info(
      `Swarms written to ${path}: ${peers} peers in ${bytes} bytes, ${seconds.toFixed(1)} s`,
    );
  }

  #tellRestored(path: string, outcome: SnapshotOutcome): void {
    const { logger, store } = this.#parts;
    if (outcome.kind === 'absent') {
      logger.info(`There is no ${path} yet: swarms begin empty`);
    } else if (outcome.kind === 'failed') {
      this.#noteTrouble(`Swarms can't be written to ${path}: ${outcome.message}`, 'They begin empty');
    } else if (outcome.kind === 'restored') {
      const { kept, torrents } = outcome.counts;
      this.#figures = { ...this.#figures, restoredPeers: kept, restoredTorrents: torrents };
      if (outcome.fault === null) logger.info(describe(path, outcome, store.totals().torrents));
      else logger.warn(describeFault(path, outcome));
    }
  }
}

/** What came back, with the share of those peers that were not too old. */
function describe(path: string, { counts, downSeconds, seconds }: Restored, torrents: number): string {
  const { kept, expired, present, unstored } = counts;
  const live = kept + present + unstored;
  const share = live === 0 ? 100 : Math.floor((1000 * (kept + present)) / live) / 10;
  return [
    `Swarms restored from ${path}: kept ${kept + present} of ${live} peers (${share} %) in ${torrents} torrents`,
    `${expired} expired`,
    ...(present > 0 ? [`${present} were there already`] : []),
    ...(unstored > 0 ? [`${unstored} had no room in swarm.memory`] : []),
    `written ${Math.round(Math.max(0, downSeconds))} s ago, restored in ${seconds.toFixed(1)} s`,
  ].join(', ');
}

function describeNews(path: string, news: SnapshotFileNews): string {
  return news.kind === 'aside'
    ? `${path} ${REASONS[news.reason]}: it is set aside as ${news.path}`
    : `The disk of ${path} is full: damaged files that had been set aside are removed: ${news.paths.join(', ')}`;
}

function describeFault(path: string, { fault, aside, counts }: Restored): string {
  const reason = fault === null ? '' : REASONS[fault];
  const kept =
    counts.kept + counts.present > 0
      ? `${counts.kept + counts.present} peers of its sound part are restored`
      : 'swarms begin empty';
  const place =
    aside === null || aside.kind === 'refused'
      ? `it could not be set aside, since ${aside?.text ?? 'it is gone'}`
      : `it is set aside as ${aside.text}`;
  return `The snapshot ${path} ${reason}: ${kept}, and ${place}`;
}
