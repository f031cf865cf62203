/**
 * Which of the APIs that a cluster may have are there. They come and go while the operator runs, with the
 * CustomResourceDefinitions that make them; both are noticed within half a minute.
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
import { groupPathOf } from './api-resource.ts';
import { Backoff } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { type Clock, pause, SYSTEM_CLOCK } from './clock.ts';
import type { KubeLog } from './kube-log.ts';
import { isRecord } from './kube-object.ts';

/** What is to be looked for, and with what. */
export interface DiscoveryOptions<Api extends string> {
  readonly client: KubeClient;
  /** As `group/version/Kind`. */
  readonly apis: readonly Api[];
  readonly log: KubeLog;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** In [0, 1). */
  readonly random?: () => number;
}

/** A running discovery. */
export interface Discovery<Api extends string> {
  /** Those that are there, as last seen. */
  apis(): ReadonlySet<Api>;
  /** Resolves after the first complete look; rejects when the discovery ends before. */
  readonly synced: Promise<void>;
  /** Resolves when it has ended, with nothing left of it. */
  readonly ended: Promise<void>;
  /** Calls `listener` with what is there whenever that changes, until what it returns is called. */
  subscribe(listener: (apis: ReadonlySet<Api>) => void): () => void;
}

const LOOK_MILLIS = 25_000;

/** Starts looking. */
export function startDiscovery<Api extends string>(options: DiscoveryOptions<Api>): Discovery<Api> {
  const { client, apis, log, signal, clock = SYSTEM_CLOCK, random = Math.random } = options;
  const listeners = new Set<(apis: ReadonlySet<Api>) => void>();
  const { promise: synced, resolve, reject } = Promise.withResolvers<void>();
  let present: ReadonlySet<Api> = new Set();
  // Who waits for it hears of the rejection; nobody has to.
  synced.catch(() => undefined);

  const look = async () => {
    const found = await findApis(client, apis, signal);
    const isSame = found.size === present.size && [...found].every((api) => present.has(api));
    present = found;
    resolve();
    if (isSame) return;
    log.info({ apis: [...found] }, 'the optional APIs of the cluster');
    for (const listener of listeners) {
      try {
        listener(found);
      } catch (error) {
        log.error({ err: error }, 'a listener of the discovery threw');
      }
    }
  };
  const run = async () => {
    const backoff = new Backoff(random);
    while (!signal.aborted) {
      let waitMillis = LOOK_MILLIS;
      try {
        await look();
        backoff.reset();
      } catch (error) {
        if (signal.aborted) break;
        // What was seen last holds until something else is seen: a server that is away takes no API away.
        waitMillis = backoff.nextMillis();
        log.warn({ err: error, waitMillis }, 'the APIs of the cluster are looked for again');
      }
      await pause(clock, waitMillis, signal);
    }
    reject(new Error('the discovery has ended'));
  };
  return {
    apis: () => present,
    synced,
    ended: run(),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

async function findApis<Api extends string>(
  client: KubeClient,
  apis: readonly Api[],
  signal: AbortSignal,
): Promise<Set<Api>> {
  const versions = new Set(apis.map(versionOf));
  const served = new Set<string>();
  for (const version of versions) {
    const resources = (await client.read(groupPathOf(version), { signal }))?.['resources'];
    for (const resource of Array.isArray(resources) ? (resources as unknown[]) : []) {
      if (isRecord(resource) && typeof resource['kind'] === 'string')
        served.add(`${version}/${resource['kind']}`);
    }
  }
  return new Set(apis.filter((api) => served.has(api)));
}

function versionOf(api: string): string {
  return api.slice(0, api.lastIndexOf('/'));
}
