/**
 * A small client of an API server for tests: raw JSON in and out, independent of the operator's own client, so that the
 * one does not share a mistake with the other. https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import { Agent, request as send } from 'undici';
import { waitFor } from '../support/waiting.ts';

/** An object in the parts that a path needs. */
export interface NamedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** An answer. */
export interface Answer {
  readonly status: number;
  /** What the body was as JSON, or as text where it is none. */
  readonly body: unknown;
}

/** How to apply. */
export interface ApplyOptions {
  readonly dryRun?: boolean;
  /** The field manager. */
  readonly manager?: string;
  readonly subresource?: 'status' | 'scale';
}

/** What discovery tells of a kind. */
interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** The parts of a CustomResourceDefinition's spec that tell which kind it brings. */
interface DefinitionSpec {
  readonly group: string;
  readonly names: { readonly kind: string };
  readonly versions: readonly { readonly name: string; readonly served: boolean }[];
}

/** A client with a bearer token. */
export class ApiClient {
  readonly #url: string;
  readonly #token: string;
  readonly #agent: Agent;
  readonly #resources = new Map<string, readonly Resource[]>();

  /** `authority` is in PEM. Connects with the first request. */
  constructor(url: string, authority: string, token: string) {
    this.#url = url;
    this.#token = token;
    this.#agent = new Agent({ connect: { ca: authority } });
  }

  /** Sends one request; rejects only when there is no answer. */
  async request(
    method: string,
    path: string,
    body?: object,
    contentType = 'application/json',
  ): Promise<Answer> {
    const answer = await send(`${this.#url}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': contentType },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, body: parseOrKeep(text) };
  }

  /** Applies an object on the server's side, by force, and refuses unknown fields. Rejects with the server's words. */
  async apply(object: NamedObject, options: ApplyOptions = {}): Promise<NamedObject> {
    const { status, body } = await this.tryApply(object, options);
    if (status >= 300) throw new Error(`${object.kind} ${object.metadata.name}: ${messageOf(body)}`);
    return body as NamedObject; // The answer to an apply is the object.
  }

  /** As `apply`, but gives the answer when it is a refusal too. */
  async tryApply(object: NamedObject, { dryRun, manager, subresource }: ApplyOptions = {}): Promise<Answer> {
    const query = new URLSearchParams({
      fieldManager: manager ?? 'test',
      force: 'true',
      fieldValidation: 'Strict',
      ...(dryRun === true ? { dryRun: 'All' } : {}),
    });
    const path = await this.pathOf(object);
    return this.request(
      'PATCH',
      `${path}${subresource === undefined ? '' : `/${subresource}`}?${query.toString()}`,
      object,
      'application/apply-patch+yaml',
    );
  }

  /** The object as it is stored; undefined when there is none. Rejects with the server's words otherwise. */
  async get(object: Pick<NamedObject, 'apiVersion' | 'kind' | 'metadata'>): Promise<NamedObject | undefined> {
    const { status, body } = await this.request('GET', await this.pathOf(object));
    if (status === 404) return undefined;
    if (status >= 300) throw new Error(`${object.kind} ${object.metadata.name}: ${messageOf(body)}`);
    return body as NamedObject; // The answer to a get is the object.
  }

  /** Deletes an object; resolves too when there is none. */
  async delete(object: Pick<NamedObject, 'apiVersion' | 'kind' | 'metadata'>): Promise<void> {
    const { status, body } = await this.request('DELETE', await this.pathOf(object));
    if (status >= 300 && status !== 404) throw new Error(messageOf(body));
  }

  /** Applies CustomResourceDefinitions and waits until objects of their kinds can be made. */
  async install(definitions: readonly NamedObject[]): Promise<void> {
    for (const definition of definitions) await this.apply(definition);
    await this.awaitKinds(definitions);
  }

  /** Waits until objects of the kinds of definitions can be made. */
  async awaitKinds(definitions: readonly NamedObject[]): Promise<void> {
    for (const definition of definitions) {
      // The server took it as a CustomResourceDefinition.
      const { group, names, versions } = definition['spec'] as DefinitionSpec;
      await waitFor(`${definition.metadata.name} is established`, async () =>
        isEstablished(await this.get(definition)),
      );
      // Discovery follows a moment later.
      for (const { name } of versions.filter(({ served }) => served)) {
        await waitFor(`${names.kind} of ${group}/${name} is known`, () =>
          this.#find(`/apis/${group}/${name}`, names.kind),
        );
      }
    }
  }

  /** The path of an object. Rejects when the server does not have its kind. */
  async pathOf({ apiVersion, kind, metadata }: Pick<NamedObject, 'apiVersion' | 'kind' | 'metadata'>) {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const resource = await this.#find(root, kind);
    if (resource === undefined) throw new Error(`the server has no ${apiVersion} ${kind}`);
    const namespace = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${root}${namespace}/${resource.name}/${metadata.name}`;
  }

  /** Ends the connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #find(root: string, kind: string): Promise<Resource | undefined> {
    const known = this.#resources.get(root)?.find((resource) => resource.kind === kind);
    if (known !== undefined) return known;
    const { status, body } = await this.request('GET', root);
    if (status !== 200) return undefined;
    // An APIResourceList; names with a slash are subresources.
    const { resources } = body as { resources: Resource[] };
    this.#resources.set(
      root,
      resources.filter(({ name }) => !name.includes('/')),
    );
    return this.#resources.get(root)?.find((resource) => resource.kind === kind);
  }
}

/** The words of a refusal. */
export function messageOf(body: unknown): string {
  const message: unknown =
    typeof body === 'object' && body !== null && 'message' in body ? body.message : body;
  return typeof message === 'string' ? message : JSON.stringify(message);
}

function isEstablished(definition: NamedObject | undefined): boolean {
  // A CustomResourceDefinition as the server gives it; at first its conditions are null.
  const { conditions } = (definition?.['status'] ?? {}) as {
    conditions?: { type: string; status: string }[] | null;
  };
  return (conditions ?? []).some(({ type, status }) => type === 'Established' && status === 'True');
}

function parseOrKeep(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
