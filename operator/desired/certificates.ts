/**
 * Judges certificates: whether one can be served, and whether one that the operator issued is due to be issued anew.
 * Nothing here makes a key.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TorrustTracker } from '../crd/tracker.ts';
import type { ObservedSecret } from './environment.ts';
import { namesOf } from './identity.ts';
import type { CertificateUse } from './secret-uses.ts';

/** How long an authority of the operator's own is valid. */
export const AUTHORITY_DAYS = 3650;
/** How long its certificates are. */
export const CERTIFICATE_DAYS = 90;
/** A certificate is replaced when this part of its life is left. */
const RENEWAL_FRACTION = 1 / 3;

/** What a pair of certificate and key is good for. */
export type PairVerdict =
  | { readonly kind: 'usable'; readonly certificate: X509Certificate }
  | { readonly kind: 'expired'; readonly certificate: X509Certificate }
  /** `reason` is the end of a sentence about the Secret. It holds no key. */
  | { readonly kind: 'unusable'; readonly reason: string };

/** Judges a pair as a server would. */
export function judgePair(certificatePem: string, keyPem: string, now: Date): PairVerdict {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certificatePem);
  } catch {
    return { kind: 'unusable', reason: 'tls.crt holds no certificate in PEM' };
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) {
      return { kind: 'unusable', reason: 'tls.key does not belong to tls.crt' };
    }
  } catch {
    return { kind: 'unusable', reason: 'tls.key holds no private key in PEM' };
  }
  return { kind: certificate.validToDate <= now ? 'expired' : 'usable', certificate };
}

/** Whether something is due. */
export type Due =
  | { readonly kind: 'due' }
  /** It can stay; `renewAt` is when it is to be looked at again. */
  | { readonly kind: 'good'; readonly renewAt: Date };

const due: Due = { kind: 'due' };

/** Judges the authority of a tracker's self-signed certificates. */
export function judgeAuthority(secret: ObservedSecret | undefined, now: Date): Due {
  const verdict = verdictOf(secret, now);
  if (verdict?.kind !== 'usable' || !verdict.certificate.ca) return due;
  return untilRenewal(verdict.certificate, now);
}

/**
 * Judges a certificate that the operator issued. One that somebody else put in its place stays as long as it can be served;
 * our own also has to be of the present authority and for the present names.
 */
export function judgeCertificate(
  secret: ObservedSecret | undefined,
  authority: ObservedSecret | undefined,
  names: readonly string[],
  now: Date,
): Due {
  const verdict = verdictOf(secret, now);
  const authorityVerdict = verdictOf(authority, now);
  if (verdict?.kind !== 'usable' || authorityVerdict?.kind !== 'usable') return due;
  const { certificate } = verdict;
  const issuer = authorityVerdict.certificate;
  if (certificate.issuer !== issuer.subject) return { kind: 'good', renewAt: certificate.validToDate };
  if (!certificate.verify(issuer.publicKey)) return due;
  const held = namesIn(certificate);
  if (held.length !== names.length || !names.every((name) => held.includes(name))) return due;
  return untilRenewal(certificate, now);
}

function verdictOf(secret: ObservedSecret | undefined, now: Date): PairVerdict | undefined {
  if (secret === undefined) return undefined;
  return judgePair(secret.data.get('tls.crt') ?? '', secret.data.get('tls.key') ?? '', now);
}

function untilRenewal(certificate: X509Certificate, now: Date): Due {
  const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  const renewAt = new Date(to - (to - from) * RENEWAL_FRACTION);
  return renewAt <= now ? due : { kind: 'good', renewAt };
}

/** The names in a certificate, sorted: DNS names, and addresses in their shortest form. */
function namesIn({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName
    .split(', ')
    .flatMap((entry) => {
      const [, kind, value = ''] = /^(DNS|IP Address):(.+)$/.exec(entry) ?? [];
      return kind === undefined ? [] : [canonicalName(value)];
    })
    .toSorted();
}

/** IPv6 addresses have many spellings; the URL parser knows the shortest. */
function canonicalName(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}

/** The names that a self-signed certificate is for: those of its Service, of its public URL, and the user's own; sorted. */
export function certificateNames(
  tracker: TorrustTracker,
  { target, tls, publicUrl }: CertificateUse,
): string[] {
  const { namespace } = tracker.metadata;
  const names = namesOf(tracker);
  const publicService = tracker.spec.exposure.combined ? names.combinedService : names.httpService;
  const services =
    target.kind === 'http'
      ? [publicService]
      : [names.internalService, ...(tracker.spec.api.expose ? [publicService] : [])];
  const ofServices = services.flatMap((service) => [
    service,
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
  ]);
  const host = publicUrl === undefined ? [] : [new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1')];
  const all = [...ofServices, ...host, ...(tls.selfSigned?.dnsNames ?? [])];
  return [...new Set(all.map(canonicalName))].toSorted();
}
