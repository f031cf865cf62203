/**
 * Fields that Kubernetes itself has, in the form in which our resources carry them: references, selectors, scheduling,
 * resources of a container. Named and shaped as in its core API, so that what users know holds here.
 */
import * as z from 'zod';
import {
  labelName,
  listOf,
  objectName,
  oneOf,
  passedOn,
  quantity,
  text,
  textMap,
  wholeNumber,
} from './fields.ts';

/** A Secret in the tracker's namespace. */
export function secretReference() {
  return z.strictObject({ name: objectName().describe('Name of the Secret.') });
}

/** One key of a Secret in the tracker's namespace. */
export function secretKeyReference(defaultKey: string) {
  return z.strictObject({
    name: objectName().describe('Name of the Secret.'),
    key: text(253)
      .regex(/^[-._a-zA-Z0-9]+$/)
      .default(defaultKey)
      .describe('Key in the Secret.'),
  });
}

/** Which objects are meant, by their labels. */
export function labelSelector() {
  return z.strictObject({
    matchLabels: textMap(63).optional().describe('Labels that all have to be there.'),
    matchExpressions: listOf(
      z.strictObject({
        key: text(317).describe('The label.'),
        operator: oneOf('In', 'NotIn', 'Exists', 'DoesNotExist').describe('How the label is compared.'),
        values: listOf(z.string().max(63), 32).optional().describe('What it is compared with.'),
      }),
      16,
    )
      .optional()
      .describe('Conditions that all have to hold.'),
  });
}

/** Who may connect: the `from` of a NetworkPolicy. */
export function networkPeer() {
  return z.strictObject({
    namespaceSelector: labelSelector().optional().describe('Namespaces; an empty selector means all.'),
    podSelector: labelSelector().optional().describe('Pods, in those namespaces or in this one.'),
    ipBlock: z
      .strictObject({
        cidr: text(49).describe('A range of addresses.'),
        except: listOf(text(49), 32).optional().describe('Ranges inside it that are left out.'),
      })
      .optional()
      .describe('Addresses outside the cluster.'),
  });
}

/** What a pod tolerates of a node. */
export function toleration() {
  return z.strictObject({
    key: text(317).optional().describe('The taint; left out with Exists: every taint.'),
    operator: oneOf('Exists', 'Equal').optional().describe('Equal when left out.'),
    value: z.string().max(63).optional().describe("The taint's value."),
    effect: oneOf('NoSchedule', 'PreferNoSchedule', 'NoExecute')
      .optional()
      .describe('Left out: every effect.'),
    tolerationSeconds: wholeNumber(0, 2147483647).optional().describe('How long NoExecute is tolerated.'),
  });
}

/** How pods are spread. */
export function topologySpreadConstraint() {
  return z.strictObject({
    maxSkew: wholeNumber(1, 1000).describe('How uneven the spread may be.'),
    topologyKey: text(317).describe("The node's label that names a place."),
    whenUnsatisfiable: oneOf('DoNotSchedule', 'ScheduleAnyway').describe('What happens where it is uneven.'),
    labelSelector: labelSelector().optional().describe("Which pods count; left out: this tracker's."),
    minDomains: wholeNumber(1, 1000).optional().describe('How many places there have to be.'),
    nodeAffinityPolicy: oneOf('Honor', 'Ignore').optional().describe('Whether node affinity counts.'),
    nodeTaintsPolicy: oneOf('Honor', 'Ignore').optional().describe('Whether taints count.'),
    matchLabelKeys: listOf(text(317), 16).optional().describe('Labels whose values are compared as well.'),
  });
}

/** What a container asks for and may use. */
export function resourceRequirements() {
  const amounts = () => z.record(z.string().min(1).max(317), quantity());
  return z.strictObject({
    requests: amounts().optional().describe('What is set aside for the tracker.'),
    limits: amounts().optional().describe('What it may use at most.'),
  });
}

/** Labels and annotations of a pod. */
export function podMetadata() {
  return z.strictObject({
    labels: textMap(63).optional().describe('Labels beside those of the operator.'),
    annotations: textMap(4096).optional().describe('Annotations beside those of the operator.'),
  });
}

/** Who issues a certificate: an object of cert-manager. */
export function issuerReference() {
  return z.strictObject({
    name: objectName().describe('Name of the issuer.'),
    kind: text(63).default('Issuer').describe('Issuer, ClusterIssuer, or a kind of another group.'),
    group: text(253).default('cert-manager.io').describe("The issuer's API group."),
  });
}

/** A Gateway, or one of its listeners, that a route attaches to. */
export function parentReference() {
  return z.strictObject({
    name: objectName().describe('Name of the Gateway.'),
    namespace: labelName().optional().describe("Its namespace; left out: the tracker's."),
    sectionName: text(253).optional().describe('One listener of the Gateway; left out: all that fit.'),
    port: wholeNumber(1, 65535).optional().describe('The listeners with this port.'),
    kind: text(63).optional().describe('Gateway when left out.'),
    group: text(253).optional().describe('gateway.networking.k8s.io when left out.'),
  });
}

/** Affinity as in a pod, passed on. */
export function affinity() {
  return passedOn();
}
