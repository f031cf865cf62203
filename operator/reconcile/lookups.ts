/**
 * What trackers name and nobody watches: classes of Ingresses and the issuers of cert-manager. They are asked for when a
 * tracker needs them, and an answer is believed for a moment. Without the right to ask, or without the API, nothing is
 * known and nothing is said.
 */
import { isTable, listAt, textAt } from '../json-path.ts';
import { resourceOf } from '../kube/api-resource.ts';
import type { KubeClient } from '../kube/client.ts';
import { isApiError, REASON } from '../kube/kube-error.ts';
import { Answers } from './answers.ts';

/** An IngressClass, as far as a tracker chooses it. */
export interface IngressClassFacts {
  readonly name: string;
  readonly isDefault: boolean;
}

/** The issuer that a certificate is to come from. */
export interface IssuerFacts {
  readonly kind: 'Issuer' | 'ClusterIssuer';
  readonly name: string;
  /** `missing`: there is none of that name. */
  readonly state: 'missing' | 'unready' | 'ready';
  /** Why it is not ready; empty when it does not say. */
  readonly message: string;
}

/** What names an issuer in a resource. */
export interface IssuerReference {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
}

/** Many trackers ask the same; who has mended something is to see it soon. */
const LIFE_MILLIS = 5_000;
const DEFAULT_CLASS = 'ingressclass.kubernetes.io/is-default-class';
const CERT_MANAGER = 'cert-manager.io';

/** Looks things up. */
export class Lookups {
  readonly #client: KubeClient;
  readonly #classes = new Answers<readonly IngressClassFacts[] | undefined>(LIFE_MILLIS);
  readonly #issuers = new Answers<IssuerFacts | undefined>(LIFE_MILLIS);

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Every IngressClass; undefined when nobody may tell. */
  ingressClasses(signal: AbortSignal): Promise<readonly IngressClassFacts[] | undefined> {
    return this.#classes.of('', () =>
      unlessUnknown(async () => {
        const resource = resourceOf({ apiVersion: 'networking.k8s.io/v1', kind: 'IngressClass' });
        const { items } = await this.#client.list(resource, {}, { signal });
        return items.map(({ metadata: { name, annotations } }) => ({
          name,
          isDefault: annotations?.[DEFAULT_CLASS] === 'true',
        }));
      }),
    );
  }

  /** The issuer that a resource of a namespace names; undefined for one of others, and when nobody may tell. */
  issuer(
    { group, kind, name }: IssuerReference,
    namespace: string,
    signal: AbortSignal,
  ): Promise<IssuerFacts | undefined> {
    if (group !== CERT_MANAGER || (kind !== 'Issuer' && kind !== 'ClusterIssuer')) {
      return Promise.resolve(undefined);
    }
    const place = kind === 'Issuer' ? { namespace, name } : { name };
    return this.#issuers.of(`${kind}/${kind === 'Issuer' ? namespace : ''}/${name}`, () =>
      unlessUnknown(async () => {
        const resource = resourceOf({ apiVersion: `${CERT_MANAGER}/v1`, kind });
        const issuer = await this.#client.get(resource, place, { signal });
        if (!isTable(issuer)) return { kind, name, state: 'missing', message: '' };
        const ready = listAt(issuer, 'status', 'conditions').find(
          (condition) => textAt(condition, 'type') === 'Ready',
        );
        const state = textAt(ready, 'status') === 'True' ? 'ready' : 'unready';
        return { kind, name, state, message: textAt(ready, 'message') ?? '' };
      }),
    );
  }
}

/** What was found out; undefined without the right to ask or without the API. */
async function unlessUnknown<Fact>(ask: () => Promise<Fact>): Promise<Fact | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isApiError(error, REASON.forbidden) || isApiError(error, REASON.notFound)) return undefined;
    throw error;
  }
}
