/**
 * Tells people what happens to an object: Events, as `kubectl describe` shows them.
 *
 * They are written as events.k8s.io/v1, which has series: what happens again is one Event that counts, patched at most once
 * a minute. (Events of the core group have a count as well, but that is kept for old clients only; both are stored as the
 * same object, so `kubectl` and whoever reads the core group see these.) An object that has too many different ones is cut
 * short, with the numbers of client-go. Nothing here ever fails its caller: an Event that can't be written is lost.
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import { randomBytes } from 'node:crypto';
import type { KubeClient } from './client.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';
import { isApiError, REASON } from './kube-error.ts';
import type { KubeLog } from './kube-log.ts';
import type { KubeObject } from './kube-object.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';

/** Something that happened. */
export interface Happening {
  /** To which object. */
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in CamelCase. */
  readonly reason: string;
  /** What was done or tried, in CamelCase. */
  readonly action: string;
  /** A sentence for people. */
  readonly note: string;
}

/** What a recorder needs. */
export interface RecorderOptions {
  readonly client: KubeClient;
  /** Of this process. */
  readonly identity: string;
  readonly metrics: KubeMetrics['events'];
  readonly log: KubeLog;
  readonly clock?: Clock;
}

const CONTROLLER = 'tracker.torrust.com/operator';
const FIELD_MANAGER = 'torrust-operator';
/** What happens again later than this is news. */
const SERIES_MILLIS = 600_000;
const PATCH_MILLIS = 60_000;
/** For each object: so many different ones, and one more every five minutes. */
const BURST_EVENTS = 25;
const REFILL_MILLIS = 300_000;
const MAX_SERIES = 1_000;
const MAX_OBJECTS = 5_000;
const MAX_WAITING = 200;
const CALL_MILLIS = 10_000;
/** The limits of the API; a note has 1024 bytes. */
const MAX_NOTE_BYTES = 1_000;
const MAX_INSTANCE_CHARS = 128;
/** With the suffix within the 253 of a name. */
const MAX_NAME_CHARS = 230;

interface Series {
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  count: number;
  writtenCount: number;
  lastMillis: number;
  lastDate: Date;
  writtenMillis: number;
  cancel: (() => void) | undefined;
}

interface Bucket {
  tokens: number;
  atMillis: number;
}

