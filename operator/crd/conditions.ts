/**
 * The conditions of a tracker and their reasons: the fixed words by which people and programs read its status.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
 */

/** Every condition, in the order in which the status lists them. */
export const CONDITION_TYPES = [
  /** The summary: the tracker serves what its resource asks for. */
  'Ready',
  /** The operator, or the cluster for it, is at work. */
  'Progressing',
  /** Something that was asked for can't be had at present. */
  'Degraded',
  'ConfigValid',
  'DatabaseReady',
  'CertificatesReady',
  'ExposureReady',
  'SourceIPPreserved',
  'ProbeSucceeded',
  /** Only there while `spec.paused` is true. */
  'Paused',
] as const;

/** The name of a condition. */
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** Every reason, and what it means. */
export const REASONS = {
  // Ready
  Serving: 'Every part of the tracker works.',
  Hibernating: 'The tracker has no pods because it was asked to have none.',
  PodsNotReady: 'No pod, or not every pod, is ready.',
  NotReadyYet: 'The first probe is not done.',
  // Progressing
  RollingOut: 'Pods are being started or replaced.',
  Settled: 'Everything is as it was asked for.',
  // Degraded
  NameCollision: 'An object of a name that the tracker needs belongs to someone else.',
  ApplyFailed: 'The API server refused an object.',
  Unschedulable: 'No node takes the pod.',
  ImagePullFailed: 'The image can not be pulled.',
  PodFailing: 'The pod does not stay up.',
  PodRefused: 'The cluster does not let the pod be made.',
  PodTemplateInvalid: 'The override of the pod asks for what the tracker must not have.',
  StorageFailed: 'The volume can not be had.',
  // ConfigValid
  Valid: 'The configuration is one that the tracker takes.',
  InvalidConfig: 'spec.config says something that the tracker does not take.',
  ConfigConflict: 'spec.config changes what the operator needs to work.',
  SecretInConfig: 'spec.config holds a secret, which would end in a ConfigMap.',
  // Secrets, of ConfigValid, DatabaseReady, CertificatesReady and ExposureReady
  SecretMissing: 'A Secret that the resource names does not exist.',
  SecretIncomplete: 'A Secret that the resource names lacks a key.',
  SecretInvalid: 'A Secret that the resource names holds something that can not be used.',
  // DatabaseReady
  DatabaseUp: 'The database answers.',
  DatabaseDown: 'The database does not answer.',
  DatabaseEphemeral: 'Every node keeps a database that is lost with its pod.',
  // CertificatesReady
  CertificatesValid: 'Every certificate is there and valid.',
  NoCertificates: 'No listener needs a certificate.',
  CertificatePending: 'A certificate is being issued.',
  CertificateExpired: 'A certificate has expired.',
  IssuerNotReady: 'The issuer of a certificate does not exist or is not ready.',
  // ExposureReady
  Exposed: 'Every Service and route is there.',
  AddressPending: 'The load balancer has not given an address yet.',
  RouteNotAccepted: 'A gateway does not accept a route.',
  ClassMissing: 'A class that the resource names, or a default one, does not exist.',
  APIMissing: 'The cluster does not have an API that the resource asks for.',
  // SourceIPPreserved
  ClientAddressesSeen: "The tracker sees its clients' own addresses.",
  ClusterAddressesSeen: "Announces come from addresses of the cluster instead of the clients' own.",
  NoTraffic: 'Nobody has announced yet.',
  // ProbeSucceeded
  Answered: 'Every listener answered a real request.',
  ProbeFailed: 'A listener did not answer as it should.',
  Unreachable: 'The operator has no way to the pods, so it can not tell.',
  NotProbed: 'No probe was made yet.',
  // Paused
  PausedByUser: 'The operator changes nothing while spec.paused is true.',
  // Any
  Unknown: 'There is nothing to tell by yet.',
} as const;

/** The reason of a condition. */
export type Reason = keyof typeof REASONS;

/** Something in the way that a user can mend. */
export interface Problem {
  /** The condition that tells it. */
  readonly condition: ConditionType;
  readonly reason: Reason;
  /** A sentence that says what is wrong and what to do. It holds no secret. */
  readonly message: string;
}
