/**
 * The status of a tracker, as a pure function of what was observed: conditions with fixed reasons, and sentences that say
 * what to do. Nothing in it changes while nothing happens: a time is that of the last change.
 *
 * `Ready` sums up: it follows the pods, the configuration, the certificates, the way to clients, the database and the probe.
 * `SourceIPPreserved` is no part of it, and neither is a probe that the operator has no way to make.
 */
import { isDeepStrictEqual } from 'node:util';
import { CONDITION_TYPES, type ConditionType, type Problem, type Reason } from './crd/conditions.ts';
import {
  type Condition,
  MAX_ADDRESSES,
  MAX_ANNOUNCE_URLS,
  type TrackerStatus,
} from './crd/tracker-status.ts';
import { isHibernating, type TorrustTracker } from './crd/tracker.ts';
import { describeDatabaseTrouble } from './database-trouble.ts';
import { describeExposed, describeWaiting } from './exposure-trouble.ts';

/** What runs the pods, as it reports itself. */
export interface WorkloadFacts {
  /** The pods that it should have. */
  readonly wanted: number;
  readonly present: number;
  readonly ready: number;
  /** Those of the newest template. */
  readonly updated: number;
  /** False until its controller has seen what was last applied. */
  readonly isObserved: boolean;
}

/** Why a pod does not run, if it does not. */
export interface PodTrouble {
  /** The kind and the name of the object that is in trouble. */
  readonly about: string;
  readonly reason: 'Unschedulable' | 'ImagePullFailed' | 'PodFailing' | 'PodRefused' | 'StorageFailed';
  /** What the cluster says. */
  readonly message: string;
}

/** One way by which clients reach a listener. */
export interface Way {
  readonly protocol: 'UDP' | 'TCP';
  /** The listener's name. */
  readonly listener: string;
  /** An IP address or a host name; undefined while the cluster has not given one. */
  readonly address: string | undefined;
  readonly port: number;
  /** The announce URL. */
  readonly url: string | undefined;
}

/** What a probe found out about all listeners together. */
export interface ProbeFacts {
  readonly outcome: 'Succeeded' | 'Failed' | 'Unreachable';
  readonly message: string;
}

/** Where announces came from, of late. */
export interface SourceFacts {
  readonly announces: number;
  /** Those from addresses of nodes, pods and services. */
  readonly fromCluster: number;
}

/** Everything that a status is made of. */
export interface StatusFacts {
  /** From the desired list, from applying it, from Secrets, routes and names. */
  readonly problems: readonly Problem[];
  /** Undefined while there is none. */
  readonly workload: WorkloadFacts | undefined;
  readonly troubles: readonly PodTrouble[];
  /** In the order of the listeners; empty for a tracker that no way leads to yet. */
  readonly ways: readonly Way[];
  /** What the cluster warned of a Service that has no address; undefined when it did not. */
  readonly addressWarning: string | undefined;
  /** The nodes without a pod that takes traffic, where those drop what clients send to them. */
  readonly emptyNodes: readonly string[];
  /** What the tracker says of its database; undefined while nobody can tell. */
  readonly database: { readonly isUp: boolean; readonly message: string } | undefined;
  readonly certificates: readonly {
    readonly listener: string;
    readonly secretName: string;
    readonly notAfter: Date;
  }[];
  /** How many certificates the listeners need. */
  readonly certificatesNeeded: number;
  /** Undefined before the first probe. */
  readonly probe: ProbeFacts | undefined;
  /** Undefined while nobody can tell. */
  readonly sources: SourceFacts | undefined;
  /** Whether every node has a database that is lost with its pod. */
  readonly isDatabaseEphemeral: boolean;
  readonly configHash: string | undefined;
  readonly image: string | undefined;
  readonly operatorVersion: string;
  /** The selector of the pods as one text. */
  readonly selector: string;
  readonly now: Date;
}

/** A condition without its times. */
interface Finding {
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
}

