/**
 * Writes the status of trackers, under a field manager of its own, and only when it changes; what is news in it becomes an
 * event too.
 */
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, KIND, type TorrustTracker } from '../crd/tracker.ts';
import type { TrackerStatus } from '../crd/tracker-status.ts';
import { listAt, numberAt, textAt, valueAt } from '../json-path.ts';
import type { KubeClient } from '../kube/client.ts';
import type { KubeObject } from '../kube/kube-object.ts';
import { type StatusEvent, statusEvents } from './changes.ts';
import type { ClusterCache } from './cluster-cache.ts';

/** Writes events. Never throws into who calls it. */
export interface Recorder {
  /** Says something about an object. */
  record(about: KubeObject, event: StatusEvent): void;
}

/** The manager of the fields of the status. */
const STATUS_MANAGER = 'torrust-operator-status';

/** Writes statuses. */
export class StatusWriter {
  readonly #client: KubeClient;
  readonly #cache: ClusterCache;
  readonly #recorder: Recorder;
  readonly #isDry: boolean;

  constructor(client: KubeClient, cache: ClusterCache, recorder: Recorder, isDry: boolean) {
    this.#client = client;
    this.#cache = cache;
    this.#recorder = recorder;
    this.#isDry = isDry;
  }

  /** Writes the status of a tracker, unless it is the one that it has. */
  async write(
    raw: KubeObject,
    tracker: TorrustTracker,
    status: TrackerStatus,
    signal: AbortSignal,
  ): Promise<void> {
    if (status === tracker.status || this.#isDry) return;
    await this.#apply(raw, status, signal);
    for (const event of statusEvents(tracker.status ?? {}, status)) this.#recorder.record(raw, event);
  }

  /** Says of a resource that this operator can't read, such as one of a newer version, why. */
  async writeUnreadable(raw: KubeObject, problems: readonly string[], signal: AbortSignal): Promise<void> {
    if (this.#isDry) return;
    const message = `This operator does not understand the resource (${problems.join('; ')}): upgrade the operator, or take that out.`;
    const generation = numberAt(raw, 'metadata', 'generation') ?? 1;
    const before = listAt(raw, 'status', 'conditions');
    const say = (type: string) => {
      const former = before.find((condition) => textAt(condition, 'type') === type);
      const since = textAt(former, 'status') === 'False' ? textAt(former, 'lastTransitionTime') : undefined;
      const lastTransitionTime = since ?? new Date().toISOString().replace(/\.\d+Z$/, 'Z');
      const told = { status: 'False', reason: 'InvalidConfig', message: message.slice(0, 4096) };
      return { type, ...told, observedGeneration: generation, lastTransitionTime };
    };
    const status = { observedGeneration: generation, conditions: [say('Ready'), say('ConfigValid')] };
    if (!isDeepStrictEqual(valueAt(raw, 'status'), status)) await this.#apply(raw, status, signal);
  }

  async #apply({ metadata }: KubeObject, status: object, signal: AbortSignal): Promise<void> {
    const { name, namespace, uid } = metadata;
    const object = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) },
      status,
    };
    const written = await this.#client.applyStatus(object, {
      fieldManager: STATUS_MANAGER,
      force: true,
      signal,
    });
    this.#cache.remember(written);
  }
}
