/**
 * What a tracker names and the cluster lacks: the class of its Ingress, the issuer of its certificates. A pure function of
 * what was looked up.
 */
import type { Problem } from '../crd/conditions.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { listAt } from '../json-path.ts';
import type { IngressClassFacts, IssuerFacts } from './lookups.ts';

/** Before there were classes, an annotation named the controller; some still read it. */
const FORMER_CLASS = 'kubernetes.io/ingress.class';

/** Judges the class of the Ingress. `ingress` is the object as it is there, `classes` all that the cluster has. */
export function judgeIngressClass(
  { spec }: TorrustTracker,
  ingress: unknown,
  classes: readonly IngressClassFacts[],
): Problem[] {
  const given = spec.exposure.ingress;
  // Whoever gave it an address has taken it up, whatever its class.
  const isTaken = listAt(ingress, 'status', 'loadBalancer', 'ingress').length > 0;
  if (given === undefined || isTaken) return [];
  const say = (message: string): Problem[] => [
    { condition: 'ExposureReady', reason: 'ClassMissing', message },
  ];
  const { className, annotations } = given;
  if (className === undefined) {
    if (classes.some(({ isDefault }) => isDefault) || annotations[FORMER_CLASS] !== undefined) return [];
    return say(
      `The cluster has no default IngressClass, so that nobody may take up the Ingress: set spec.exposure.ingress.className${suggest(classes)}, or, for a controller without classes, the annotation ${FORMER_CLASS}.`,
    );
  }
  if (classes.some(({ name }) => name === className)) return [];
  return say(
    `spec.exposure.ingress.className names the IngressClass ${className}, which does not exist: install the ingress controller that brings it, or name another${suggest(classes)}.`,
  );
}

function suggest(classes: readonly IngressClassFacts[]): string {
  const names = classes.map(({ name }) => name).toSorted();
  return names.length === 0
    ? ''
    : ` (there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, 5).join(', ')})`;
}

/** Judges the issuers of certificates that are still to come. */
export function judgeIssuers(issuers: readonly IssuerFacts[]): Problem[] {
  return issuers.flatMap(({ kind, name, state, message }): Problem[] => {
    if (state === 'ready') return [];
    const about =
      state === 'missing'
        ? `The ${kind} ${name} of cert-manager, which is to issue a certificate, does not exist${kind === 'Issuer' ? ' in this namespace' : ''}: create it, or correct issuerRef.`
        : `The ${kind} ${name} of cert-manager, which is to issue a certificate, is not ready${message === '' ? '' : ` (${message.replace(/\.$/, '')})`}: see \`kubectl describe ${kind.toLowerCase()} ${name}\`.`;
    return [{ condition: 'CertificatesReady', reason: 'IssuerNotReady', message: about }];
  });
}
