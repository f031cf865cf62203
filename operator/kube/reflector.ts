/**
 * Keeps a cache equal to what the API server has of one kind: a list in pages, then watches that go on from where the last
 * one ended. Whatever fails is tried again, for ever; only the signal ends it.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { ApiResource } from './api-resource.ts';
import { Backoff } from './backoff.ts';
import type { KubeClient, Selection } from './client.ts';
import { type Clock, pause, SYSTEM_CLOCK } from './clock.ts';
import { isApiError, isExpired, REASON, retryAfterSecondsOf } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import type { KubeObject } from './kube-object.ts';
import type { ReflectorMetrics } from './metrics.ts';
import { type Change, type IndexBy, ObjectCache, type ObjectLister } from './object-cache.ts';
import { watchEvents } from './watch-events.ts';

/** What a reflector is to keep, and with what. */
export interface ReflectorOptions {
  readonly client: KubeClient;
  readonly resource: ApiResource;
  /** Absent: all of the cluster. */
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** What of an object is kept; all of it unless said. Name, namespace, uid and resource version have to stay. */
  readonly trim?: (object: KubeObject) => KubeObject;
  readonly indexes?: Readonly<Record<string, IndexBy>>;
  /** A kind that the cluster may not have: then there are no objects, until it has. */
  readonly isOptional?: boolean;
  /** How often every object is told again; never unless said. */
  readonly resyncSeconds?: number;
  readonly metrics: ReflectorMetrics;
  readonly log: KubeLog;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
  /** Bookmarks come about once a minute. */
  readonly silenceSeconds?: number;
}

/** A running reflector. */
export interface Reflector {
  readonly objects: ObjectLister;
  /** Resolves after the first list of each namespace; rejects when the reflector ends before. */
  readonly synced: Promise<void>;
  /** Resolves when it has ended, with nothing left of it. */
  readonly ended: Promise<void>;
  /** Calls `listener` for every change until what it returns is called. What the listener throws is logged. */
  subscribe(listener: (change: Change) => void): () => void;
  /** What hinders it at the moment, as a sentence; undefined when it is watching. */
  problem(): string | undefined;
}

const SILENCE_SECONDS = 180;
/** When the server ends a watch: spread, so that not all begin anew together. */
const MIN_WATCH_SECONDS = 300;
const MAX_WATCH_SECONDS = 600;
/** The server may send pages of a list slowly, but not for ever. */
const LIST_TIMEOUT_MILLIS = 60_000;
/** A watch that ended sooner, with nothing to say, is a failure. */
const SHORT_WATCH_MILLIS = 5_000;
/** A watch that held for so long worked, even when nothing happened. */
const STEADY_WATCH_MILLIS = 30_000;
/** After so many failures in a row the place to continue from is doubted: the server's state may be restored from a backup. */
const MAX_FAILURES_BEFORE_LIST = 3;
/** A server may ask for more; the operator would rather ask again. */
const MAX_RETRY_AFTER_MILLIS = 300_000;
/** How often a kind that is not there is looked for. */
const ABSENT_MILLIS = 20_000;
/** The share of the time between two rounds by which the next comes sooner or later. */
const RESYNC_JITTER = 0.1;

/** Starts a reflector. Subscribe at once, before the first list comes. */
export function startReflector(options: ReflectorOptions): Reflector {
  return new NamespacedReflector(options);
}

