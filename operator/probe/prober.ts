/**
 * Probes trackers again and again, apart from their reconciles: a listener that hangs must hold up nobody. At most so many
 * trackers at once; a tracker whose plan changes, or that failed, is asked sooner. What is new is told, what is the same
 * is not.
 */
import { isDeepStrictEqual } from 'node:util';
import type { PodPlan, ProbePlan, Target } from './plan.ts';
import { ask, askHealth, askSources } from './question.ts';
import { RecentSources } from './recent-sources.ts';
import { sourceVerdict } from '../status.ts';
import { hasFailed, judgeAnswers, type PodAnswers, type ProbeReport, type TargetAnswer } from './verdict.ts';

/** How a prober goes about it. */
export interface ProberOptions {
  /** Called with the key of a tracker whose report is another than before. */
  readonly onChange: (key: string) => void;
  /** Between two probes of a tracker that works. */
  readonly intervalMillis: number;
  /** Between two probes of one that does not. */
  readonly retryMillis: number;
  /**
   * How long a plan has to be in force before a failure is told: nodes learn of pods and Services a moment after the operator
   * does, and nobody is to be alarmed by that.
   */
  readonly graceMillis: number;
  /** The most trackers that are probed at the same time. */
  readonly concurrency: number;
}

/** The usual way. */
export const PROBER_DEFAULTS = {
  intervalMillis: 30_000,
  retryMillis: 5_000,
  graceMillis: 10_000,
  concurrency: 16,
} as const;

/** Between two probes while a plan is new and fails. */
const GRACE_RETRY_MILLIS = 1_000;

/** Pods of one tracker that are asked in one round, those that failed first; the others are asked in the next rounds. */
const MAX_PODS = 8;
/** Of those, the most that failed the last time: they must not keep the others from their turn. */
const MAX_FAILED_PODS = 4;
/** Probes of many trackers that began together drift apart by this part of their interval. */
const JITTER = 0.2;

interface Watched {
  plan: ProbePlan;
  /** Since when, of the monotonic clock. */
  sinceMillis: number;
  report: ProbeReport | undefined;
  timer: NodeJS.Timeout | undefined;
  isRunning: boolean;
  /** Whether the plan changed while the probe was running. */
  isOutdated: boolean;
  /** What each pod of the plan answered last, the one that was asked last at the end. */
  readonly answers: Map<string, PodAnswers>;
  /** Where the announces of each of those pods came from. */
  readonly sources: Map<string, RecentSources>;
}

