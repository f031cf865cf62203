/**
 * A client of the API server in terms of raw JSON: own paths, every verb that the operator needs, and nothing in between
 * that drops a field or invents one.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import type { Dispatcher } from 'undici';
import { type ApiPlace, type ApiResource, pathOf, resourceOf } from './api-resource.ts';
import type { Connection } from './connection.ts';
import { ConnectionError, isApiError, isExpired, REASON } from './kube-error.ts';
import {
  isKubeObject,
  isRecord,
  type KubeObject,
  type NewKubeObject,
  type ObjectName,
} from './kube-object.ts';
import type { ClientMetrics } from './metrics.ts';
import { type CallPurpose, Transport } from './transport.ts';

/** What every call takes. */
export interface CallOptions {
  /** Ends the call with the signal's reason. */
  readonly signal: AbortSignal;
  /** How long the whole call may take; 30 s unless said. */
  readonly timeoutMillis?: number;
}

/** What a call takes that writes. */
export interface WriteOptions extends CallOptions {
  /** Who the fields that are written belong to. */
  readonly fieldManager: string;
  /** The server judges and answers, and stores nothing. */
  readonly dryRun?: boolean;
}

/** What a server-side apply takes. */
export interface ApplyOptions extends WriteOptions {
  /** Takes fields over that another manager wrote. */
  readonly force?: boolean;
}

/** What a delete takes. */
export interface DeleteOptions extends CallOptions {
  /** The object goes only if it still is this one; else `ApiError` with the reason Conflict. */
  readonly uid?: string | undefined;
  /** What happens to the objects that it owns; in the background unless said. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  readonly dryRun?: boolean;
}

/** Which objects. */
export interface Selection {
  /** Absent: every namespace. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** A whole list, as of one moment. */
export interface KubeList {
  readonly items: readonly KubeObject[];
  /** Where a watch continues. */
  readonly resourceVersion: string;
}

/** What a watch takes. */
export interface WatchRequest extends Selection {
  readonly resourceVersion: string;
  /** When the server ends the watch. */
  readonly timeoutSeconds: number;
}

/** The kinds of patches, as media types. */
type Patch = 'application/apply-patch+yaml' | 'application/merge-patch+json';

const PAGE_OBJECTS = 500;

/**
 * The client. Every call rejects with `ApiError` when the server refuses, with `ConnectionError` when there is no answer in
 * time, and with the reason of its signal when that is aborted.
 */
export class KubeClient {
  readonly #transport: Transport;
  readonly #mayWrite: () => boolean;

  /**
   * `mayWrite` is asked before every write; a dry run is none. With the purpose `lease` no call waits behind those of other
   * clients.
   */
  constructor(
    connection: Connection,
    metrics: ClientMetrics,
    mayWrite: () => boolean = () => true,
    purpose: CallPurpose = 'request',
  ) {
    this.#transport = new Transport(connection, metrics, purpose);
    this.#mayWrite = mayWrite;
  }

  /** An object; undefined when it is not there. */
  async get(
    resource: ApiResource,
    place: ObjectName & Pick<ApiPlace, 'subresource'>,
    options: CallOptions,
  ): Promise<KubeObject | undefined> {
    try {
      const path = pathOf(resource, place);
      return objectOf(path, await this.#transport.call({ method: 'GET', path }, options));
    } catch (error) {
      if (isApiError(error, REASON.notFound)) return undefined;
      throw error;
    }
  }

  /**
   * All objects of a selection, in pages of 500. When the server has forgotten the rest of a list that was begun, it is
   * asked for the whole once more, in one page.
   */
  async list(resource: ApiResource, selection: Selection, options: CallOptions): Promise<KubeList> {
    try {
      return await this.#list(resource, selection, options, PAGE_OBJECTS);
    } catch (error) {
      if (!isExpired(error)) throw error;
      return this.#list(resource, selection, options, undefined);
    }
  }

  /** Makes an object that must not be there yet; else `ApiError` with the reason AlreadyExists. */
  async create(object: NewKubeObject, options: WriteOptions): Promise<KubeObject> {
    const namespace = object.metadata?.['namespace'];
    const place = typeof namespace === 'string' ? { namespace } : {};
    const path = pathOf(resourceOf(object), place);
    return this.#write({ method: 'POST', path, body: object, contentType: 'application/json' }, options);
  }

  /** Asks for a review, such as a SelfSubjectAccessReview: nothing is stored, the answer holds the verdict. */
  async review(object: NewKubeObject, options: CallOptions): Promise<Record<string, unknown>> {
    const path = pathOf(resourceOf(object), {});
    const request = { method: 'POST', path, body: object, contentType: 'application/json' } as const;
    return recordOf(path, await this.#transport.call(request, options));
  }

  /** Replaces an object; with a `resourceVersion` only if it still has that. */
  async replace(object: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const path = pathOf(resourceOf(object), object.metadata);
    return this.#write({ method: 'PUT', path, body: object, contentType: 'application/json' }, options);
  }

  /** Server-side apply: makes the object or changes it, and gives up what the manager applied before and now leaves out. */
  async apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    return this.#patch('application/apply-patch+yaml', object, {}, options, options.force ?? false);
  }

  /** Server-side apply of `object.status` alone. Nothing else of the object is looked at but its name. */
  async applyStatus(object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const place = { subresource: 'status' } as const;
    return this.#patch('application/apply-patch+yaml', object, place, options, options.force ?? false);
  }

  /** JSON merge patch (RFC 7386); `change` holds apiVersion, kind and name beside what changes. */
  async merge(change: KubeObject, options: WriteOptions): Promise<KubeObject> {
    return this.#patch('application/merge-patch+json', change, {}, options);
  }

  /** Deletes an object; resolves with whether it was there. */
  async delete(resource: ApiResource, place: ObjectName, options: DeleteOptions): Promise<boolean> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagation ?? 'Background',
      ...(options.uid !== undefined && { preconditions: { uid: options.uid } }),
    };
    this.#guard(options.dryRun);
    try {
      await this.#transport.call(
        {
          method: 'DELETE',
          path: pathOf(resource, place),
          query: { dryRun: options.dryRun === true ? 'All' : undefined },
          body,
          contentType: 'application/json',
        },
        options,
      );
      return true;
    } catch (error) {
      if (isApiError(error, REASON.notFound)) return false;
      throw error;
    }
  }

