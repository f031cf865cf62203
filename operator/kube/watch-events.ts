/**
 * The events of one watch, read from the stream itself: nothing cuts a quiet one but the watchdog, whose limit is longer than
 * the pauses between bookmarks.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#watch-bookmarks
 */
import type { ApiResource } from './api-resource.ts';
import type { KubeClient, WatchRequest } from './client.ts';
import type { Clock } from './clock.ts';
import { JsonLines } from './json-lines.ts';
import { ConnectionError, readErrorEvent } from './kube-error.ts';
import { isKubeObject, isRecord, type KubeObject } from './kube-object.ts';

/** What a watch says. */
export type WatchEvent =
  /** The server has accepted the watch. */
  | { readonly kind: 'opened' }
  | { readonly kind: 'set'; readonly object: KubeObject; readonly resourceVersion: string }
  | { readonly kind: 'deleted'; readonly object: KubeObject; readonly resourceVersion: string }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string };

/** When a watch ends. */
export interface WatchLimits {
  readonly signal: AbortSignal;
  /** A stream that is silent for so long is taken for dead. */
  readonly silenceMillis: number;
  readonly clock: Clock;
}

/**
 * The events of one watch, until the server ends it. Throws what `KubeClient` throws, `ApiError` for an ERROR event, and
 * `ConnectionError` for a stream that breaks, is silent for too long or makes no sense.
 */
export async function* watchEvents(
  client: KubeClient,
  resource: ApiResource,
  request: WatchRequest,
  { signal, silenceMillis, clock }: WatchLimits,
): AsyncGenerator<WatchEvent, void, void> {
  const call = `WATCH ${resource.plural}`;
  const body = await client.watch(resource, request, { signal });
  const end = () => body.destroy();
  const bark = () => {
    const seconds = silenceMillis / 1000;
    body.destroy(new ConnectionError('timeout', `${call}: silent for ${seconds} s`));
  };
  // Destroying a stream may make it emit an error after the loop has ended.
  body.on('error', () => undefined);
  let calm = clock.after(silenceMillis, bark);
  signal.addEventListener('abort', end, { once: true });
  try {
    signal.throwIfAborted();
    yield { kind: 'opened' };
    const lines = new JsonLines();
    for await (const chunk of body) {
      calm();
      calm = clock.after(silenceMillis, bark);
      // The body of a response without an encoding is made of bytes.
      for (const value of lines.push(chunk as Buffer)) yield readEvent(call, value);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && ['ApiError', 'ConnectionError'].includes(error.name)) throw error;
    throw new ConnectionError('connection', `${call}: ${String(error)}`, error);
  } finally {
    calm();
    signal.removeEventListener('abort', end);
    body.destroy();
  }
}

function readEvent(call: string, value: unknown): WatchEvent {
  const { type, object } = isRecord(value) ? value : {};
  if (type === 'ERROR') throw readErrorEvent(call, object);
  const resourceVersion =
    isRecord(object) && isRecord(object['metadata']) && object['metadata']['resourceVersion'];
  if (typeof resourceVersion === 'string') {
    if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion };
    if (isKubeObject(object)) {
      if (type === 'ADDED' || type === 'MODIFIED') return { kind: 'set', object, resourceVersion };
      if (type === 'DELETED') return { kind: 'deleted', object, resourceVersion };
    }
  }
  throw new ConnectionError('malformed', `${call}: an event that makes no sense`);
}
