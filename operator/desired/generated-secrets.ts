/**
 * The Secrets that the operator makes: a token for the REST API, the keys of connection ids, an authority and its
 * certificates. What is missing, invalid or due becomes an order; whoever fulfils it makes the key material and asks again.
 * A valid edit by hand is kept. None of these Secrets is ever deleted.
 */
import { isIP } from 'node:net';
import { token as tokenField } from '../../tracker/config/fields.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import {
  AUTHORITY_DAYS,
  CERTIFICATE_DAYS,
  certificateNames,
  judgeAuthority,
  judgeCertificate,
  type Due,
} from './certificates.ts';
import {
  addKey,
  decideRotation,
  formatKeySet,
  formatStep,
  readRotation,
  type RotationState,
} from './connection-keys.ts';
import type { Observed, ObservedSecret } from './environment.ts';
import { ANNOTATIONS, keptMetadata, namesOf } from './identity.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { API_TOKEN_KEY, certificateUses, CONNECTION_KEYS_KEY, secretUses } from './secret-uses.ts';

/** Key material that is wanted, for the Secret `name`. Orders are to be fulfilled in the order in which they stand. */
export type SecretOrder =
  | { readonly kind: 'token'; readonly name: string }
  | { readonly kind: 'connection_key'; readonly name: string }
  | {
      readonly kind: 'authority';
      readonly name: string;
      readonly commonName: string;
      readonly days: number;
    }
  | {
      readonly kind: 'certificate';
      readonly name: string;
      /** The Secret of the authority, which may itself be on order. */
      readonly authority: string;
      readonly dnsNames: readonly string[];
      readonly ipAddresses: readonly string[];
      readonly days: number;
    };

/** What fulfils an order. */
export type Material =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'connection_key'; readonly id: string; readonly hex: string }
  /** For an authority or a certificate: PEM. */
  | { readonly kind: 'pair'; readonly certificate: string; readonly key: string };

/** By the name of the Secret. */
export type Materials = ReadonlyMap<string, Material>;

/** X.520 allows no more characters. */
const MAX_COMMON_NAME = 64;

/** What is to be done about the generated Secrets. */
export interface SecretPlan {
  readonly orders: readonly SecretOrder[];
  /** Every Secret that can be written now. Those whose order is open and that are not there yet are left out. */
  readonly objects: readonly KubernetesObject[];
  /** When something will be due next. */
  readonly nextAt: Date | undefined;
}

interface Planned {
  readonly order?: SecretOrder;
  readonly object?: KubernetesObject;
  readonly nextAt?: Date;
}

/** Plans the generated Secrets of a tracker. `lifetimeSeconds` is how long it accepts a connection id. */
export function planSecrets(
  tracker: TorrustTracker,
  observed: Observed,
  lifetimeSeconds: number,
  now: Date,
  materials: Materials = new Map(),
): SecretPlan {
  const kinds = new Set(
    secretUses(tracker).flatMap(({ kind, source }) => (source === 'operator' ? [kind] : [])),
  );
  const planned = [
    ...(kinds.has('api_token') ? [planToken(tracker, observed, materials)] : []),
    ...(kinds.has('connection_keys')
      ? [planConnectionKeys(tracker, observed, lifetimeSeconds, now, materials)]
      : []),
    ...(kinds.has('certificate') ? planCertificates(tracker, observed, now, materials) : []),
  ];
  const times = planned.flatMap(({ nextAt }) => (nextAt === undefined ? [] : [nextAt.getTime()]));
  return {
    orders: planned.flatMap(({ order }) => (order === undefined ? [] : [order])),
    objects: planned.flatMap(({ object }) => (object === undefined ? [] : [object])),
    nextAt: times.length === 0 ? undefined : new Date(Math.min(...times)),
  };
}

function planToken(tracker: TorrustTracker, observed: Observed, materials: Materials): Planned {
  const name = namesOf(tracker).apiToken;
  const material = materials.get(name);
  const present = observed.secrets.get(name)?.data ?? new Map<string, string>();
  if (material?.kind === 'token') {
    return {
      object: secret(tracker, name, 'Opaque', new Map([...present, [API_TOKEN_KEY, material.token]])),
    };
  }
  const isValid = tokenField().safeParse(present.get(API_TOKEN_KEY)).success;
  if (!isValid) return { order: { kind: 'token', name } };
  return { object: secret(tracker, name, 'Opaque', present) };
}