class NamespacedReflector implements Reflector {
  readonly synced: Promise<void>;
  readonly ended: Promise<void>;
  readonly #options: ReflectorOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #cache: ObjectCache;
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #problems = new Map<string | undefined, string>();

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#random = options.random ?? Math.random;
    this.#cache = new ObjectCache(options.indexes);
    options.metrics.failures.inc({ name: options.resource.plural }, 0);
    const namespaces: readonly (string | undefined)[] = options.namespaces ?? [undefined];
    const parts = namespaces.map((namespace) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#problems.set(namespace, 'not listed yet');
      const loop = this.#run(namespace, resolve).finally(() => reject(new Error('the reflector has ended')));
      return { synced: promise, loop };
    });
    this.synced = Promise.all(parts.map(({ synced }) => synced)).then(() => undefined);
    // Who waits for it hears of the rejection; nobody has to.
    this.synced.catch(() => undefined);
    this.ended = Promise.all([...parts.map(({ loop }) => loop), this.#resync()]).then(() => undefined);
  }

  get objects(): ObjectLister {
    return this.#cache;
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  problem(): string | undefined {
    const [problem] = this.#problems.values();
    return problem === undefined ? undefined : `${this.#options.resource.plural}: ${problem}`;
  }

  /** Lists and watches one namespace until the signal is aborted. */
  async #run(namespace: string | undefined, onListed: () => void): Promise<void> {
    const { signal, log, metrics, resource, isOptional } = this.#options;
    const backoff = new Backoff(this.#random);
    const labels = { name: resource.plural };
    const position: Position = { resourceVersion: undefined, hasProgress: false };
    /** In a row, and those since the last list. A list alone is no success: it may be followed by the same refusal. */
    let failures = 0;
    let doubts = 0;
    while (!signal.aborted) {
      let waitMillis = 0;
      position.hasProgress = false;
      try {
        if (position.resourceVersion === undefined) {
          await this.#list(namespace, position);
          doubts = 0;
          onListed();
          continue;
        }
        await this.#watch(namespace, position);
        backoff.reset();
        failures = 0;
        doubts = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (position.hasProgress) {
          backoff.reset();
          failures = 0;
          doubts = 0;
        }
        failures += 1;
        doubts += 1;
        const isAbsent = isApiError(error, REASON.notFound);
        if (!isAbsent || isOptional !== true) metrics.failures.inc(labels);
        if (isAbsent || isExpired(error) || doubts >= MAX_FAILURES_BEFORE_LIST) {
          position.resourceVersion = undefined;
        }
        if (isAbsent && isOptional === true) {
          this.#take(this.#cache.replace([], namespace));
          this.#problems.delete(namespace);
          onListed();
          waitMillis = ABSENT_MILLIS;
        } else {
          // What was forgotten while the watch ran is listed at once; what is forgotten again and again is not.
          waitMillis = isExpired(error) && failures === 1 ? 0 : waitAfter(error, backoff);
          this.#problems.set(namespace, messageOf(error));
          const write = failures === 1 ? log.warn : log.debug;
          write.call(
            log,
            { err: error, kind: resource.kind, namespace, waitMillis },
            'watching is tried again',
          );
        }
      }
      if (waitMillis > 0) await pause(this.#clock, waitMillis, signal);
    }
  }

  async #list(namespace: string | undefined, position: Position): Promise<void> {
    const { client, resource, metrics, signal, trim } = this.#options;
    metrics.lists.inc({ name: resource.plural });
    const { items, resourceVersion } = await client.list(resource, this.#selection(namespace), {
      signal,
      timeoutMillis: LIST_TIMEOUT_MILLIS,
    });
    this.#problems.delete(namespace);
    this.#take(this.#cache.replace(trim === undefined ? items : items.map(trim), namespace));
    position.resourceVersion = resourceVersion;
  }

  /** Watches once; resolves when the server has ended the watch after some time. */
  async #watch(namespace: string | undefined, position: Position): Promise<void> {
    const { client, resource, metrics, signal, trim, silenceSeconds = SILENCE_SECONDS } = this.#options;
    metrics.watches.inc({ name: resource.plural });
    const { resourceVersion = '' } = position;
    const spread = this.#random() * (MAX_WATCH_SECONDS - MIN_WATCH_SECONDS + 1);
    const timeoutSeconds = MIN_WATCH_SECONDS + Math.floor(spread);
    let openedAtMillis: number | undefined;
    const request = { ...this.#selection(namespace), resourceVersion, timeoutSeconds };
    const limits = { signal, silenceMillis: silenceSeconds * 1000, clock: this.#clock };
    const heldMillis = () => this.#clock.monotonicMillis() - (openedAtMillis ?? Infinity);
    try {
      for await (const event of watchEvents(client, resource, request, limits)) {
        this.#problems.delete(namespace);
        openedAtMillis ??= this.#clock.monotonicMillis();
        if (event.kind === 'opened') continue;
        if (event.kind !== 'bookmark') {
          const object = trim === undefined ? event.object : trim(event.object);
          const change = event.kind === 'set' ? this.#cache.set(object) : this.#cache.delete(object);
          this.#take(change === undefined ? [] : [change]);
        }
        position.resourceVersion = event.resourceVersion;
        position.hasProgress = true;
      }
    } finally {
      if (heldMillis() > STEADY_WATCH_MILLIS) position.hasProgress = true;
    }
    if (!position.hasProgress && heldMillis() < SHORT_WATCH_MILLIS) {
      throw new Error('the server ended a watch at once');
    }
  }

  #selection(namespace: string | undefined): Selection {
    const { labelSelector, fieldSelector } = this.#options;
    return { namespace, labelSelector, fieldSelector };
  }

  #take(changes: readonly Change[]): void {
    const { log, metrics, resource } = this.#options;
    metrics.objects.set({ name: resource.plural }, this.#cache.size);
    for (const change of changes) {
      for (const listener of this.#listeners) {
        try {
          listener(change);
        } catch (error) {
          log.error({ err: error, kind: resource.kind }, 'a listener of a reflector threw');
        }
      }
    }
  }

  /** Tells every object again from time to time, in case something was overlooked. */
  async #resync(): Promise<void> {
    const { resyncSeconds, signal } = this.#options;
    if (resyncSeconds === undefined) return;
    while (!signal.aborted) {
      const factor = 1 + RESYNC_JITTER * (2 * this.#random() - 1);
      await pause(this.#clock, resyncSeconds * 1000 * factor, signal);
      if (signal.aborted) return;
      this.#take(this.#cache.list().map((object) => ({ kind: 'set', object, previous: object })));
    }
  }
}

/** Where a watch continues. */
interface Position {
  /** Undefined: with a list. */
  resourceVersion: string | undefined;
  /** Whether the last try was good for something. */
  hasProgress: boolean;
}

function waitAfter(error: unknown, backoff: Backoff): number {
  const wishedMillis = Math.min(MAX_RETRY_AFTER_MILLIS, retryAfterSecondsOf(error) * 1000);
  return Math.max(backoff.nextMillis(), wishedMillis);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