  /** What a path answers that is no object, such as `/version` or the kinds of a group; undefined when it is not there. */
  async read(path: string, options: CallOptions): Promise<Record<string, unknown> | undefined> {
    try {
      return recordOf(path, await this.#transport.call({ method: 'GET', path }, options));
    } catch (error) {
      if (isApiError(error, REASON.notFound)) return undefined;
      throw error;
    }
  }

  /** The version of the API server, such as `v1.35.4`. */
  async serverVersion(options: CallOptions): Promise<string> {
    const version = (await this.read('/version', options))?.['gitVersion'];
    if (typeof version !== 'string') throw new ConnectionError('malformed', 'GET /version: no version');
    return version;
  }

  /** Begins a watch with bookmarks; resolves with its body when the server has accepted it. The caller destroys the body. */
  async watch(
    resource: ApiResource,
    { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds }: WatchRequest,
    options: CallOptions,
  ): Promise<Dispatcher.ResponseData['body']> {
    const query = {
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(timeoutSeconds),
      labelSelector,
      fieldSelector,
    };
    return this.#transport.open({ method: 'GET', path: pathOf(resource, { namespace }), query }, options);
  }

  async #list(
    resource: ApiResource,
    { namespace, labelSelector, fieldSelector }: Selection,
    options: CallOptions,
    limit: number | undefined,
  ): Promise<KubeList> {
    const items: KubeObject[] = [];
    const path = pathOf(resource, { namespace });
    let next: string | undefined;
    for (;;) {
      const query = { limit: limit?.toString(), continue: next, labelSelector, fieldSelector };
      const page = recordOf(path, await this.#transport.call({ method: 'GET', path, query }, options));
      const { metadata, items: found } = page;
      if (!isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string') {
        throw new ConnectionError('malformed', `GET ${path}: no list`);
      }
      // Items of a list have no kind of their own.
      for (const item of Array.isArray(found) ? (found as unknown[]) : []) {
        const { apiVersion, kind } = resource;
        const object = isRecord(item) ? { apiVersion, kind, ...item } : undefined;
        if (!isKubeObject(object)) throw new ConnectionError('malformed', `GET ${path}: no object in a list`);
        items.push(object);
      }
      const rest = metadata['continue'];
      if (typeof rest !== 'string' || rest === '') {
        return { items, resourceVersion: metadata['resourceVersion'] };
      }
      next = rest;
    }
  }

  async #patch(
    contentType: Patch,
    object: KubeObject,
    place: Pick<ApiPlace, 'subresource'>,
    options: WriteOptions,
    force?: boolean,
  ): Promise<KubeObject> {
    const path = pathOf(resourceOf(object), {
      namespace: object.metadata.namespace,
      name: object.metadata.name,
      ...place,
    });
    return this.#write({ method: 'PATCH', path, body: object, contentType }, options, force);
  }

  async #write(
    request: {
      readonly method: 'POST' | 'PUT' | 'PATCH';
      readonly path: string;
      readonly body: unknown;
      readonly contentType: string;
    },
    options: WriteOptions,
    force?: boolean,
  ): Promise<KubeObject> {
    this.#guard(options.dryRun);
    const query = {
      fieldManager: options.fieldManager,
      fieldValidation: 'Strict',
      force: force?.toString(),
      dryRun: options.dryRun === true ? 'All' : undefined,
    };
    return objectOf(request.path, await this.#transport.call({ ...request, query }, options));
  }

  #guard(dryRun: boolean | undefined): void {
    if (dryRun !== true && !this.#mayWrite()) {
      throw new ConnectionError('not-leader', 'nothing is written any more: this process is not the leader');
    }
  }
}

function recordOf(path: string, answer: unknown): Record<string, unknown> {
  if (!isRecord(answer)) throw new ConnectionError('malformed', `${path}: the answer is no object of JSON`);
  return answer;
}

function objectOf(path: string, answer: unknown): KubeObject {
  if (!isKubeObject(answer)) throw new ConnectionError('malformed', `${path}: the answer is no object`);
  return answer;
}
