/**
 * The log: pino, as JSON for machines or in a form for people, on stdout. Torrust's levels and styles by their names;
 * both can change while the log is written.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';

export type { Logger } from 'pino';

/** The levels of `logging.trace_filter`. */
export type LogFilter = 'off' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
/** The styles of `logging.trace_style`: one line, several lines, one short line, JSON. */
export type LogStyle = 'full' | 'pretty' | 'compact' | 'json';

export interface LogSettings {
  readonly filter: LogFilter;
  /** Absent: lines for people on a terminal, JSON elsewhere. */
  readonly style?: LogStyle | undefined;
}

/** Where the log goes. */
export interface LogTarget {
  /** Takes whole lines, each ended. */
  readonly stream: DestinationStream;
  readonly isTerminal: boolean;
  /** Colours are for terminals. */
  readonly hasColors: boolean;
}

/** A log that is being written. */
export interface Log {
  readonly logger: Logger;
  /** Takes over other settings; the next line has them. */
  configure(settings: LogSettings): void;
  /** Adds to each line, from now on, what `fields` says at that moment. */
  addFields(fields: () => object): void;
}

/** Stdout as a target. Lines are written at once, so that the last one before an end is never lost. */
export function stdoutTarget(hasColors: boolean): LogTarget {
  return {
    stream: pino.destination({ dest: 1, sync: true }),
    isTerminal: process.stdout.isTTY,
    hasColors,
  };
}

/** Opens the log. */
export function openLog(settings: LogSettings, target: LogTarget): Log {
  let format = formatterOf(settings, target);
  let fields = (): object => ({});
  const logger = pino(
    {
      level: pinoLevel(settings.filter),
      base: null,
      mixin: () => fields(),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => target.stream.write(format(line)) },
  );
  return {
    logger,
    configure(changed) {
      format = formatterOf(changed, target);
      logger.level = pinoLevel(changed.filter);
    },
    addFields(added) {
      fields = added;
    },
  };
}

/** Pino's name for a level of ours. */
function pinoLevel(filter: LogFilter): string {
  return filter === 'off' ? 'silent' : filter;
}

/** The style in force. */
export function styleOf({ style }: LogSettings, { isTerminal }: LogTarget): LogStyle {
  return style ?? (isTerminal ? 'full' : 'json');
}

/** What makes a line of the log from a line of JSON. */
function formatterOf(settings: LogSettings, target: LogTarget): (line: string) => string {
  const chosen = styleOf(settings, target);
  if (chosen === 'json') return (line) => line;
  return prettyFactory({
    colorize: target.hasColors,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: chosen !== 'pretty',
    ...(chosen === 'compact' && { ignore: 'time' }),
  });
}
