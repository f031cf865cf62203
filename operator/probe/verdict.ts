/**
 * What the answers to a probe mean for a tracker. Sentences hold no times and no counts, so that the same outcome is the
 * same sentence.
 */
import type { ProbeFacts, SourceFacts, StatusFacts } from '../status.ts';
import type { Complaint, HealthAnswer } from './question.ts';

/** What one pod answered. */
export interface PodAnswers {
  readonly pod: string;
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
  readonly probe: ProbeFacts;
  readonly database: StatusFacts['database'];
  readonly sources: StatusFacts['sources'];
}

/** Whether a pod did not answer as it should. */
export function hasFailed(answers: PodAnswers | undefined): boolean {
  return (
    answers !== undefined &&
    (answers.health.every(({ kind }) => kind === 'unreachable') ||
      answers.answers.some(({ complaint }) => complaint !== undefined))
  );
}

/** More complaints than these make no sentence better. */
const MAX_COMPLAINTS = 5;
const MAX_MESSAGE = 1000;

/** Judges the answers of all pods and Services. */
export function judgeAnswers(pods: readonly PodAnswers[], services: readonly TargetAnswer[]): ProbeReport {
  const reached = pods.filter(({ health }) => health.some(({ kind }) => kind === 'answered'));
  const database = databaseOf(pods);
  const sources = sourcesOf(pods);
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

/** One pod whose database is away is enough to tell. */
function databaseOf(pods: readonly PodAnswers[]): ProbeReport['database'] {
  const answered = pods.flatMap(({ health }) => health).filter(({ kind }) => kind === 'answered');
  if (answered.length === 0) return undefined;
  const trouble = answered.flatMap((answer) =>
    answer.kind === 'answered' && answer.databaseTrouble !== null ? [answer.databaseTrouble] : [],
  )[0];
  return trouble === undefined ? { isUp: true, message: '' } : { isUp: false, message: trouble };
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