/** More announces than this part from the cluster's own addresses mean that those of clients are hidden. */
const HIDDEN_FRACTION = 0.5;
const MAX_MESSAGE = 4096;
/** More sentences about pods and volumes than these say nothing new. */
const MAX_TROUBLES = 3;

/** The status of a tracker; the one that it has, itself, when nothing in it changes. */
export function trackerStatus(tracker: TorrustTracker, facts: StatusFacts): TrackerStatus {
  const before = tracker.status ?? {};
  const findings = tracker.spec.paused ? pausedFindings(before) : allFindings(tracker, facts);
  const conditions = datedConditions(tracker, before, findings, facts.now);
  const after = tracker.spec.paused
    ? { ...before, conditions }
    : { ...describeState(tracker, before, facts), conditions };
  return isDeepStrictEqual(before, after) ? before : after;
}

/** While paused, nothing is judged: what was said last stays, with the word that it may be old. */
function pausedFindings({ conditions = [] }: TrackerStatus): Map<ConditionType, Finding> {
  const kept = conditions.map(({ type, status, reason, message }): [ConditionType, Finding] => [
    type,
    // The words of this status are those of an earlier one, which were all of the list.
    { status, reason: reason as Reason, message },
  ]);
  return new Map([
    ...kept,
    [
      'Paused',
      finding(
        'True',
        'PausedByUser',
        'spec.paused is true: nothing is changed, and other conditions may be old.',
      ),
    ],
  ]);
}

function allFindings(tracker: TorrustTracker, facts: StatusFacts): Map<ConditionType, Finding> {
  const judged = new Map<ConditionType, Finding>([
    [
      'ConfigValid',
      problemOf(facts, 'ConfigValid') ?? finding('True', 'Valid', 'The tracker takes its configuration.'),
    ],
    ['DatabaseReady', judgeDatabase(tracker, facts)],
    ['CertificatesReady', judgeCertificates(facts)],
    ['ExposureReady', judgeExposure(tracker, facts)],
    ['SourceIPPreserved', judgeSources(facts)],
    ['ProbeSucceeded', judgeProbe(tracker, facts)],
    ['Progressing', judgeProgress(facts)],
    ['Degraded', judgeDegradation(facts)],
  ]);
  judged.set('Ready', judgeReady(tracker, facts, judged));
  return judged;
}

function finding(status: Finding['status'], reason: Reason, message: string): Finding {
  return { status, reason, message: message.slice(0, MAX_MESSAGE) };
}

/** The problems of one condition: the reason of the first, the sentences of all. */
function problemOf({ problems }: StatusFacts, condition: ConditionType): Finding | undefined {
  const own = problems.filter((problem) => problem.condition === condition);
  const [first] = own;
  if (first === undefined) return undefined;
  const status = condition === 'Degraded' ? 'True' : 'False';
  return finding(status, first.reason, own.map(({ message }) => message).join(' '));
}

function judgeDatabase(tracker: TorrustTracker, facts: StatusFacts): Finding {
  const problem = problemOf(facts, 'DatabaseReady');
  if (problem !== undefined) return problem;
  if (facts.database === undefined)
    return finding('Unknown', 'Unknown', 'No pod has told about its database yet.');
  if (!facts.database.isUp) {
    const isServing = (facts.workload?.ready ?? 0) > 0;
    return finding(
      'False',
      'DatabaseDown',
      describeDatabaseTrouble(tracker, facts.database.message, isServing),
    );
  }
  return facts.isDatabaseEphemeral
    ? finding(
        'True',
        'DatabaseEphemeral',
        'Each node keeps a SQLite database that is lost with its pod; set database.mysql to keep keys and counters.',
      )
    : finding('True', 'DatabaseUp', 'The database answers.');
}

function judgeCertificates(facts: StatusFacts): Finding {
  const problem = problemOf(facts, 'CertificatesReady');
  if (problem !== undefined) return problem;
  if (facts.certificatesNeeded === 0)
    return finding('True', 'NoCertificates', 'No listener needs a certificate.');
  if (facts.certificates.length < facts.certificatesNeeded) {
    return finding('False', 'CertificatePending', 'Certificates are being issued.');
  }
  return finding('True', 'CertificatesValid', 'Every certificate is there and valid.');
}

