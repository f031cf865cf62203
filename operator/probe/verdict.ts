/**
 * What the answers to a probe mean for a tracker. Sentences hold no times and no counts, so that the same outcome is the
 * same sentence.
 */
import type { ProbeFacts, SourceFacts, StatusFacts } from '../status.ts';
import type { Complaint, HealthAnswer } from './question.ts';

/** What one pod answered. */
export interface PodAnswers {
  readonly pod: string;
  readonly isReady: boolean;
  /** By each of its addresses. */
  readonly health: readonly HealthAnswer[];
  /** Empty when the health check was not reached. */
  readonly answers: readonly TargetAnswer[];
  readonly sources: SourceFacts | undefined;
}

/** What one target answered. */
export interface TargetAnswer {
  readonly name: string;
  readonly complaint: Complaint;
}

/** What a probe says of a tracker. */
export interface ProbeReport {
  /** Undefined while no pod is ready: there is nothing to probe yet. */
  readonly probe: ProbeFacts | undefined;
  readonly database: StatusFacts['database'];
  readonly sources: StatusFacts['sources'];
}

/** Whether a ready pod did not answer as it should. */
export function hasFailed(answers: PodAnswers | undefined): boolean {
  return (
    answers?.isReady === true &&
    (answers.health.every(({ kind }) => kind === 'unreachable') ||
      answers.answers.some(({ complaint }) => complaint !== undefined))
  );
}

/** More complaints than these make no sentence better. */
const MAX_COMPLAINTS = 5;
const MAX_MESSAGE = 1000;

/** Judges the answers of all pods and Services. */
export function judgeAnswers(all: readonly PodAnswers[], services: readonly TargetAnswer[]): ProbeReport {
  const pods = all.filter(({ isReady }) => isReady);
  const reached = pods.filter(({ health }) => health.some(({ kind }) => kind === 'answered'));
  const database = databaseOf(all);
  const sources = sourcesOf(pods);
  if (pods.length === 0) return { probe: undefined, database, sources };
  if (reached.length === 0) {
    const message =
      'The operator has no way to the pods, so their readiness is all that it can tell by: it runs outside the cluster, or a network policy is in its way.';
    return { probe: { outcome: 'Unreachable', message }, database, sources };
  }
  const complaints = [
    ...pods
      .filter((pod) => !reached.includes(pod))
      .map(({ pod }) => `The health check of pod ${pod} does not answer.`),
    ...[...pods.flatMap(({ answers }) => answers), ...services].flatMap(({ name, complaint }) =>
      complaint === undefined ? [] : [`${name}: ${complaint}.`],
    ),
  ];
  if (complaints.length === 0) {
    return {
      probe: { outcome: 'Succeeded', message: 'Every listener answered.' },
      database,
      sources,
    };
  }
  const more = complaints.length - MAX_COMPLAINTS;
  const message = [...complaints.slice(0, MAX_COMPLAINTS), ...(more > 0 ? [`And ${more} more.`] : [])].join(
    ' ',
  );
  return {
    probe: { outcome: 'Failed', message: message.slice(0, MAX_MESSAGE) },
    database,
    sources: undefined,
  };
}

/** One pod whose database is away is enough to tell; one that is not ready and names no trouble may not have asked yet. */
function databaseOf(pods: readonly PodAnswers[]): ProbeReport['database'] {
  const answered = pods.flatMap(({ health, isReady }) =>
    health.flatMap((answer) => (answer.kind === 'answered' ? [{ ...answer, isReady }] : [])),
  );
  const trouble = answered.flatMap(({ databaseTrouble }) => databaseTrouble ?? [])[0];
  if (trouble !== undefined) return { isUp: false, message: trouble };
  return answered.some(({ isReady }) => isReady) ? { isUp: true, message: '' } : undefined;
}

/** The sums over all pods that tell. */
function sourcesOf(pods: readonly PodAnswers[]): ProbeReport['sources'] {
  const told = pods.flatMap(({ sources }) => sources ?? []);
  if (told.length === 0) return undefined;
  return {
    announces: told.reduce((sum, { announces }) => sum + announces, 0),
    fromCluster: told.reduce((sum, { fromCluster }) => sum + fromCluster, 0),
  };
}