function planConnectionKeys(
  tracker: TorrustTracker,
  observed: Observed,
  lifetimeSeconds: number,
  now: Date,
  materials: Materials,
): Planned {
  const name = namesOf(tracker).connectionKeys;
  const present = observed.secrets.get(name);
  const before = readRotation(
    present?.data.get(CONNECTION_KEYS_KEY),
    present?.annotations[ANNOTATIONS.rotationStep],
    present?.annotations[ANNOTATIONS.rotationStepTime],
    now,
  );
  const settings = { rotationHours: tracker.spec.connectionId.rotationHours, lifetimeSeconds };
  const decision = decideRotation(before, settings, now);
  if (decision.kind === 'keep') {
    return { object: keySetSecret(tracker, name, decision.state), nextAt: decision.nextAt };
  }
  const material = materials.get(name);
  const order = { kind: 'connection_key', name } as const;
  if (material?.kind !== 'connection_key') {
    return before === undefined ? { order } : { order, object: keySetSecret(tracker, name, before) };
  }
  const state = addKey(before, material, now);
  const after = decideRotation(state, settings, now);
  return {
    object: keySetSecret(tracker, name, state),
    ...(after.kind === 'keep' ? { nextAt: after.nextAt } : {}),
  };
}

function keySetSecret(
  tracker: TorrustTracker,
  name: string,
  { keys, step, since }: RotationState,
): KubernetesObject {
  return secret(tracker, name, 'Opaque', new Map([[CONNECTION_KEYS_KEY, formatKeySet(keys)]]), {
    [ANNOTATIONS.rotationStep]: formatStep(step),
    [ANNOTATIONS.rotationStepTime]: since.toISOString(),
  });
}

function planCertificates(
  tracker: TorrustTracker,
  observed: Observed,
  now: Date,
  materials: Materials,
): Planned[] {
  const authorityName = namesOf(tracker).authority;
  const { name, namespace } = tracker.metadata;
  const presentAuthority = observed.secrets.get(authorityName);
  const newAuthority = pairOf(materials.get(authorityName));
  const authority = newAuthority ?? presentAuthority;
  const planned = [
    planPair(tracker, authority, {
      made: newAuthority,
      present: presentAuthority,
      verdict: judgeAuthority(authority, now),
      order: {
        kind: 'authority',
        name: authorityName,
        commonName: `${name}.${namespace} authority`.slice(-MAX_COMMON_NAME),
        days: AUTHORITY_DAYS,
      },
    }),
  ];
  for (const use of certificateUses(tracker)) {
    if (use.tls.selfSigned === undefined) continue;
    const names = certificateNames(tracker, use);
    const secretName = namesOf(tracker).certificate(use.target);
    const present = observed.secrets.get(secretName);
    const made = pairOf(materials.get(secretName));
    planned.push(
      planPair(tracker, authority, {
        made,
        present,
        verdict: judgeCertificate(made ?? present, authority, names, now),
        order: {
          kind: 'certificate',
          name: secretName,
          authority: authorityName,
          dnsNames: names.filter((each) => isIP(each) === 0),
          ipAddresses: names.filter((each) => isIP(each) !== 0),
          days: CERTIFICATE_DAYS,
        },
      }),
    );
  }
  return planned;
}

interface PairPlan {
  readonly made: ObservedSecret | undefined;
  readonly present: ObservedSecret | undefined;
  readonly verdict: Due;
  readonly order: SecretOrder;
}

/** A pair that is new, or there and good, is written; one that is due is ordered and stays until the order is fulfilled. */
function planPair(
  tracker: TorrustTracker,
  authority: ObservedSecret | undefined,
  { made, present, verdict, order }: PairPlan,
): Planned {
  const pair = made ?? present;
  const data = new Map(present?.data);
  for (const key of ['tls.crt', 'tls.key']) data.set(key, pair?.data.get(key) ?? '');
  const authorityPem = authority?.data.get('tls.crt');
  if (authorityPem !== undefined) data.set('ca.crt', authorityPem);
  return {
    ...(made === undefined && verdict.kind === 'due' ? { order } : {}),
    ...(pair === undefined ? {} : { object: secret(tracker, order.name, 'kubernetes.io/tls', data) }),
    ...(verdict.kind === 'good' ? { nextAt: verdict.renewAt } : {}),
  };
}

function pairOf(material: Material | undefined): ObservedSecret | undefined {
  if (material?.kind !== 'pair') return undefined;
  return {
    data: new Map([
      ['tls.crt', material.certificate],
      ['tls.key', material.key],
    ]),
    annotations: {},
  };
}

function secret(
  tracker: TorrustTracker,
  name: string,
  type: string,
  data: ReadonlyMap<string, string>,
  annotations: Record<string, string> = {},
): KubernetesObject {
  const encoded = [...data].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: keptMetadata(tracker, name, { annotations }),
    type,
    data: Object.fromEntries(encoded.map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  };
}