function judgeExposure(tracker: TorrustTracker, facts: StatusFacts): Finding {
  const problem = problemOf(facts, 'ExposureReady');
  if (problem !== undefined) return problem;
  const waiting = facts.ways.filter(({ address }) => address === undefined);
  if (waiting.length > 0) {
    const names = waiting.map(({ protocol, listener }) => `${protocol} ${listener}`).join(', ');
    return finding('False', 'AddressPending', describeWaiting(tracker, names, facts.addressWarning));
  }
  if (facts.ways.length === 0)
    return finding('Unknown', 'Unknown', 'No Service or node leads to the tracker yet.');
  return finding('True', 'Exposed', describeExposed(tracker, facts.emptyNodes));
}

/** What the sources of announces show. */
export function sourceVerdict({ announces, fromCluster }: SourceFacts): 'none' | 'hidden' | 'seen' {
  if (announces === 0) return 'none';
  return fromCluster / announces > HIDDEN_FRACTION ? 'hidden' : 'seen';
}

function judgeSources({ sources }: StatusFacts): Finding {
  if (sources === undefined) {
    return finding('Unknown', 'Unknown', 'Nothing tells where announces come from, or all clients are pods.');
  }
  const verdict = sourceVerdict(sources);
  if (verdict === 'none') return finding('Unknown', 'NoTraffic', 'Nobody has announced yet.');
  if (verdict === 'hidden') {
    return finding(
      'False',
      'ClusterAddressesSeen',
      'Most announces come from addresses of the cluster, so clients are given each other as nodes or pods: use externalTrafficPolicy Local, trustedProxies, or topology HostNode.',
    );
  }
  return finding('True', 'ClientAddressesSeen', "Announces come from clients' own addresses.");
}

function judgeProbe(tracker: TorrustTracker, { probe }: StatusFacts): Finding {
  if (isHibernating(tracker)) return finding('Unknown', 'Hibernating', 'There are no pods to probe.');
  switch (probe?.outcome) {
    case undefined:
      return finding('Unknown', 'NotProbed', 'No probe was made yet.');
    case 'Succeeded':
      return finding('True', 'Answered', probe.message);
    case 'Failed':
      return finding('False', 'ProbeFailed', probe.message);
    case 'Unreachable':
      return finding('Unknown', 'Unreachable', probe.message);
  }
}

function judgeProgress({ workload }: StatusFacts): Finding {
  if (workload === undefined) return finding('True', 'RollingOut', 'The pods are not made yet.');
  const { wanted, present, ready, updated, isObserved } = workload;
  if (isObserved && present === wanted && ready === wanted && updated === wanted) {
    return finding('False', 'Settled', 'Every pod is as it was asked for.');
  }
  return finding(
    'True',
    'RollingOut',
    `${updated} of ${wanted} pods are of the newest template, ${ready} ready.`,
  );
}

function judgeDegradation(facts: StatusFacts): Finding {
  const problem = problemOf(facts, 'Degraded');
  if (problem !== undefined) return problem;
  const [worst] = facts.troubles;
  if (worst !== undefined) {
    const sentences = facts.troubles.map(({ about, message }) => `${about}: ${message}`);
    return finding('True', worst.reason, sentences.slice(0, MAX_TROUBLES).join(' '));
  }
  return finding('False', 'Settled', 'Everything that was asked for is there.');
}

/** What has to hold, or at least not to fail, for a tracker to be ready; the first that fails is the reason. */
const NEEDED: readonly ConditionType[] = [
  'ConfigValid',
  'CertificatesReady',
  'DatabaseReady',
  'ExposureReady',
  'ProbeSucceeded',
];

