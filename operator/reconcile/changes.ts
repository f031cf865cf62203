/**
 * What of a change of status is news for the people who watch a tracker: the events that are written about it.
 */
import type { ConditionType } from '../crd/conditions.ts';
import type { Condition, TrackerStatus } from '../crd/tracker-status.ts';

/** One event. */
export interface StatusEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Conditions that tell of something bad when they are true. */
const BAD_WHEN_TRUE: readonly ConditionType[] = ['Degraded'];
/** `Ready` only repeats one of the others when it is false; progress is everyday. */
const SILENT: readonly ConditionType[] = ['Progressing', 'Paused'];

/** The events that a change of status is worth, in the order of the conditions. */
export function statusEvents(before: TrackerStatus, after: TrackerStatus): StatusEvent[] {
  return (after.conditions ?? []).flatMap((condition): StatusEvent[] => {
    const former = before.conditions?.find(({ type }) => type === condition.type);
    if (former?.status === condition.status && former.reason === condition.reason) return [];
    if (SILENT.includes(condition.type)) return [];
    const { reason, message } = condition;
    if (isBad(condition)) return condition.type === 'Ready' ? [] : [{ type: 'Warning', reason, message }];
    const isGood = condition.status !== 'Unknown';
    if (condition.type === 'Ready' && isGood) return [{ type: 'Normal', reason, message }];
    return isGood && former !== undefined && isBad(former) ? [{ type: 'Normal', reason, message }] : [];
  });
}

function isBad({ type, status }: Condition): boolean {
  return status === (BAD_WHEN_TRUE.includes(type) ? 'True' : 'False');
}
