/**
 * The log: pino, as JSON for machines or in a form for people, on stdout. Torrust's levels and styles by their names.
 */
import type { Writable } from 'node:stream';
import { type DestinationStream, type Logger, pino } from 'pino';
import pinoPretty from 'pino-pretty';

export type { Logger } from 'pino';

/** The levels of `logging.trace_filter`. */
export type LogFilter = 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
/** The styles of `logging.trace_style`: one line, several lines, one short line, JSON. */
export type LogStyle = 'full' | 'pretty' | 'compact' | 'json';

export interface LogOptions {
  readonly filter: LogFilter;
  readonly style: LogStyle;
  /** Colours are for terminals. */
  readonly colors: boolean;
  /** Where lines go; stdout when left out. */
  readonly target?: Writable;
}

/** The style for a configuration that names none: lines for people on a terminal, JSON elsewhere. */
export function defaultLogStyle(isTerminal: boolean): LogStyle {
  return isTerminal ? 'full' : 'json';
}

/** Makes the logger. Lines are written at once, so that the last one before an end is never lost. */
export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      level: pinoLevel(options.filter),
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    createStream(options),
  );
}

/** Pino's name for a level of ours. */
export function pinoLevel(filter: LogFilter): string {
  return filter === 'off' ? 'silent' : filter;
}

function createStream({ style, colors, target }: LogOptions): DestinationStream {
  if (style === 'json') return target ?? pino.destination({ dest: 1, sync: true });
  return pinoPretty({
    colorize: colors,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: style !== 'pretty',
    sync: true,
    ...(style === 'compact' && { ignore: 'time' }),
    ...(target && { destination: target }),
  });
}