function judgeReady(
  tracker: TorrustTracker,
  facts: StatusFacts,
  judged: ReadonlyMap<ConditionType, Finding>,
): Finding {
  if (isHibernating(tracker)) {
    return finding(
      'False',
      'Hibernating',
      'There are no pods, as asked for: set hibernate to false and replicas to 1 to serve.',
    );
  }
  for (const type of NEEDED) {
    const found = judged.get(type);
    if (found?.status === 'False') return finding('False', found.reason, found.message);
  }
  const degraded = judged.get('Degraded');
  const { wanted = 0, ready = 0 } = facts.workload ?? {};
  if (facts.workload === undefined || ready < wanted || wanted === 0) {
    if (degraded?.status === 'True') return finding('False', degraded.reason, degraded.message);
    const why =
      facts.workload !== undefined && wanted === 0
        ? 'No node is chosen for the tracker: see spec.nodeSelector and spec.tolerations.'
        : `${ready} of ${wanted} pods are ready.`;
    return finding('False', 'PodsNotReady', why);
  }
  if (degraded?.status === 'True' && degraded.reason === 'NameCollision') {
    return finding('False', degraded.reason, degraded.message);
  }
  if (facts.probe === undefined)
    return finding('False', 'NotReadyYet', 'The pods are ready; the first probe is not done.');
  return finding('True', 'Serving', 'Every part of the tracker works.');
}

/** Conditions in their fixed order; one that does not change keeps its time. */
function datedConditions(
  { metadata: { generation }, spec }: TorrustTracker,
  { conditions: before = [] }: TrackerStatus,
  findings: ReadonlyMap<ConditionType, Finding>,
  now: Date,
): Condition[] {
  return CONDITION_TYPES.flatMap((type): Condition[] => {
    const found = findings.get(type);
    if (found === undefined) return [];
    const former = before.find((condition) => condition.type === type);
    const isSame = former?.status === found.status;
    // While paused only the pause itself is about this generation.
    const isOld = spec.paused && type !== 'Paused' && former !== undefined;
    return [
      {
        type,
        status: found.status,
        observedGeneration: isOld ? former.observedGeneration : generation,
        lastTransitionTime: isSame ? former.lastTransitionTime : toSeconds(now),
        reason: found.reason,
        message: found.message,
      },
    ];
  });
}

/** Everything in the status beside the conditions. */
function describeState(tracker: TorrustTracker, before: TrackerStatus, facts: StatusFacts): TrackerStatus {
  const { workload, ways, probe } = facts;
  const urls = ways.flatMap(({ url }) => (url === undefined ? [] : [url]));
  const image = facts.image ?? before.versions?.image;
  return {
    observedGeneration: tracker.metadata.generation,
    replicas: workload?.present ?? 0,
    readyReplicas: workload?.ready ?? 0,
    selector: facts.selector,
    announceURLs: [...new Set(urls)].slice(0, MAX_ANNOUNCE_URLS),
    addresses: ways
      .flatMap(({ protocol, listener, address, port }) =>
        address === undefined ? [] : [{ protocol, address, port, listener }],
      )
      .slice(0, MAX_ADDRESSES),
    ...(facts.configHash === undefined ? {} : { configHash: facts.configHash }),
    certificates: facts.certificates.map(({ listener, secretName, notAfter }) => ({
      listener,
      secretName,
      notAfter: toSeconds(notAfter),
    })),
    versions: { operator: facts.operatorVersion, ...(image === undefined ? {} : { image }) },
    ...(probe === undefined ? {} : { probe: datedProbe(before, probe, facts.now) }),
  };
}

/** A probe's time is that of its outcome: the same outcome again writes nothing. */
function datedProbe({ probe: before }: TrackerStatus, { outcome, message }: ProbeFacts, now: Date) {
  if (before?.outcome === outcome && before.message === message) return before;
  const time = before?.outcome === outcome ? before.time : toSeconds(now);
  return { outcome, message, time };
}

/** RFC 3339 without parts of a second, as Kubernetes writes times. */
function toSeconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
