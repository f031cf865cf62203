/**
 * Somebody who looks at our cluster all the time: which nodes and pods are ready, and where Services lead. When a client was
 * not served, that tells what lay between it and the tracker.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '../apiserver/client.ts';
import { listItems } from '../cluster/api-list.ts';
import { openAdmin } from '../cluster/control-plane.ts';
import type { Cleaning } from './world.ts';

/** A running onlooker. */
export interface Onlooker {
  /** What changed since a time, in milliseconds since 1970, a line each; and how it was before. */
  seenSince(millis: number): string;
}

interface Sight {
  readonly at: number;
  /** What is to be seen of each thing. */
  readonly things: ReadonlyMap<string, string>;
}

/** An object in the parts that matter here. */
interface Seen {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
  readonly endpoints?:
    | readonly { readonly addresses: readonly string[]; readonly conditions: { readonly ready?: boolean } }[]
    | null;
}

const PAUSE_MILLIS = 2000;

/** Starts one, who looks at the nodes and at one namespace until the tests have ended. */
export function startOnlooker(cleaning: Cleaning, namespace: string): Onlooker {
  const admin = openAdmin();
  const sights: Sight[] = [];
  const stopping = new AbortController();
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      sights.push({ at: Date.now(), things: await look(admin, namespace) });
      await delay(PAUSE_MILLIS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    await admin.close();
  })();
  cleaning.after(async () => {
    stopping.abort();
    await looking;
  });
  return {
    seenSince(millis) {
      const before = sights.findLast(({ at }) => at <= millis)?.things ?? new Map<string, string>();
      const lines = [`before: ${[...before].map((thing) => thing.join(' ')).join('; ')}`];
      let last = before;
      for (const { at, things } of sights.filter((sight) => sight.at > millis)) {
        const changes = [...new Set([...last.keys(), ...things.keys()])]
          .filter((name) => last.get(name) !== things.get(name))
          .map((name) => `${name} ${things.get(name) ?? 'is gone'}`);
        if (changes.length > 0) lines.push(`${new Date(at).toISOString()} ${changes.join('; ')}`);
        last = things;
      }
      return lines.join('\n');
    },
  };
}

async function look(admin: ApiClient, namespace: string): Promise<Map<string, string>> {
  const things = new Map<string, string>();
  try {
    for (const node of await listItems<Seen>(admin, '/api/v1/nodes')) {
      things.set(node.metadata.name, readiness(node));
    }
    for (const pod of await listItems<Seen>(admin, `/api/v1/namespaces/${namespace}/pods`)) {
      const { metadata, spec, status } = pod;
      const restarts = status?.containerStatuses?.[0]?.restartCount ?? 0;
      const end = metadata.deletionTimestamp === undefined ? '' : ', ends';
      things.set(
        metadata.name,
        `on ${spec?.nodeName ?? 'no node'}, ${readiness(pod)}, ${restarts} restarts${end}`,
      );
    }
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
    for (const { metadata, endpoints } of await listItems<Seen>(admin, path)) {
      const ready = (endpoints ?? []).filter(({ conditions }) => conditions.ready !== false);
      const leads = ready.flatMap(({ addresses }) => addresses).join(' ') || 'nowhere';
      things.set(`service ${metadata.labels?.['kubernetes.io/service-name'] ?? ''}`, `leads to ${leads}`);
    }
  } catch (error) {
    things.set('the API server', `does not answer: ${String(error)}`);
  }
  return things;
}

function readiness({ status }: Seen): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown';
  return ready === 'True' ? 'ready' : `not ready (${ready})`;
}