/** Writes Events, one after the other, in the background. */
export class EventRecorder {
  readonly #options: RecorderOptions;
  readonly #clock: Clock;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #stop = new AbortController();
  #waiting = 0;
  #written: Promise<void> = Promise.resolve();

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    for (const result of ['written', 'dropped', 'failed']) options.metrics.inc({ result }, 0);
  }

  /** Notes something down; returns at once. */
  record(happening: Happening): void {
    if (this.#stop.signal.aborted) return;
    const { regarding, type, reason, action, note } = happening;
    const { uid = '', name } = regarding.metadata;
    const key = JSON.stringify([uid, regarding.kind, name, type, reason, action, note]);
    const now = this.#clock.monotonicMillis();
    const series = this.#series.get(key);
    if (series !== undefined && now - series.lastMillis < SERIES_MILLIS) {
      series.count += 1;
      series.lastMillis = now;
      series.lastDate = this.#clock.date();
      this.#schedule(series);
      return;
    }
    if (series !== undefined) this.#forget(series);
    if (!this.#mayTell(uid === '' ? key : uid, now)) {
      this.#options.metrics.inc({ result: 'dropped' });
      return;
    }
    this.#begin(key, happening, now);
  }

  /** Writes what was noted down before, but waits no longer than `graceMillis`. */
  async close(graceMillis: number): Promise<void> {
    for (const series of this.#series.values()) {
      if (series.count > series.writtenCount) this.#patch(series);
      series.cancel?.();
    }
    const cancel = this.#clock.after(graceMillis, () =>
      this.#stop.abort(new Error('the recorder is closed')),
    );
    await this.#written;
    cancel();
    this.#stop.abort(new Error('the recorder is closed'));
    this.#series.clear();
    this.#buckets.clear();
  }

  #begin(key: string, { regarding, type, reason, action, note }: Happening, now: number): void {
    const { apiVersion, kind, metadata } = regarding;
    const { namespace = 'default' } = metadata;
    const stem = metadata.name.slice(0, MAX_NAME_CHARS).replace(/[-.]+$/, '');
    const name = `${stem}.${randomBytes(8).toString('hex')}`;
    const date = this.#clock.date();
    const series: Series = {
      key,
      name,
      namespace,
      count: 1,
      writtenCount: 1,
      lastMillis: now,
      lastDate: date,
      writtenMillis: now,
      cancel: undefined,
    };
    keepNewest(this.#series, MAX_SERIES, (oldest) => oldest.cancel?.());
    this.#series.set(key, series);
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, name },
      eventTime: microTime(date),
      reportingController: CONTROLLER,
      reportingInstance: this.#options.identity.slice(0, MAX_INSTANCE_CHARS),
      type,
      reason,
      action,
      note: shorten(note),
      regarding: {
        apiVersion,
        kind,
        name: metadata.name,
        ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
        ...(metadata.uid !== undefined && { uid: metadata.uid }),
      },
    };
    this.#write(series, () => this.#options.client.create(event, this.#call()));
  }

  /** Has the count of a series written, now or when a minute has passed since the last time. */
  #schedule(series: Series): void {
    if (series.cancel !== undefined) return;
    const waitMillis = series.writtenMillis + PATCH_MILLIS - this.#clock.monotonicMillis();
    if (waitMillis <= 0 || series.count === 2) this.#patch(series);
    else series.cancel = this.#clock.after(waitMillis, () => this.#patch(series));
  }

  #patch(series: Series): void {
    const { name, namespace, count, lastDate } = series;
    series.cancel?.();
    series.cancel = undefined;
    series.writtenMillis = this.#clock.monotonicMillis();
    series.writtenCount = count;
    const change = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace, name },
      series: { count, lastObservedTime: microTime(lastDate) },
    };
    this.#write(series, () => this.#options.client.merge(change, this.#call()));
  }

  #write(series: Series, send: () => Promise<unknown>): void {
    const { metrics, log } = this.#options;
    if (this.#waiting >= MAX_WAITING) {
      metrics.inc({ result: 'dropped' });
      this.#forget(series);
      return;
    }
    this.#waiting += 1;
    this.#written = this.#written.then(send).then(
      () => {
        this.#waiting -= 1;
        metrics.inc({ result: 'written' });
      },
      (error: unknown) => {
        this.#waiting -= 1;
        metrics.inc({ result: 'failed' });
        // The Event is not there, or no longer: what happens next makes a new one.
        this.#forget(series);
        const write = isApiError(error, REASON.notFound, REASON.forbidden) ? log.debug : log.warn;
        write.call(log, { err: error }, 'an event could not be written');
      },
    );
  }

  #forget(series: Series): void {
    series.cancel?.();
    if (this.#series.get(series.key) === series) this.#series.delete(series.key);
  }

  /** Takes a token of an object. */
  #mayTell(object: string, now: number): boolean {
    const { tokens, atMillis } = this.#buckets.get(object) ?? { tokens: BURST_EVENTS, atMillis: now };
    const left = Math.min(BURST_EVENTS, tokens + (now - atMillis) / REFILL_MILLIS);
    this.#buckets.delete(object);
    keepNewest(this.#buckets, MAX_OBJECTS, () => undefined);
    this.#buckets.set(object, { tokens: left >= 1 ? left - 1 : left, atMillis: now });
    return left >= 1;
  }

  #call() {
    return { signal: this.#stop.signal, timeoutMillis: CALL_MILLIS, fieldManager: FIELD_MANAGER };
  }
}

function shorten(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= MAX_NOTE_BYTES) return note;
  // A character that was cut is read as a replacement.
  return `${bytes
    .subarray(0, MAX_NOTE_BYTES)
    .toString()
    .replace(/\uFFFD+$/, '')}...`;
}

/** Makes room in a map for one more. */
function keepNewest<Value>(map: Map<string, Value>, most: number, onGone: (value: Value) => void): void {
  for (const [key, value] of map) {
    if (map.size < most) return;
    map.delete(key);
    onGone(value);
  }
}
