/**
 * A client that announces every second, whatever happens: a process on a host of its own (announcer-process.ts) that
 * writes down what became of each announce; and the figures that follow from it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../support/waiting.ts';
import type { ClientHost } from './client-host.ts';
import type { Cleaning } from './world.ts';

/** What became of one announce. Times are in milliseconds; `sentAt` since 1970. */
export interface AnnounceRecord {
  readonly sentAt: number;
  /** Until the answer; null when none came in time. */
  readonly millis: number | null;
}

/** The figures of a stretch of time. */
export interface AnnounceFigures {
  readonly sent: number;
  readonly answered: number;
  /** Of those, the ones whose answer took longer than a second. */
  readonly late: number;
  /** From the first announce without an answer until the next that has one, at its longest; in seconds. */
  readonly longestGapSeconds: number;
}

/** A running client. */
export interface Announcer {
  /** The figures since a time, in milliseconds since 1970, until that of the last announce whose fate is known. */
  figuresSince(millis: number): AnnounceFigures;
  /** Waits until announces sent after now are answered, five in a row. */
  healed(deadlineMillis?: number): Promise<void>;
}

const LATE_MILLIS = 1000;
const ANSWERS_IN_A_ROW = 5;
const HEAL_DEADLINE_MILLIS = 240_000;

/** Starts one. It ends with the test. `url` is of a UDP or an HTTP tracker, with an address and a port. */
export function startAnnouncer(cleaning: Cleaning, host: ClientHost, url: string): Announcer {
  const folder = mkdtempSync(join(tmpdir(), 'torrust-announcer-'));
  cleaning.after(async () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'announces');
  const program = join(import.meta.dirname, 'announcer-process.ts');
  host.spawn(process.execPath, [program, url, file], { stdio: ['ignore', 'ignore', 'inherit'] });
  return followRecords(file, url);
}

/** A client that runs somewhere and whose records come to be in a file. */
export function followRecords(file: string, url: string): Announcer {
  const records = () => readRecords(file);
  return {
    figuresSince: (millis) => figuresOf(records().filter(({ sentAt }) => sentAt >= millis)),
    async healed(deadlineMillis = HEAL_DEADLINE_MILLIS) {
      const from = Date.now();
      await waitFor(
        `answers to announces to ${url}`,
        () => {
          const last = records()
            .filter(({ sentAt }) => sentAt >= from)
            .slice(-ANSWERS_IN_A_ROW);
          return last.length === ANSWERS_IN_A_ROW && last.every(({ millis }) => millis !== null);
        },
        deadlineMillis,
      );
    },
  };
}

/** The figures of announces in the order in which they were sent. */
export function figuresOf(records: readonly AnnounceRecord[]): AnnounceFigures {
  let longestGapMillis = 0;
  let gapStart: number | undefined;
  for (const { sentAt, millis } of records) {
    if (millis === null) gapStart ??= sentAt;
    if (gapStart !== undefined)
      longestGapMillis = Math.max(longestGapMillis, sentAt + (millis ?? 0) - gapStart);
    if (millis !== null) gapStart = undefined;
  }
  const answered = records.filter(({ millis }) => millis !== null);
  return {
    sent: records.length,
    answered: answered.length,
    late: answered.filter(({ millis }) => (millis ?? 0) > LATE_MILLIS).length,
    longestGapSeconds: Math.round(longestGapMillis / 100) / 10,
  };
}

/** The figures as one line of a report. */
export function tellFigures(
  fault: string,
  { sent, answered, late, longestGapSeconds }: AnnounceFigures,
): string {
  return `${fault}: ${sent} announces, ${answered} answered, ${late} late, longest gap ${longestGapSeconds} s`;
}

function readRecords(file: string): AnnounceRecord[] {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return []; // It has not begun yet.
  }
  const lines = text.split('\n').slice(0, -1);
  // Written by announcer-process.ts, in the order in which fates became known.
  return lines.map((line) => JSON.parse(line) as AnnounceRecord).toSorted((a, b) => a.sentAt - b.sentAt);
}
