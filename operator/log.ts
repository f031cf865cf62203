/** The operator's log: pino, one line of JSON each, on stdout. No line holds what is in a Secret. */
import { type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** The levels, the least important last. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Opens the log. Lines are written at once, so that the last one before an end is never lost. */
export function openLog(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 1, sync: true }),
  );
}