/** Probes trackers, by their keys. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #watched = new Map<string, Watched>();
  readonly #waiting: (() => void)[] = [];
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();

  /** How many more may be probed at the same time. */
  #free: number;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#free = options.concurrency;
  }

  /** Probes a tracker from now on, by this plan. One without pods is left alone, and what it was is forgotten. */
  watch(key: string, plan: ProbePlan): void {
    const watched = this.#watched.get(key);
    if (plan.pods.length === 0) {
      this.forget(key);
    } else if (watched === undefined) {
      const added = {
        plan,
        sinceMillis: performance.now(),
        report: undefined,
        timer: undefined,
        isRunning: false,
        isOutdated: false,
        answers: new Map<string, PodAnswers>(),
        sources: new Map<string, RecentSources>(),
      };
      this.#watched.set(key, added);
      this.#start(key, added);
    } else if (!isDeepStrictEqual(watched.plan, plan)) {
      watched.plan = plan;
      watched.sinceMillis = performance.now();
      if (watched.isRunning) watched.isOutdated = true;
      else this.#start(key, watched);
    }
  }

  /** Ends probing a tracker. */
  forget(key: string): void {
    clearTimeout(this.#watched.get(key)?.timer);
    this.#watched.delete(key);
  }

  /** Whether a tracker is being probed. */
  isWatching(key: string): boolean {
    return this.#watched.has(key);
  }

  /** What the last probe of a tracker said; undefined before the first. */
  report(key: string): ProbeReport | undefined {
    return this.#watched.get(key)?.report;
  }

  /** Ends every probe, and waits until they have ended. */
  async close(): Promise<void> {
    for (const key of this.#watched.keys()) this.forget(key);
    this.#abort.abort();
    await Promise.all(this.#running);
  }

  #start(key: string, watched: Watched): void {
    clearTimeout(watched.timer);
    watched.timer = undefined;
    watched.isRunning = true;
    const running = this.#probe(key, watched).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #startAfter(key: string, watched: Watched, millis: number): void {
    watched.timer = setTimeout(() => this.#start(key, watched), millis * (1 + JITTER * Math.random()));
    watched.timer.unref();
  }

  async #probe(key: string, watched: Watched): Promise<void> {
    await this.#acquire();
    const { plan } = watched;
    watched.isOutdated = false;
    const report = await this.#ask(watched, plan);
    this.#release();
    watched.isRunning = false;
    if (this.#watched.get(key) !== watched || this.#abort.signal.aborted) return;
    if (watched.isOutdated) {
      this.#start(key, watched);
      return;
    }
    const { intervalMillis, retryMillis, graceMillis } = this.#options;
    const isFailed = report.probe?.outcome === 'Failed';
    if (isFailed && performance.now() - watched.sinceMillis < graceMillis) {
      this.#startAfter(key, watched, GRACE_RETRY_MILLIS);
      return;
    }
    const isAwaited = isFailed || report.probe === undefined || report.database?.isUp === false;
    this.#startAfter(key, watched, isAwaited ? retryMillis : intervalMillis);
    const before = watched.report;
    watched.report = report;
    if (!isDeepStrictEqual(essenceOf(report), essenceOf(before))) this.#options.onChange(key);
  }

  async #ask(watched: Watched, plan: ProbePlan): Promise<ProbeReport> {
    const { pods, services, expectedRefusal, asksSources } = plan;
    const { signal } = this.#abort;
    const { answers } = watched;
    const askAll = (targets: readonly Target[]): Promise<TargetAnswer[]> =>
      Promise.all(
        targets.map(async (target) => ({
          name: target.name,
          complaint: await ask(target, expectedRefusal, signal),
        })),
      );
    const given = await Promise.all(
      choosePods(pods, answers).map(async ({ pod, isReady, health, targets }): Promise<PodAnswers> => {
        const states = await Promise.all(health.map((address) => askHealth(address, signal)));
        const isReached = states.some(({ kind }) => kind === 'answered');
        const [asked, sources] =
          isReached && isReady
            ? await Promise.all([
                askAll(targets),
                asksSources ? askSources(health[0]?.host ?? '', signal) : undefined,
              ])
            : [[], undefined];
        return { pod, isReady, health: states, answers: asked, sources };
      }),
    );
    const isReached = given.some(({ answers: ofPod }) => ofPod.length > 0);
    for (const answer of given) {
      answers.delete(answer.pod);
      answers.set(answer.pod, { ...answer, sources: takeSources(watched, answer) });
    }
    for (const pod of answers.keys()) {
      if (pods.some((planned) => planned.pod === pod)) continue;
      answers.delete(pod);
      watched.sources.delete(pod);
    }
    // In the order of the plan, so that the same answers make the same sentence.
    const known = pods.flatMap(({ pod }) => answers.get(pod) ?? []);
    return judgeAnswers(known, isReached ? await askAll(services) : []);
  }

  async #acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }

  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** Where the announces of a pod came from of late; undefined when it does not tell. */
function takeSources({ sources: known }: Watched, { pod, sources }: PodAnswers): PodAnswers['sources'] {
  if (sources === undefined) return undefined;
  const recent = known.get(pod) ?? new RecentSources();
  known.set(pod, recent);
  return recent.take(sources);
}

/** What of a report is news: counts of announces go up all the time, and only what follows from them is told. */
function essenceOf(report: ProbeReport | undefined) {
  return { ...report, sources: report?.sources === undefined ? undefined : sourceVerdict(report.sources) };
}

/** Who is asked this time: some that failed, then those that were never asked, then those whose last time is longest ago. */
function choosePods(pods: readonly PodPlan[], answers: ReadonlyMap<string, PodAnswers>): PodPlan[] {
  if (pods.length <= MAX_PODS) return [...pods];
  const failed = pods.filter(({ pod }) => hasFailed(answers.get(pod))).slice(0, MAX_FAILED_PODS);
  const order = [...answers.keys()];
  const others = pods
    .filter((pod) => !failed.includes(pod))
    .toSorted((one, other) => order.indexOf(one.pod) - order.indexOf(other.pod));
  return [...failed, ...others].slice(0, MAX_PODS);
}
