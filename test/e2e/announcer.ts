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

/** As announcer-process.ts has them: the time between two announces, and that after which one without an answer is lost. */
const INTERVAL_MILLIS = 1000;
const PATIENCE_MILLIS = 5000;

/** What the client writes: an announce when it is sent, and again when its fate is known. `sentAt` tells which it is. */
export interface AnnounceLine {
  /** In milliseconds since 1970. */
  readonly sentAt: number;
  /** The milliseconds until the answer; null when none came in time; not there while that is open. */
  readonly millis?: number | null;
}

/** What became of one announce. */
type AnnounceRecord = Required<AnnounceLine>;

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
  /**
   * The figures of what was sent from a time, in milliseconds since 1970, until now. Waits until the fate of each is known;
   * one of which nothing is heard for longer than the client is patient is lost.
   */
  figuresSince(millis: number): Promise<AnnounceFigures>;
  /** Waits until announces sent after now are answered, five in a row. */
  healed(deadlineMillis?: number): Promise<void>;
}

const LATE_MILLIS = 1000;
/** By then the client has written what became of an announce: it looks once in an interval, and its lines need a moment. */
const FATE_MILLIS = PATIENCE_MILLIS + 2 * INTERVAL_MILLIS;
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
  const sentSince = (millis: number) => readLines(file).filter(({ sentAt }) => sentAt >= millis);
  return {
    async figuresSince(millis) {
      const until = Date.now();
      const sent = () => sentSince(millis).filter(({ sentAt }) => sentAt < until);
      const isOver = () => Date.now() > until + FATE_MILLIS;
      // With a later announce all that were sent before are written down.
      const isWritten = () => sentSince(until).length > 0 && sent().every(isDecided);
      await waitFor(`the fate of announces to ${url}`, () => isOver() || isWritten(), 2 * FATE_MILLIS);
      return figuresOf(sent().map(({ sentAt, millis: fate = null }) => ({ sentAt, millis: fate })));
    },
    async healed(deadlineMillis = HEAL_DEADLINE_MILLIS) {
      const from = Date.now();
      await waitFor(
        `answers to announces to ${url}`,
        () => {
          const sent = sentSince(from);
          // The last one may be on its way; one before it has waited for as long as the interval is.
          if (sent.at(-1)?.millis === undefined) sent.pop();
          const last = sent.slice(-ANSWERS_IN_A_ROW);
          return last.length === ANSWERS_IN_A_ROW && last.every(isAnswered);
        },
        deadlineMillis,
      );
    },
  };
}

const isDecided = ({ millis }: AnnounceLine): boolean => millis !== undefined;
const isAnswered = ({ millis }: AnnounceLine): boolean => typeof millis === 'number';

/** The figures of announces in the order in which they were sent. */
function figuresOf(records: readonly AnnounceRecord[]): AnnounceFigures {
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

/** One line for each announce, in the order in which they were sent: that with its fate, where that is known. */
function readLines(file: string): AnnounceLine[] {
  let text = '';
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return []; // It has not begun yet.
  }
  const announces = new Map<number, AnnounceLine>();
  for (const line of text.split('\n').slice(0, -1)) {
    // Written by announcer-process.ts.
    const announce = JSON.parse(line) as AnnounceLine;
    announces.set(announce.sentAt, announce);
  }
  return [...announces.values()].toSorted((a, b) => a.sentAt - b.sentAt);
}
